// SPDX-License-Identifier: Apache-2.0
#include "apps/lariat/local/supervisor.h"

#include <sys/wait.h>

#include <algorithm>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <chrono>
#include <cmath>
#include <csignal>

#include "apps/lariat/net/client.h"
#include "apps/lariat/session.h"

namespace lariat::cli::local {

namespace {

using Clock = std::chrono::steady_clock;

sigset_t OurSignals() {
  sigset_t set;
  sigemptyset(&set);
  for (int signal : {SIGINT, SIGTERM, SIGHUP, SIGCHLD}) sigaddset(&set, signal);
  return set;
}

// GET `target` of a node: the body of a 200.
std::optional<std::string> AskNode(const NodePlan& node, const std::string& target) {
  auto address = net::ParseAddress(node.http);
  if (!address) return std::nullopt;
  net::Limits limits;
  limits.total = std::chrono::milliseconds(1000);
  limits.trust = node.trust;
  limits.authorization = node.authorization;
  net::Client client({*address}, std::move(limits));
  net::Request request;
  request.target = target;
  net::Outcome outcome = client.Send(request);
  if (!outcome || outcome->status != 200) return std::nullopt;
  return std::move(outcome->body);
}

// Whether the cluster that `asked` knows has a member of this name; nothing if it does not answer.
std::optional<bool> HasMember(const NodePlan& asked, const std::string& name) {
  const auto body = AskNode(asked, "/v1/cluster/status");
  boost::json::error_code problem;
  const auto status = body ? boost::json::parse(*body, problem) : boost::json::value();
  if (problem || !status.is_object()) return std::nullopt;
  for (const auto& node : ArrayOf(status, "nodes")) {
    if (TextOf(node, "name") == name && TextOf(node, "state") != "removed") return true;
  }
  return false;
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

bool Serves(const NodePlan& node) { return AskNode(node, "/readyz").has_value(); }

std::optional<bool> IsMember(const Layout& layout, size_t node) {
  for (const NodePlan& asked : layout.nodes) {
    if (&asked == &layout.nodes[node] || asked.left || !Serves(asked)) continue;
    if (auto member = HasMember(asked, layout.nodes[node].name)) return member;
  }
  return std::nullopt;
}

base::Status Supervisor::StartMissing(Bond bond) {
  for (const NodePlan& node : layout_.nodes) {
    if (node.left || node.running) {
      children_.push_back({node.running.value_or(ProcessId()), false, false});
      continue;
    }
    auto process = Start(node.command, node.log, bond);
    if (!process) return base::Fail(process.error());
    children_.push_back({*process, true, false});
  }
  return {};
}

ClusterFile Supervisor::Describe() const {
  ClusterFile file;
  file.base_port = layout_.base_port;
  file.first = layout_.first;
  file.server = layout_.nodes.front().command.front();
  for (size_t i = 0; i < children_.size(); ++i) {
    const NodePlan& node = layout_.nodes[i];
    file.nodes.push_back({node.name, children_[i].process, node.left, node.fresh});
  }
  return file;
}

bool Supervisor::IsUp(size_t node) const {
  if (Serves(layout_.nodes[node])) return true;
  return layout_.nodes[node].joins && IsMember(layout_, node).value_or(false);
}

Supervisor::Readiness Supervisor::WaitReady(double timeout_s,
                                            const std::function<void(size_t)>& ready_count) {
  const auto deadline = Clock::now() + std::chrono::duration<double>(timeout_s);
  while (true) {
    size_t ready = 0;
    for (size_t i = 0; i < children_.size(); ++i) {
      if (!children_[i].running) continue;
      children_[i].ready = children_[i].ready || IsUp(i);
      ready += children_[i].ready ? 1 : 0;
    }
    ready_count(ready);
    Collect();  // the callback may have waited for signals too
    if (!deaths_.empty()) return Readiness::kDied;
    if (ready == Running()) return Readiness::kReady;
    if (Clock::now() >= deadline) return Readiness::kTimeout;
    int signal = WaitSignal(0.05);
    if (signal == SIGINT || signal == SIGTERM) return Readiness::kInterrupted;
  }
}

void Supervisor::Collect() {
  int status = 0;
  for (pid_t pid = 0; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
    for (size_t i = 0; i < children_.size(); ++i) {
      if (!children_[i].running || children_[i].process.pid != pid) continue;
      children_[i].running = false;
      deaths_.push_back({i, status});
    }
  }
}

std::vector<Supervisor::Death> Supervisor::Reap() {
  Collect();
  return std::exchange(deaths_, {});
}

size_t Supervisor::Running() const {
  return static_cast<size_t>(std::count_if(children_.begin(), children_.end(),
                                           [](const Child& child) { return child.running; }));
}

void Supervisor::Stop(size_t node) {
  if (!children_[node].running) return;
  constexpr std::chrono::seconds kPatience{5};
  const auto deadline = Clock::now() + kPatience;
  kill(children_[node].process.pid, SIGTERM);
  while (Collect(), children_[node].running) {
    if (Clock::now() >= deadline) kill(children_[node].process.pid, SIGKILL);
    WaitSignal(0.05);
  }
  std::erase_if(deaths_, [node](const Death& death) { return death.node == node; });
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
  while (Collect(), Running() > 0 && Clock::now() < deadline) {
    if (int signal = WaitSignal(0.1); signal == SIGINT || signal == SIGTERM) break;
  }
  std::vector<std::string> killed;
  for (size_t i = 0; i < children_.size(); ++i) {
    if (children_[i].running) killed.push_back(layout_.nodes[i].name);
  }
  send(SIGKILL);
  while (Collect(), Running() > 0) WaitSignal(0.05);
  return killed;
}

}  // namespace lariat::cli::local
