// SPDX-License-Identifier: Apache-2.0
// How far a transfer is, how fast it goes and how long it will still take. Pure.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>

#include "base/time.h"
#include "wire/messages.h"

namespace lariat::repair {

struct TransferProgress {
  uint64_t change = 0;
  uint64_t ranges_done = 0;
  uint64_t ranges_total = 0;
  uint64_t bytes = 0;  // keys and objects received and durable, those of earlier runs included
  uint64_t keys = 0;
  double fraction = 1;                 // of the token ranges
  double bytes_per_s = 0;              // over the last seconds
  std::optional<double> seconds_left;  // nothing while it cannot be said
  bool finished = false;
  std::string trouble;

  // Fills what is about streams.
  void FillReply(wire::ProgressReply* reply) const;
};

// Rates over the last seconds.
class ProgressMeter {
 public:
  // At most a few times a second counts; more often is ignored.
  void Note(uint64_t bytes, double fraction, base::Instant now);
  double BytesPerSecond(base::Instant now) const;
  std::optional<double> SecondsLeft(double fraction, base::Instant now) const;

 private:
  struct Sample {
    base::Instant at;
    uint64_t bytes;
    double fraction;
  };
  std::deque<Sample> samples_;
};

}  // namespace lariat::repair
