// SPDX-License-Identifier: Apache-2.0
// Every step of every change, with a kill of every participant in it: one scenario for each cell of
// that table. docs/simulation.md shows it.
#pragma once

#include <string>
#include <vector>

#include "sim/options.h"
#include "sim/report/coverage.h"

namespace lariat::sim {

struct Cell {
  Strike strike;
  std::string impossible;  // why it cannot be; empty: it can
  Scenario scenario;       // if it can
  // The tally that counts how often it happened.
  std::string Happened() const;
};

// Kind by kind, step by step, role by role.
const std::vector<Cell>& Cells();
// The table, in Markdown.
std::string CellsTable();

}  // namespace lariat::sim
