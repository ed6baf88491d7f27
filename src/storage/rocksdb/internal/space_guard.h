// SPDX-License-Identifier: Apache-2.0
// Keeps a reserve of free disk space, so that writes are refused in good order before the log
// breaks (after a failed append to a log nobody can promise anything any more). Half of it is for
// deletes, without which nothing could be freed; the other half is for the log that is open and for
// flush and compaction, which do the freeing.
//
// A write measures the free space if nobody did in the last 10 ms, for others may fill the disk
// too; between two measurements every write takes its bytes off a budget, and who finds the budget
// spent measures at once. So no burst runs through the reserve unseen, and a write usually costs
// one atomic subtraction. Thread-safe.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>

namespace lariat::storage::internal {

// Who may write: all down to the reserve, deletes down to half of it.
enum class Purpose : uint8_t { kAny, kDelete };

class SpaceGuard {
 public:
  // `measure` gives the free bytes and is called on any thread. reserve 0: everything is admitted.
  SpaceGuard(std::function<uint64_t()> measure, uint64_t reserve_bytes, uint64_t now_ns);

  // May a write of this size go ahead?
  bool Admit(size_t bytes, uint64_t now_ns, Purpose purpose = Purpose::kAny);
  void Measure(uint64_t now_ns);
  bool full(Purpose purpose = Purpose::kAny) const {
    return levels_[static_cast<size_t>(purpose)].full.load(std::memory_order_relaxed);
  }
  uint64_t reserve(Purpose purpose) const { return levels_[static_cast<size_t>(purpose)].reserve; }
  uint64_t free_bytes() const { return free_.load(std::memory_order_relaxed); }

 private:
  struct Level {
    uint64_t reserve = 0;
    std::atomic<int64_t> budget{0};
    std::atomic<bool> full{false};
    void Set(uint64_t free);
  };

  const std::function<uint64_t()> measure_;
  std::array<Level, 2> levels_;  // by purpose
  std::atomic<uint64_t> measured_ns_{0};
  std::atomic<uint64_t> free_{0};
};

}  // namespace lariat::storage::internal
