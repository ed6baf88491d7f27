// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include "apps/lariat/local/up_parts.h"
#include "apps/lariat/terminal/table.h"
#include "apps/lariat/terminal/text.h"

namespace lariat::cli::local {

namespace {

std::string ProcessState(const Layout& layout, size_t node) {
  if (Serves(layout.nodes[node])) return "serving";
  if (!layout.nodes[node].joins) return "not ready";
  return IsMember(layout, node).value_or(false) ? "joining" : "no member yet";
}

boost::json::object AsJson(const Layout& layout, const ClusterFile& started, double seconds) {
  boost::json::array nodes;
  for (size_t i = 0; i < layout.nodes.size(); ++i) {
    const NodePlan& node = layout.nodes[i];
    if (node.left) continue;
    nodes.push_back({{"name", node.name},
                     {"http", node.http},
                     {"resp", node.resp},
                     {"peer", node.peer},
                     {"state", ProcessState(layout, i)},
                     {"pid", started.nodes[i].process.pid},
                     {"data_dir", node.data_dir},
                     {"log", node.log}});
  }
  boost::json::object out = {
      {"nodes", nodes}, {"dir", layout.dir}, {"temporary", layout.temporary}, {"seconds", seconds}};
  if (layout.nodes[0].trust != nullptr) out["ca"] = CertsDir(layout.dir) + "/ca.crt";
  return out;
}

// "node4, node5" of those that `pick` takes.
template <typename Pick>
std::string NamesOf(const Layout& layout, Pick pick) {
  std::string names;
  for (const NodePlan& node : layout.nodes) {
    if (!node.left && pick(node)) names += (names.empty() ? "" : ", ") + node.name;
  }
  return names;
}

void ShowHowToStop(const Layout& layout, bool detach) {
  const std::string ours = NamesOf(layout, [](const NodePlan& node) { return !node.running; });
  const std::string others = NamesOf(layout, [](const NodePlan& node) { return !!node.running; });
  if (detach || ours.empty()) {
    Print("Stop with:  lariat down --dir {}\n", ShellText({layout.dir}));
  } else if (others.empty()) {
    Print("Ctrl-C stops all nodes{}.\n",
          layout.temporary ? " and removes their data" : "; the data stays");
  } else {
    Print("Ctrl-C stops {}; {} ran before and goes on. To stop all: lariat down --dir {}\n", ours,
          others, ShellText({layout.dir}));
  }
}

void ShowNextSteps(const Layout& layout, bool detach) {
  std::string first;
  std::string all;
  for (const NodePlan& plan : layout.nodes) {
    if (plan.left) continue;
    if (first.empty()) first = plan.http;
    all += (all.empty() ? "" : ",") + plan.http;
  }
  std::string node = first == kDefaultNode ? "" : " --node " + first;
  const std::string joining =
      NamesOf(layout, [](const NodePlan& plan) { return plan.joins && !plan.running; });
  if (!joining.empty()) {
    Print(
        "\n{} joining: data moves to the new nodes in the background, one node after the other, "
        "and requests go on meanwhile.\nWatch:  lariat status{}\nBack:   lariat cluster "
        "cancel{}\n",
        joining + (joining.find(',') == std::string::npos ? " is" : " are"), node, node);
  }
  const bool secure = layout.nodes[0].trust != nullptr;
  const std::string ca = ShellText({CertsDir(layout.dir) + "/ca.crt"});
  if (secure) {
    Print(
        "\nThe nodes speak TLS and ask who comes. Authority to believe: {0}\n"
        "Administrator: {1}, whose first password is in {2}:\n  {3}\n"
        "To let every command know the authority, and to log in:\n  export LARIAT_CA={0}\n"
        "  lariat login --user {1} --password-file {2}{4}\n",
        ca, kAdministrator, ShellText({PasswordFile(layout.dir)}), FirstPassword(layout.dir), node);
  }
  Print(
      "\nTry:\n  lariat put hello world{0}\n  lariat get hello{0}\n  lariat status{0}\n"
      "  curl {3}://{1}/kv/hello\nTo let every command know all nodes:\n"
      "  export LARIAT_NODE={2}\n",
      node, first, all,
      secure ? fmt::format("-u {} --cacert {} https", kAdministrator, ca) : "http");
  ShowHowToStop(layout, detach);
}

// "3 nodes up in 0.52 s", or what was missing and is up now.
std::string Headline(const Layout& layout, double seconds) {
  const auto total = std::count_if(layout.nodes.begin(), layout.nodes.end(),
                                   [](const NodePlan& node) { return !node.left; });
  const auto ran = std::count_if(layout.nodes.begin(), layout.nodes.end(),
                                 [](const NodePlan& node) { return !!node.running; });
  const char* plural = total == 1 ? "" : "s";
  if (ran == 0) return fmt::format("{} node{} up in {}", total, plural, SecondsText(seconds));
  return fmt::format("{} of {} node{} started in {}, the others ran already", total - ran, total,
                     plural, SecondsText(seconds));
}

}  // namespace

void TellDeath(const Layout& layout, const Supervisor::Death& death) {
  const NodePlan& node = layout.nodes[death.node];
  Tell("lariat: {} ended with {}. The last lines of {}:\n", node.name, EndText(death.wait_status),
       node.log);
  for (const std::string& line : LastLines(node.log, 12)) Tell("  | {}\n", line);
}

void TellRestart(const Layout& layout, const Supervisor::Death& death) {
  const NodePlan& node = layout.nodes[death.node];
  Tell("The other nodes go on. To start {} again:\n  {} 2>>{} &\n", node.name,
       ShellText(node.command), ShellText({node.log}));
}

void TellLeft(const NodePlan& node) {
  Tell(
      "lariat: {} is no member of the cluster any more and is left out from now on; its "
      "data stays in {}\n",
      node.name, node.data_dir);
}

void ShowUp(const UpOptions& options, const Layout& layout, const ClusterFile& started,
            double seconds) {
  if (options.json) return PrintLine(boost::json::serialize(AsJson(layout, started, seconds)));
  Print("{}    data: {}{}\n", Headline(layout, seconds), layout.dir,
        layout.temporary ? " (temporary, removed on exit)" : "");
  Table table({"NODE", "HTTP", "RESP", "PEER", "STATE"});
  for (size_t i = 0; i < layout.nodes.size(); ++i) {
    const NodePlan& node = layout.nodes[i];
    if (!node.left)
      table.Add({node.name, node.http, node.resp, node.peer, ProcessState(layout, i)});
  }
  Print("{}", table.Render("  "));
  ShowNextSteps(layout, options.detach);
  FlushOutput();
}

}  // namespace lariat::cli::local
