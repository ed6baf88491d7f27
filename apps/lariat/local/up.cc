// SPDX-License-Identifier: Apache-2.0
#include "apps/lariat/local/up.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <filesystem>

#include "apps/lariat/local/up_parts.h"
#include "apps/lariat/terminal/text.h"

namespace lariat::cli::local {

namespace {

using Clock = std::chrono::steady_clock;
using Readiness = Supervisor::Readiness;

double Since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

Exit StopAndClean(const Layout& layout, Supervisor& nodes, Exit code) {
  for (const std::string& name : nodes.StopAll(kStopLimitSeconds)) {
    Tell("lariat: {} did not stop in time and was killed\n", name);
  }
  std::error_code ignored;
  if (layout.temporary) std::filesystem::remove_all(layout.dir, ignored);
  return code;
}

// One that left the cluster while it was stopped comes up and hears it from the others.
void LeaveOutWhoLeft(Layout& layout, Supervisor& nodes) {
  for (size_t i = 0; i < layout.nodes.size(); ++i) {
    NodePlan& node = layout.nodes[i];
    const bool candidate = layout.known && !node.fresh && !node.left && !node.running;
    if (!candidate || nodes.IsReady(i) || IsMember(layout, i).value_or(true)) continue;
    node.left = true;
    TellLeft(node);
    nodes.Stop(i);
  }
}

// Only who was a member can have left: others may still be on their way in.
void RecordMembers(Layout& layout) {
  for (size_t i = 0; i < layout.nodes.size(); ++i) {
    NodePlan& node = layout.nodes[i];
    if (node.fresh && !node.left) node.fresh = !IsMember(layout, i).value_or(false);
  }
}

Readiness WaitWithProgress(const UpOptions& options, Layout& layout, Supervisor& nodes,
                           Clock::time_point start) {
  constexpr std::chrono::seconds kLook{1};
  const bool terminal = IsTerminal(STDERR_FILENO);
  const double left = std::max(0.0, options.timeout_s - Since(start));
  auto next_look = Clock::now() + kLook;
  const auto readiness = nodes.WaitReady(left, [&](size_t ready) {
    if (Clock::now() >= next_look) {
      LeaveOutWhoLeft(layout, nodes);
      next_look = Clock::now() + kLook;
    }
    if (!terminal) return;
    Tell("\rstarting: {} of {} nodes ready, {}\x1b[K", ready, nodes.Running(),
         SecondsText(Since(start)));
  });
  if (terminal) Tell("\r\x1b[K");
  return readiness;
}

void TellSlow(const NodePlan& node) {
  Tell("lariat: {} {}. The last lines of {}:\n", node.name,
       node.joins ? "runs and is no member yet; it goes on asking" : "is not ready", node.log);
  for (const auto& line : LastLines(node.log, 4)) Tell("  | {}\n", line);
}

// Says what is wrong with nodes that did not come up, and counts them. A newcomer may take its
// time.
size_t TellTheMissing(Layout& layout, Supervisor& nodes,
                      const std::vector<Supervisor::Death>& deaths) {
  LeaveOutWhoLeft(layout, nodes);
  size_t failed = 0;
  for (size_t i = 0; i < layout.nodes.size(); ++i) {
    const NodePlan& node = layout.nodes[i];
    if (node.left || node.running || nodes.IsReady(i)) continue;
    const auto death = std::find_if(deaths.begin(), deaths.end(),
                                    [&](const Supervisor::Death& d) { return d.node == i; });
    if (death != deaths.end()) {
      TellDeath(layout, *death);
      ++failed;
      continue;
    }
    if (!layout.known && !deaths.empty()) continue;  // it waits for the dead one
    TellSlow(node);
    if (!node.joins) ++failed;
  }
  return failed;
}

// Until all nodes that were started serve, or join. Nothing if they do; otherwise the exit code.
std::optional<Exit> AwaitReady(const UpOptions& options, Layout& layout, Supervisor& nodes,
                               Clock::time_point start) {
  std::vector<Supervisor::Death> deaths;
  Readiness readiness = WaitWithProgress(options, layout, nodes, start);
  // A new cluster needs all its nodes; in one that existed the others are waited for.
  while (readiness == Readiness::kDied) {
    for (const auto& death : nodes.Reap()) deaths.push_back(death);
    if (!layout.known) break;
    readiness = WaitWithProgress(options, layout, nodes, start);
  }
  if (readiness == Readiness::kInterrupted) {
    return Complain(Exit::kFailed, "interrupted; all nodes that were started are stopped");
  }
  if (readiness == Readiness::kReady && deaths.empty()) return std::nullopt;
  if (TellTheMissing(layout, nodes, deaths) == 0) return std::nullopt;
  const char* what =
      readiness == Readiness::kTimeout ? "not all nodes are ready" : "not all nodes started";
  return Complain(Exit::kFailed, fmt::format("{} after {}; all nodes that were started are stopped",
                                             what, SecondsText(Since(start))));
}

Exit StayUntilStopped(const Layout& layout, Supervisor& nodes) {
  while (true) {
    int signal = WaitSignal(3600);
    if (signal == SIGINT || signal == SIGTERM) {
      if (IsTerminal(STDERR_FILENO)) Tell("\nstopping ...\n");
      return StopAndClean(layout, nodes, Exit::kDone);
    }
    bool clean = true;
    for (const auto& death : nodes.Reap()) {
      if (death.wait_status == 0) {
        Tell("lariat: {} was stopped\n", layout.nodes[death.node].name);
        continue;
      }
      clean = false;
      TellDeath(layout, death);
      if (nodes.Running() > 0) TellRestart(layout, death);
    }
    if (nodes.Running() == 0) {
      Tell("lariat: no node is left\n");
      return StopAndClean(layout, nodes, clean ? Exit::kDone : Exit::kFailed);
    }
  }
}

}  // namespace

Exit Up(const UpOptions& options) {
  const auto start = Clock::now();
  if (options.detach && options.dir.empty()) {
    return Complain(Exit::kUsage, "--detach needs --dir: 'lariat down --dir DIR' stops it again");
  }
  auto prepared = PrepareLayout(options);
  if (!prepared) return prepared.error();
  Layout& layout = *prepared;
  if (std::all_of(layout.nodes.begin(), layout.nodes.end(),
                  [](const NodePlan& node) { return node.left || node.running; })) {
    return Complain(Exit::kFailed, fmt::format("all nodes of {} run already; stop them with: "
                                               "lariat down --dir {}",
                                               options.dir, ShellText({options.dir})));
  }

  BlockSignals();
  Supervisor nodes(layout);
  auto started = nodes.StartMissing(options.detach ? Bond::kOwnSession : Bond::kDiesWithParent);
  if (started && !layout.temporary) started = WriteClusterFile(layout.dir, nodes.Describe());
  if (!started) {
    return StopAndClean(layout, nodes, Complain(Exit::kFailed, started.error().message));
  }
  if (auto failed = AwaitReady(options, layout, nodes, start)) {
    return StopAndClean(layout, nodes, *failed);
  }
  RecordMembers(layout);
  if (!layout.temporary && !WriteClusterFile(layout.dir, nodes.Describe())) {
    Complain(Exit::kFailed, "cannot note in cluster.json who is a member");
  }
  ShowUp(options, layout, nodes.Describe(), Since(start));
  if (options.detach || nodes.Running() == 0) return Exit::kDone;
  return StayUntilStopped(layout, nodes);
}

}  // namespace lariat::cli::local
