// SPDX-License-Identifier: Apache-2.0
#include "ring/internal/spread.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <utility>

#include "base/check.h"
#include "ring/fair_share.h"

namespace lariat::ring::internal {
namespace {

// What counts beside the even spread of all replicas, whose importance is 1, where a node takes
// more than it had (allocation.cc has the same). First primaries, which are what a bucket with
// fewer copies has. And gaps of one size: the owner of a wide gap stays overloaded for many joins,
// since a split takes from the last node in the list, not from the first. Where a node gives up
// tokens neither counts: it would cost the others twice as many tokens.
constexpr double kFirstImportance = 0.1;
constexpr double kGapImportance = 0.001;
constexpr double kLeftOfGap = 1.0 / 64;    // what a token leaves of the gap on either side of it
constexpr double kGapLeftAlone = 0x1p-48;  // gaps below this are left alone
constexpr int kHalvings = 12;              // of the gap, in search of the best place in it
constexpr size_t kGapsMax = 64;            // of one token of the leaver

// What one node far from its share costs beside many that are near theirs: from 2 % on it counts
// more than its square.
constexpr double kFarWeight = 1 / (0.02 * 0.02);

}  // namespace

bool Spread::List::Has(NodeIndex node) const {
  return std::find(nodes, nodes + size, node) != nodes + size;
}

Spread::Spread(std::vector<RingNode> nodes, Options options) : options_(std::move(options)) {
  Number(nodes);
  LARIAT_CHECK(openers_max_ > 0, "a token is put between others");
  const auto fair_of = [&](uint32_t copies) {
    std::vector<RingNode> holders;
    for (const NodeIndex node : options_.members) holders.push_back(nodes[node]);
    const std::vector<double> shares = FairShares(holders, copies);
    std::vector<double> fair(nodes.size(), 1.0);
    for (size_t i = 0; i < shares.size(); ++i) fair[options_.members[i]] = shares[i];
    return fair;
  };
  held_.fair = fair_of(options_.n);
  held_.importance = 1;
  held_.quartic = kFarWeight;
  first_.fair = fair_of(1);
  if (options_.n > 1 && !options_.has_leaver) first_.importance = kFirstImportance;
  held_.share.assign(nodes.size(), 0.0);
  first_.share.assign(nodes.size(), 0.0);
  met_.assign(nodes.size(), 0);
  opened_.assign(nodes.size(), 0);
  for (size_t i = 0; i < gaps(); ++i) {
    const List list = Walk(i, i, nullptr);
    for (uint32_t k = 0; k < list.size; ++k) held_.share[list.nodes[k]] += Width(i);
    first_.share[list.nodes[0]] += Width(i);
  }
  held_.at_first = held_.share;
  first_.at_first = first_.share;
  AimAt(1.0);
}

// Racks get numbers, and tokens become points.
void Spread::Number(std::vector<RingNode>& nodes) {
  std::map<std::pair<std::string, std::string>, uint32_t> numbers;
  std::vector<uint32_t> present;
  for (NodeIndex i = 0; i < nodes.size(); ++i) {
    const auto next = static_cast<uint32_t>(numbers.size());
    racks_.push_back(numbers.emplace(std::pair(nodes[i].dc, nodes[i].rack), next).first->second);
    const bool goes = options_.has_leaver && i == options_.leaver;
    for (const Token token : nodes[i].tokens) {
      points_.push_back({token, i, goes ? Kind::kGoes : Kind::kStays});
    }
    if (!goes && !nodes[i].tokens.empty()) present.push_back(racks_[i]);
  }
  std::sort(points_.begin(), points_.end(),
            [](const Point& a, const Point& b) { return a.token < b.token; });
  std::sort(present.begin(), present.end());
  present.erase(std::unique(present.begin(), present.end()), present.end());
  openers_max_ = std::min(options_.n, static_cast<uint32_t>(present.size()));
}

void Spread::AimAt(double progress) {
  for (Shares* shares : {&held_, &first_}) {
    shares->goal = shares->at_first;
    for (const NodeIndex node : options_.members) {
      shares->goal[node] += progress * (shares->fair[node] - shares->goal[node]);
    }
  }
}

double Spread::Deviation() const {
  double worst = 0;
  for (const NodeIndex node : options_.members) {
    worst = std::max(worst, std::abs(held_.share[node] / held_.fair[node] - 1));
  }
  return worst;
}

double Spread::Width(size_t gap) const {
  if (gaps() == 1) return 1.0;
  const uint64_t width = points_[gap].token.value - points_[Before(gap)].token.value;
  return static_cast<double>(width) * 0x1p-64;
}

size_t Spread::GapOf(Token token) const {
  const auto it = std::lower_bound(points_.begin(), points_.end(), token,
                                   [](const Point& p, Token t) { return p.token < t; });
  return it == points_.end() ? 0 : static_cast<size_t>(it - points_.begin());
}

std::vector<size_t> Spread::GapsOfLeaver() const {
  std::vector<size_t> found;
  for (size_t i = 0; i < gaps(); ++i) {
    if (points_[i].kind != Kind::kGoes) continue;
    found.push_back(i);
    size_t gap = i;
    for (size_t k = 1; k < std::min(kGapsMax, gaps()); ++k) {
      gap = Before(gap);
      const Point& point = points_[gap];
      if (point.kind == Kind::kGoes) break;
      // Before this token that one was taken, not the leaver's.
      if (point.kind == Kind::kStays && racks_[point.node] == racks_[points_[i].node]) break;
      found.push_back(gap);
    }
  }
  return found;
}

// The rule of Ring. Places for first nodes of racks that are still to come are kept free.
// `before_point` may let a node be met before a point.
template <typename Visit>
void Spread::WalkFrom(size_t start, Kind ignored, List* list, Visit before_point) {
  ++walk_;
  uint32_t openers = 0;
  const auto full = [&] { return openers == openers_max_ && list->size == options_.n; };
  const auto meet = [&](NodeIndex node) {
    if (std::exchange(met_[node], walk_) == walk_) return;
    const bool opens = std::exchange(opened_[racks_[node]], walk_) != walk_;
    const bool takes =
        opens ? openers < openers_max_ : list->size - openers < options_.n - openers_max_;
    if (!takes) return;
    openers += opens ? 1 : 0;
    list->nodes[list->size++] = node;
  };
  size_t i = start;
  for (size_t k = 0; k < gaps() && !full(); ++k) {
    if (const NodeIndex* node = before_point(i)) meet(*node);
    if (full()) return;
    if (points_[i].kind != ignored) meet(points_[i].node);
    i = i + 1 == gaps() ? 0 : i + 1;
  }
}

Spread::List Spread::Walk(size_t start, size_t gap, const NodeIndex* put) {
  List list;
  WalkFrom(start, Kind::kGoes, &list, [&](size_t i) -> const NodeIndex* {
    if (i != gap) return nullptr;
    list.reached = true;
    return put;
  });
  return list;
}

Spread::List Spread::WalkBefore(size_t start) {
  List list;
  WalkFrom(start, Kind::kNew, &list, [](size_t) -> const NodeIndex* { return nullptr; });
  return list;
}

void Spread::AddGain(const Gain& gain) {
  for (Gain& present : gains_) {
    if (present.node != gain.node || present.shares != gain.shares) continue;
    present.whole += gain.whole;
    present.slope += gain.slope;
    return;
  }
  gains_.push_back(gain);
}

void Spread::AddDifference(const List& before, const List& after, double whole, double slope) {
  for (uint32_t i = 0; i < after.size; ++i) {
    if (!before.Has(after.nodes[i])) AddGain({&held_, after.nodes[i], whole, slope});
  }
  for (uint32_t i = 0; i < before.size; ++i) {
    if (!after.Has(before.nodes[i])) AddGain({&held_, before.nodes[i], -whole, -slope});
  }
}

void Spread::FindGains(size_t gap, NodeIndex node) {
  gains_.clear();
  const double width = Width(gap);
  const List own = Walk(gap, gap, nullptr);
  AddDifference(own, Walk(gap, gap, &node), 0, width);
  for (size_t k = 1, i = Before(gap); k < gaps(); ++k, i = Before(i)) {
    // From here on back every list meets the node before it comes to the gap.
    if (points_[i].node == node && points_[i].kind != Kind::kGoes) break;
    const List before = Walk(i, gap, nullptr);
    if (!before.reached) break;
    AddDifference(before, Walk(i, gap, &node), Width(i), 0);
  }
  if (first_.importance > 0 && own.nodes[0] != node) {
    AddGain({&first_, own.nodes[0], 0, -width});
    AddGain({&first_, node, 0, width});
  }
  if (!options_.has_leaver) {
    const double wideness = width * static_cast<double>(gaps());
    evenness_ = 2 * kGapImportance * wideness * wideness;
  }
}

bool Spread::TakesFromLeaverAlone(size_t gap, NodeIndex node) {
  for (size_t k = 0, i = gap; k < gaps(); ++k, i = Before(i)) {
    const List after = Walk(i, gap, &node);
    if (!after.reached) break;
    const List before = WalkBefore(i);
    for (uint32_t m = 0; m < before.size; ++m) {
      if (before.nodes[m] != options_.leaver && !after.Has(before.nodes[m])) return false;
    }
  }
  return true;
}

double Spread::Cost(double x) const {
  double cost = evenness_ * x * (x - 1);
  for (const Gain& gain : gains_) {
    const Shares& shares = *gain.shares;
    const double error = shares.Error(gain.node);
    const double added = (gain.whole + gain.slope * x) / shares.fair[gain.node];
    cost += shares.importance * (shares.CostOf(error + added) - shares.CostOf(error));
  }
  return cost;
}

double Spread::Slope(double x) const {
  double slope = evenness_ * (2 * x - 1);
  for (const Gain& gain : gains_) {
    const Shares& shares = *gain.shares;
    const double fair = shares.fair[gain.node];
    const double error = shares.Error(gain.node) + (gain.whole + gain.slope * x) / fair;
    slope += shares.importance * shares.SlopeOf(error) * gain.slope / fair;
  }
  return slope;
}

void Spread::Consider(size_t gap, NodeIndex node, Best* best) {
  const Point& end = points_[gap];
  const double width = Width(gap);
  if (width < kGapLeftAlone || (end.node == node && end.kind != Kind::kGoes)) return;
  FindGains(gap, node);
  double low = kLeftOfGap;
  double high = 1 - kLeftOfGap;
  for (int i = 0; i < kHalvings; ++i) {
    const double middle = (low + high) / 2;
    (Slope(middle) < 0 ? low : high) = middle;
  }
  const auto offset = static_cast<uint64_t>(std::floor(width * low * 0x1p64));
  Best found{Cost(low), gap, low, {points_[Before(gap)].token.value + offset}, node};
  // The leaver's own token is free.
  if (end.kind == Kind::kGoes && Cost(1) <= found.cost) found = {Cost(1), gap, 1, end.token, node};
  if (found.cost >= best->cost) return;
  if (options_.has_leaver && !TakesFromLeaverAlone(gap, node)) return;
  *best = found;
}

void Spread::Account(double x, double sign) {
  for (const Gain& gain : gains_) {
    Shares& shares = gain.shares == &held_ ? held_ : first_;
    shares.share[gain.node] += sign * (gain.whole + x * gain.slope);
  }
}

void Spread::Put(const Best& best) {
  FindGains(best.gap, best.node);
  Account(best.x, 1);
  // In front of the leaver's token if it is the same.
  const auto at = std::lower_bound(points_.begin(), points_.end(), best.token,
                                   [](const Point& p, Token t) { return p.token < t; });
  points_.insert(at, {best.token, best.node, Kind::kNew});
}

void Spread::TakeUp(Token token) {
  const auto at = points_.begin() + static_cast<long>(GapOf(token));
  const NodeIndex node = at->node;
  points_.erase(at);
  const size_t gap = GapOf(token);
  const uint64_t offset = token.value - points_[Before(gap)].token.value;
  FindGains(gap, node);
  Account(static_cast<double>(offset) * 0x1p-64 / Width(gap), -1);
}

}  // namespace lariat::ring::internal
