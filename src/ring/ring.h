// SPDX-License-Identifier: Apache-2.0
// The ring: nodes, their tokens, and who holds which key. Immutable once built and so shareable
// between threads; a change makes a new Ring. Liveness is not known here: it arrives as an
// argument.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/uuid.h"
#include "ring/token.h"

namespace lariat::ring {

struct RingNode {
  base::Uuid id;
  std::string name;
  std::string dc;
  std::string rack;  // racks of the same name in two datacenters are two racks
  double weight = 1.0;
  std::vector<Token> tokens;  // ascending; without any the node holds nothing
};

// Index of a node in Ring::nodes(): small numbers for hot paths. Means nothing in another Ring.
using NodeIndex = uint32_t;

struct PreferenceList {
  // The N owners (fewer if the cluster is smaller), in ring order.
  std::vector<NodeIndex> primaries;
};

class Ring {
 public:
  // Lists are kept for every n up to this one: memory is points * kMaxReplication lists. A larger
  // n gets the lists of this one.
  static constexpr uint32_t kMaxReplication = 16;

  Ring() = default;
  // REQUIRES: distinct ids, no token used twice.
  explicit Ring(std::vector<RingNode> nodes);

  const std::vector<RingNode>& nodes() const { return nodes_; }
  size_t size() const { return nodes_.size(); }
  // Clockwise from the token: n distinct nodes, of racks not used yet as long as there are any,
  // then of any. Computed when the ring is built: a call is a binary search. Empty if n is 0 or no
  // node has tokens. The reference lives as long as this Ring.
  const PreferenceList& Primaries(Token token, uint32_t n) const;
  // All other nodes that have tokens, clockwise: stand-ins of a sloppy quorum and targets of
  // forwarding.
  std::vector<NodeIndex> Fallbacks(Token token, uint32_t n) const;
  // Share of all replicas held, per node, for replication n; adds up to 1.
  std::vector<double> Ownership(uint32_t n) const;
  // Ranges (from, to] with their primaries, in token order; for display and transfer. The first
  // one passes through zero; with a single token from == to and the range is everything.
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
  size_t PointAt(Token token) const;
  double Width(size_t point) const;
  void BuildLists();
  std::vector<RingNode> nodes_;
  std::vector<Point> points_;  // sorted by token
  // lists_[n - 1][i]: primaries of the range that ends at points_[i].
  std::vector<std::vector<PreferenceList>> lists_;
};

}  // namespace lariat::ring
