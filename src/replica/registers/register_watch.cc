// SPDX-License-Identifier: Apache-2.0
#include "replica/registers/register_watch.h"

#include <algorithm>

namespace lariat::replica {

using causal::RegisterId;
using causal::Standing;

void RegisterWatch::OnReplaced(uint64_t key, const RegisterId& id, base::WallTime now) {
  if (id.stamp.WallMs() < now.ms - kOldMs) return;
  if (ring_.size() < ring_max_) {
    ring_.push_back({key, id});
    return;
  }
  Memory& oldest = ring_[next_];
  forgotten_ = std::max(forgotten_, oldest.id.stamp);
  oldest = {key, id};
  next_ = (next_ + 1) % ring_max_;
}

Standing RegisterWatch::StandingOf(uint64_t key, const RegisterId& id, base::WallTime now) const {
  if (id.stamp.WallMs() < now.ms - kOldMs) return Standing::kUnsure;
  for (size_t i = ring_.size(); i > 0; --i) {
    const Memory& memory = ring_[(next_ + i - 1) % ring_.size()];
    if (memory.key != key) continue;
    if (memory.id == id) return Standing::kHeld;
    if (memory.id < id) return Standing::kNeverHeld;  // it would have come later, and be known
  }
  return IsForgotten(id.stamp) ? Standing::kUnsure : Standing::kNeverHeld;
}

void RegisterWatch::Withdraw(uint64_t key, const RegisterId& id) {
  for (Memory& memory : ring_) {
    if (memory.key == key && memory.id == id) memory = Memory{};
  }
}

void RegisterWatch::OnMade(uint64_t key, const RegisterId& id) {
  if (made_.empty()) made_.resize(kSlots);
  made_[key % kSlots] = {key, id, false};
}

void RegisterWatch::OnShown(uint64_t key, const RegisterId& id) {
  if (made_.empty()) return;
  Made& made = made_[key % kSlots];
  if (made.key == key && made.id == id) made.shown = true;
}

bool RegisterWatch::MayHaveBeenShown(uint64_t key, const RegisterId& id) const {
  if (made_.empty()) return true;
  const Made& made = made_[key % kSlots];
  return made.key != key || made.id != id || made.shown;
}

}  // namespace lariat::replica
