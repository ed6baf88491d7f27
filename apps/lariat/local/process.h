// SPDX-License-Identifier: Apache-2.0
// Starting, recognising and ending processes. A process is known by its id AND its start time, so
// that a signal never reaches a stranger that was given the id later.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

namespace lariat::cli::local {

struct ProcessId {
  pid_t pid = 0;
  uint64_t start_ticks = 0;  // field 22 of /proc/PID/stat: since boot
  bool operator==(const ProcessId&) const = default;
};

enum class Bond : uint8_t {
  kDiesWithParent,  // SIGTERM when this process ends, however it ends
  kOwnSession,      // goes on without us and without the terminal
};

// Starts command[0] with its output appended to the file `log`. Signals that this process blocks
// are open in the new one. Ctrl-C on the terminal does not reach it.
base::Result<ProcessId> Start(const std::vector<std::string>& command, const std::string& log,
                              Bond bond);

// Field 22 (start time) and the state letter of a line of /proc/PID/stat. Pure.
struct StatLine {
  char state = '?';
  uint64_t start_ticks = 0;
};
std::optional<StatLine> ParseStat(const std::string& line);

// Whether this very process still runs (a zombie does not) and its command names `program`.
bool IsRunning(const ProcessId& process, const std::string& program);
// False if it is not running.
bool Signal(const ProcessId& process, const std::string& program, int signal);

// "exit code 2" or "signal 9 (Killed)" from a wait status.
std::string EndText(int wait_status);
// The last lines of a file, at most `count`; empty if it cannot be read.
std::vector<std::string> LastLines(const std::string& path, size_t count);

}  // namespace lariat::cli::local
