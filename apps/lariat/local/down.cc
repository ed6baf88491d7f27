// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <thread>

#include "apps/lariat/local/cluster_file.h"
#include "apps/lariat/local/up.h"
#include "apps/lariat/terminal/text.h"

namespace lariat::cli::local {

namespace {

using Clock = std::chrono::steady_clock;
using Nodes = std::vector<ClusterFile::Node>;

// The nodes of the list that still run when the time is up.
Nodes AwaitEnd(Nodes nodes, const std::string& program, double seconds) {
  const auto deadline = Clock::now() + std::chrono::duration<double>(seconds);
  while (true) {
    std::erase_if(nodes, [&](const auto& node) { return !IsRunning(node.process, program); });
    if (nodes.empty() || Clock::now() >= deadline) return nodes;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

boost::json::array Names(const Nodes& nodes) {
  boost::json::array out;
  for (const auto& node : nodes) out.emplace_back(node.name);
  return out;
}

}  // namespace

Exit Down(const DownOptions& options) {
  const auto start = Clock::now();
  auto file = ReadClusterFile(options.dir);
  if (!file) {
    return Complain(Exit::kFailed,
                    file.error().message + "; was the cluster started with 'lariat up --dir'?");
  }
  const std::string program = std::filesystem::path(file->server).filename().string();
  std::erase_if(file->nodes, [](const auto& node) { return node.left; });
  Nodes running = AwaitEnd(file->nodes, program, 0);
  for (const auto& node : running) Signal(node.process, program, SIGTERM);
  Nodes stubborn = AwaitEnd(running, program, options.timeout_s);
  for (const auto& node : stubborn) {
    Tell("lariat: {} (pid {}) did not stop within {} and is killed\n", node.name, node.process.pid,
         SecondsText(options.timeout_s));
    Signal(node.process, program, SIGKILL);
  }
  Nodes left = AwaitEnd(stubborn, program, 5);
  if (options.json) {
    boost::json::object out = {{"stopped", Names(running)}, {"killed", Names(stubborn)}};
    PrintLine(boost::json::serialize(out));
  } else if (running.empty()) {
    Print("no node of {} is running\n", options.dir);
  } else {
    double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    Print("{} of {} nodes stopped in {}; the data stays in {}\n", running.size() - left.size(),
          file->nodes.size(), SecondsText(seconds), options.dir);
  }
  return left.empty() ? Exit::kDone : Exit::kFailed;
}

}  // namespace lariat::cli::local
