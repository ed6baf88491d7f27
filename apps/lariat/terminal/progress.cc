// SPDX-License-Identifier: Apache-2.0
#include "apps/lariat/terminal/progress.h"

#include <fmt/format.h>

#include <algorithm>

#include "apps/lariat/terminal/text.h"

namespace lariat::cli {

Progress::Progress(std::string verb, uint64_t total, Show show)
    : verb_(std::move(verb)), total_(total), live_(show == Show::kNever) {}

double Progress::Seconds() const {
  return std::chrono::duration<double>(Clock::now() - start_).count();
}

std::string Progress::Bar(double share) {
  constexpr size_t kCells = 24;
  const auto full = static_cast<size_t>(std::clamp(share, 0.0, 1.0) * kCells);
  return "[" + std::string(full, '#') + std::string(kCells - full, '.') + "]";
}

std::string Progress::Line(const std::string& verb, uint64_t items, uint64_t done, uint64_t total,
                           double seconds, bool bar) {
  double rate = seconds > 0 ? static_cast<double>(items) / seconds : 0;
  std::string line = fmt::format("{} {} ({:.0f}/s)", verb, CountText(items), rate);
  if (total == 0) return line;
  double share = std::min(1.0, static_cast<double>(done) / static_cast<double>(total));
  if (bar) line += " " + Bar(share);
  line += fmt::format(" {:.0f} %", share * 100);
  if (share > 0 && share < 1) line += ", " + SecondsText(seconds / share - seconds) + " left";
  return line;
}

void Progress::Update(uint64_t items, uint64_t done) {
  if (live_.IsDue()) live_.Show(Line(verb_, items, done, total_, Seconds(), live_.terminal()));
}

}  // namespace lariat::cli
