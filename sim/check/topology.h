// SPDX-License-Identifier: Apache-2.0
// The end of a run in which the topology changed, when every change has ended: data lies only where
// it is owned, and who has left serves nobody.
#pragma once

#include "sim/report/report.h"
#include "sim/world/cluster.h"

namespace lariat::sim {

void CheckTopology(Cluster& cluster, Report* report);

}  // namespace lariat::sim
