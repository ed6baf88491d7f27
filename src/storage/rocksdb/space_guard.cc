// SPDX-License-Identifier: Apache-2.0
#include "storage/rocksdb/internal/space_guard.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace lariat::storage::internal {

SpaceGuard::SpaceGuard(std::function<uint64_t()> measure, uint64_t reserve_bytes)
    : measure_(std::move(measure)), reserve_(reserve_bytes) {
  Measure();
}

bool SpaceGuard::Admit(size_t bytes) {
  if (reserve_ == 0) return true;
  if (full()) return false;
  const auto size = static_cast<int64_t>(bytes);
  if (budget_.fetch_sub(size, std::memory_order_relaxed) < size) Measure();
  return !full();
}

void SpaceGuard::Measure() {
  if (reserve_ == 0) return;
  const uint64_t free = measure_();
  // Hysteresis: a disk around the limit must not flap.
  if (free < reserve_) full_.store(true, std::memory_order_relaxed);
  if (free >= reserve_ + reserve_ / 4) full_.store(false, std::memory_order_relaxed);
  const uint64_t spare = free < reserve_ ? 0 : free - reserve_;
  const auto limit = static_cast<uint64_t>(std::numeric_limits<int64_t>::max());
  budget_.store(static_cast<int64_t>(std::min(spare, limit)), std::memory_order_relaxed);
}

}  // namespace lariat::storage::internal
