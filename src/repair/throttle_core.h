// SPDX-License-Identifier: Apache-2.0
// How fast background copying may go: a fixed limit in bytes, of which others may have a share (the
// engine's compaction), and a second one that follows the latency of the clients' requests (halved
// while they are slow, growing slowly while they are not, doubled while they are far from it or
// there are none, gone once it does not bind any more).
// Pure; time is an argument.
#pragma once

#include <cstdint>
#include <optional>

#include "base/time.h"

namespace lariat::repair {

struct ThrottleOptions {
  uint64_t bytes_per_s = 0;              // 0: no fixed limit
  base::Duration latency_max{};          // 0: the clients' latency does not matter
  uint64_t floor_bytes_per_s = 1 << 20;  // never slower than this because of latency
};

class Throttle {
 public:
  explicit Throttle(ThrottleOptions options) : options_(options) {}

  void SetOptions(ThrottleOptions options) { options_ = options; }
  // Whether more may be moved now, of any size: what is too much is paid back by waiting.
  bool MayGo(base::Instant now);
  void Take(uint64_t bytes, base::Instant now);
  void Return(uint64_t bytes, base::Instant now);  // taken, but not used after all
  // Once a second: the mean or a percentile of the clients' requests since the last call; nothing
  // if there were none.
  void OnLatency(std::optional<base::Duration> latency, base::Instant now);
  // Bytes that others moved so far, of the same fixed limit; asked about as often. What they moved
  // since the last call is left to them until the next one, but a quarter of the limit stays.
  void OnOthers(uint64_t bytes_total, base::Instant now);
  // The smaller of both limits; 0: none.
  uint64_t Rate() const;

 private:
  void Refill(base::Instant now);
  uint64_t FixedRate() const;

  ThrottleOptions options_;
  double latency_rate_ = 0;  // the second limit; 0: none
  double tokens_ = 0;        // may be below zero
  std::optional<base::Instant> refilled_;
  double others_ = 0;  // bytes per second of the fixed limit that others use
  uint64_t others_total_ = 0;
  std::optional<base::Instant> others_asked_;
  int64_t spent_ = 0;  // since the last OnLatency; what is returned late makes it negative
  std::optional<base::Instant> measured_;
};

}  // namespace lariat::repair
