// SPDX-License-Identifier: Apache-2.0
// Two kinds of time that must not be mixed: Instant is monotonic and means nothing outside this
// process; WallTime is what people and replicated values see. Neither is read here: time comes in
// as an argument (env::Clock reads it).
#pragma once

#include <chrono>
#include <compare>
#include <cstdint>

namespace lariat::base {

using Duration = std::chrono::nanoseconds;

struct MonotonicEpoch {
  using duration = Duration;
  using rep = Duration::rep;
  using period = Duration::period;
  using time_point = std::chrono::time_point<MonotonicEpoch>;
  static constexpr bool is_steady = true;
};
using Instant = std::chrono::time_point<MonotonicEpoch, Duration>;

// Milliseconds since 1970-01-01 UTC.
struct WallTime {
  int64_t ms = 0;
  auto operator<=>(const WallTime&) const = default;
};

constexpr Duration Millis(int64_t n) { return std::chrono::milliseconds(n); }
constexpr Duration Seconds(int64_t n) { return std::chrono::seconds(n); }
constexpr double ToSeconds(Duration d) { return std::chrono::duration<double>(d).count(); }

}  // namespace lariat::base
