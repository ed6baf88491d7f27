// SPDX-License-Identifier: Apache-2.0
// What each node holds while a newcomer's tokens are put and taken up, and what the next one would
// change. For the choice of a newcomer's tokens (allocation.cc, whose comment has the idea) alone.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "ring/ring.h"

namespace lariat::ring::internal {

// Gap i is the range that ends at point i of the ring of present nodes. One new token in a gap
// counts: of several, only the last one changes who holds what.
struct Gap {
  Token from;
  double share = 0;     // of all keys
  NodeIndex owner = 0;  // of the point that ends it
  double x = 0;         // where in it the new token lies; 0 is nowhere
};

// A cost as a function of where in a gap the token lies: convex, of degree four.
struct Cost {
  double c[5] = {0, 0, 0, 0, 0};
  double At(double x) const { return c[0] + x * (c[1] + x * (c[2] + x * (c[3] + x * c[4]))); }
  // Where between the two it is least.
  double BestX(double low, double high) const;
};

bool SameRack(const RingNode& a, const RingNode& b);

class Level {
 public:
  // What is to be even: all n replicas, or the keys whose first holder in the newcomer's rack a
  // node is.
  enum class Kind { kReplicas, kFirstInRack };
  struct Options {
    Kind kind = Kind::kReplicas;
    uint32_t n = 1;
    double importance = 1;
    double quartic = 0;  // an error e costs e^2 + quartic * e^4
  };
  // REQUIRES: for kFirstInRack, a present node in the newcomer's rack.
  Level(const Ring& ring, const RingNode& newcomer, const Options& options);

  // Adds what the errors cost more or less if a token is put in this gap.
  void Score(const std::vector<Gap>& gaps, size_t gap, Cost* total);
  // Accounts for the token at gaps[gap].x: sign 1 puts it, -1 takes it up.
  void Account(const std::vector<Gap>& gaps, size_t gap, int sign);
  // Sets the goals between the start (0) and fair shares (1).
  void AimAt(double progress);
  // The largest deviation from a fair share, relative to it.
  double Deviation() const;

 private:
  double Error(NodeIndex node) const { return (held_[node] - goal_[node]) / fair_[node]; }
  void SetReplicas(const Ring& ring, const RingNode& newcomer);
  void SetFirstInRack(const Ring& ring, const RingNode& newcomer);
  void Lose(NodeIndex node, double share);
  void AddError(NodeIndex node, double at_zero, double slope, Cost* total) const;

  Options options_;
  NodeIndex newcomer_;             // one past the nodes of the ring
  std::vector<NodeIndex> victim_;  // per range
  std::vector<std::vector<uint32_t>>
      taken_;                     // per gap: other ranges that a token in it takes whole
  std::vector<uint32_t> takers_;  // per range: new tokens that take it whole
  std::vector<double> held_, held_at_first_, fair_, goal_;  // per node
  std::vector<std::pair<NodeIndex, double>> losses_;        // scratch of Score
};

}  // namespace lariat::ring::internal
