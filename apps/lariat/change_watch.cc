// SPDX-License-Identifier: Apache-2.0
#include "apps/lariat/change_watch.h"

#include <fmt/format.h>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <cmath>
#include <csignal>

#include "apps/lariat/cluster_text.h"
#include "apps/lariat/terminal/live_line.h"
#include "apps/lariat/terminal/text.h"

namespace lariat::cli {

namespace {

namespace json = boost::json;
using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kPollWait{2000};
constexpr double kPollSeconds = 0.25;
// Longest time without an answer: nodes restart meanwhile.
constexpr std::chrono::seconds kPatience{60};
// A node that has not heard of a task yet soon will.
constexpr std::chrono::seconds kUnknownFor{5};

// While it lives, Ctrl-C and SIGTERM end a wait instead of the program.
class HeldSignals {
 public:
  HeldSignals() {
    sigemptyset(&set_);
    for (int signal : {SIGINT, SIGTERM}) sigaddset(&set_, signal);
    sigprocmask(SIG_BLOCK, &set_, &before_);
  }
  ~HeldSignals() { sigprocmask(SIG_SETMASK, &before_, nullptr); }
  HeldSignals(const HeldSignals&) = delete;
  HeldSignals& operator=(const HeldSignals&) = delete;

  // True if one came within the time.
  bool Wait(double seconds) {
    timespec limit{};
    limit.tv_sec = static_cast<time_t>(seconds);
    limit.tv_nsec = static_cast<long>((seconds - std::floor(seconds)) * 1e9);
    return sigtimedwait(&set_, nullptr, &limit) > 0;
  }

 private:
  sigset_t set_, before_;
};

class Watch {
 public:
  Watch(net::Client& client, uint64_t task, const Common& common)
      : client_(client), task_(task), json_(common.json), live_(common.json) {}

  Exit Run() {
    while (true) {
      if (auto ended = Look()) return *ended;
      if (signals_.Wait(kPollSeconds)) return Leave();
    }
  }

 private:
  // The exit code once there is nothing more to wait for.
  std::optional<Exit> Look() {
    net::Request request;
    request.target = fmt::format("/v1/admin/tasks/{}", task_);
    const net::Outcome outcome = client_.Send(request);
    const auto silent = Clock::now() - last_answer_;
    if (outcome && outcome->status == 404 && silent > kUnknownFor) {
      live_.Finish();
      return Explain(*outcome);
    }
    if (!outcome || !outcome->Ok()) {
      if (silent <= kPatience) return std::nullopt;
      live_.Finish();
      return Complain(
          Exit::kUnreachable,
          fmt::format("no node told of task {} for {}; it goes on without this "
                      "command. Look again: lariat tasks {} --wait",
                      task_, SecondsText(std::chrono::duration<double>(silent).count()), task_));
    }
    last_answer_ = Clock::now();
    json::error_code problem;
    const json::value task = json::parse(outcome->body, problem);
    if (problem) return Complain(Exit::kFailed, "the answer is not JSON");
    return Judge(task);
  }

  std::optional<Exit> Judge(const json::value& task) {
    const std::string state = TextOf(task, "state");
    if (state != "done" && state != "cancelled" && state != "failed") {
      if (live_.IsDue()) live_.Show(Line(task, state));
      return std::nullopt;
    }
    live_.Finish();
    if (json_) PrintLine(json::serialize(task));
    const double seconds = (NumberOf(task, "ended_ms") - NumberOf(task, "asked_ms")) / 1000;
    const std::string text = fmt::format("task {}, {}: {} after {}", task_, ChangeText(task), state,
                                         SecondsText(std::max(0.0, seconds)));
    if (state != "done") return Complain(Exit::kFailed, text);
    if (!json_) PrintLine(text);
    return Exit::kDone;
  }

  std::string Line(const json::value& task, const std::string& state) const {
    const json::value* progress =
        task.is_object() ? task.as_object().if_contains("progress") : nullptr;
    if (progress != nullptr && progress->is_object()) {
      return OperationText(*progress, live_.terminal());
    }
    return fmt::format("task {}, {}: {}", task_, ChangeText(task), state);
  }

  Exit Leave() {
    live_.Finish();
    return Complain(Exit::kFailed,
                    fmt::format("task {} goes on without this command. Watch: lariat tasks {} "
                                "--wait. Go back: lariat cluster cancel {}",
                                task_, task_, task_));
  }

  net::Client& client_;
  uint64_t task_;
  bool json_;
  LiveLine live_;
  HeldSignals signals_;
  Clock::time_point last_answer_ = Clock::now();
};

}  // namespace

net::Client ClientForAll(net::Client& client, const Common& common, const std::string& last) {
  std::vector<net::Address> others, nodes, leaving;
  if (auto given = ResolveNodes(common.nodes, std::getenv("LARIAT_NODE"))) nodes = *given;
  net::Request request;
  request.target = "/v1/cluster/status";
  const net::Outcome outcome = client.Send(request);
  json::error_code problem;
  const json::value status =
      outcome && outcome->Ok() ? json::parse(outcome->body, problem) : json::value();
  for (const json::value& node : ArrayOf(status, "nodes")) {
    auto address = net::ParseAddress(TextOf(node, "http"));
    if (!address || !FlagOf(node, "alive")) continue;
    const bool goes = TextOf(node, "name") == last || TextOf(node, "id") == last;
    (goes ? leaving : others).push_back(*address);
  }
  for (const net::Address& address : others) {
    if (std::find(nodes.begin(), nodes.end(), address) == nodes.end()) nodes.push_back(address);
  }
  for (const net::Address& address : leaving) {
    std::erase(nodes, address);
    nodes.push_back(address);
  }
  const net::Limits limits = common.Limits(kPollWait, nodes.size());
  return {std::move(nodes), limits};
}

Exit AwaitTask(net::Client& client, uint64_t task, const Common& common) {
  return Watch(client, task, common).Run();
}

}  // namespace lariat::cli
