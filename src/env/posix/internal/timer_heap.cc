// SPDX-License-Identifier: Apache-2.0
#include "env/posix/internal/timer_heap.h"

#include <utility>

namespace lariat::env::posix {

TimerId TimerHeap::Add(base::Instant deadline, Task task) {
  if (free_.empty()) {
    free_.push_back(static_cast<uint32_t>(slots_.size()));
    slots_.emplace_back();
  }
  const uint32_t index = free_.back();
  free_.pop_back();
  Slot& slot = slots_[index];
  slot.task = std::move(task);
  slot.used = true;
  heap_.push_back(Entry{deadline, next_order_++, index});
  SiftUp(heap_.size() - 1);
  return (static_cast<TimerId>(slot.generation) << 32) | index;
}

void TimerHeap::Cancel(TimerId id) {
  const auto index = static_cast<uint32_t>(id);
  const auto generation = static_cast<uint32_t>(id >> 32);
  if (index >= slots_.size()) return;
  const Slot& slot = slots_[index];
  // The task is destroyed after the heap is whole again: its destructor may come back here.
  if (slot.used && slot.generation == generation) Task dropped = Remove(slot.position);
}

Task TimerHeap::PopDue(base::Instant now) {
  if (heap_.empty() || heap_.front().deadline > now) return {};
  return Remove(0);
}

bool TimerHeap::Before(const Entry& a, const Entry& b) {
  return a.deadline != b.deadline ? a.deadline < b.deadline : a.order < b.order;
}

void TimerHeap::Place(size_t position, const Entry& entry) {
  heap_[position] = entry;
  slots_[entry.slot].position = static_cast<uint32_t>(position);
}

void TimerHeap::SiftUp(size_t position) {
  const Entry entry = heap_[position];
  while (position > 0) {
    const size_t parent = (position - 1) / 2;
    if (!Before(entry, heap_[parent])) break;
    Place(position, heap_[parent]);
    position = parent;
  }
  Place(position, entry);
}

void TimerHeap::SiftDown(size_t position) {
  const Entry entry = heap_[position];
  while (true) {
    size_t child = 2 * position + 1;
    if (child >= heap_.size()) break;
    if (child + 1 < heap_.size() && Before(heap_[child + 1], heap_[child])) ++child;
    if (!Before(heap_[child], entry)) break;
    Place(position, heap_[child]);
    position = child;
  }
  Place(position, entry);
}

Task TimerHeap::Remove(size_t position) {
  const uint32_t index = heap_[position].slot;
  const Entry last = heap_.back();
  heap_.pop_back();
  if (position < heap_.size()) {
    Place(position, last);
    SiftUp(position);
    SiftDown(slots_[last.slot].position);
  }
  Slot& slot = slots_[index];
  slot.used = false;
  if (++slot.generation == 0) slot.generation = 1;  // keeps every id different from 0
  free_.push_back(index);
  return std::move(slot.task);
}

}  // namespace lariat::env::posix
