// SPDX-License-Identifier: Apache-2.0
// What the cluster looks like from a node: status, ring, explain.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <charconv>
#include <cmath>
#include <thread>

#include "apps/lariat/commands.h"
#include "apps/lariat/terminal/table.h"
#include "apps/lariat/terminal/text.h"

namespace lariat::cli {

namespace {

namespace json = boost::json;
using Clock = std::chrono::steady_clock;

const json::array& ArrayOf(const json::value& object, std::string_view member) {
  static const json::array kNone;
  if (!object.is_object()) return kNone;
  const json::value* value = object.as_object().if_contains({member.data(), member.size()});
  return value != nullptr && value->is_array() ? value->as_array() : kNone;
}

double NumberOf(const json::value& object, std::string_view member) {
  std::string text = TextOf(object, member);
  double number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

std::string Percent(double share) { return fmt::format("{:.1f} %", share * 100); }

// What is not said is shown as unknown, not as down.
std::string AliveText(const json::value& node) {
  std::string text = TextOf(node, "alive");
  return text == "true" ? "yes" : text == "false" ? "NO" : "unknown";
}

bool Healthy(const json::value& status) {
  const json::array& nodes = ArrayOf(status, "nodes");
  for (const json::value& node : nodes) {
    if (TextOf(node, "state") != "removed" && AliveText(node) != "yes") return false;
  }
  return !nodes.empty() && !TextOf(status, "cluster_id").empty();
}

void ShowStatus(const json::value& status, const std::string& asked) {
  std::string cluster = TextOf(status, "cluster_id");
  fmt::print("cluster {}  epoch {}  as seen by {}\n", cluster.empty() ? "not formed yet" : cluster,
             TextOf(status, "epoch"), asked);
  if (std::string operation = TextOf(status, "operation"); !operation.empty()) {
    fmt::print("operation under way: {}\n", operation);
  }
  Table table({"NAME", "STATE", "ALIVE", "OWNS", "TOKENS", "DC", "RACK", "HTTP"});
  for (const json::value& node : ArrayOf(status, "nodes")) {
    table.Add({TextOf(node, "name"), TextOf(node, "state"), AliveText(node),
               Percent(NumberOf(node, "owns")), TextOf(node, "tokens"), TextOf(node, "dc"),
               TextOf(node, "rack"), TextOf(node, "http")});
  }
  fmt::print("{}", table.Render());
}

bool HealthyNow(net::Client& client, const net::Request& request) {
  net::Outcome outcome = client.Send(request);
  if (!outcome || !outcome->Ok()) return false;
  json::error_code problem;
  json::value status = json::parse(outcome->body, problem);
  return !problem && Healthy(status);
}

Exit Status(const Common& common, double wait_s) {
  auto client = Connect(common, kUsualWait);
  if (!client) return Exit::kUsage;
  net::Request request;
  request.target = "/v1/cluster/status";
  const auto deadline = Clock::now() + std::chrono::duration<double>(wait_s);
  while (Clock::now() < deadline && !HealthyNow(*client, request)) {
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
  }
  auto reply = Ask(*client, request);
  if (!reply) return reply.error();
  if (common.json) {
    PrintLine(json::serialize(*reply));
  } else {
    ShowStatus(*reply, client->answered_by().ToString());
  }
  return Healthy(*reply) ? Exit::kDone : Exit::kUnhealthy;
}

uint64_t TokenOf(const json::value& range, std::string_view member) {
  std::string text = TextOf(range, member);
  uint64_t token = 0;
  int base = text.starts_with("0x") ? 16 : 10;
  const char* first = text.data() + (base == 16 ? 2 : 0);
  std::from_chars(first, text.data() + text.size(), token, base);
  return token;
}

struct Holding {
  size_t primary_ranges = 0;
  double primary_share = 0;
  double replica_share = 0;
};

void ShowRingSummary(const json::array& ranges) {
  std::map<std::string, Holding> nodes;
  double replicas = 0;
  for (const json::value& range : ranges) {
    // Ranges wrap around: the arithmetic modulo 2^64 is meant. One range alone is everything.
    uint64_t width = TokenOf(range, "to") - TokenOf(range, "from");
    double share = width == 0 ? 1.0 : std::ldexp(static_cast<double>(width), -64);
    bool primary = true;
    for (const json::value& owner : ArrayOf(range, "owners")) {
      if (!owner.is_string()) continue;
      Holding& holding = nodes[std::string(owner.as_string())];
      if (std::exchange(primary, false)) {
        ++holding.primary_ranges;
        holding.primary_share += share;
      }
      holding.replica_share += share;
      replicas += share;
    }
  }
  Table table({"NODE", "RANGES", "FIRST", "REPLICAS"});
  for (const auto& [name, holding] : nodes) {
    table.Add({name, std::to_string(holding.primary_ranges), Percent(holding.primary_share),
               Percent(replicas > 0 ? holding.replica_share / replicas : 0)});
  }
  fmt::print("{} ranges; FIRST = share of keys whose first replica the node is\n{}", ranges.size(),
             table.Render());
}

Exit Ring(const Common& common, bool each_range) {
  auto client = Connect(common, kUsualWait);
  if (!client) return Exit::kUsage;
  net::Request request;
  request.target = "/v1/cluster/ring";
  auto reply = Ask(*client, request);
  if (!reply) return reply.error();
  if (common.json) {
    PrintLine(json::serialize(*reply));
    return Exit::kDone;
  }
  const json::array& ranges = ArrayOf(*reply, "ranges");
  if (!each_range) {
    ShowRingSummary(ranges);
    return Exit::kDone;
  }
  Table table({"FROM", "TO", "OWNERS"});
  for (const json::value& range : ranges) {
    std::string owners;
    for (const json::value& owner : ArrayOf(range, "owners")) {
      if (owner.is_string()) owners += (owners.empty() ? "" : " ") + std::string(owner.as_string());
    }
    table.Add({TextOf(range, "from"), TextOf(range, "to"), owners});
  }
  fmt::print("{}", table.Render());
  return Exit::kDone;
}

void ShowExplanation(const json::value& e) {
  fmt::print("key {}  bucket {}  token {}  n={} r={} w={}\n", Printable(TextOf(e, "key")),
             TextOf(e, "bucket"), TextOf(e, "token"), TextOf(e, "n"), TextOf(e, "r"),
             TextOf(e, "w"));
  Table table({"REPLICA", "ALIVE", "STATE", "VALUES", "TOMBSTONES", "BYTES", "VERSION", "DIGEST"});
  for (const json::value& r : ArrayOf(e, "replicas")) {
    table.Add({TextOf(r, "node"), AliveText(r), TextOf(r, "state"), TextOf(r, "siblings"),
               TextOf(r, "tombstones"), TextOf(r, "bytes"), TextOf(r, "version"),
               TextOf(r, "digest")});
  }
  fmt::print("{}", table.Render());
  std::string fallbacks;
  for (const json::value& f : ArrayOf(e, "fallbacks")) {
    if (f.is_string()) fallbacks += " " + std::string(f.as_string());
  }
  if (!fallbacks.empty()) fmt::print("fallbacks:{}\n", fallbacks);
  bool agree = TextOf(e, "agree") == "true";
  fmt::print("{}\n", agree ? "all reachable replicas agree"
                           : "replicas DIFFER; the next read of the key repairs them");
}

Exit ExplainKey(const Common& common, const std::string& bucket, const std::string& key) {
  if (key.empty() || key.size() > kKeyBytesMax) {
    return Complain(Exit::kUsage, "a key has 1 to 256 bytes");
  }
  auto client = Connect(common, kUsualWait);
  if (!client) return Exit::kUsage;
  net::Request request;
  request.target = "/v1/debug/explain" + net::QueryString({{"bucket", bucket}, {"key", key}});
  auto reply = Ask(*client, request);
  if (!reply) return reply.error();
  if (common.json) {
    PrintLine(json::serialize(*reply));
  } else {
    ShowExplanation(*reply);
  }
  return Exit::kDone;
}

}  // namespace

void AddClusterCommands(CLI::App& app, Session& session) {
  auto wait_s = std::make_shared<double>(0);
  CLI::App* command =
      AddCommand(app, session, "status", "All nodes; exit code 6 if one is not alive",
                 "  lariat status\n  lariat status --wait 30");
  command->add_option("--wait", *wait_s, "Wait so many seconds for a healthy cluster")
      ->check(CLI::NonNegativeNumber);
  command->callback([&session, wait_s] {
    session.run = [&session, wait_s] { return Status(session.common, *wait_s); };
  });

  auto ranges = std::make_shared<bool>(false);
  command = AddCommand(app, session, "ring", "Who owns which part of the key space",
                       "  lariat ring\n  lariat ring --ranges");
  command->add_flag("--ranges", *ranges, "Every token range with its owners");
  command->callback([&session, ranges] {
    session.run = [&session, ranges] { return Ring(session.common, *ranges); };
  });

  auto key = std::make_shared<std::string>();
  auto bucket = std::make_shared<std::string>("default");
  command = AddCommand(app, session, "explain", "Where a key lives and what each replica holds",
                       "  lariat explain hello");
  command->add_option("KEY", *key)->required();
  command->add_option("-b,--bucket", *bucket, "Bucket (default: default)");
  command->callback([&session, key, bucket] {
    session.run = [&session, key, bucket] { return ExplainKey(session.common, *bucket, *key); };
  });
}

}  // namespace lariat::cli
