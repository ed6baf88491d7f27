// SPDX-License-Identifier: Apache-2.0
// The ring: nodes, their tokens, and who holds which key. Immutable once built and so shareable
// between threads; a change makes a new Ring. Liveness is not known here: it arrives as an argument.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/uuid.h"
#include "ring/token.h"

namespace lariat::ring {

struct RingNode {
  base::Uuid id;
  std::string name;
  std::string dc;
  std::string rack;
  double weight = 1.0;
  std::vector<Token> tokens;  // ascending
};

// Index of a node in Ring::nodes(): small numbers for hot paths. Means nothing in another Ring.
using NodeIndex = uint32_t;

struct PreferenceList {
  // The N owners (fewer if the cluster is smaller), in ring order.
  std::vector<NodeIndex> primaries;
};

class Ring {
 public:
  Ring() = default;
  // REQUIRES: distinct ids, no token used twice.
  explicit Ring(std::vector<RingNode> nodes);

  const std::vector<RingNode>& nodes() const { return nodes_; }
  size_t size() const { return nodes_.size(); }
  // Clockwise from the token: n distinct nodes, of racks not used yet as long as there are any,
  // then of any. Cached per range and n by the ring itself: a call is a binary search.
  const PreferenceList& Primaries(Token token, uint32_t n) const;
  // All other nodes, clockwise: stand-ins of a sloppy quorum and targets of forwarding.
  std::vector<NodeIndex> Fallbacks(Token token, uint32_t n) const;
  // Share of the token space (0 to 1) for which the node is the first primary, per node.
  std::vector<double> PrimaryShare() const;
  // Share of all replicas held, per node, for replication n; adds up to 1.
  std::vector<double> Ownership(uint32_t n) const;
  // Ranges (from, to] with their primaries, in token order; for display and transfer.
  struct Range {
    Token from, to;
    PreferenceList owners;
  };
  std::vector<Range> Ranges(uint32_t n) const;

 private:
  struct Point {
    Token token;
    NodeIndex node;
  };
  std::vector<RingNode> nodes_;
  std::vector<Point> points_;  // sorted by token
  // primaries_[n][i]: primaries of the range that ends at points_[i].
  std::map<uint32_t, std::vector<PreferenceList>> primaries_;
};

}  // namespace lariat::ring
