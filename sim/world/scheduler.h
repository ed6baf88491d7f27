// SPDX-License-Identifier: Apache-2.0
// Virtual time: one queue of events ordered by (time, sequence number). Time passes only when an
// event runs, so an idle minute costs nothing and the same events in give the same order out.
#pragma once

#include <cstdint>
#include <queue>
#include <unordered_set>
#include <vector>

#include "base/time.h"
#include "env/env.h"

namespace lariat::sim {

// What a clock says that is right.
inline base::WallTime WallAt(base::Instant now) {
  constexpr int64_t kStartMs = 1'700'000'000'000;
  return {kStartMs +
          std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count()};
}

class Scheduler {
 public:
  base::Instant Now() const { return now_; }
  // The id can be cancelled; it is never 0. A time in the past means now.
  uint64_t At(base::Instant when, env::Task task);
  uint64_t After(base::Duration delay, env::Task task) { return At(now_ + delay, std::move(task)); }
  void Cancel(uint64_t id);
  // Runs everything up to `until` and leaves the clock there.
  void RunUntil(base::Instant until);
  // Runs events until `holds()` is true, looked at every `step`; false if that takes past `limit`.
  template <typename Predicate>
  bool RunUntilTrue(Predicate holds, base::Duration limit, base::Duration step) {
    const base::Instant end = now_ + limit;
    while (!holds()) {
      if (now_ >= end) return false;
      RunUntil(std::min(end, now_ + step));
    }
    return true;
  }
  uint64_t events() const { return events_; }

 private:
  struct Event {
    base::Instant when;
    uint64_t sequence = 0;
    size_t slot = 0;
    bool operator<(const Event& other) const {  // the queue gives the greatest first
      return std::tie(other.when, other.sequence) < std::tie(when, sequence);
    }
  };

  base::Instant now_{};
  uint64_t sequence_ = 0;
  uint64_t events_ = 0;
  std::priority_queue<Event> queue_;
  std::vector<env::Task> slots_;
  std::vector<size_t> free_slots_;
  std::unordered_set<uint64_t> cancelled_;
};

}  // namespace lariat::sim
