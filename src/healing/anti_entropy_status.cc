// SPDX-License-Identifier: Apache-2.0
// What anti-entropy tells people: ranges and when they were compared, tasks and how far they are.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "healing/anti_entropy.h"

namespace lariat::healing {

using base::Code;
using base::Fail;
using repair::RepairTask;

namespace {

// Progress is counted in parts of the token space, so that it moves within long ranges.
constexpr double kParts = 256;

uint64_t PartsOf(double share) { return static_cast<uint64_t>(std::ceil(share * kParts - 1e-9)); }

std::string_view StateText(RepairTask::State state) {
  switch (state) {
    case RepairTask::State::kRunning:
      return "running";
    case RepairTask::State::kDone:
      return "done";
    case RepairTask::State::kFailed:
      return "failed";
  }
  return "";
}

}  // namespace

std::string AntiEntropy::NameOf(uint64_t number) const {
  const auto found = view_->by_number.find(number);
  return found == view_->by_number.end() ? fmt::format("{:016x}", number)
                                         : view_->MemberAt(found->second).name;
}

std::string AntiEntropy::BucketName(uint32_t bucket) const {
  for (const auto& [name, properties] : view_->topology.buckets) {
    if (properties.id == bucket) return name;
  }
  return fmt::format("{:08x}", bucket);
}

base::Result<coordinator::ChangeTicket> AntiEntropy::Repair(
    const coordinator::RepairRequest& request) {
  if (!view_) return Fail(Code::kUnavailable, "this node is not in a cluster");
  repair::RepairOrder order;
  if (!request.bucket.empty()) {
    const membership::BucketProperties* bucket = view_->FindBucket(request.bucket);
    if (bucket == nullptr) return Fail(Code::kNotFound, "no such bucket");
    order.bucket = bucket->id;
    order.bucket_name = request.bucket;
  }
  if (request.range) order.range = wire::TokenSpan{request.range->first, request.range->second};
  const bool busy =
      std::any_of(schedule_.tasks().begin(), schedule_.tasks().end(),
                  [](const RepairTask& task) { return task.state == RepairTask::State::kRunning; });
  coordinator::ChangeTicket ticket;
  ticket.task = schedule_.AddTask(std::move(order), home_.env().clock.Wall());
  ticket.message = schedule_.suspended();
  if (ticket.message.empty() && busy) ticket.message = "it waits for an earlier repair";
  ticket.started = ticket.message.empty();
  Look();
  PublishTasks();
  return ticket;
}

// --- status ------------------------------------------------------------------------------------

void AntiEntropy::FillStatus(coordinator::RepairStatus* status) const {
  status->enabled = enabled_;
  if (!view_) return;
  for (const repair::ReplicaSet& set : map_.sets) {
    coordinator::RepairRange range;
    FillRange(set, &range);
    for (const wire::TokenSpan& span : set.ranges) {
      range.from.value = span.from;
      range.to.value = span.to;
      status->ranges.push_back(range);
    }
  }
  std::stable_sort(status->ranges.begin(), status->ranges.end(), [](const auto& a, const auto& b) {
    return std::pair(a.bucket, a.from.value + 1) < std::pair(b.bucket, b.from.value + 1);
  });
  if (exchange_.Running()) status->session = Session();
}

void AntiEntropy::FillRange(const repair::ReplicaSet& set, coordinator::RepairRange* range) const {
  range->bucket = BucketName(set.bucket);
  range->replicas.push_back(view_->MemberAt(view_->self).name);
  // A range without other replicas agrees with all of them.
  range->last_pass_ms = home_.env().clock.Wall().ms;
  range->state = "ok";
  const auto worse = [range](std::string state, std::string why) {
    if (range->state == "running") return;
    range->state = std::move(state);
    range->why = std::move(why);
  };
  for (const uint64_t partner : set.partners) {
    const std::string name = NameOf(partner);
    range->replicas.push_back(name);
    const repair::PairStatus pair = schedule_.StatusOf({set.bucket, partner});
    range->last_pass_ms = std::min(range->last_pass_ms, pair.last_pass_ms);
    if (pair.running) {
      worse("running", "");
    } else if (!schedule_.suspended().empty()) {
      worse("waits", schedule_.suspended());
    } else if (pair.doubt || pair.dirty) {
      worse(pair.doubt ? "doubt" : "dirty", pair.alive ? pair.trouble : name + " is down");
    } else if (!pair.alive) {
      worse("waits", name + " is down");
    } else if (!pair.trouble.empty()) {
      worse("waits", pair.trouble);
    } else if (pair.back || pair.last_pass_ms == 0) {
      worse("waits", enabled_ ? "it is soon compared with " + name : "repair.enabled is off");
    }
  }
  std::sort(range->replicas.begin(), range->replicas.end());
}

coordinator::RepairSession AntiEntropy::Session() const {
  const repair::ExchangeProgress progress = exchange_.Progress();
  coordinator::RepairSession session;
  if (schedule_.running()) session.task = schedule_.running()->task;
  session.partner = exchange_.plan()->partner_name;
  session.bucket = BucketName(exchange_.plan()->bucket);
  session.fraction = progress.fraction;
  session.keys_received = progress.figures.keys_received;
  session.keys_sent = progress.figures.keys_sent;
  session.bytes_sent = progress.bytes_sent;
  session.started_ms = progress.started_ms;
  session.left_s = progress.left_s;
  return session;
}

// --- tasks -------------------------------------------------------------------------------------

coordinator::TaskStatus AntiEntropy::StatusOf(const RepairTask& task) const {
  coordinator::OperationStatus progress;
  progress.task = task.id;
  progress.kind = "repair";
  progress.node = home_.self().name;
  progress.phase = "compare";
  progress.started_ms = task.asked_ms;
  progress.bytes_done = task.bytes_sent;
  progress.keys_done = task.keys_received + task.keys_sent;
  progress.waiting_for = task.trouble;
  double done = task.ShareDone();
  const auto& running = schedule_.running();
  if (running && running->task == task.id && exchange_.Running()) {
    const repair::ExchangeProgress now = exchange_.Progress();
    progress.bytes_done += now.bytes_sent;
    progress.keys_done += now.figures.keys_received + now.figures.keys_sent;
    progress.bytes_per_s = now.bytes_per_s;
    done += now.fraction * repair::ShareOf(running->ranges);
    if (progress.waiting_for.empty()) progress.waiting_for = now.trouble;
  }
  const double total = task.Share();
  progress.ranges_total = PartsOf(total);
  progress.ranges_done = std::min(progress.ranges_total, static_cast<uint64_t>(done * kParts));
  if (task.state == RepairTask::State::kDone) progress.ranges_done = progress.ranges_total;
  const double passed = static_cast<double>(home_.env().clock.Wall().ms - task.asked_ms) / 1000;
  const bool goes_on = task.state == RepairTask::State::kRunning && progress.waiting_for.empty();
  if (goes_on && done > 0 && passed > 0) progress.left_s = passed * (total - done) / done;
  coordinator::TaskStatus status;
  status.task = task.id;
  status.kind = progress.kind;
  status.node = progress.node;
  status.state = StateText(task.state);
  status.asked_ms = task.asked_ms;
  status.ended_ms = task.ended_ms;
  status.progress = std::move(progress);
  return status;
}

void AntiEntropy::PublishTasks() {
  if (schedule_.tasks().empty()) return;
  auto tasks = std::make_shared<std::vector<coordinator::TaskStatus>>();
  for (auto task = schedule_.tasks().rbegin(); task != schedule_.tasks().rend(); ++task) {
    tasks->push_back(StatusOf(*task));
  }
  std::atomic_store(&tasks_seen_,
                    std::shared_ptr<const std::vector<coordinator::TaskStatus>>(std::move(tasks)));
}

std::shared_ptr<const std::vector<coordinator::TaskStatus>> AntiEntropy::TasksSeen() const {
  return std::atomic_load(&tasks_seen_);
}

}  // namespace lariat::healing
