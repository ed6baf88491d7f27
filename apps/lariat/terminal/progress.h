// SPDX-License-Identifier: Apache-2.0
// Progress on stderr: one line that is rewritten on a terminal, else a line each five seconds.
// Nothing is shown during the first second. Silent when asked to be.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace lariat::cli {

class Progress {
 public:
  enum class Show : uint8_t { kAuto, kNever };
  // `total` in the same unit as `done` of Update; 0 = not known.
  Progress(std::string verb, uint64_t total, Show show = Show::kAuto);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // `items` are counted in the rate; `done` (bytes, mostly) measures how far it is. Cheap.
  void Update(uint64_t items, uint64_t done);
  // Ends the line; called by the destructor too.
  void Finish();
  double Seconds() const;

  // The text of a line; pure.
  static std::string Line(const std::string& verb, uint64_t items, uint64_t done, uint64_t total,
                          double seconds, bool bar);

 private:
  using Clock = std::chrono::steady_clock;
  std::string verb_;
  uint64_t total_;
  bool silent_;
  bool terminal_;
  bool open_line_ = false;
  Clock::time_point start_ = Clock::now();
  Clock::time_point next_;
};

}  // namespace lariat::cli
