// SPDX-License-Identifier: Apache-2.0
// Records end in any order; a resumed import may skip only what ended without a gap. The tracker
// knows the offset up to which every record has ended.
//
//   begun:   A(100)  B(200)  C(300)      ended: A, C   ->  offset() = 100
//                                        then B        ->  offset() = 300
#pragma once

#include <cstdint>
#include <deque>

namespace lariat::cli::transfer {

class Tracker {
 public:
  // Starts behind what an earlier run ended.
  Tracker(uint64_t offset, uint64_t records) : offset_(offset), records_(records) {}

  // In file order; `end` is the offset behind the record. Gives the record's ticket.
  uint64_t Begin(uint64_t end);
  // REQUIRES: the ticket was begun and has not ended.
  void End(uint64_t ticket);
  // A record was given up: it and all behind it will be read again by a resumed run. The tracker
  // keeps no further tickets, so that memory stays bounded.
  void Freeze();

  uint64_t offset() const { return offset_; }
  uint64_t records() const { return records_; }      // ended without a gap
  size_t window() const { return pending_.size(); }  // begun, and not covered by offset()

 private:
  struct Pending {
    uint64_t end;
    bool ended;
  };
  std::deque<Pending> pending_;
  uint64_t first_ticket_ = 0;  // of pending_.front()
  uint64_t offset_;
  uint64_t records_;
  bool frozen_ = false;
};

}  // namespace lariat::cli::transfer
