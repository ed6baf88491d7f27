// SPDX-License-Identifier: Apache-2.0
// Timers of one loop in the order of their deadlines; equal deadlines in the order they were set.
// Nearly every request sets a timer and cancels it, so both are cheap: slots are reused, a
// cancelled timer leaves the heap at once, and nothing is allocated in the steady state.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/time.h"
#include "env/env.h"

namespace lariat::env::posix {

class TimerHeap {
 public:
  TimerId Add(base::Instant deadline, Task task);
  void Cancel(TimerId id);  // unknown or fired ids are ignored
  // Removes the first timer if it is due by `now` and returns its task, an empty one otherwise.
  Task PopDue(base::Instant now);
  bool empty() const { return heap_.empty(); }
  base::Instant first_deadline() const { return heap_.front().deadline; }  // REQUIRES: !empty()

 private:
  struct Entry {
    base::Instant deadline;
    uint64_t order = 0;
    uint32_t slot = 0;
  };
  struct Slot {
    Task task;
    uint32_t generation = 1;  // an id names slot and generation, so a reused slot is not confused
    uint32_t position = 0;    // in heap_
    bool used = false;
  };

  static bool Before(const Entry& a, const Entry& b);
  void Place(size_t position, const Entry& entry);
  void SiftUp(size_t position);
  void SiftDown(size_t position);
  Task Remove(size_t position);

  std::vector<Entry> heap_;
  std::vector<Slot> slots_;
  std::vector<uint32_t> free_;
  uint64_t next_order_ = 0;
};

}  // namespace lariat::env::posix
