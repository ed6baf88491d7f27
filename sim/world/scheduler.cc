// SPDX-License-Identifier: Apache-2.0
#include "sim/world/scheduler.h"

#include <algorithm>
#include <utility>

namespace lariat::sim {

uint64_t Scheduler::At(base::Instant when, env::Task task) {
  size_t slot = slots_.size();
  if (free_slots_.empty()) {
    slots_.push_back(std::move(task));
  } else {
    slot = free_slots_.back();
    free_slots_.pop_back();
    slots_[slot] = std::move(task);
  }
  const uint64_t id = ++sequence_;
  queue_.push({std::max(when, now_), id, slot});
  return id;
}

void Scheduler::Cancel(uint64_t id) {
  if (id != 0 && id <= sequence_) cancelled_.insert(id);
}

void Scheduler::RunUntil(base::Instant until) {
  while (!queue_.empty() && queue_.top().when <= until) {
    const Event event = queue_.top();
    queue_.pop();
    env::Task task = std::move(slots_[event.slot]);
    free_slots_.push_back(event.slot);
    now_ = event.when;
    if (!cancelled_.empty() && cancelled_.erase(event.sequence) > 0) continue;
    ++events_;
    task();
  }
  now_ = std::max(now_, until);
}

}  // namespace lariat::sim
