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
  // the limit.
  base::Result<causal::HlcStamp> Next(base::WallTime now) {
    const causal::HlcStamp stamp = hlc_.Next(now);
    if (stamp >= limit_) {
      return base::Fail(base::Code::kUnavailable,
                        "the clock's durable limit is reached; try again shortly");
    }
    return stamp;
  }
  base::Status Observe(causal::HlcStamp stamp, base::WallTime now) {
    return hlc_.Observe(stamp, now);
  }
  // The next stamp will be above this one, which this node has accepted before.
  void Raise(causal::HlcStamp stamp) {
    const auto accepted = hlc_.Observe(stamp, {stamp.WallMs()});
    LARIAT_CHECK(accepted.has_value(), "a stamp is not ahead of its own time");
  }
  causal::HlcStamp last() const { return hlc_.last(); }
  causal::HlcStamp limit() const { return limit_; }

 private:
  causal::Hlc hlc_;
  causal::HlcStamp limit_;
};

}  // namespace lariat::replica
