// SPDX-License-Identifier: Apache-2.0
#include "causal/hlc.h"

#include <algorithm>
#include <limits>
#include <string>

#include "base/check.h"

namespace lariat::causal {

namespace {
constexpr uint16_t kCountsPerMicro = 65;  // 1000 times it still fits 16 bits
}  // namespace

HlcStamp Hlc::Next(base::WallTime now, uint16_t micros) {
  LARIAT_CHECK(last_.packed != std::numeric_limits<uint64_t>::max(), "the clock is used up");
  // One above the last stamp; past counter 65535 the addition carries into the next millisecond.
  const HlcStamp above{last_.packed + 1};
  const auto counter = static_cast<uint16_t>(std::min<uint16_t>(micros, 999) * kCountsPerMicro);
  const HlcStamp wall = HlcStamp::FromWallMs(now.ms, counter);
  last_ = std::max(above, wall);
  return last_;
}

base::Status Hlc::Observe(HlcStamp stamp, base::WallTime now) {
  const int64_t ahead_ms = stamp.WallMs() - now.ms;
  if (ahead_ms > drift_max_ms_) {
    return base::Fail(base::Code::kInvalidArgument, "the timestamp is " + std::to_string(ahead_ms) +
                                                        " ms in the future; at most " +
                                                        std::to_string(drift_max_ms_) +
                                                        " ms are accepted");
  }
  last_ = std::max(last_, stamp);
  return {};
}

}  // namespace lariat::causal
