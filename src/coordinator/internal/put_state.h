// SPDX-License-Identifier: Apache-2.0
// What one write knows of its replicas, and what follows from it: whether enough of each list hold
// the event, whether that can still be, and whether no read can have returned it (put_core.h has
// the argument). Judges, and changes nothing. Pure.
#pragma once

#include <cstdint>
#include <vector>

#include "causal/lww.h"
#include "coordinator/lists.h"

namespace lariat::coordinator {

// What each list has to have.
struct PutNeeds {
  uint32_t w = 1;
  uint32_t pw = 0;  // of them primaries: matters where fallbacks are
  // Replicas that have to have held it; 0: its order does not matter.
  uint32_t held = 0;
  uint32_t unread = 0;  // that never held it, so that no read has returned it
};

struct PutState {
  enum class At : uint8_t { kUnreachable, kIdle, kSent, kAcked, kFailed };
  struct Replica {
    At state = At::kIdle;
    At fallback = At::kIdle;  // of the last fallback that was asked for it
    causal::Standing standing = causal::Standing::kHeld;  // if kAcked
    ListSet set = kInRead;
    bool owed = false;

    bool Held() const { return state == At::kAcked || fallback == At::kAcked; }
    bool Pending() const { return state == At::kSent || fallback == At::kSent; }
  };
  struct Tally {
    uint32_t held = 0, primaries = 0;          // acknowledged
    uint32_t may_hold = 0, may_primaries = 0;  // with those that still can be
    uint32_t stood = 0, may_stand = 0;         // acknowledged and held it
    uint32_t never = 0, may_never = 0;         // never held it; others than the coordinator
    bool unshown_self = false;                 // the coordinator may count as one of these
  };

  size_t self = 0;  // the coordinator's index among the replicas
  PerList<PutNeeds> needs;
  ListSet lists = kInRead;  // those that there are
  std::vector<Replica> replicas;
  bool has_fallbacks = false;  // they stand in once there is an event
  bool updated = false;        // there is one
  bool ordered = false;        // its order matters
  bool overtaken = false;      // some replica told of a greater one, in this round
  bool self_unshown = true;    // as far as is known

  Replica& own() { return replicas[self]; }
  const Replica& own() const { return replicas[self]; }
  void SetLists(const PerList<PutNeeds>& now, const std::vector<ListSet>& sets);

  Tally Count(size_t list) const;
  bool Met(size_t list) const;
  // The first list that is not met; kListsMax if all are.
  size_t Unmet() const;
  // Too few of some list are left.
  bool Lost() const;
  // No read has returned the event; or none, `unless_shown` by the coordinator.
  bool Restampable(bool* unless_shown) const;

 private:
  bool Lost(size_t list) const;
  bool Restampable(size_t list, bool* unless_shown) const;
};

}  // namespace lariat::coordinator
