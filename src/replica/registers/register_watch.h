// SPDX-License-Identifier: Apache-2.0
// What one shard remembers of the registers (kind lww) that it held lately: enough to say of a
// register that comes when a greater one is stored whether it was this replica's value before, and
// of one that this node made whether anybody was shown it. A coordinator orders its write by these
// answers (coordinator/put_core.h), so they are facts about this replica alone and never guesses:
// what was forgotten, or may have happened in an earlier run, is "unsure".
//
//   5 from B stored, 6 from C takes its place   remembers (key, 5, B)
//   5 from B comes again                        kHeld: it was the value here
//   4 from B comes                              kNeverHeld: 5 was there first, 4 is not remembered
//
// The values that one key had here only grow, so the newest memory of the key that is not above the
// register in question decides. Two fixed tables: a ring of what was replaced, written in order,
// and a slot by hash for what this node made. A value type for one shard's thread.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/hash.h"
#include "base/time.h"
#include "causal/lww.h"

namespace lariat::replica {

class RegisterWatch {
 public:
  // `since`: nothing is known of registers with this stamp or a lesser one.
  explicit RegisterWatch(causal::HlcStamp since, size_t ring_max = kRingMax)
      : forgotten_(since), ring_max_(ring_max) {}

  static uint64_t HashOf(std::string_view data_key) { return base::Hash64(data_key); }

  // The register was the key's value and gives way to a greater one.
  void OnReplaced(uint64_t key, const causal::RegisterId& id, base::WallTime now);
  // The register came and a greater one is stored.
  causal::Standing StandingOf(uint64_t key, const causal::RegisterId& id, base::WallTime now) const;
  // Whether nothing is known of times when a register with this stamp was new.
  bool IsForgotten(causal::HlcStamp stamp) const { return stamp <= forgotten_; }

  // It is to be as if it had never been here. REQUIRES: this node made it, and replaced it.
  void Withdraw(uint64_t key, const causal::RegisterId& id);

  void OnMade(uint64_t key, const causal::RegisterId& id);
  // A read was given it, or was told that it is held here.
  void OnShown(uint64_t key, const causal::RegisterId& id);
  // Of a register that this node made. True also if it is not known any more.
  bool MayHaveBeenShown(uint64_t key, const causal::RegisterId& id) const;

 private:
  static constexpr size_t kRingMax = 32768;
  static constexpr size_t kSlots = 2048;
  // No request lives as long (coordinator::kTimeoutMsMax), its clock's error included. What is
  // older is neither remembered nor judged, so that keys written seldom do not push out the others.
  static constexpr int64_t kOldMs = 1'200'000;

  struct Memory {
    uint64_t key = 0;
    causal::RegisterId id;
  };
  struct Made {
    uint64_t key = 0;
    causal::RegisterId id;
    bool shown = true;
  };

  causal::HlcStamp forgotten_;
  size_t ring_max_;
  std::vector<Memory> ring_;
  size_t next_ = 0;         // where the oldest is overwritten, once the ring is full
  std::vector<Made> made_;  // empty until the first
};

}  // namespace lariat::replica
