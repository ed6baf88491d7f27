// SPDX-License-Identifier: Apache-2.0
// Keeps a reserve of free disk space, so that writes are refused in good order before the log
// breaks (after a failed append to a log nobody can promise anything any more).
//
// A write measures the free space if nobody did in the last 10 ms, for others may fill the disk
// too; between two measurements every write takes its bytes off a budget, and who finds the budget
// spent measures at once. So no burst runs through the reserve unseen, and a write usually costs
// one atomic subtraction. Thread-safe.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>

namespace lariat::storage::internal {

class SpaceGuard {
 public:
  // `measure` gives the free bytes and is called on any thread. reserve 0: everything is admitted.
  SpaceGuard(std::function<uint64_t()> measure, uint64_t reserve_bytes, uint64_t now_ns);

  // May a write of this size go ahead?
  bool Admit(size_t bytes, uint64_t now_ns);
  void Measure(uint64_t now_ns);
  bool full() const { return full_.load(std::memory_order_relaxed); }

 private:
  const std::function<uint64_t()> measure_;
  const uint64_t reserve_;
  std::atomic<int64_t> budget_{0};
  std::atomic<uint64_t> measured_ns_{0};
  std::atomic<bool> full_{false};
};

}  // namespace lariat::storage::internal
