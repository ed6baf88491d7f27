// SPDX-License-Identifier: Apache-2.0
// Keeps a reserve of free disk space, so that writes are refused in good order before the log
// breaks (after a failed append to a log nobody can promise anything any more).
//
// The free space is measured now and then; between two measurements every write takes its bytes off
// a budget, and who finds the budget spent measures at once. So a burst cannot run through the
// reserve unseen, and a write usually costs one atomic subtraction. Thread-safe.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>

namespace lariat::storage::internal {

class SpaceGuard {
 public:
  // `measure` gives the free bytes and is called on any thread. reserve 0: everything is admitted.
  SpaceGuard(std::function<uint64_t()> measure, uint64_t reserve_bytes);

  // May a write of this size go ahead?
  bool Admit(size_t bytes);
  void Measure();
  bool full() const { return full_.load(std::memory_order_relaxed); }

 private:
  const std::function<uint64_t()> measure_;
  const uint64_t reserve_;
  std::atomic<int64_t> budget_{0};
  std::atomic<bool> full_{false};
};

}  // namespace lariat::storage::internal
