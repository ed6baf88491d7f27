// SPDX-License-Identifier: Apache-2.0
// One run: a scenario and a seed in, a verdict out. The same in, the same out, always.
#pragma once

#include "sim/options.h"
#include "sim/report/report.h"
#include "sim/world/bug.h"

namespace lariat::sim {

struct RunRequest {
  const Scenario* scenario = nullptr;
  uint64_t seed = 0;
  Bug bug = Bug::kNone;
  bool record_trace = false;
};
RunResult RunOne(const RunRequest& request);

}  // namespace lariat::sim
