// SPDX-License-Identifier: Apache-2.0
// docs/scale.md and docs/scale.svg out of measured rows. Pure functions.
#pragma once

#include <string>
#include <vector>

#include "sim/scale/measure.h"

namespace lariat::sim::scale {

// Both tables in Markdown.
std::string Tables(const std::vector<Row>& rows);
std::string Page(const std::vector<Row>& rows, uint64_t seed);
std::string Plot(const std::vector<Row>& rows);

}  // namespace lariat::sim::scale
