// SPDX-License-Identifier: Apache-2.0
// The end of a run in which the topology changed, when every change has ended: data lies only where
// it is owned, replicas stand in different racks, and who has left serves nobody.
#pragma once

#include <string>
#include <vector>

#include "sim/report/report.h"
#include "sim/world/cluster.h"

namespace lariat::sim {

// Records on members that do not own them.
struct Misplaced {
  size_t machine = 0;
  std::string key;
};
std::vector<Misplaced> FindMisplaced(Cluster& cluster);

void CheckTopology(Cluster& cluster, Report* report);

// No disk ever held two documents of one epoch, nor any two disks together.
void CheckDecided(Cluster& cluster, Report* report);

}  // namespace lariat::sim
