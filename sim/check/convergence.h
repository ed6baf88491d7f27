// SPDX-License-Identifier: Apache-2.0
// The end of a run, when every fault is over: all replicas can be read, agree after one read of
// each key, need no more repairs, and take writes again.
#pragma once

#include "sim/traffic/traffic.h"

namespace lariat::sim {

void CheckConvergence(Cluster& cluster, Traffic& traffic, Report* report);

}  // namespace lariat::sim
