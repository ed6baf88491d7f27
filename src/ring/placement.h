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

// The leaver's tokens go; if what it held would make the others too uneven, some of its ranges go
// to more tokens of theirs: as few as it takes, at most two for each of the leaver. Only what the
// leaver held is copied, but for the few lists in which two of its tokens stood close together.
std::vector<std::vector<Token>> PlanLeave(const std::vector<RingNode>& nodes, NodeIndex leaver,
                                          const AllocationOptions& options);

// The newcomer, whose own tokens are ignored, has the tokens of the dead node, which has none. For
// equal lists it has to be of the dead node's rack.
std::vector<std::vector<Token>> PlanReplace(const std::vector<RingNode>& nodes, NodeIndex dead,
                                            NodeIndex newcomer);

// For another weight of the node. A higher one: tokens in addition to its present ones, and it
// alone receives. A lower one: fewer tokens, some of them new, and as with PlanLeave some of what
// it gives up may go to more tokens of others; it alone gives. The weight it has now: nothing
// changes. A node without tokens joins (allocation.h).
std::vector<std::vector<Token>> PlanReweight(const std::vector<RingNode>& nodes, NodeIndex node,
                                             double weight, const AllocationOptions& options);

}  // namespace lariat::ring
