// SPDX-License-Identifier: Apache-2.0
#include "apps/lariat/local/supervisor.h"

#include <sys/wait.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <csignal>

#include "apps/lariat/net/client.h"

namespace lariat::cli::local {

namespace {

using Clock = std::chrono::steady_clock;

sigset_t OurSignals() {
  sigset_t set;
  sigemptyset(&set);
  for (int signal : {SIGINT, SIGTERM, SIGHUP, SIGCHLD}) sigaddset(&set, signal);
  return set;
}

bool IsReady(const std::string& http) {
  auto address = net::ParseAddress(http);
  if (!address) return false;
  net::Client client({*address}, std::chrono::milliseconds(1000));
  net::Request request;
  request.target = "/readyz";
  net::Outcome outcome = client.Send(request);
  return outcome.has_value() && outcome->status == 200;
}

}  // namespace

void BlockSignals() {
  sigset_t set = OurSignals();
  sigprocmask(SIG_BLOCK, &set, nullptr);
}

int WaitSignal(double seconds) {
  sigset_t set = OurSignals();
  timespec limit{};
  limit.tv_sec = static_cast<time_t>(seconds);
  limit.tv_nsec = static_cast<long>((seconds - std::floor(seconds)) * 1e9);
  int signal = sigtimedwait(&set, nullptr, &limit);
  if (signal == SIGHUP) return SIGTERM;  // the terminal is gone: the same wish
  return std::max(signal, 0);
}

base::Status Supervisor::StartAll(Bond bond) {
  for (const NodePlan& node : layout_.nodes) {
    auto process = Start(node.command, node.log, bond);
    if (!process) return base::Fail(process.error());
    children_.push_back({*process, true, false});
  }
  return {};
}

ClusterFile Supervisor::Describe() const {
  ClusterFile file;
  file.base_port = layout_.base_port;
  file.server = layout_.nodes.front().command.front();
  for (size_t i = 0; i < children_.size(); ++i) {
    file.nodes.push_back({layout_.nodes[i].name, children_[i].process});
  }
  return file;
}

Supervisor::Readiness Supervisor::WaitReady(double timeout_s,
                                            const std::function<void(size_t)>& ready_count) {
  const auto deadline = Clock::now() + std::chrono::duration<double>(timeout_s);
  while (true) {
    size_t ready = 0;
    for (size_t i = 0; i < children_.size(); ++i) {
      children_[i].ready = children_[i].ready || IsReady(layout_.nodes[i].http);
      ready += children_[i].ready ? 1 : 0;
    }
    ready_count(ready);
    if (ready == children_.size()) return Readiness::kReady;
    if (Clock::now() >= deadline) return Readiness::kTimeout;
    int signal = WaitSignal(0.05);
    if (signal == SIGINT || signal == SIGTERM) return Readiness::kInterrupted;
    if (signal != SIGCHLD) continue;
    // A look without reaping, so that the caller's Reap still finds who it was.
    siginfo_t info{};
    if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid != 0) {
      return Readiness::kDied;
    }
  }
}

std::vector<Supervisor::Death> Supervisor::Reap() {
  std::vector<Death> deaths;
  int status = 0;
  for (pid_t pid = 0; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
    for (size_t i = 0; i < children_.size(); ++i) {
      if (!children_[i].running || children_[i].process.pid != pid) continue;
      children_[i].running = false;
      deaths.push_back({i, status});
    }
  }
  return deaths;
}

size_t Supervisor::Running() const {
  return static_cast<size_t>(std::count_if(children_.begin(), children_.end(),
                                           [](const Child& child) { return child.running; }));
}

std::vector<std::string> Supervisor::StopAll(double limit_s) {
  // Our children keep their ids until we reap them: no stranger can have one.
  auto send = [this](int signal) {
    for (const Child& child : children_) {
      if (child.running) kill(child.process.pid, signal);
    }
  };
  send(SIGTERM);
  const auto deadline = Clock::now() + std::chrono::duration<double>(limit_s);
  while (Reap(), Running() > 0 && Clock::now() < deadline) {
    if (int signal = WaitSignal(0.1); signal == SIGINT || signal == SIGTERM) break;
  }
  std::vector<std::string> killed;
  for (size_t i = 0; i < children_.size(); ++i) {
    if (children_[i].running) killed.push_back(layout_.nodes[i].name);
  }
  send(SIGKILL);
  while (Reap(), Running() > 0) WaitSignal(0.05);
  return killed;
}

}  // namespace lariat::cli::local
