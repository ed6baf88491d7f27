// SPDX-License-Identifier: Apache-2.0
// The hybrid logical clock of one shard, with the persisted limit that keeps its stamps growing
// over a restart and a wall clock that was set back (M36): stamps are given out only below a limit
// that is already durable. The owner extends the limit ahead of need.
#pragma once

#include "base/check.h"
#include "base/result.h"
#include "causal/hlc.h"

namespace lariat::replica {

class Clock {
 public:
  // `floor`: the durable limit of the last run. No stamp is given out until SetLimit.
  Clock(causal::HlcStamp floor, int64_t drift_max_ms) : hlc_(floor, drift_max_ms), limit_(floor) {}

  // The limit is durable now.
  void SetLimit(causal::HlcStamp limit) {
    if (limit > limit_) limit_ = limit;
  }
  // A new stamp, greater than every earlier and observed one, or kUnavailable when it would pass
  // the limit. `micros`: within now's millisecond.
  base::Result<causal::HlcStamp> Next(base::WallTime now, uint16_t micros = 0) {
    const causal::HlcStamp stamp = hlc_.Next(now, micros);
    if (stamp >= limit_) {
      return base::Fail(base::Code::kUnavailable,
                        "the clock's durable limit is reached; try again shortly");
    }
    return stamp;
  }
  // A stamp for a record that has one already, or that others have one for.
  struct Above {
    causal::HlcStamp stamp;
    // That other one is so far ahead that this clock does not follow it. A crash may forget that
    // the new one was given out: nobody may hear of it before it is durable.
    bool ahead = false;
  };
  base::Result<Above> NextAbove(causal::HlcStamp other, base::WallTime now, uint16_t micros) {
    if (!Follow(other, now)) return Above{{other.packed + 1}, true};
    auto next = Next(now, micros);
    if (!next) return base::Fail(std::move(next.error()));
    return Above{*next, false};
  }
  base::Status Observe(causal::HlcStamp stamp, base::WallTime now) {
    return hlc_.Observe(stamp, now);
  }
  // A peer's stamp for a record that has one already: just above that it is taken however far ahead
  // both are, for a coordinator has to be able to write above what it found.
  base::Status ObserveAbove(causal::HlcStamp stored, causal::HlcStamp stamp, base::WallTime now) {
    constexpr uint64_t kJust = 1024;  // 16 microseconds: no way to walk into the future
    if (stamp.packed <= stored.packed + kJust) {
      Follow(stamp, now);
      return {};
    }
    return hlc_.Observe(stamp, now);
  }
  // It was in the future. Nothing is given out before a limit above `now` is durable. Of the stamps
  // given out meanwhile records may have some: NextAbove goes above those.
  void TakeBack(causal::HlcStamp now) {
    hlc_ = causal::Hlc(now, hlc_.drift_max_ms());
    limit_ = now;
  }
  // The next stamp will be above this one, unless it is too far ahead; false then.
  bool Follow(causal::HlcStamp stamp, base::WallTime now) {
    return stamp <= hlc_.last() || hlc_.Observe(stamp, now).has_value();
  }
  causal::HlcStamp last() const { return hlc_.last(); }
  causal::HlcStamp limit() const { return limit_; }

 private:
  causal::Hlc hlc_;
  causal::HlcStamp limit_;
};

}  // namespace lariat::replica
