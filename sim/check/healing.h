// SPDX-License-Identifier: Apache-2.0
// Replicas heal by themselves: the end of a run in which nobody reads until they are equal, and
// what hints may never do while it lasts.
#pragma once

#include <map>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "sim/report/report.h"
#include "sim/world/cluster.h"

namespace lariat::sim {

// Looks at the hints on all disks, again and again, until the run ends: a node never keeps more
// than its limits allow, and none for longer than its window while it runs.
class HintWatch {
 public:
  HintWatch(Cluster& cluster, Report& report) : cluster_(cluster), report_(report) {}
  void Start();

 private:
  void Look();
  void LookAt(Machine& machine);
  void Fail(const Machine& machine, const std::string& what);

  Cluster& cluster_;
  Report& report_;
  struct Running {
    uint64_t life = 0;
    base::Instant since{};
  };
  std::map<int, Running> running_;
  // When a machine was first seen with the hint: the machine, its key, when it was stored.
  using HintId = std::tuple<int, std::string, int64_t>;
  using SeenHints = std::map<HintId, base::Instant>;
  SeenHints seen_;
  std::set<HintId> too_old_;  // that were told of
};

// After all faults have ended and without a read: every replica of each key holds the same, no hint
// is left, nothing that could be purged or folded is (if sweeps run), and the hash trees say what
// the disks hold. Afterwards comparisons go on and change nothing.
void CheckHealing(Cluster& cluster, const std::vector<std::string>& keys, Report* report);

// Whoever is in doubt when all faults have ended, is so for a while only. Nobody reads there
// before.
void CheckDoubts(Cluster& cluster, Report* report);

// Whatever was damaged and is not there any more lies in quarantine, and was counted.
void CheckKept(Cluster& cluster, Report* report);

}  // namespace lariat::sim
