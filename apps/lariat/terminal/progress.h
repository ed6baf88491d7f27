// SPDX-License-Identifier: Apache-2.0
// Progress of something that is counted here, as a LiveLine. Silent when asked to be.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "apps/lariat/terminal/live_line.h"

namespace lariat::cli {

class Progress {
 public:
  enum class Show : uint8_t { kAuto, kNever };
  // `total` in the same unit as `done` of Update; 0 = not known.
  Progress(std::string verb, uint64_t total, Show show = Show::kAuto);

  // `items` are counted in the rate; `done` (bytes, mostly) measures how far it is. Cheap.
  void Update(uint64_t items, uint64_t done);
  // Ends the line; so does the destructor.
  void Finish() { live_.Finish(); }
  double Seconds() const;

  // "[######......................]"; `share` of it from 0 to 1. Pure.
  static std::string Bar(double share);
  // The text of a line; pure.
  static std::string Line(const std::string& verb, uint64_t items, uint64_t done, uint64_t total,
                          double seconds, bool bar);

 private:
  using Clock = std::chrono::steady_clock;
  std::string verb_;
  uint64_t total_;
  LiveLine live_;
  Clock::time_point start_ = Clock::now();
};

}  // namespace lariat::cli
