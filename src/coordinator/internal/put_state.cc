// SPDX-License-Identifier: Apache-2.0
#include "coordinator/internal/put_state.h"

namespace lariat::coordinator {

using causal::Standing;

void PutState::SetLists(const PerList<PutNeeds>& now, const std::vector<ListSet>& sets) {
  needs = now;
  lists = kInRead;
  for (const ListSet set : sets) lists |= set;
}

PutState::Tally PutState::Count(size_t list) const {
  Tally tally;
  for (const Replica& replica : replicas) {
    if (!IsIn(replica.set, list)) continue;
    const bool primary = replica.state == At::kAcked;
    const bool may_be =
        primary || replica.state == At::kSent || (!updated && replica.state == At::kIdle);
    tally.primaries += primary ? 1 : 0;
    tally.held += replica.Held() ? 1 : 0;
    tally.may_primaries += may_be ? 1 : 0;
    tally.may_hold +=
        may_be || replica.Held() || replica.Pending() || (!updated && has_fallbacks) ? 1 : 0;
    const bool is_own = &replica == &own();
    const bool open = may_be && !primary;
    tally.stood += primary && replica.standing == Standing::kHeld ? 1 : 0;
    // Of its own the coordinator knows before it is durable.
    const bool may_stand = open && !(is_own && updated && replica.standing != Standing::kHeld);
    tally.may_stand += may_stand || (primary && replica.standing == Standing::kHeld) ? 1 : 0;
    const bool never = !is_own && primary && replica.standing == Standing::kNeverHeld;
    tally.never += never ? 1 : 0;
    tally.may_never += never || (open && !is_own) ? 1 : 0;
    if (is_own) tally.unshown_self = self_unshown;
  }
  return tally;
}

bool PutState::Met(size_t list) const {
  const Tally tally = Count(list);
  const PutNeeds& need = needs[list];
  const bool in_order = !ordered || tally.stood >= need.held;
  return tally.held >= need.w && tally.primaries >= need.pw && in_order;
}

size_t PutState::Unmet() const {
  size_t list = 0;
  while (list < kListsMax && (!IsIn(lists, list) || Met(list))) ++list;
  return list;
}

bool PutState::Lost(size_t list) const {
  const Tally tally = Count(list);
  const PutNeeds& need = needs[list];
  if (tally.may_hold < need.w || tally.may_primaries < need.pw) return true;
  if (!ordered || tally.may_stand >= need.held) return false;
  const uint32_t may_never = tally.may_never + (tally.unshown_self ? 1 : 0);
  const bool may_hear = overtaken || tally.may_never > tally.never;
  return may_never < need.unread || !may_hear;
}

bool PutState::Lost() const {
  for (size_t list = 0; list < kListsMax; ++list) {
    if (IsIn(lists, list) && Lost(list)) return true;
  }
  return false;
}

bool PutState::Restampable(size_t list, bool* unless_shown) const {
  const Tally tally = Count(list);
  if (tally.never >= needs[list].unread) return true;
  *unless_shown = true;
  return tally.unshown_self && tally.never + 1 >= needs[list].unread;
}

bool PutState::Restampable(bool* unless_shown) const {
  for (size_t list = 0; list < kListsMax; ++list) {
    if (IsIn(lists, list) && !Restampable(list, unless_shown)) return false;
  }
  return true;
}

}  // namespace lariat::coordinator
