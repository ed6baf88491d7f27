// SPDX-License-Identifier: Apache-2.0
// CPU time of processes, from /proc.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

namespace lariat::cli::load {

struct CpuTime {
  double user_s = 0;
  double system_s = 0;
  double Total() const { return user_s + system_s; }
};

// All threads of a process, and its children that have ended (Redis rewrites its log in one).
// Nothing if there is no such process.
std::optional<CpuTime> CpuOf(pid_t pid);
// From a line of /proc/PID/stat. Pure.
std::optional<CpuTime> ParseCpu(const std::string& stat_line, double ticks_per_second);

}  // namespace lariat::cli::load
