// SPDX-License-Identifier: Apache-2.0
// The clock of a shard, judged by the time of the other members: a wall clock that is further from
// it than limits.clock_drift_ms is not believed, and everything in the node goes by the members'
// time meanwhile: stamps, expiries, ages of hints, what is purged. The monotonic clock carries that
// time on between answers, so that a jump is noticed when it is first looked at.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <string>

#include "base/result.h"
#include "env/env.h"

namespace lariat::peers {

// What shard 0 knows of the members' time, for all shards. Thread-safe.
class PeerTime {
 public:
  explicit PeerTime(int64_t limit_ms) : limit_us_(limit_ms * 1000) {}

  // Wall clock minus monotonic clock in microseconds; nothing: not known.
  void Set(std::optional<int64_t> difference_us) {
    difference_us_.store(difference_us.value_or(kUnknown), std::memory_order_relaxed);
  }
  void SetLimit(int64_t limit_ms) { limit_us_.store(limit_ms * 1000, std::memory_order_relaxed); }
  int64_t difference_us() const { return difference_us_.load(std::memory_order_relaxed); }
  int64_t limit_us() const { return limit_us_.load(std::memory_order_relaxed); }
  // While the time is not known: whether there is somebody who could tell it.
  void SetWaiting(bool waiting) { waiting_.store(waiting, std::memory_order_relaxed); }
  bool waiting() const { return waiting_.load(std::memory_order_relaxed); }
  static constexpr int64_t kUnknown = std::numeric_limits<int64_t>::min();

 private:
  std::atomic<int64_t> difference_us_{kUnknown};
  std::atomic<int64_t> limit_us_;
  std::atomic<bool> waiting_{false};
};

// One shard's thread only.
class JudgedClock final : public env::Clock {
 public:
  JudgedClock(const env::Clock& own, const PeerTime& peers) : own_(own), peers_(peers) {}

  base::Instant Now() const override { return own_.Now(); }
  base::WallTime Wall() const override { return {WallMicros() / 1000}; }
  int64_t WallMicros() const override {
    const int64_t own_us = own_.WallMicros();
    const int64_t step_us = own_us - last_us_;
    last_us_ = own_us;
    // The loop looks at the clock every few milliseconds.
    if (step_us < 0 || step_us > kUsualStepUs) JudgeAt(own_us);
    return own_us + correction_us_;
  }
  int64_t OwnMicros() const { return own_.WallMicros(); }  // whatever the others say
  // What stamps of others are judged by: the members' time where the own clock is behind it. So two
  // nodes whose clocks are wrong the other way, each within the limit, take each other's stamps.
  base::WallTime Latest() const {
    const int64_t wall_us = WallMicros();
    Judge();
    return {std::max(wall_us, wall_us - offset_us_ - correction_us_) / 1000};
  }
  // Every few milliseconds, and before something depends on it.
  void Judge() const { JudgeAt(own_.WallMicros()); }

  // How far the own clock is ahead of the members' time; 0 while that is not known.
  int64_t offset_us() const { return offset_us_; }
  bool IsWrong() const { return correction_us_ != 0; }
  bool IsKnown() const { return peers_.difference_us() != PeerTime::kUnknown; }
  // Whether stamps and expiries may be made by it, as it was judged last.
  base::Status Check() const {
    using base::Code;
    if (IsWrong()) {
      const int64_t ms = std::abs(offset_us_) / 1000;
      return base::Fail(Code::kClockOff,
                        "the clock of this node is " + std::to_string(ms) + " ms " +
                            (offset_us_ > 0 ? "ahead of" : "behind") +
                            " that of the other members; last-writer-wins and expiring writes are "
                            "refused here until it is right");
    }
    if (IsKnown() || !peers_.waiting()) return {};
    return base::Fail(Code::kClockOff,
                      "this node has not compared its clock with those of the other members yet");
  }
  // The same, judged now.
  base::Status CheckNow() const {
    Judge();
    return Check();
  }

 private:
  static constexpr int64_t kUsualStepUs = 200'000;

  void JudgeAt(int64_t own_us) const {
    const int64_t difference_us = peers_.difference_us();
    offset_us_ = 0;
    if (difference_us != PeerTime::kUnknown) {
      using std::chrono::microseconds;
      const auto now = std::chrono::duration_cast<microseconds>(own_.Now().time_since_epoch());
      offset_us_ = own_us - (difference_us + now.count());
    }
    correction_us_ = std::abs(offset_us_) > peers_.limit_us() ? -offset_us_ : 0;
  }

  const env::Clock& own_;
  const PeerTime& peers_;
  mutable int64_t last_us_ = 0;
  mutable int64_t offset_us_ = 0;
  mutable int64_t correction_us_ = 0;
};

}  // namespace lariat::peers
