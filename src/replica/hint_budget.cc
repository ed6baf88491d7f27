// SPDX-License-Identifier: Apache-2.0
#include "replica/hint_budget.h"

#include <algorithm>

namespace lariat::replica {

void HintBudget::SetLimits(HintLimits limits) {
  per_target_max_ = limits.bytes_per_target;
  total_max_ = limits.bytes_total;
}

// Numbers of members are random, so they spread over the table by themselves.
const HintBudget::Slot* HintBudget::Find(uint64_t target) const {
  for (size_t i = 0; i < kTargetsMax; ++i) {
    const Slot& slot = slots_[(target + i) % kTargetsMax];
    const uint64_t held = slot.target.load();
    if (held == target) return &slot;
    if (held == 0) return nullptr;
  }
  return nullptr;
}

HintBudget::Slot* HintBudget::FindOrMake(uint64_t target) {
  for (size_t i = 0; i < kTargetsMax; ++i) {
    Slot& slot = slots_[(target + i) % kTargetsMax];
    uint64_t held = 0;
    if (slot.target.compare_exchange_strong(held, target) || held == target) return &slot;
  }
  return nullptr;
}

bool HintBudget::Reserve(uint64_t target, int64_t bytes) {
  Slot* slot = FindOrMake(target);
  if (slot == nullptr) return false;
  // Taken first and looked at then: of two that race at least one sees both.
  const int64_t of_target = slot->reserved.fetch_add(bytes) + bytes + slot->bytes.load();
  const int64_t of_all = reserved_.fetch_add(bytes) + bytes + bytes_.load();
  // What makes nothing larger is welcome although a limit was lowered meanwhile.
  const bool fits = of_target <= per_target_max_.load() && of_all <= total_max_.load();
  if (fits || bytes <= 0) return true;
  Release(target, bytes);
  return false;
}

void HintBudget::Release(uint64_t target, int64_t bytes) {
  Slot* slot = FindOrMake(target);
  if (slot == nullptr) return;
  slot->reserved -= bytes;
  reserved_ -= bytes;
}

void HintBudget::Count(const HintFigures& change) {
  Slot* slot = FindOrMake(change.target);
  if (slot == nullptr) return;  // found at the start, of more targets than there is room for
  hints_ += change.hints;
  bytes_ += change.bytes;
  slot->bytes += change.bytes;
  const int64_t left = slot->hints += change.hints;
  if (left == 0) {
    slot->oldest_ms = 0;
  } else if (change.hints > 0) {
    int64_t oldest = slot->oldest_ms.load();
    while ((oldest == 0 || change.oldest_ms < oldest) &&
           !slot->oldest_ms.compare_exchange_weak(oldest, change.oldest_ms)) {
    }
  }
}

std::vector<HintFigures> HintBudget::Targets() const {
  std::vector<HintFigures> found;
  for (const Slot& slot : slots_) {
    const HintFigures figures = {slot.target.load(), slot.hints.load(), slot.bytes.load(),
                                 slot.oldest_ms.load()};
    if (figures.target != 0 && (figures.hints > 0 || slot.reserved.load() > 0)) {
      found.push_back(figures);
    }
  }
  std::sort(found.begin(), found.end(),
            [](const auto& a, const auto& b) { return a.target < b.target; });
  return found;
}

void HintBudget::SetOldest(uint64_t target, int64_t oldest_ms) {
  if (Slot* slot = FindOrMake(target)) slot->oldest_ms = oldest_ms;
}

void HintBudget::SetDelivering(uint64_t target, bool on) {
  if (Slot* slot = FindOrMake(target)) slot->delivering = on;
}

bool HintBudget::Delivering(uint64_t target) const {
  const Slot* slot = Find(target);
  return slot != nullptr && slot->delivering.load();
}

}  // namespace lariat::replica
