// SPDX-License-Identifier: Apache-2.0
// Tokens of all nodes after a change of the cluster: a node leaves, takes another's place, or gets
// another weight. (Tokens of a node that joins: allocation.h.) Pure and deterministic.
//
// Each returns the next tokens of every node, parallel to `nodes`; those of nodes that the change
// does not concern are the present ones. Nodes without tokens hold nothing and are left alone.
#pragma once

#include <vector>

#include "ring/allocation.h"
#include "ring/ring.h"

namespace lariat::ring {

// The leaver's tokens go; where what it held would make the others too uneven, some of its ranges
// go to tokens (old or new) of nodes of its rack: at most one for each token of the leaver, none if
// it is even without. Only what the leaver held is copied. If no other node of its rack is left,
// nobody gets a token.
std::vector<std::vector<Token>> PlanLeave(const std::vector<RingNode>& nodes, NodeIndex leaver,
                                          const AllocationOptions& options);

// The newcomer, whose own tokens are ignored, has the tokens of the dead node, which has none. For
// equal lists it has to be of the dead node's rack.
std::vector<std::vector<Token>> PlanReplace(const std::vector<RingNode>& nodes, NodeIndex dead,
                                            NodeIndex newcomer);

// The node's tokens for another weight: more in addition to its present ones, or fewer, all of them
// inside what its present ones take (then some are new). It alone receives, or it alone gives. The
// weight that the node has now is returned to unchanged tokens; a node without tokens joins.
std::vector<std::vector<Token>> PlanReweight(const std::vector<RingNode>& nodes, NodeIndex node,
                                             double weight, const AllocationOptions& options);

}  // namespace lariat::ring
