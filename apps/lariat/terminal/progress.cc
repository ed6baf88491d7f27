// SPDX-License-Identifier: Apache-2.0
#include "apps/lariat/terminal/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "apps/lariat/terminal/text.h"

namespace lariat::cli {

Progress::Progress(std::string verb, uint64_t total, Show show)
    : verb_(std::move(verb)),
      total_(total),
      silent_(show == Show::kNever),
      terminal_(IsTerminal(STDERR_FILENO)),
      next_(start_ + std::chrono::seconds(terminal_ ? 1 : 5)) {}

Progress::~Progress() { Finish(); }

double Progress::Seconds() const {
  return std::chrono::duration<double>(Clock::now() - start_).count();
}

std::string Progress::Line(const std::string& verb, uint64_t items, uint64_t done, uint64_t total,
                           double seconds, bool bar) {
  double rate = seconds > 0 ? static_cast<double>(items) / seconds : 0;
  std::string line = fmt::format("{} {} ({:.0f}/s)", verb, CountText(items), rate);
  if (total == 0) return line;
  double share = std::min(1.0, static_cast<double>(done) / static_cast<double>(total));
  if (bar) {
    constexpr size_t kCells = 24;
    auto full = static_cast<size_t>(share * kCells);
    line += " [" + std::string(full, '#') + std::string(kCells - full, '.') + "]";
  }
  line += fmt::format(" {:.0f} %", share * 100);
  if (share > 0 && share < 1) line += ", " + SecondsText(seconds / share - seconds) + " left";
  return line;
}

void Progress::Update(uint64_t items, uint64_t done) {
  if (silent_) return;
  auto now = Clock::now();
  if (now < next_) return;
  next_ = now + (terminal_ ? std::chrono::milliseconds(200) : std::chrono::milliseconds(5000));
  std::string line = Line(verb_, items, done, total_, Seconds(), terminal_);
  fmt::print(stderr, "{}{}{}", terminal_ ? "\r" : "", line, terminal_ ? "\x1b[K" : "\n");
  std::fflush(stderr);
  open_line_ = terminal_;
}

void Progress::Finish() {
  if (open_line_) fmt::print(stderr, "\r\x1b[K");
  open_line_ = false;
}

}  // namespace lariat::cli
