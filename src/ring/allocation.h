// SPDX-License-Identifier: Apache-2.0
// Choosing tokens for a node that joins: aware of what the others own, so that ownership follows
// the weights within a few percent instead of being left to chance. Pure and deterministic: the
// same ring and the same newcomer give the same tokens on every machine.
#pragma once

#include <cstdint>
#include <vector>

#include "ring/ring.h"

namespace lariat::ring {

struct AllocationOptions {
  uint32_t tokens_per_weight = 16;  // vnodes of a node of weight 1
  uint32_t replication = 3;         // the n that ownership is evened out for
};

constexpr uint32_t kTokensMax = 65536;  // of one node

// Tokens of a node of this weight: weight * tokens_per_weight, rounded, 1 to kTokensMax.
uint32_t TokenCount(double weight, const AllocationOptions& options);

// Tokens for `newcomer` (its own are ignored) in a cluster of `present` nodes, ascending, none of
// them in use: TokenCount of its weight. The first node gets evenly spaced ones. A present node
// with the newcomer's id is ignored. REQUIRES: options above 0.
std::vector<Token> AllocateTokens(const std::vector<RingNode>& present, const RingNode& newcomer,
                                  const AllocationOptions& options);

}  // namespace lariat::ring
