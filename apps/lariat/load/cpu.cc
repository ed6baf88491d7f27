// SPDX-License-Identifier: Apache-2.0
#include "apps/lariat/load/cpu.h"

#include <fmt/format.h>
#include <unistd.h>

#include <fstream>
#include <iterator>
#include <sstream>

namespace lariat::cli::load {

std::optional<CpuTime> ParseCpu(const std::string& stat_line, double ticks_per_second) {
  size_t end = stat_line.rfind(')');
  if (end == std::string::npos) return std::nullopt;
  std::istringstream rest(stat_line.substr(end + 1));
  std::string skipped;
  for (int field = 3; field <= 13; ++field) rest >> skipped;
  double user = 0;
  double system = 0;
  double children_user = 0;
  double children_system = 0;
  if (!(rest >> user >> system >> children_user >> children_system)) return std::nullopt;
  return CpuTime{(user + children_user) / ticks_per_second,
                 (system + children_system) / ticks_per_second};
}

std::optional<CpuTime> CpuOf(pid_t pid) {
  std::ifstream in(fmt::format("/proc/{}/stat", pid));
  if (!in) return std::nullopt;
  std::string line(std::istreambuf_iterator<char>(in), {});
  return ParseCpu(line, static_cast<double>(sysconf(_SC_CLK_TCK)));
}

}  // namespace lariat::cli::load
