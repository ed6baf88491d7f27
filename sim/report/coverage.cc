// SPDX-License-Identifier: Apache-2.0
#include "sim/report/coverage.h"

#include <fmt/format.h>

#include <array>

namespace lariat::sim {

using membership::ChangeKind;
using membership::Phase;

namespace {

constexpr std::array<std::string_view, 5> kKinds = {"join", "leave", "remove", "replace",
                                                    "reweight"};
constexpr std::array<std::string_view, 4> kSteps = {"prepare", "stream", "switch", "undo"};
constexpr std::array<std::string_view, kRoles> kRoleNames = {"subject", "driver", "holder"};

std::string_view KindName(ChangeKind kind) {
  const size_t index = static_cast<size_t>(kind) - 1;
  return index < kKinds.size() ? kKinds[index] : "replication";
}

uint64_t Count(const Tally& tally, const std::string& what) {
  const auto found = tally.find(std::string(kStrikes) + what);
  return found == tally.end() ? 0 : found->second;
}

}  // namespace

std::string_view StepName(Phase phase) { return kSteps[static_cast<size_t>(phase) - 1]; }

std::string StrikeName(const membership::Operation& operation, uint64_t role,
                       std::string_view blow) {
  return fmt::format("{} {} {} {}", KindName(operation.change.kind), StepName(operation.phase),
                     kRoleNames[role], blow);
}

std::string CoverageTable(const Tally& tally) {
  const auto first = tally.lower_bound(std::string(kStrikes));
  if (first == tally.end() || !first->first.starts_with(kStrikes)) return "";
  std::string text = "strikes, by participant (killed + power cut + paused + cut off):\n";
  text += fmt::format("{:18}", "");
  for (const std::string_view role : kRoleNames) text += fmt::format("{:>20}", role);
  for (const std::string_view kind : kKinds) {
    for (const std::string_view step : kSteps) {
      text += fmt::format("\n{:9} {:8}", kind, step);
      for (const std::string_view role : kRoleNames) {
        const auto of = [&](std::string_view blow) {
          return Count(tally, fmt::format("{} {} {} {}", kind, step, role, blow));
        };
        text += fmt::format(
            "{:>20}", fmt::format("{}+{}+{}+{}", of("kill"), of("power"), of("pause"), of("cut")));
      }
    }
  }
  return text + "\n";
}

}  // namespace lariat::sim
