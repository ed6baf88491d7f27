// SPDX-License-Identifier: Apache-2.0
// What is wrong with nodes, by what they and the others tell. Pure.
#pragma once

#include <vector>

#include "apps/lariat/watch/findings.h"
#include "apps/lariat/watch/nodes.h"

namespace lariat::cli::watch {

Findings CheckNodes(const std::vector<NodeLook>& looks);

}  // namespace lariat::cli::watch
