// SPDX-License-Identifier: Apache-2.0
// One line on stderr that is rewritten on a terminal; elsewhere a new line each five seconds.
// Nothing is shown during the first second, nor ever if it is told to be silent.
#pragma once

#include <chrono>
#include <string>

namespace lariat::cli {

class LiveLine {
 public:
  explicit LiveLine(bool silent);
  ~LiveLine();
  LiveLine(const LiveLine&) = delete;
  LiveLine& operator=(const LiveLine&) = delete;

  bool terminal() const { return terminal_; }
  // Whether it is time for a new text. Cheap.
  bool IsDue() const { return !silent_ && std::chrono::steady_clock::now() >= next_; }
  void Show(const std::string& text);
  // Ends the line; called by the destructor too.
  void Finish();

 private:
  bool silent_;
  bool terminal_;
  bool open_ = false;
  std::chrono::steady_clock::time_point next_;
};

}  // namespace lariat::cli
