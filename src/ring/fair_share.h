// SPDX-License-Identifier: Apache-2.0
// What each node ought to hold: by weight, as far as one copy per node and the spread over racks
// allow it. The yardstick of token allocation and of every display of imbalance. Pure.
#pragma once

#include <cstdint>
#include <vector>

#include "ring/ring.h"

namespace lariat::ring {

// Share of all keys that each node should hold a replica of with replication n: 0 to 1 for each,
// min(n, number of nodes) together. Ring::Ownership(n) times n is what it does hold.
// REQUIRES: n > 0, weights above 0.
std::vector<double> FairShares(const std::vector<RingNode>& nodes, uint32_t n);

}  // namespace lariat::ring
