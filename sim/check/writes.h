// SPDX-License-Identifier: Apache-2.0
// Judges writes: an acknowledgement at the moment it is given, the rest when the run is over.
#pragma once

#include "sim/check/dot_registry.h"
#include "sim/model/history.h"
#include "sim/report/report.h"
#include "sim/world/cluster.h"

namespace lariat::sim {

struct Acknowledgement {
  int token = 0;
  uint32_t needed = 0;     // replicas that the request asked for
  uint32_t primaries = 0;  // that are said to hold it; 0 in a replay, which stands for `needed`
  uint32_t fallbacks = 0;  // stand-ins that are said to hold it
  bool sloppy = false;     // they count
};
// So many disks have to hold the write durably, right now. One less is excused where a disk was
// damaged.
void CheckAcknowledgement(Cluster& cluster, const DotRegistry& dots, const KeyHistory& history,
                          const Acknowledgement& ack, Report* report);
// In a sloppy quorum: of those that hold it for others, too.
// What was ever acknowledged: as many replicas as a write needs hold it, of those that are read by
// whatever document a member works at this moment. Moving ranges must not change that.
void CheckHeld(Cluster& cluster, const History& history, const DotRegistry& dots, Report* report);
// What was "not done" is on no disk and never was; one write is one event; the stamps of a node
// grow.
void CheckWrites(const History& history, const DotRegistry& dots, const Options& options,
                 Report* report);

}  // namespace lariat::sim
