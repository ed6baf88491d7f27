// SPDX-License-Identifier: Apache-2.0
#include "ring/internal/level.h"

#include <algorithm>
#include <cmath>

#include "ring/fair_share.h"

namespace lariat::ring::internal {
namespace {

constexpr int kSteps = 8;  // in search of the least cost within a gap

double WidthOf(const Ring::Range& range) {
  const uint64_t width = range.to.value - range.from.value;
  return width == 0 ? 1.0 : static_cast<double>(width) * 0x1p-64;
}

// The owner that leaves a list when the newcomer enters it. The first node of each rack in the list
// is safe, but not if the newcomer is of that rack; the last one that is not safe goes, and the
// last one of all if every owner is safe.
NodeIndex VictimOf(const Ring& ring, const PreferenceList& list, const RingNode& newcomer) {
  const auto& owners = list.primaries;
  for (size_t i = owners.size(); i-- > 0;) {
    const RingNode& node = ring.nodes()[owners[i]];
    const bool opens_rack =
        std::none_of(owners.begin(), owners.begin() + static_cast<long>(i),
                     [&](NodeIndex earlier) { return SameRack(ring.nodes()[earlier], node); });
    if (!opens_rack || SameRack(node, newcomer)) return owners[i];
  }
  return owners.back();
}

}  // namespace

bool SameRack(const RingNode& a, const RingNode& b) { return a.dc == b.dc && a.rack == b.rack; }

// Newton's steps, kept between bounds.
double Cost::BestX(double low, double high) const {
  const auto slope = [this](double x) {
    return c[1] + x * (2 * c[2] + x * (3 * c[3] + x * 4 * c[4]));
  };
  if (slope(low) >= 0) return low;
  if (slope(high) <= 0) return high;
  double x = (low + high) / 2;
  for (int i = 0; i < kSteps; ++i) {
    const double s = slope(x);
    (s < 0 ? low : high) = x;
    x -= s / (2 * c[2] + x * (6 * c[3] + x * 12 * c[4]));
    if (!(x > low && x < high)) x = (low + high) / 2;
  }
  return x;
}

Level::Level(const Ring& ring, const RingNode& newcomer, const Options& options)
    : options_(options), newcomer_(static_cast<NodeIndex>(ring.size())) {
  if (options_.kind == Kind::kReplicas) {
    SetReplicas(ring, newcomer);
  } else {
    SetFirstInRack(ring, newcomer);
  }
  held_at_first_ = goal_ = held_;
  const auto points = ring.Ranges(1);
  taken_.resize(points.size());
  takers_.assign(points.size(), 0);
  for (uint32_t i = 0; i < points.size(); ++i) {
    for (size_t k = i; points[k].owners.primaries[0] != victim_[i];) {
      k = k + 1 == points.size() ? 0 : k + 1;
      taken_[k].push_back(i);
    }
  }
}

void Level::SetReplicas(const Ring& ring, const RingNode& newcomer) {
  for (const Ring::Range& range : ring.Ranges(options_.n)) {
    victim_.push_back(VictimOf(ring, range.owners, newcomer));
  }
  for (const double share : ring.Ownership(options_.n)) held_.push_back(share * options_.n);
  held_.push_back(0.0);
  std::vector<RingNode> all = ring.nodes();
  all.push_back(newcomer);
  fair_ = FairShares(all, options_.n);
}

void Level::SetFirstInRack(const Ring& ring, const RingNode& newcomer) {
  std::vector<RingNode> rack;
  std::vector<NodeIndex> numbers;
  for (NodeIndex i = 0; i < ring.size(); ++i) {
    if (!SameRack(ring.nodes()[i], newcomer)) continue;
    rack.push_back(ring.nodes()[i]);
    numbers.push_back(i);
  }
  const Ring alone(rack);
  held_.assign(ring.size() + 1, 1.0);  // as the fair share: nodes of other racks do not count
  fair_ = held_;
  for (const NodeIndex node : numbers) held_[node] = 0;
  held_[newcomer_] = 0;
  for (const Ring::Range& range : ring.Ranges(1)) {
    victim_.push_back(numbers[alone.Primaries(range.to, 1).primaries[0]]);
    held_[victim_.back()] += WidthOf(range);
  }
  rack.push_back(newcomer);
  numbers.push_back(newcomer_);
  const std::vector<double> fair = FairShares(rack, 1);
  for (size_t i = 0; i < fair.size(); ++i) fair_[numbers[i]] = fair[i];
}

void Level::Lose(NodeIndex node, double share) {
  const auto same = [node](const auto& loss) { return loss.first == node; };
  const auto it = std::find_if(losses_.begin(), losses_.end(), same);
  if (it != losses_.end()) {
    it->second += share;
  } else {
    losses_.emplace_back(node, share);
  }
}

// Error of the node as it is, and as it would be: at_zero + slope * x.
void Level::AddError(NodeIndex node, double at_zero, double slope, Cost* total) const {
  const double q = options_.quartic;
  const auto cost = [q](double e) { return e * e * (1 + q * e * e); };
  const double a = at_zero;
  const double b = slope;
  total->c[0] += options_.importance * (cost(a) - cost(Error(node)));
  if (b == 0) return;
  total->c[1] += options_.importance * a * b * (2 + 4 * q * a * a);
  total->c[2] += options_.importance * b * b * (1 + 6 * q * a * a);
  total->c[3] += options_.importance * 4 * q * a * b * b * b;
  total->c[4] += options_.importance * q * b * b * b * b;
}

void Level::Score(const std::vector<Gap>& gaps, size_t gap, Cost* total) {
  losses_.clear();
  double gain = 0;
  for (const uint32_t range : taken_[gap]) {
    if (takers_[range] > 0) continue;
    const double share = gaps[range].share * (1 - gaps[range].x);
    gain += share;
    Lose(victim_[range], share);
  }
  const double split = takers_[gap] == 0 ? gaps[gap].share : 0.0;
  Lose(victim_[gap], 0.0);
  losses_.emplace_back(newcomer_, -gain);
  for (const auto& [node, loss] : losses_) {
    double slope = 0;
    if (node == victim_[gap]) slope = -split / fair_[node];
    if (node == newcomer_) slope = split / fair_[node];
    AddError(node, Error(node) - loss / fair_[node], slope, total);
  }
}

void Level::Account(const std::vector<Gap>& gaps, size_t gap, int sign) {
  const auto move = [&](size_t range, double share) {
    held_[victim_[range]] -= sign * share;
    held_[newcomer_] += sign * share;
  };
  if (takers_[gap] == 0) move(gap, gaps[gap].share * gaps[gap].x);
  for (const uint32_t range : taken_[gap]) {
    if (sign < 0) --takers_[range];
    if (takers_[range] == 0) move(range, gaps[range].share * (1 - gaps[range].x));
    if (sign > 0) ++takers_[range];
  }
}

void Level::AimAt(double progress) {
  for (size_t i = 0; i < goal_.size(); ++i) {
    goal_[i] = held_at_first_[i] + progress * (fair_[i] - held_at_first_[i]);
  }
}

double Level::Deviation() const {
  double worst = 0;
  for (size_t i = 0; i < held_.size(); ++i) {
    worst = std::max(worst, std::abs(held_[i] / fair_[i] - 1));
  }
  return worst;
}

}  // namespace lariat::ring::internal
