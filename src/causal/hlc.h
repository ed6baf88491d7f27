// SPDX-License-Identifier: Apache-2.0
// Hybrid logical clock (Kulkarni et al., "Logical Physical Clocks", OPODIS 2014): wall-clock
// milliseconds in the high 48 bits, a counter in the low 16, which begins at 65 times the
// microsecond within the millisecond: two nodes seldom meet in one stamp, and what came later has
// the greater one wherever clocks agree that well. Stamps of one node always grow, also
// when its wall clock goes back and over a restart: the owner persists a limit ahead of use and
// starts above it. A stamp too far in the future is refused, since once stored it could not be
// taken back. Time is an argument. A value type; not synchronized.
#pragma once

#include <algorithm>
#include <compare>
#include <cstdint>

#include "base/result.h"
#include "base/time.h"

namespace lariat::causal {

struct HlcStamp {
  uint64_t packed = 0;
  auto operator<=>(const HlcStamp&) const = default;
  int64_t WallMs() const { return static_cast<int64_t>(packed >> 16); }
  // A time that 48 bits do not hold becomes the nearest that they do: a client's far future must
  // not wrap into the past.
  static HlcStamp FromWallMs(int64_t ms, uint16_t counter = 0) {
    const int64_t held = std::clamp<int64_t>(ms, 0, kWallMsMax);
    return {(static_cast<uint64_t>(held) << 16) | counter};
  }

 private:
  static constexpr int64_t kWallMsMax = (int64_t{1} << 48) - 1;
};

// What tells one write of a kind ordered by clock from another: nodes do not use a stamp twice.
struct RegisterId {
  HlcStamp stamp;
  uint64_t node = 0;
  auto operator<=>(const RegisterId&) const = default;
};

class Hlc {
 public:
  // `floor`: the persisted limit of the last run (0 on a new node); every stamp is above it.
  Hlc(HlcStamp floor, int64_t drift_max_ms) : last_(floor), drift_max_ms_(drift_max_ms) {}
  // A new stamp, above every earlier one and every observed one. `micros`: within now's
  // millisecond.
  HlcStamp Next(base::WallTime now, uint16_t micros = 0);
  // Learns a stamp from a peer or a client. kInvalidArgument if it is more than the drift ahead of
  // `now`; then nothing changes.
  base::Status Observe(HlcStamp stamp, base::WallTime now);
  int64_t drift_max_ms() const { return drift_max_ms_; }
  HlcStamp last() const { return last_; }

 private:
  HlcStamp last_;
  int64_t drift_max_ms_;
};

}  // namespace lariat::causal
