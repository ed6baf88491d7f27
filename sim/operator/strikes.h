// SPDX-License-Identifier: Apache-2.0
// Strikes participants of a topology change: some of them by chance, in any step and in any way, or
// one chosen one in one step (sim/steps.h).
#pragma once

#include <set>

#include "sim/faults/faults.h"
#include "sim/report/coverage.h"

namespace lariat::sim {

class Strikes {
 public:
  Strikes(Cluster& cluster, Faults& faults, Report& report, uint64_t seed);
  void Stop() { stopped_ = true; }
  // The change under way, REQUIRES: there is one, has come to its next step.
  void OnStep(const membership::View& view);
  // The change has ended.
  void OnEnd(const membership::View& view);
  // At every look at the cluster.
  void OnLook();
  // When the chosen participant was struck; nothing before.
  const std::optional<base::Instant>& Struck() const { return struck_; }

 private:
  void ByChance(const membership::Operation& operation);
  void Chosen(const Strike& strike);
  std::optional<size_t> Pick(const membership::Topology& now, uint64_t role);
  bool SomeRemoved() const;
  void Hit(size_t machine, const Strike& strike, Blow blow);
  void After(base::Duration delay, env::Task task);
  void Say(const std::string& what);

  Cluster& cluster_;
  Faults& faults_;
  Report& report_;
  base::Prng prng_;
  bool stopped_ = false;
  // Of the change under way, or the last one.
  membership::Change change_;
  std::set<size_t> moving_;  // machines that give or gain ranges
  std::optional<base::Instant> struck_;
  // After its end: when to strike, unless the removal of data begins earlier; what is to be
  // removed.
  std::optional<base::Instant> strike_at_;
  bool wait_for_removal_ = false;
  size_t misplaced_ = 0;
};

}  // namespace lariat::sim
