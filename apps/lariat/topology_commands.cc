// SPDX-License-Identifier: Apache-2.0
// What is planned, what runs and what ended: cluster plan|commit|cancel|why|tasks, and tasks.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <map>

#include "apps/lariat/change_watch.h"
#include "apps/lariat/cluster_text.h"
#include "apps/lariat/commands.h"
#include "apps/lariat/terminal/table.h"
#include "apps/lariat/terminal/text.h"

namespace lariat::cli {

namespace {

namespace json = boost::json;

// GET of a path, shown by `show` or as JSON.
template <typename Show>
Exit ShowPath(const Common& common, const std::string& path, Show show) {
  auto client = Connect(common, kUsualWait);
  if (!client) return Exit::kUsage;
  net::Request request;
  request.target = path;
  auto reply = Ask(*client, request);
  if (!reply) return reply.error();
  if (common.json) {
    PrintAnswer(*client);
  } else {
    show(*reply);
  }
  return Exit::kDone;
}

Exit Post(const Common& common, const char* path, const std::string& body, const char* said) {
  auto client = Connect(common, kUsualWait);
  if (!client) return Exit::kUsage;
  net::Request request;
  request.method = "POST";
  request.target = path;
  request.headers.emplace_back("Content-Type", "application/json");
  request.body = body;
  auto reply = Ask(*client, request);
  if (!reply) return reply.error();
  if (common.json) {
    PrintAnswer(*client);
  } else {
    PrintLine(said);
  }
  return Exit::kDone;
}

bool IsPending(const json::value& change) {
  const std::string state = TextOf(change, "state");
  return state != "done" && state != "cancelled";
}

void ShowOwners(const json::array& owners) {
  Table nodes({"NODE", "RACK", "OWNS NOW", "OWNS THEN"});
  std::map<std::string, std::pair<double, double>> racks;
  for (const json::value& owner : owners) {
    const double before = NumberOf(owner, "before");
    const double after = NumberOf(owner, "after");
    nodes.Add(
        {TextOf(owner, "node"), TextOf(owner, "rack"), PercentText(before), PercentText(after)});
    auto& rack = racks[TextOf(owner, "rack")];
    rack.first += before;
    rack.second += after;
  }
  Print("\n{}", nodes.Render());
  if (racks.size() < 2) return;
  Table by_rack({"RACK", "OWNS NOW", "OWNS THEN"});
  for (const auto& [name, shares] : racks) {
    by_rack.Add({name, PercentText(shares.first), PercentText(shares.second)});
  }
  Print("\n{}", by_rack.Render());
}

void ShowMoves(const json::value& plan) {
  const json::array& moves = ArrayOf(plan, "moves");
  if (moves.empty()) return;
  Table table({"FROM", "TO", "RANGES", "SHARE", "ABOUT"});
  for (const json::value& move : moves) {
    table.Add({TextOf(move, "from"), TextOf(move, "to"), TextOf(move, "ranges"),
               PercentText(NumberOf(move, "share")),
               BytesText(static_cast<uint64_t>(NumberOf(move, "bytes")))});
  }
  Print("\n{}about {} in all, {}\n", table.Render(),
        BytesText(static_cast<uint64_t>(NumberOf(plan, "bytes"))),
        SecondsText(NumberOf(plan, "seconds")));
}

void ShowPlan(const json::value& plan) {
  Table table({"TASK", "CHANGE", "NODE", "STATE", "ASKED"});
  bool pending = false;
  bool staged = false;
  for (const json::value& change : ArrayOf(plan, "changes")) {
    if (!IsPending(change)) continue;
    const std::string phase = TextOf(change, "phase");
    const std::string state = TextOf(change, "state");
    pending = true;
    staged = staged || state == "staged";
    table.Add({TextOf(change, "task"), TextOf(change, "kind"), Printable(TextOf(change, "node")),
               phase.empty() ? state : state + ", " + phase,
               TimeText(NumberOf(change, "asked_ms"))});
  }
  if (!pending) return PrintLine("nothing is pending: no change runs, waits or is staged");
  Print("{}", table.Render());
  ShowMoves(plan);
  ShowOwners(ArrayOf(plan, "owners"));
  const std::string why = TextOf(plan, "why");
  if (!why.empty()) Print("\nwaits: {}\n", Printable(why));
  if (staged) Print("\nStart:  lariat cluster commit\nDrop:   lariat cluster cancel\n");
  FlushOutput();
}

// What a running change waits for goes first: the others wait for it.
std::string WhySentence(const json::value& status, const json::value& plan) {
  const json::value* operation =
      status.is_object() ? status.as_object().if_contains("operation") : nullptr;
  const bool runs = operation != nullptr && operation->is_object();
  if (runs && !TextOf(*operation, "waiting_for").empty()) return TextOf(*operation, "waiting_for");
  if (std::string why = TextOf(plan, "why"); !why.empty()) return why;
  if (runs) return "Nothing is waited for: " + OperationText(*operation, false) + ".";
  return "Nothing waits: no change is under way.";
}

Exit Why(const Common& common) {
  auto client = Connect(common, kUsualWait);
  if (!client) return Exit::kUsage;
  net::Request request;
  request.target = "/v1/cluster/status";
  auto status = Ask(*client, request);
  if (!status) return status.error();
  request.target = "/v1/admin/plan";
  auto plan = Ask(*client, request);
  if (!plan) return plan.error();
  const std::string why = WhySentence(*status, *plan);
  PrintLine(common.json ? json::serialize(json::object{{"why", why}}) : Printable(why));
  return Exit::kDone;
}

void AddTaskRow(const json::value& task, Table* table) {
  const json::value* progress =
      task.is_object() ? task.as_object().if_contains("progress") : nullptr;
  std::string state = TextOf(task, "state");
  if (state == "running" && progress != nullptr && progress->is_object()) {
    const std::string phase = TextOf(*progress, "phase");
    state += ", " + phase;
    if (phase == "stream" || phase == "compare") state += " " + PercentText(ShareDone(*progress));
  }
  table->Add({TextOf(task, "task"), TextOf(task, "kind"), Printable(TextOf(task, "node")), state,
              TimeText(NumberOf(task, "asked_ms")), TimeText(NumberOf(task, "ended_ms"))});
}

Table TaskTable() { return Table({"TASK", "CHANGE", "NODE", "STATE", "ASKED", "ENDED"}); }

void ShowTasks(const json::value& reply) {
  Table table = TaskTable();
  for (const json::value& task : ArrayOf(reply, "tasks")) AddTaskRow(task, &table);
  Print("{}", table.Render());
}

struct TaskOptions {
  std::optional<uint64_t> task;
  bool wait = false;
};

Exit Tasks(const Common& common, const TaskOptions& o) {
  if (o.wait && !o.task) return Complain(Exit::kUsage, "--wait needs the number of a TASK");
  if (o.wait) {
    auto client = Connect(common, kUsualWait);
    if (!client) return Exit::kUsage;
    net::Client all = ClientForAll(*client, common, "");
    return AwaitTask(all, *o.task, common);
  }
  if (!o.task) return ShowPath(common, "/v1/admin/tasks", ShowTasks);
  return ShowPath(common, fmt::format("/v1/admin/tasks/{}", *o.task), [](const json::value& task) {
    Table table = TaskTable();
    AddTaskRow(task, &table);
    Print("{}", table.Render());
  });
}

void AddTasks(CLI::App& parent, Session& session, const std::string& prefix) {
  auto o = std::make_shared<TaskOptions>();
  CLI::App* command = AddCommand(
      parent, session, "tasks", "Changes that run, wait or ended lately",
      fmt::format("  lariat {0}\n  lariat {0} 12 --wait\n"
                  "With --wait the exit code is 0 when the task is done and 1 when it was\n"
                  "cancelled; Ctrl-C leaves the change running.",
                  prefix));
  command->add_option("TASK", o->task, "Only this one");
  command->add_flag("--wait", o->wait, "Show its progress until it has ended");
  command->callback(
      [&session, o] { session.run = [&session, o] { return Tasks(session.common, *o); }; });
}

void AddCancel(CLI::App& cluster, Session& session) {
  auto task = std::make_shared<std::optional<uint64_t>>();
  CLI::App* command = AddCommand(
      cluster, session, "cancel", "Drop what is staged, or end the change that runs",
      "  lariat cluster cancel\n  lariat cluster cancel 12\n"
      "What it does: without TASK it drops all that is staged or, if nothing is, ends the change\n"
      "  that runs; with TASK that one. The old owners still hold the data: nothing is lost.\n"
      "What can go wrong: it needs a majority of the members (exit code 1 without); a task that\n"
      "  has ended is not found (exit code 5).\n"
      "How to go back: ask for the change again; data that was copied is not copied twice where "
      "it\n"
      "  is still there.");
  command->add_option("TASK", *task, "As 'lariat tasks' shows it")->check(CLI::PositiveNumber);
  command->callback([&session, task] {
    session.run = [&session, task] {
      const std::string body = *task ? fmt::format(R"({{"task":{}}})", **task) : "{}";
      return Post(session.common, "/v1/admin/cancel", body, "cancelled");
    };
  });
}

void AddFinalize(CLI::App& cluster, Session& session) {
  CLI::App* command = AddCommand(
      cluster, session, "finalize-upgrade",
      "Switch on what older builds cannot take part in, when every node runs the new one",
      "  lariat cluster finalize-upgrade\n"
      "What it does: the members agree that what this build can do beyond the one before may be\n"
      "  used. Until then every node can go back to the earlier build ('lariat status' says so).\n"
      "What can go wrong: refused (exit code 1) while a node runs an older build, while a change\n"
      "  runs or waits, or without a majority of the members.\n"
      "How to go back: not at all; from then on older builds refuse to start on this data.");
  command->callback([&session] {
    session.run = [&session] {
      return Post(session.common, "/v1/admin/finalize-upgrade", "{}",
                  "finalized: no node goes back to an older build");
    };
  });
}

}  // namespace

void AddTopologyCommands(CLI::App& app, Session& session) {
  CLI::App* cluster =
      app.add_subcommand("cluster", "Plan, start, cancel and explain changes; finalize an upgrade");
  cluster->require_subcommand(1);
  CLI::App* command = AddCommand(
      *cluster, session, "plan", "What pending changes will move, and who owns what then",
      "  lariat decommission node4 --plan && lariat cluster plan\n"
      "What it shows: the changes that run, wait or are staged; what moves from where to where,\n"
      "  with estimates of bytes and time; the share of each node and rack before and after.\n"
      "It changes nothing.");
  command->callback([&session] {
    session.run = [&session] { return ShowPath(session.common, "/v1/admin/plan", ShowPlan); };
  });
  command = AddCommand(
      *cluster, session, "commit", "Start all changes that are staged",
      "  lariat cluster commit\n"
      "What it does: what --plan staged is queued and done one after the other.\n"
      "What can go wrong: nothing is staged (exit code 5); no majority of the members can be\n"
      "  reached (exit code 1).\n"
      "How to go back: lariat cluster cancel TASK, for each that has not ended.");
  command->callback([&session] {
    session.run = [&session] {
      return Post(session.common, "/v1/admin/commit", "{}",
                  "committed; 'lariat tasks' shows how it goes on");
    };
  });
  AddCancel(*cluster, session);
  AddFinalize(*cluster, session);
  command = AddCommand(*cluster, session, "why", "One sentence: what a waiting change waits for",
                       "  lariat cluster why\nIt changes nothing.");
  command->callback([&session] { session.run = [&session] { return Why(session.common); }; });
  AddTasks(*cluster, session, "cluster tasks");
  AddTasks(app, session, "tasks");
}

}  // namespace lariat::cli
