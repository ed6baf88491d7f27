// SPDX-License-Identifier: Apache-2.0
// How many hints a node keeps and may keep, for each target and in all: one for the node, shared by
// its shards. Room is reserved before a hint is staged, so that the limits hold whatever is on its
// way into the engine, and the hint is counted when it is there.
//
// Thread-safe, without locks: a fixed table of atomic figures.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <vector>

namespace lariat::replica {

struct HintLimits {
  int64_t bytes_per_target = int64_t{1} << 60;
  int64_t bytes_total = int64_t{1} << 60;
};

// What is kept for one target, keys included.
struct HintFigures {
  uint64_t target = 0;
  int64_t hints = 0;
  int64_t bytes = 0;
  int64_t oldest_ms =
      0;  // wall clock; no hint is older, but it may have been delivered; 0: unknown
};

class HintBudget {
 public:
  // Members that ever got a hint since the start; more are refused.
  static constexpr size_t kTargetsMax = 1024;

  void SetLimits(HintLimits limits);
  // False: a limit is reached. What was reserved is given back by Release.
  bool Reserve(uint64_t target, int64_t bytes);
  void Release(uint64_t target, int64_t bytes);
  // Changes what is known to be in the engine. `oldest_ms`: of what is added.
  void Count(const HintFigures& change);

  // Those for which there are hints, or soon will be.
  std::vector<HintFigures> Targets() const;
  int64_t hints() const { return hints_.load(std::memory_order_relaxed); }
  int64_t bytes() const { return bytes_.load(std::memory_order_relaxed); }
  // Every hint of the target was looked at, and this was the oldest.
  void SetOldest(uint64_t target, int64_t oldest_ms);

  // Somebody may have read what the target's hints stand for and be about to remove them: from now
  // on a reference that is owed once more has to say so.
  void SetDelivering(uint64_t target, bool on);
  bool Delivering(uint64_t target) const;

 private:
  struct Slot {
    std::atomic<uint64_t> target{0};  // 0: free; never given back
    std::atomic<int64_t> hints{0};
    std::atomic<int64_t> bytes{0};
    std::atomic<int64_t> reserved{0};
    std::atomic<int64_t> oldest_ms{0};
    std::atomic<bool> delivering{false};
  };
  const Slot* Find(uint64_t target) const;
  Slot* FindOrMake(uint64_t target);

  std::array<Slot, kTargetsMax> slots_;
  std::atomic<int64_t> hints_{0};
  std::atomic<int64_t> bytes_{0};
  std::atomic<int64_t> reserved_{0};
  std::atomic<int64_t> per_target_max_{HintLimits().bytes_per_target};
  std::atomic<int64_t> total_max_{HintLimits().bytes_total};
};

}  // namespace lariat::replica
