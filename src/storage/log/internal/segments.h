// SPDX-License-Identifier: Apache-2.0
// Which slots hold what the log still needs, and how far it was cut. Its owner holds a lock.
#pragma once

#include <cstdint>
#include <set>
#include <string>

#include "storage/log/disk.h"
#include "storage/log/format.h"

namespace lariat::storage::log {

class Segments {
 public:
  struct State {
    Control control;          // the newest one; its cut is that of the log
    std::set<uint64_t> live;  // segments that are needed
    uint64_t highest = 0;     // all that were ever begun are at or below it
    uint32_t slots = 0;       // that are made
  };
  Segments(Disk* disk, const Shape& shape, State state)
      : disk_(disk), shape_(shape), state_(std::move(state)) {}

  // Begins a segment in a free slot and gives its number. Blocks for one durable write: no frame
  // may be on disk without its header, or a crash at once could begin the same segment again, and
  // what was left of the first would pass for frames of the second. kStalled: there is no slot.
  base::Result<uint64_t> Start(Lsn prev_end, Lsn durable);
  // The control block for a cut, and where it goes: over the older of the two.
  Control NextControl(Lsn cut, Lsn durable) const;
  static uint64_t OffsetOf(const Control& control) { return control.sequence % 2 * kBlock; }
  // That block is durable: older segments are free.
  void SetControl(const Control& control);
  void AddSlot() { ++state_.slots; }

  Lsn cut() const { return state_.control.cut; }
  uint32_t slots() const { return state_.slots; }
  uint32_t live() const { return static_cast<uint32_t>(state_.live.size()); }
  uint32_t free() const { return slots() - live(); }

 private:
  bool IsFree(uint64_t slot) const;

  Disk* const disk_;
  const Shape shape_;
  State state_;
};

}  // namespace lariat::storage::log
