// SPDX-License-Identifier: Apache-2.0
#include "storage/rocksdb/internal/space_guard.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace lariat::storage::internal {
namespace {

constexpr uint64_t kStaleNanoseconds = 10'000'000;

}  // namespace

SpaceGuard::SpaceGuard(std::function<uint64_t()> measure, uint64_t reserve_bytes, uint64_t now_ns)
    : measure_(std::move(measure)) {
  levels_[0].reserve = reserve_bytes;
  levels_[1].reserve = reserve_bytes / 2;
  Measure(now_ns);
}

bool SpaceGuard::Admit(size_t bytes, uint64_t now_ns, Purpose purpose) {
  Level& level = levels_[static_cast<size_t>(purpose)];
  if (level.reserve == 0) return true;
  if (full(purpose)) return false;
  const auto size = static_cast<int64_t>(bytes);
  const bool spent = level.budget.fetch_sub(size, std::memory_order_relaxed) < size;
  const bool stale = now_ns - measured_ns_.load(std::memory_order_relaxed) > kStaleNanoseconds;
  if (spent || stale) Measure(now_ns);
  return !full(purpose);
}

void SpaceGuard::Measure(uint64_t now_ns) {
  measured_ns_.store(now_ns, std::memory_order_relaxed);  // first: one of many writers measures
  const uint64_t free = measure_();
  free_.store(free, std::memory_order_relaxed);
  for (Level& level : levels_) level.Set(free);
}

void SpaceGuard::Level::Set(uint64_t free) {
  // Hysteresis: a disk around the limit must not flap.
  if (free < reserve) full.store(true, std::memory_order_relaxed);
  if (free >= reserve + reserve / 4) full.store(false, std::memory_order_relaxed);
  const uint64_t spare = free < reserve ? 0 : free - reserve;
  const auto limit = static_cast<uint64_t>(std::numeric_limits<int64_t>::max());
  budget.store(static_cast<int64_t>(std::min(spare, limit)), std::memory_order_relaxed);
}

}  // namespace lariat::storage::internal
