// SPDX-License-Identifier: Apache-2.0
// Changes of the cluster: decommission, remove, reweight; and drain, which changes nothing but who
// is asked first.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include "apps/lariat/change_watch.h"
#include "apps/lariat/cluster_text.h"
#include "apps/lariat/commands.h"
#include "apps/lariat/terminal/text.h"

namespace lariat::cli {

namespace {

namespace json = boost::json;

struct ChangeOptions {
  std::string node;
  double weight = 0;
  bool staged = false;
  bool wait = false;
  bool undo = false;  // drain
};
using ChangeOptionsPtr = std::shared_ptr<ChangeOptions>;  // shared by the parser's callbacks

struct HelpText {
  const char* verb;
  const char* what;
  const char* more;
};

// A drain waits for the requests in work.
constexpr std::chrono::milliseconds kDrainWait{60000};

void ShowTicket(const json::value& ticket, const ChangeOptions& o) {
  const std::string task = TextOf(ticket, "task");
  const std::string message = Printable(TextOf(ticket, "message"));
  Print("task {}: {}\n", task, message.empty() ? "agreed" : message);
  if (o.staged) {
    Print(
        "What it moves:  lariat cluster plan\nStart it:       lariat cluster commit\n"
        "Drop it:        lariat cluster cancel {}\n",
        task);
  } else {
    Print("Watch:    lariat tasks {0} --wait\nGo back:  lariat cluster cancel {0}\n", task);
  }
  FlushOutput();
}

net::Request PostOf(const std::string& path, std::string body) {
  net::Request request;
  request.method = "POST";
  request.target = path;
  request.headers.emplace_back("Content-Type", "application/json");
  request.body = std::move(body);
  return request;
}

Exit RequestChange(const Common& common, const ChangeOptions& o, std::string_view verb) {
  auto client = Connect(common, kUsualWait);
  if (!client) return Exit::kUsage;
  json::object body = {{"node", o.node}, {"staged", o.staged}};
  if (verb == "reweight") body["weight"] = o.weight;
  auto ticket = Ask(*client, PostOf(fmt::format("/v1/admin/{}", verb), json::serialize(body)));
  if (!ticket) return ticket.error();
  if (!o.wait) {
    if (common.json) {
      PrintAnswer(*client);
    } else {
      ShowTicket(*ticket, o);
    }
    return Exit::kDone;
  }
  net::Client all = ClientForAll(*client, common, verb == "reweight" ? "" : o.node);
  return AwaitTask(all, static_cast<uint64_t>(NumberOf(*ticket, "task")), common);
}

// The HTTP address of a node by its name or id; says why there is none.
tl::expected<net::Address, Exit> FindNode(const Common& common, const std::string& name) {
  auto client = Connect(common, kUsualWait);
  if (!client) return tl::unexpected(Exit::kUsage);
  net::Request request;
  request.target = "/v1/cluster/status";
  auto status = Ask(*client, request);
  if (!status) return tl::unexpected(status.error());
  std::string names;
  for (const json::value& node : ArrayOf(*status, "nodes")) {
    names += (names.empty() ? "" : ", ") + Printable(TextOf(node, "name"));
    if (TextOf(node, "name") != name && TextOf(node, "id") != name) continue;
    auto address = net::ParseAddress(TextOf(node, "http"));
    if (address) return *address;
    return tl::unexpected(Complain(Exit::kFailed, address.error().message));
  }
  return tl::unexpected(Complain(
      Exit::kNotFound, fmt::format("there is no node {}; there are {}", Printable(name), names)));
}

Exit Drain(const Common& common, const ChangeOptions& o) {
  auto address = FindNode(common, o.node);
  if (!address) return address.error();
  net::Client client({*address}, common.Limits(kDrainWait));
  auto reply =
      Ask(client, PostOf("/v1/admin/drain", o.undo ? R"({"on":false})" : R"({"on":true})"));
  if (!reply) return reply.error();
  if (common.json) {
    PrintAnswer(client);
  } else if (o.undo) {
    Print("{} is in service again\n", Printable(o.node));
  } else {
    Print("{} is out of service; its data stays\nGo back:  lariat drain {} --undo\n",
          Printable(o.node), Printable(o.node));
  }
  return Exit::kDone;
}

// A command that asks for a change about a node; the options that all of them have.
CLI::App* AddChange(CLI::App& app, Session& session, const ChangeOptionsPtr& o,
                    const HelpText& help) {
  CLI::App* command = AddCommand(app, session, help.verb, help.what, help.more);
  command->add_option("NAME", o->node, "Name or id of the node")->required();
  auto* plan = command->add_flag("--plan", o->staged,
                                 "Only stage it: 'lariat cluster plan' shows what it will move, "
                                 "'lariat cluster commit' starts it");
  command->add_flag("--wait", o->wait, "Show progress until it is done; Ctrl-C leaves it running")
      ->excludes(plan);
  command->callback([&session, o, verb = std::string(help.verb)] {
    session.run = [&session, o, verb] { return RequestChange(session.common, *o, verb); };
  });
  return command;
}

void AddDrain(CLI::App& app, Session& session) {
  auto o = std::make_shared<ChangeOptions>();
  CLI::App* command = AddCommand(
      app, session, "drain", "Take a node out of service for maintenance, or back into it",
      "  lariat drain node2\n  lariat drain node2 --undo\n"
      "What it does: the node says at /readyz that it is not ready, the others prefer other\n"
      "  replicas, and the command returns when requests in work have ended. Nothing moves. The\n"
      "  node keeps its data and takes writes for it as long as it runs; a restart ends the "
      "drain.\n"
      "What can go wrong: with the node away too few replicas may be left for a consistency level\n"
      "  (503); a node that cannot be reached cannot be drained (exit code 3).\n"
      "How to go back: lariat drain NAME --undo");
  command->add_option("NAME", o->node, "Name or id of the node")->required();
  command->add_flag("--undo", o->undo, "Back into service");
  command->callback(
      [&session, o] { session.run = [&session, o] { return Drain(session.common, *o); }; });
}

}  // namespace

void AddChangeCommands(CLI::App& app, Session& session) {
  AddChange(
      app, session, std::make_shared<ChangeOptions>(),
      {"decommission", "Let a live node hand over its data and leave the cluster",
       "  lariat decommission node4 --wait\n  lariat decommission node4 --plan\n"
       "What it does: the other nodes copy what the node holds, then it leaves. Reads and writes "
       "go\n"
       "  on. Its process may be stopped when the task is done; its identity never returns.\n"
       "What can go wrong: refused (exit code 1) if fewer nodes than a bucket's n would be left, "
       "or\n"
       "  if no majority of the members can be reached. While a participant is down it waits:\n"
       "  'lariat cluster why' says for whom.\n"
       "How to go back: lariat cluster cancel; the data is still where it was. Once it is done, "
       "the\n"
       "  node joins again with an empty data directory."});
  AddChange(
      app, session, std::make_shared<ChangeOptions>(),
      {"remove", "Take a dead node out of the cluster",
       "  lariat remove node4 --wait\n"
       "What it does: the node is given up, and the others make new copies of what it held from "
       "the\n"
       "  replicas that are left. For a new machine in its place use 'lariatd --replace NAME'.\n"
       "What can go wrong: refused (exit code 1) if the node is alive, or if fewer nodes than a\n"
       "  bucket's n would be left. Writes that only the dead node held are lost with it.\n"
       "How to go back: lariat cluster cancel until it is done. Afterwards the node is refused if "
       "it\n"
       "  comes back, and joins only with an empty data directory."});
  auto o = std::make_shared<ChangeOptions>();
  CLI::App* reweight = AddChange(
      app, session, o,
      {"reweight", "Change the share of the data that a node takes",
       "  lariat reweight node2 1.5 --plan\n"
       "What it does: the node gets more or fewer tokens, and the data of those moves.\n"
       "What can go wrong: a node with more weight needs the disk for it ('--plan' first shows\n"
       "  how much moves). The setting node.weight of the node counts only when it first joins.\n"
       "How to go back: lariat cluster cancel; once it is done, reweight to the old weight."});
  reweight->add_option("WEIGHT", o->weight, "0.01 to 100; 1 is the usual share")
      ->required()
      ->check(CLI::Range(0.01, 100.0));
  AddDrain(app, session);
}

}  // namespace lariat::cli
