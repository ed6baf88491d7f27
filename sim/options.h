// SPDX-License-Identifier: Apache-2.0
// The options of one run: drawn from the table (options.def), a scenario's text and a seed. Values.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"

namespace lariat::sim {

struct Options {
#define SIM_OPTION(name, choices, meaning) int64_t name = 0;
#include "sim/options.def"
#undef SIM_OPTION

  // Whether every read sees every write acknowledged before it began.
  bool Regular() const { return r + w > NMax() && sloppy == 0; }
  // Whether also nothing that a read has shown may be missing from a later one.
  bool Atomic() const { return Regular() && 2 * r > NMax(); }
  int64_t NMax() const { return std::max(n, n_later); }
  // Machines that are there at some time.
  int64_t MachinesMax() const { return nodes + joins + replaces + (twin_every_ms > 0 ? 1 : 0); }
  bool Changes() const { return joins + leaves + removes + replaces + reweights + n_later > 0; }
  // Whether sweeps can remove something within a run.
  bool Purges() const { return gc_grace_s < 60 && purge_interval_s < 60; }
  // How wrong a clock may be and still be gone by: limits.clock_drift_ms.
  int64_t ClockErrorMs() const {
    return clock_step_every_ms + clocks_step_every_ms + clock_skew_ms > 0 ? 1000 : 0;
  }
  // Whether hints can grow too old within a run.
  bool HintsAge() const { return std::min(hint_window_s, gc_grace_s) < 60; }
  // Whether nodes notice that their disk is damaged.
  bool Damages() const { return spoil_every_ms + unreadable_every_ms + cut_log_every_ms > 0; }
  std::string Text() const;  // "nodes=3 shards=1 ..."
};

struct Scenario {
  std::string name;
  std::string about;                           // its first comment line
  std::map<std::string, std::string> choices;  // overrides of the table
};

// Lines of "name = choices"; '#' begins a comment. kInvalidArgument names the bad line.
base::Result<Scenario> ParseScenario(std::string name, std::string_view text);
// Each option is drawn from the seed and its name: a new line of the table, or one that a scenario
// overrides, leaves the others as they were.
Options DrawOptions(const Scenario& scenario, uint64_t seed);

// The scenarios of sim/scenarios/, in order of their names. They are compiled in.
const std::vector<Scenario>& Scenarios();
const Scenario* FindScenario(std::string_view name);

}  // namespace lariat::sim
