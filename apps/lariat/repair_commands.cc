// SPDX-License-Identifier: Apache-2.0
// Repair: compare replicas now, and how it stands with ranges, hints, sweep and scrub. Each node
// answers for what it holds, so every live node is asked.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <chrono>
#include <thread>

#include "apps/lariat/cluster_text.h"
#include "apps/lariat/commands.h"
#include "apps/lariat/repair_text.h"
#include "apps/lariat/terminal/live_line.h"
#include "apps/lariat/terminal/text.h"

namespace lariat::cli {

namespace {

namespace json = boost::json;
using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kPollPause{250};
constexpr std::chrono::milliseconds kRepairPollWait{5000};
// Longest time without an answer of a node whose task is waited for.
constexpr std::chrono::seconds kRepairPatience{60};

struct RepairOptions {
  std::string bucket, range;
  bool wait = false;
};

// A node that is asked, and what it said last.
struct Asked {
  std::string name;
  std::unique_ptr<net::Client> client;
  uint64_t task = 0;
  json::value last;
  Clock::time_point answered = Clock::now();
  bool silent = false;  // to the last question
  std::string failure;  // it gave no answer

  bool Ended() const {
    const std::string state = TextOf(last, "state");
    return !failure.empty() || state == "done" || state == "failed";
  }
};

struct RepairNodes {
  std::vector<Asked> live;
  std::vector<std::string> down;
};

tl::expected<RepairNodes, Exit> FindNodes(const Common& common, std::chrono::milliseconds wait) {
  auto client = Connect(common, kUsualWait);
  if (!client) return tl::unexpected(Exit::kUsage);
  net::Request request;
  request.target = "/v1/cluster/status";
  auto status = Ask(*client, request);
  if (!status) return tl::unexpected(status.error());
  RepairNodes nodes;
  for (const json::value& node : ArrayOf(*status, "nodes")) {
    const std::string name = Printable(TextOf(node, "name"));
    auto address = net::ParseAddress(TextOf(node, "http"));
    if (FlagOf(node, "alive") && address) {
      nodes.live.push_back(
          {name, std::make_unique<net::Client>(std::vector{*address}, common.Limits(wait))});
    } else if (TextOf(node, "state") != "removed") {
      nodes.down.push_back(name);
    }
  }
  if (!nodes.live.empty()) return nodes;
  return tl::unexpected(Complain(Exit::kFailed, "no node is in a cluster yet"));
}

// --- repair ------------------------------------------------------------------------------------

void WarnOfDown(const RepairNodes& nodes) {
  for (const std::string& name : nodes.down) {
    Tell("lariat: {} is down; what it lacks is repaired when it is back\n", name);
  }
}

net::Request RepairRequest(const RepairOptions& o) {
  json::object body;
  if (!o.bucket.empty()) body["bucket"] = o.bucket;
  if (!o.range.empty()) body["range"] = o.range;
  net::Request request;
  request.method = "POST";
  request.target = "/v1/admin/repair";
  request.headers.emplace_back("Content-Type", "application/json");
  request.body = json::serialize(body);
  return request;
}

Exit AskAll(RepairNodes& nodes, const RepairOptions& o) {
  const net::Request request = RepairRequest(o);
  for (Asked& node : nodes.live) {
    const net::Outcome outcome = node.client->Send(request);
    if (!outcome) {  // the others are repaired all the same
      node.failure = "it does not answer: " + outcome.error().message;
      continue;
    }
    auto ticket = Answer(*node.client, outcome);
    if (!ticket) return ticket.error();
    node.task = static_cast<uint64_t>(NumberOf(*ticket, "task"));
    node.last = std::move(*ticket);
  }
  return Exit::kDone;
}

// Takes over what the node says of its task. False: it knows of none.
bool Learn(Asked& node, const net::Request& request) {
  const net::Outcome outcome = node.client->Send(request);
  if (!outcome || !outcome->Ok()) return !outcome || outcome->status != 404;
  json::error_code problem;
  json::value answer = json::parse(outcome->body, problem);
  if (problem) return true;
  node.task = static_cast<uint64_t>(NumberOf(answer, "task"));
  node.last = std::move(answer);
  node.answered = Clock::now();
  node.silent = false;
  return true;
}

// A node that was restarted knows nothing of the task, and is asked to repair once more.
void Poll(Asked& node, const RepairOptions& o) {
  net::Request request;
  request.target = fmt::format("/v1/admin/tasks/{}", node.task);
  node.silent = true;
  if (!Learn(node, request)) Learn(node, RepairRequest(o));
  if (node.silent && Clock::now() - node.answered > kRepairPatience) {
    node.failure = "it did not answer for a minute";
  }
}

json::object Summary(const Asked& node) {
  const json::value* progress =
      node.last.is_object() ? node.last.as_object().if_contains("progress") : nullptr;
  const json::value empty;
  const json::value& p = progress != nullptr ? *progress : empty;
  json::object summary = {{"node", node.name}, {"task", node.task}};
  const std::string state = TextOf(node.last, "state");
  summary["state"] = node.failure.empty() ? (state.empty() ? "running" : state) : "failed";
  summary["why"] = node.failure.empty() ? TextOf(p, "waiting_for") : node.failure;
  summary["records"] = static_cast<uint64_t>(NumberOf(p, "keys_done"));
  summary["bytes"] = static_cast<uint64_t>(NumberOf(p, "bytes_done"));
  return summary;
}

Exit ShowEnd(const RepairNodes& nodes, const Common& common) {
  json::array all;
  bool failed = false;
  for (const Asked& node : nodes.live) {
    const json::object summary = Summary(node);
    failed = failed || TextOf(summary, "state") == "failed";
    if (!common.json) PrintLine(RepairEndText(summary));
    all.push_back(summary);
  }
  if (common.json) PrintLine(json::serialize(json::object{{"nodes", std::move(all)}}));
  return failed ? Exit::kFailed : Exit::kDone;
}

Exit Await(RepairNodes& nodes, const RepairOptions& o, const Common& common) {
  LiveLine live(common.json);
  while (true) {
    bool open = false;
    json::array tasks;
    std::string silent;
    for (Asked& node : nodes.live) {
      if (!node.Ended()) Poll(node, o);
      open = open || !node.Ended();
      tasks.push_back(node.last);
      if (node.silent) silent += (silent.empty() ? "" : ", ") + node.name;
    }
    if (!open) break;
    if (live.IsDue()) live.Show(RepairProgressText(tasks, silent, live.terminal()));
    std::this_thread::sleep_for(kPollPause);
  }
  live.Finish();
  return ShowEnd(nodes, common);
}

Exit Repair(const Common& common, const RepairOptions& o) {
  auto nodes = FindNodes(common, o.wait ? kRepairPollWait : kUsualWait);
  if (!nodes) return nodes.error();
  if (const Exit asked = AskAll(*nodes, o); asked != Exit::kDone) return asked;
  WarnOfDown(*nodes);
  if (o.wait) return Await(*nodes, o, common);
  if (common.json) return ShowEnd(*nodes, common);
  Exit exit = Exit::kDone;
  for (const Asked& node : nodes->live) {
    if (!node.failure.empty()) {
      exit = Complain(Exit::kFailed, node.name + ": " + node.failure);
      continue;
    }
    const std::string message = Printable(TextOf(node.last, "message"));
    Print("{}: task {}{}\n", node.name, node.task, message.empty() ? "" : ", waits: " + message);
  }
  Print("Watch:  lariat repair status\n");
  FlushOutput();
  return exit;
}

// --- repair status -----------------------------------------------------------------------------

// The names that the node knows; none if it does not say.
std::vector<std::string> BucketNames(net::Client& client) {
  net::Request request;
  request.target = "/v1/buckets";
  std::vector<std::string> names;
  const net::Outcome outcome = client.Send(request);
  if (!outcome || !outcome->Ok()) return names;
  json::error_code problem;
  const json::value reply = json::parse(outcome->body, problem);
  for (const json::value& bucket : ArrayOf(reply, "buckets")) {
    names.push_back(TextOf(bucket, "name"));
  }
  return names;
}

Exit RepairStatus(const Common& common) {
  auto nodes = FindNodes(common, kUsualWait);
  if (!nodes) return nodes.error();
  net::Request request;
  request.target = "/v1/admin/repair";
  json::array answers;
  std::vector<std::string> buckets, silent;
  for (Asked& node : nodes->live) {
    const net::Outcome outcome = node.client->Send(request);
    if (!outcome) {  // the others are shown all the same
      silent.push_back(node.name);
      continue;
    }
    auto reply = Answer(*node.client, outcome);
    if (!reply) return reply.error();
    answers.push_back(json::object{{"node", node.name}, {"repair", std::move(*reply)}});
    if (buckets.empty()) buckets = BucketNames(*node.client);
  }
  const auto unanswered = Unanswered(buckets, answers);
  const bool all = unanswered.empty() && silent.empty() && nodes->down.empty();
  const Exit exit = all && IsHealthy(answers) ? Exit::kDone : Exit::kUnhealthy;
  if (common.json) {
    json::array missing;
    for (const auto& [bucket, share] : unanswered) {
      missing.push_back(json::object{{"bucket", bucket}, {"share", share}});
    }
    PrintLine(json::serialize(
        json::object{{"nodes", std::move(answers)}, {"unanswered", std::move(missing)}}));
    return exit;
  }
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const double now_ms = std::chrono::duration<double, std::milli>(now).count();
  Print("{}{}", RepairStatusText(answers, now_ms), UnansweredText(unanswered));
  for (const std::string& name : nodes->down) Print("{} is down\n", name);
  for (const std::string& name : silent) Print("{} does not answer\n", name);
  FlushOutput();
  return exit;
}

}  // namespace

void AddRepairCommands(CLI::App& app, Session& session) {
  auto o = std::make_shared<RepairOptions>();
  CLI::App* command = AddCommand(
      app, session, "repair", "Compare all replicas now and make them equal",
      "  lariat repair --wait\n  lariat repair --bucket users --range 0x0-0x3fffffffffffffff\n"
      "What it does: every live node compares what it holds with each other replica, by hash\n"
      "  trees; only what differs is sent, in both directions. It runs by itself too (setting\n"
      "  repair.interval_s); this begins at once. Ctrl-C leaves it running.\n"
      "What can go wrong: a replica that stays away for a minute fails the repair (exit code 1\n"
      "  with --wait); while a change of the cluster is under way it waits.\n"
      "How to go back: there is no need to; nothing is lost and nothing is undone.");
  // An empty one is a shell variable that was not set, not a wish to repair everything.
  const auto not_empty = [](const std::string& text) {
    return std::string(text.empty() ? "it is empty" : "");
  };
  command->add_option("--bucket", o->bucket, "Only this bucket")->check(not_empty);
  command
      ->add_option("--range", o->range, "Only tokens in (FROM, TO], decimal or 0x and hexadecimal")
      ->check(not_empty)
      ->type_name("FROM-TO");
  command->add_flag("--wait", o->wait, "Show progress until it is done; exit code 1 if it fails");
  CLI::App* status = AddCommand(
      *command, session, "status", "When each range was last compared, and what is behind",
      "  lariat repair status\n"
      "LAST PASS is how long ago the oldest complete comparison of any two of the replicas began:\n"
      "since then all of them have agreed at least once. It changes nothing.\n"
      "Exit code: 6 if a node does not answer, or a range is dirty, in doubt or damaged.");
  command->callback([&session, o, command] {
    if (!command->get_subcommands().empty()) return;
    session.run = [&session, o] { return Repair(session.common, *o); };
  });
  status->callback(
      [&session] { session.run = [&session] { return RepairStatus(session.common); }; });
}

}  // namespace lariat::cli
