// SPDX-License-Identifier: Apache-2.0
#include "apps/lariat/local/up.h"

#include <fmt/format.h>
#include <unistd.h>

#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <thread>

#include "apps/lariat/local/supervisor.h"
#include "apps/lariat/terminal/table.h"
#include "apps/lariat/terminal/text.h"

namespace lariat::cli::local {

namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

double Since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

std::string NameOf(const std::string& path) { return fs::path(path).filename().string(); }

// How many nodes from which port: what the caller says, else what the directory already holds.
tl::expected<LayoutInput, Exit> ChooseInput(const UpOptions& options) {
  LayoutInput input;
  if (!options.dir.empty()) {
    auto before = ReadClusterFile(options.dir);
    if (!before && before.error().code != base::Code::kNotFound) {
      return tl::unexpected(Complain(Exit::kFailed, before.error().message));
    }
    if (before) {
      for (const auto& node : before->nodes) {
        if (!IsRunning(node.process, NameOf(before->server))) continue;
        return tl::unexpected(Complain(
            Exit::kFailed,
            fmt::format("{} of {} is running already (pid {}); stop it "
                        "with: lariat down --dir {}",
                        node.name, options.dir, node.process.pid, ShellText({options.dir}))));
      }
      input.nodes = static_cast<uint32_t>(before->nodes.size());
      input.base_port = before->base_port;
      if (options.nodes && *options.nodes != input.nodes) {
        return tl::unexpected(Complain(
            Exit::kUsage, fmt::format("{} holds a cluster of {} nodes: start it with --nodes {} or "
                                      "choose another directory",
                                      options.dir, input.nodes, input.nodes)));
      }
    }
  }
  input.nodes = options.nodes.value_or(input.nodes);
  input.base_port = options.base_port.value_or(input.base_port);
  if (input.nodes == 0) return tl::unexpected(Complain(Exit::kUsage, "--nodes 0 starts nothing"));
  uint32_t cores = std::max(1U, std::thread::hardware_concurrency());
  input.shards = options.shards.value_or(DefaultShards(cores, input.nodes));
  return input;
}

tl::expected<std::string, Exit> MakeDirectory(const UpOptions& options) {
  if (options.dir.empty()) {
    std::error_code error;
    std::string pattern = (fs::temp_directory_path(error) / "lariat-XXXXXX").string();
    if (mkdtemp(pattern.data()) != nullptr) return pattern;
    return tl::unexpected(Complain(
        Exit::kFailed, fmt::format("cannot make a temporary directory: {}", strerror(errno))));
  }
  std::error_code error;
  fs::create_directories(options.dir, error);
  if (!error) return fs::absolute(options.dir, error).lexically_normal().string();
  return tl::unexpected(
      Complain(Exit::kFailed, fmt::format("cannot make {}: {}", options.dir, error.message())));
}

void RemoveIfTemporary(const Layout& layout) {
  std::error_code ignored;
  if (layout.temporary) fs::remove_all(layout.dir, ignored);
}

void TellDeath(const Layout& layout, const Supervisor::Death& death) {
  const NodePlan& node = layout.nodes[death.node];
  fmt::print(stderr, "lariat: {} ended with {}. The last lines of {}:\n", node.name,
             EndText(death.wait_status), node.log);
  for (const std::string& line : LastLines(node.log, 12)) fmt::print(stderr, "  | {}\n", line);
}

void TellRestart(const Layout& layout, const Supervisor::Death& death) {
  const NodePlan& node = layout.nodes[death.node];
  fmt::print(stderr, "The other nodes go on. To start {} again:\n  {} 2>>{} &\n", node.name,
             ShellText(node.command), ShellText({node.log}));
}

boost::json::object AsJson(const Layout& layout, const ClusterFile& started, double seconds) {
  boost::json::array nodes;
  for (size_t i = 0; i < layout.nodes.size(); ++i) {
    const NodePlan& node = layout.nodes[i];
    nodes.push_back({{"name", node.name},
                     {"http", node.http},
                     {"resp", node.resp},
                     {"peer", node.peer},
                     {"state", "serving"},
                     {"pid", started.nodes[i].process.pid},
                     {"data_dir", node.data_dir},
                     {"log", node.log}});
  }
  return {
      {"nodes", nodes}, {"dir", layout.dir}, {"temporary", layout.temporary}, {"seconds", seconds}};
}

void ShowNextSteps(const Layout& layout, bool detach) {
  const std::string& first = layout.nodes.front().http;
  std::string node = first == kDefaultNode ? "" : " --node " + first;
  std::string all;
  for (const NodePlan& plan : layout.nodes) all += (all.empty() ? "" : ",") + plan.http;
  fmt::print(
      "\nTry:\n  lariat put hello world{0}\n  lariat get hello{0}\n  lariat status{0}\n"
      "  curl http://{1}/kv/hello\nTo let every command know all nodes:\n"
      "  export LARIAT_NODE={2}\n",
      node, first, all);
  if (detach) {
    fmt::print("Stop with:  lariat down --dir {}\n", ShellText({layout.dir}));
  } else {
    fmt::print("Ctrl-C stops all nodes{}.\n",
               layout.temporary ? " and removes their data" : "; the data stays");
  }
}

void ShowReady(const UpOptions& options, const Layout& layout, const ClusterFile& started,
               double seconds) {
  if (options.json) return PrintLine(boost::json::serialize(AsJson(layout, started, seconds)));
  fmt::print("{} node{} up in {}    data: {}{}\n", layout.nodes.size(),
             layout.nodes.size() == 1 ? "" : "s", SecondsText(seconds), layout.dir,
             layout.temporary ? " (temporary, removed on exit)" : "");
  Table table({"NODE", "HTTP", "RESP", "PEER", "STATE"});
  for (const NodePlan& node : layout.nodes) {
    table.Add({node.name, node.http, node.resp, node.peer, "serving"});
  }
  fmt::print("{}", table.Render("  "));
  ShowNextSteps(layout, options.detach);
  std::fflush(stdout);
}

Exit StopAndClean(const Layout& layout, Supervisor& nodes, Exit code) {
  for (const std::string& name : nodes.StopAll(kStopLimitSeconds)) {
    fmt::print(stderr, "lariat: {} did not stop in time and was killed\n", name);
  }
  RemoveIfTemporary(layout);
  return code;
}

// Until all nodes serve; on any other end everything is stopped.
std::optional<Exit> AwaitReady(const UpOptions& options, const Layout& layout, Supervisor& nodes,
                               Clock::time_point start) {
  const bool terminal = IsTerminal(STDERR_FILENO);
  auto readiness = nodes.WaitReady(options.timeout_s, [&](size_t ready) {
    if (!terminal) return;
    fmt::print(stderr, "\rstarting: {} of {} nodes ready, {}\x1b[K", ready, layout.nodes.size(),
               SecondsText(Since(start)));
  });
  if (terminal) fmt::print(stderr, "\r\x1b[K");
  switch (readiness) {
    case Supervisor::Readiness::kReady:
      return std::nullopt;
    case Supervisor::Readiness::kDied:
      for (const auto& death : nodes.Reap()) TellDeath(layout, death);
      return Complain(Exit::kFailed, "the cluster did not start; all nodes are stopped");
    case Supervisor::Readiness::kTimeout:
      for (const NodePlan& node : layout.nodes) {
        fmt::print(stderr, "{}:\n", node.log);
        for (const auto& line : LastLines(node.log, 4)) fmt::print(stderr, "  | {}\n", line);
      }
      return Complain(Exit::kFailed, fmt::format("not ready after {}; all nodes are stopped",
                                                 SecondsText(options.timeout_s)));
    case Supervisor::Readiness::kInterrupted:
      return Complain(Exit::kFailed, "interrupted; all nodes are stopped");
  }
  return std::nullopt;
}

Exit StayUntilStopped(const Layout& layout, Supervisor& nodes) {
  while (true) {
    int signal = WaitSignal(3600);
    if (signal == SIGINT || signal == SIGTERM) {
      if (IsTerminal(STDERR_FILENO)) fmt::print(stderr, "\nstopping ...\n");
      return StopAndClean(layout, nodes, Exit::kDone);
    }
    bool clean = true;
    for (const auto& death : nodes.Reap()) {
      if (death.wait_status == 0) {
        fmt::print(stderr, "lariat: {} was stopped\n", layout.nodes[death.node].name);
        continue;
      }
      clean = false;
      TellDeath(layout, death);
      if (nodes.Running() > 0) TellRestart(layout, death);
    }
    if (nodes.Running() == 0) {
      fmt::print(stderr, "lariat: no node is left\n");
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
  auto input = ChooseInput(options);
  if (!input) return input.error();
  std::string server = options.server.empty() ? FindServer() : options.server;
  if (server.empty()) {
    return Complain(Exit::kFailed, "no lariatd beside this program or in PATH");
  }
  auto preview = PlanLayout(options, *input, server, options.dir);
  if (!preview) return Complain(Exit::kUsage, preview.error().message);
  if (auto taken = PortsInUse(*preview); !taken.empty()) {
    for (const std::string& port : taken) fmt::print(stderr, "lariat: {} is in use\n", port);
    return Complain(Exit::kFailed, "nothing was started; choose other ports with --base-port");
  }
  auto dir = MakeDirectory(options);
  if (!dir) return dir.error();
  Layout layout = *PlanLayout(options, *input, server, *dir);

  BlockSignals();
  Supervisor nodes(layout);
  auto started = nodes.StartAll(options.detach ? Bond::kOwnSession : Bond::kDiesWithParent);
  if (started && !layout.temporary) started = WriteClusterFile(layout.dir, nodes.Describe());
  if (!started) {
    return StopAndClean(layout, nodes, Complain(Exit::kFailed, started.error().message));
  }
  if (auto failed = AwaitReady(options, layout, nodes, start)) {
    return StopAndClean(layout, nodes, *failed);
  }
  ShowReady(options, layout, nodes.Describe(), Since(start));
  return options.detach ? Exit::kDone : StayUntilStopped(layout, nodes);
}

}  // namespace lariat::cli::local
