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
inline constexpr uint64_t kSubject = 0;  // who joins, leaves or gets another weight
inline constexpr uint64_t kDriver = 1;   // who moves it from step to step
inline constexpr uint64_t kHolder = 2;   // another member: a source, or one that gains ranges
inline constexpr uint64_t kRoles = 3;

std::string_view StepName(membership::Phase phase);
std::string StrikeName(const membership::Operation& operation, uint64_t role,
                       std::string_view blow);
// Empty if nobody was struck.
std::string CoverageTable(const Tally& tally);

}  // namespace lariat::sim
