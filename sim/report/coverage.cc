// SPDX-License-Identifier: Apache-2.0
#include "sim/report/coverage.h"

#include <fmt/format.h>

#include <array>

namespace lariat::sim {

using membership::ChangeKind;

namespace {

constexpr std::array<std::string_view, 6> kMessageKinds = {"join",    "leave",    "remove",
                                                           "replace", "reweight", "replication"};
constexpr std::array<std::string_view, kSteps> kStepNames = {"prepare", "stream", "switch",
                                                             "undo",    "after",  "dropped"};
constexpr std::array<std::string_view, kRoles> kRoleNames = {"subject", "driver", "holder",
                                                             "bystander"};

uint64_t Count(const Tally& tally, const std::string& what) {
  const auto found = tally.find(std::string(kStrikes) + what);
  return found == tally.end() ? 0 : found->second;
}

// Empty if nobody was struck in this step.
std::string RowOf(const Tally& tally, std::string_view kind, std::string_view step) {
  std::string text = fmt::format("\n{:11} {:9}", kind, step);
  uint64_t sum = 0;
  for (const std::string_view role : kRoleNames) {
    std::string numbers;
    for (const std::string_view blow : {"kill", "power", "pause", "cut"}) {
      const uint64_t n = Count(tally, fmt::format("{} {} {} {}", kind, step, role, blow));
      numbers += fmt::format("{}{}", numbers.empty() ? "" : "+", n);
      sum += n;
    }
    const uint64_t starts = Count(tally, fmt::format("{} {} {} start", kind, step, role));
    if (starts > 0) numbers += fmt::format(", {} back", starts);
    sum += starts;
    text += fmt::format("{:>16}", numbers);
  }
  return sum == 0 ? "" : text;
}

}  // namespace

std::string_view KindName(ChangeKind kind) { return kMessageKinds[static_cast<size_t>(kind) - 1]; }

std::string_view StepName(Step step) { return kStepNames[static_cast<size_t>(step) - 1]; }

std::string_view RoleName(uint64_t role) { return kRoleNames[role]; }

std::string StrikeName(const Strike& strike, std::string_view blow) {
  return fmt::format("{} {} {} {}", KindName(strike.kind), StepName(strike.step),
                     RoleName(strike.role), blow);
}

std::string CoverageTable(const Tally& tally) {
  const auto first = tally.lower_bound(std::string(kStrikes));
  if (first == tally.end() || !first->first.starts_with(kStrikes)) return "";
  std::string text =
      "strikes, by participant (killed + power cut + paused + cut off, brought back):\n";
  text += fmt::format("{:21}", "");
  for (const std::string_view role : kRoleNames) text += fmt::format("{:>16}", role);
  for (const std::string_view kind : kMessageKinds) {
    for (const std::string_view step : kStepNames) {
      text += RowOf(tally, kind, step);
    }
  }
  return text + "\n";
}

}  // namespace lariat::sim
