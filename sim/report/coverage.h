// SPDX-License-Identifier: Apache-2.0
// Which participant of a topology change was struck in which of its steps: names for the tally, and
// the table of all runs.
#pragma once

#include <string>
#include <string_view>

#include "membership/topology.h"
#include "sim/report/report.h"

namespace lariat::sim {

inline constexpr std::string_view kStrikes = "strikes: ";

// Participants of a change.
inline constexpr uint64_t kSubject = 0;    // who joins, leaves or gets another weight
inline constexpr uint64_t kDriver = 1;     // who moves it from step to step
inline constexpr uint64_t kHolder = 2;     // another member: a source, or one that gains ranges
inline constexpr uint64_t kBystander = 3;  // a member that neither gives nor gains anything
inline constexpr uint64_t kRoles = 4;

// Steps of a change: the phases that a document has, and what comes after them.
enum class Step : uint8_t {
  kPrepare = 1,
  kStream,
  kSwitch,
  kUndo,
  kAfter,    // it is done, and data is being removed where it is owned no more
  kDropped,  // the same after it was cancelled
};
inline constexpr uint64_t kSteps = 6;

std::string_view KindName(membership::ChangeKind kind);
std::string_view StepName(Step step);
std::string_view RoleName(uint64_t role);
struct Strike {
  membership::ChangeKind kind{};
  Step step{};
  uint64_t role = 0;
};
std::string StrikeName(const Strike& strike, std::string_view blow);
// Empty if nobody was struck.
std::string CoverageTable(const Tally& tally);

}  // namespace lariat::sim
