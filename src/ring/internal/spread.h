// SPDX-License-Identifier: Apache-2.0
// What each node holds while tokens are put and taken up one by one, and where the next one would
// do most for an even spread. For the choice of tokens in this folder alone.
//
// A token of node X at x in a gap (from, to] changes who holds what in two ways: lists of ranges
// before the gap that reach into it change whole, wherever in the gap the token lies; and the part
// of the gap before x changes, in proportion to x. So every node's share is linear in x, the cost
// is convex in x, and the best x is found by halving.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "ring/ring.h"

namespace lariat::ring::internal {

class Spread {
 public:
  struct Options {
    uint32_t n = 1;
    // Nodes that hold something now or in the end; at least n of them have tokens that stay.
    std::vector<NodeIndex> members;
    // The node whose tokens are to go, if there is one: tokens are put in its place, so that no
    // other node loses anything.
    bool has_leaver = false;
    NodeIndex leaver = 0;
  };
  // REQUIRES: a token that stays.
  Spread(std::vector<RingNode> nodes, Options options);

  // Sets the goals between what the nodes held at first (0) and fair shares (1).
  void AimAt(double progress);
  // The largest deviation from a fair share, relative to it.
  double Deviation() const;
  // The node's share of all keys, what it should be, and how far it is from the goal.
  double Held(NodeIndex node) const { return held_.share[node]; }
  double Fair(NodeIndex node) const { return held_.fair[node]; }
  double Error(NodeIndex node) const { return held_.Error(node); }

  struct Best {
    double cost = 0;  // change of the total cost
    size_t gap = 0;
    double x = 0;  // 0: nowhere
    Token token;
    NodeIndex node = 0;
  };
  // Makes `best` a token of this node in the gap if that costs less and is allowed.
  void Consider(size_t gap, NodeIndex node, Best* best);
  void Put(const Best& best);
  void TakeUp(Token token);

  // All gaps are 0 to gaps() - 1. Those in which a token may take over from the leaver:
  size_t gaps() const { return points_.size(); }
  std::vector<size_t> GapsOfLeaver() const;

 private:
  enum class Kind { kStays, kGoes, kNew };
  struct Point {
    Token token;
    NodeIndex node;
    Kind kind;
  };
  struct List {
    uint32_t size = 0;
    NodeIndex nodes[Ring::kMaxReplication];
    bool reached = false;  // the walk came to the gap in question
    bool Has(NodeIndex node) const;
  };
  // Shares of all keys, per node, and what errors in them cost.
  struct Shares {
    double importance = 0, quartic = 0;
    std::vector<double> share, at_first, fair, goal;
    double Error(NodeIndex node) const { return (share[node] - goal[node]) / fair[node]; }
    double CostOf(double e) const { return e * e * (1 + quartic * e * e); }
    double SlopeOf(double e) const { return e * (2 + 4 * quartic * e * e); }
  };
  // Share that a node gets by a token at x: whole + x * slope.
  struct Gain {
    const Shares* shares;
    NodeIndex node;
    double whole, slope;
  };
  size_t Before(size_t gap) const { return gap == 0 ? gaps() - 1 : gap - 1; }
  double Width(size_t gap) const;
  size_t GapOf(Token token) const;
  void Number(std::vector<RingNode>& nodes);
  // Holders of the range that ends at point `start`, as planned: without the leaver's tokens, and
  // as if `put`, if there is one, had a token in the gap. Whether the walk reached the gap is told
  // either way.
  List Walk(size_t start, size_t gap, const NodeIndex* put);
  List WalkBefore(size_t start);  // before the plan
  template <typename Visit>
  void WalkFrom(size_t start, Kind ignored, List* list, Visit before_point);
  void FindGains(size_t gap, NodeIndex node);
  void AddDifference(const List& before, const List& after, double whole, double slope);
  void AddGain(const Gain& gain);
  // Whether the leaver alone loses by a token in the gap.
  bool TakesFromLeaverAlone(size_t gap, NodeIndex node);
  double Cost(double x) const;   // of the gains found, less what it is without the token
  double Slope(double x) const;  // of Cost
  void Account(double x, double sign);

  Options options_;
  uint32_t openers_max_ = 0;     // nodes of a list that are the first of their rack
  std::vector<uint32_t> racks_;  // of each node
  std::vector<Point> points_;
  Shares held_, first_;  // of all replicas, and as the first of the list
  // Scratch: what a walk met, and what the last FindGains found.
  std::vector<uint64_t> met_, opened_;
  uint64_t walk_ = 0;
  std::vector<Gain> gains_;
  double evenness_ = 0;  // cost of what is left of the gap
};

}  // namespace lariat::ring::internal
