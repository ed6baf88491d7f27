// SPDX-License-Identifier: Apache-2.0
#include "apps/lariat/terminal/live_line.h"

#include <unistd.h>

#include "apps/lariat/terminal/output.h"
#include "apps/lariat/terminal/text.h"

namespace lariat::cli {

namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::milliseconds kRewrite{200};
constexpr std::chrono::milliseconds kNewLine{5000};

}  // namespace

LiveLine::LiveLine(bool silent)
    : silent_(silent),
      terminal_(IsTerminal(STDERR_FILENO)),
      next_(Clock::now() + std::chrono::seconds(terminal_ ? 1 : 5)) {}

LiveLine::~LiveLine() { Finish(); }

void LiveLine::Show(const std::string& text) {
  if (silent_) return;
  next_ = Clock::now() + (terminal_ ? kRewrite : kNewLine);
  if (terminal_) {
    Tell("\r{}\x1b[K", Clip(text, TerminalColumns(STDERR_FILENO)));
  } else {
    Tell("{}\n", text);
  }
  open_ = terminal_;
}

void LiveLine::Finish() {
  if (open_) Tell("\r\x1b[K");
  open_ = false;
}

}  // namespace lariat::cli
