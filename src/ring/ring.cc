// SPDX-License-Identifier: Apache-2.0
#include "ring/ring.h"

#include <algorithm>
#include <map>
#include <utility>

#include "base/check.h"

namespace lariat::ring {
namespace {

const PreferenceList kNobody;

// A node met on the walk from a range, in ring order. `rank` counts within its kind: the nodes
// that are the first of their rack, and the others.
struct Step {
  NodeIndex node;
  bool opens_rack;
  uint32_t rank;
};

// Numbers the racks: result[i] is the rack of node i.
std::vector<uint32_t> RackNumbers(const std::vector<RingNode>& nodes) {
  std::map<std::pair<std::string, std::string>, uint32_t> numbers;
  std::vector<uint32_t> result;
  for (const RingNode& node : nodes) {
    const auto next = static_cast<uint32_t>(numbers.size());
    result.push_back(numbers.emplace(std::pair(node.dc, node.rack), next).first->second);
  }
  return result;
}

// Remembers what one walk has met; starting another costs nothing.
class Marks {
 public:
  explicit Marks(size_t size) : walk_of_(size, 0) {}
  void Restart() { ++walk_; }
  // False if it was marked before on this walk.
  bool Mark(size_t i) { return std::exchange(walk_of_[i], walk_) != walk_; }

 private:
  std::vector<uint64_t> walk_of_;
  uint64_t walk_ = 0;
};

// The n owners among the steps: one of each rack first, then the others, kept in ring order.
PreferenceList Choose(const std::vector<Step>& steps, uint32_t n) {
  uint32_t racks = 0;
  for (const Step& step : steps) racks += step.opens_rack && step.rank < n;
  PreferenceList list;
  list.primaries.reserve(std::min<size_t>(n, steps.size()));
  for (const Step& step : steps) {
    if (step.rank < (step.opens_rack ? n : n - racks)) list.primaries.push_back(step.node);
  }
  return list;
}

}  // namespace

Ring::Ring(std::vector<RingNode> nodes) : nodes_(std::move(nodes)) {
  std::vector<base::Uuid> ids;
  for (NodeIndex i = 0; i < nodes_.size(); ++i) {
    ids.push_back(nodes_[i].id);
    for (const Token token : nodes_[i].tokens) points_.push_back({token, i});
  }
  std::sort(ids.begin(), ids.end());
  LARIAT_CHECK(std::adjacent_find(ids.begin(), ids.end()) == ids.end(), "a node id is used twice");
  std::sort(points_.begin(), points_.end(),
            [](const Point& a, const Point& b) { return a.token < b.token; });
  const auto same = [](const Point& a, const Point& b) { return a.token == b.token; };
  LARIAT_CHECK(std::adjacent_find(points_.begin(), points_.end(), same) == points_.end(),
               "a token is used twice");
  BuildLists();
}

void Ring::BuildLists() {
  size_t holders = 0;
  std::vector<uint32_t> racks = RackNumbers(nodes_);
  std::vector<uint32_t> racks_in_use;
  for (size_t i = 0; i < nodes_.size(); ++i) {
    if (nodes_[i].tokens.empty()) continue;
    ++holders;
    racks_in_use.push_back(racks[i]);
  }
  std::sort(racks_in_use.begin(), racks_in_use.end());
  const auto rack_count = static_cast<uint32_t>(
      std::unique(racks_in_use.begin(), racks_in_use.end()) - racks_in_use.begin());
  const auto n_max = static_cast<uint32_t>(std::min<size_t>(holders, kMaxReplication));
  const uint32_t openers_max = std::min(rack_count, n_max);

  lists_.assign(n_max, {});
  for (auto& of_n : lists_) of_n.reserve(points_.size());
  Marks met(nodes_.size());
  Marks opened(nodes_.size());
  std::vector<Step> steps;
  for (size_t i = 0; i < points_.size(); ++i) {
    met.Restart();
    opened.Restart();
    steps.clear();
    uint32_t openers = 0;
    uint32_t others = 0;
    // What is met until the list for n_max is complete also completes those for every smaller n.
    for (size_t k = i; openers < openers_max || openers + others < n_max; ++k) {
      const NodeIndex node = points_[k % points_.size()].node;
      if (!met.Mark(node)) continue;
      const bool opens = opened.Mark(racks[node]);
      steps.push_back({node, opens, opens ? openers++ : others++});
    }
    for (uint32_t n = 1; n <= n_max; ++n) lists_[n - 1].push_back(Choose(steps, n));
  }
}

// The point whose range (previous point, point] holds the token. REQUIRES: there are points.
size_t Ring::PointAt(Token token) const {
  const auto it = std::lower_bound(points_.begin(), points_.end(), token,
                                   [](const Point& p, Token t) { return p.token < t; });
  return it == points_.end() ? 0 : static_cast<size_t>(it - points_.begin());
}

// Share of the token space of the range that ends at the point.
double Ring::Width(size_t point) const {
  if (points_.size() == 1) return 1.0;
  const size_t before = point == 0 ? points_.size() - 1 : point - 1;
  return static_cast<double>(points_[point].token.value - points_[before].token.value) * 0x1p-64;
}

const PreferenceList& Ring::Primaries(Token token, uint32_t n) const {
  if (n == 0 || lists_.empty()) return kNobody;
  return lists_[std::min<size_t>(n, lists_.size()) - 1][PointAt(token)];
}

std::vector<NodeIndex> Ring::Fallbacks(Token token, uint32_t n) const {
  std::vector<NodeIndex> others;
  if (points_.empty()) return others;
  std::vector<bool> taken(nodes_.size(), false);
  for (const NodeIndex node : Primaries(token, n).primaries) taken[node] = true;
  const size_t start = PointAt(token);
  for (size_t k = 0; k < points_.size(); ++k) {
    const NodeIndex node = points_[(start + k) % points_.size()].node;
    if (taken[node]) continue;
    taken[node] = true;
    others.push_back(node);
  }
  return others;
}

std::vector<double> Ring::Ownership(uint32_t n) const {
  std::vector<double> share(nodes_.size(), 0.0);
  if (n == 0 || lists_.empty()) return share;
  const auto& lists = lists_[std::min<size_t>(n, lists_.size()) - 1];
  for (size_t i = 0; i < points_.size(); ++i) {
    const auto& owners = lists[i].primaries;
    for (const NodeIndex node : owners) {
      share[node] += Width(i) / static_cast<double>(owners.size());
    }
  }
  return share;
}

std::vector<Ring::Range> Ring::Ranges(uint32_t n) const {
  std::vector<Range> ranges;
  ranges.reserve(points_.size());
  for (size_t i = 0; i < points_.size(); ++i) {
    const Token to = points_[i].token;
    const Token from = points_[i == 0 ? points_.size() - 1 : i - 1].token;
    ranges.push_back({from, to, Primaries(to, n)});
  }
  return ranges;
}

}  // namespace lariat::ring
