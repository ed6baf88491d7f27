// SPDX-License-Identifier: Apache-2.0
// Measures what changes of the cluster do to the spread, and asserts it. The tables in README.md
// are the output of
//   ring_test --gtest_filter='Placement.*'
#include "ring/placement.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <iostream>
#include <map>
#include <numeric>
#include <set>

#include "base/prng.h"
#include "ring/diff.h"
#include "ring/fair_share.h"

namespace lariat::ring {
namespace {

constexpr AllocationOptions kDefaults;
using Nodes = std::vector<RingNode>;

RingNode Node(uint64_t id, double weight, uint64_t rack) {
  RingNode node;
  node.id = {0, id};
  node.name = "node" + std::to_string(id);
  node.dc = "dc1";
  node.rack = "r" + std::to_string(rack);
  node.weight = weight;
  return node;
}

void Join(Nodes* nodes, RingNode node) {
  node.tokens = AllocateTokens(*nodes, node, kDefaults);
  nodes->push_back(std::move(node));
}

Nodes Cluster(uint64_t size, uint64_t racks) {
  Nodes nodes;
  for (uint64_t i = 0; i < size; ++i) Join(&nodes, Node(i + 1, 1.0, i % racks));
  return nodes;
}

Nodes With(Nodes nodes, const std::vector<std::vector<Token>>& tokens) {
  EXPECT_EQ(nodes.size(), tokens.size());
  for (size_t i = 0; i < nodes.size(); ++i) {
    EXPECT_TRUE(std::is_sorted(tokens[i].begin(), tokens[i].end()));
    nodes[i].tokens = tokens[i];
  }
  return nodes;
}

size_t TokensOf(const Nodes& nodes) {
  size_t count = 0;
  for (const RingNode& node : nodes) count += node.tokens.size();
  return count;
}

Nodes HoldersOf(Nodes nodes) {
  std::erase_if(nodes, [](const RingNode& node) { return node.tokens.empty(); });
  return nodes;
}

// Largest relative deviation of a node's replicas from its fair share, for three copies.
double Deviation(const Nodes& nodes) {
  const Nodes holders = HoldersOf(nodes);
  const auto held = Ring(holders).Ownership(3);
  const auto fair = FairShares(holders, 3);
  const double copies = std::accumulate(fair.begin(), fair.end(), 0.0);
  double worst = 0;
  for (size_t i = 0; i < holders.size(); ++i) {
    worst = std::max(worst, std::abs(held[i] * copies / fair[i] - 1));
  }
  return worst;
}

struct Moved {
  double from = 0, to = 0;  // the node in question, of all replicas
  double others = 0;        // between other nodes
};
Moved Compare(const Nodes& before, const Nodes& after, NodeIndex node) {
  Moved moved;
  for (const Move& move : Diff(Ring(before), 3, Ring(after), 3)) {
    const double share = move.range.Share() / 3;
    if (move.receiver == node) {
      moved.to += share;
    } else {
      (move.sources == std::vector<NodeIndex>{node} ? moved.from : moved.others) += share;
    }
  }
  return moved;
}

template <typename... Values>
void PrintRow(const char* format, Values... values) {
  char row[160];
  std::snprintf(row, sizeof(row), format, values...);
  std::clog << row << "\n";
}

// --- leaving ------------------------------------------------------------------------------------

struct LeaveFigures {
  double untouched = 0, deviation = 0, others = 0, moved = 0, tokens = 0;
};

// About ten nodes, each of which leaves alone; the worst, but for the means of moved and tokens.
LeaveFigures MeasureLeaves(const Nodes& nodes) {
  LeaveFigures figures;
  double tries = 0;
  for (NodeIndex i = 0; i < nodes.size(); i += static_cast<NodeIndex>(1 + nodes.size() / 11)) {
    Nodes untouched = nodes;
    untouched[i].tokens.clear();
    const Nodes after = With(nodes, PlanLeave(nodes, i, kDefaults));
    EXPECT_TRUE(after[i].tokens.empty());
    const Moved moved = Compare(nodes, after, i);
    EXPECT_EQ(moved.to, 0.0);
    figures.untouched = std::max(figures.untouched, Deviation(untouched));
    figures.deviation = std::max(figures.deviation, Deviation(after));
    figures.others = std::max(figures.others, moved.others);
    figures.moved += moved.from;
    figures.tokens += static_cast<double>(TokensOf(after) - TokensOf(untouched));
    tries += 1;
  }
  figures.moved /= tries;
  figures.tokens /= tries;
  return figures;
}

TEST(Placement, LeavingKeepsTheOthersEven) {
  std::clog << "racks nodes  max deviation: only removed, planned  new tokens   moved  1/nodes"
            << "  between others\n";
  const std::set<uint64_t> sizes = {4, 5, 6, 8, 12, 20, 50, 100};
  for (const uint64_t racks : {1U, 2U, 3U}) {
    Nodes nodes;
    for (uint64_t i = 0; i < *sizes.rbegin(); ++i) {
      Join(&nodes, Node(i + 1, 1.0, i % racks));
      const uint64_t size = nodes.size();
      // The only node of a rack cannot leave without moves between others.
      if (sizes.count(size) == 0 || size < 2 * racks) continue;
      const LeaveFigures f = MeasureLeaves(nodes);
      const double fair = 1.0 / static_cast<double>(size);
      EXPECT_LT(f.deviation, 0.05) << racks << " racks, " << size;
      EXPECT_LT(f.others, 0.001) << racks << " racks, " << size;
      EXPECT_NEAR(f.moved, fair, 0.06 * fair);
      PrintRow("%5u %5u %27.2f%% %8.2f%% %11.1f %6.2f%% %7.2f%% %14.3f%%",
               static_cast<unsigned>(racks), static_cast<unsigned>(size), 100 * f.untouched,
               100 * f.deviation, f.tokens, 100 * f.moved, 100 * fair, 100 * f.others);
    }
  }
}

TEST(Placement, LeavingUndoesJoining) {
  const Nodes before = Cluster(12, 1);
  Nodes nodes = before;
  Join(&nodes, Node(13, 1.0, 0));
  Nodes after = With(nodes, PlanLeave(nodes, 12, kDefaults));
  for (size_t i = 0; i < before.size(); ++i) EXPECT_EQ(after[i].tokens, before[i].tokens);
}

TEST(Placement, LeavingFewNodesOnlyRemovesTokens) {
  for (const uint64_t size : {1U, 2U, 3U, 4U}) {
    const Nodes nodes = Cluster(size, 1);
    Nodes removed = nodes;
    removed[0].tokens.clear();
    const Nodes after = With(nodes, PlanLeave(nodes, 0, kDefaults));
    for (size_t i = 0; i < size; ++i) EXPECT_EQ(after[i].tokens, removed[i].tokens);
  }
}

TEST(Placement, NodesWithoutTokensGetNone) {
  Nodes nodes = Cluster(6, 1);
  nodes.push_back(Node(7, 1.0, 0));
  Nodes after = With(nodes, PlanLeave(nodes, 2, kDefaults));
  EXPECT_TRUE(after[6].tokens.empty());
  after = With(nodes, PlanLeave(nodes, 6, kDefaults));
  for (size_t i = 0; i < nodes.size(); ++i) EXPECT_EQ(after[i].tokens, nodes[i].tokens);
}

TEST(Placement, EveryKeyKeepsOneReplicaInEachRack) {
  const Nodes nodes = Cluster(12, 3);
  for (NodeIndex gone = 0; gone < nodes.size(); ++gone) {
    const Ring ring(With(nodes, PlanLeave(nodes, gone, kDefaults)));
    for (const Ring::Range& range : ring.Ranges(3)) {
      std::set<std::string> racks;
      for (const NodeIndex node : range.owners.primaries) racks.insert(ring.nodes()[node].rack);
      ASSERT_EQ(racks.size(), 3U);
    }
  }
}

// --- taking a place -----------------------------------------------------------------------------

TEST(Placement, ReplacingGivesTheSameTokens) {
  Nodes nodes = Cluster(5, 1);
  nodes.push_back(Node(6, 1.0, 0));
  const Nodes after = With(nodes, PlanReplace(nodes, 2, 5));
  EXPECT_EQ(after[5].tokens, nodes[2].tokens);
  EXPECT_TRUE(after[2].tokens.empty());
  for (const NodeIndex i : {0U, 1U, 3U, 4U}) EXPECT_EQ(after[i].tokens, nodes[i].tokens);
  const Moved moved = Compare(nodes, after, 5);
  EXPECT_NEAR(moved.to, 0.2, 0.02);
  EXPECT_EQ(moved.from + moved.others, 0.0);
}

// --- weights ------------------------------------------------------------------------------------

Nodes Reweighted(const Nodes& nodes, NodeIndex node, double weight) {
  Nodes after = With(nodes, PlanReweight(nodes, node, weight, kDefaults));
  after[node].weight = weight;
  return after;
}

TEST(Placement, MoreWeightOnlyReceives) {
  for (const uint64_t size : {8U, 20U, 60U}) {
    const Nodes nodes = Cluster(size, 1);
    const Nodes after = Reweighted(nodes, 3, 2.0);
    EXPECT_EQ(after[3].tokens.size(), 32U);
    EXPECT_TRUE(std::includes(after[3].tokens.begin(), after[3].tokens.end(),
                              nodes[3].tokens.begin(), nodes[3].tokens.end()));
    EXPECT_EQ(TokensOf(after), TokensOf(nodes) + 16);
    const Moved moved = Compare(nodes, after, 3);
    EXPECT_EQ(moved.from + moved.others, 0.0);
    const double fair = 2.0 / static_cast<double>(size + 1) - 1.0 / static_cast<double>(size);
    EXPECT_NEAR(moved.to, fair, 0.1 * fair);
    EXPECT_LT(Deviation(after), 0.05) << size;
  }
}

TEST(Placement, LessWeightOnlyGives) {
  for (const uint64_t size : {8U, 20U, 60U}) {
    const Nodes nodes = Cluster(size, 1);
    const Nodes after = Reweighted(nodes, 3, 0.5);
    EXPECT_EQ(after[3].tokens.size(), 8U);
    const Moved moved = Compare(nodes, after, 3);
    EXPECT_EQ(moved.to + moved.others, 0.0);
    EXPECT_LT(Deviation(after), 0.05) << size;
  }
}

TEST(Placement, TheSameWeightChangesNothing) {
  const Nodes nodes = Cluster(7, 1);
  const Nodes after = Reweighted(nodes, 3, 1.0);
  for (size_t i = 0; i < nodes.size(); ++i) EXPECT_EQ(after[i].tokens, nodes[i].tokens);
}

TEST(Placement, WeightsOfAloneAndOfTokenlessNodes) {
  const Nodes alone = Cluster(1, 1);
  EXPECT_EQ(Reweighted(alone, 0, 2.0)[0].tokens.size(), 32U);
  EXPECT_EQ(Reweighted(alone, 0, 0.5)[0].tokens.size(), 8U);
  Nodes nodes = Cluster(4, 1);
  nodes.push_back(Node(5, 1.0, 0));
  EXPECT_EQ(PlanReweight(nodes, 4, 2.0, kDefaults)[4],
            AllocateTokens(nodes, Node(5, 2.0, 0), kDefaults));
}

TEST(Placement, SmallClustersChangeWeights) {
  // Every node holds everything, whatever its tokens.
  for (const uint64_t racks : {1U, 2U, 3U}) {
    for (const uint64_t size : {2U, 3U}) {
      for (const double weight : {0.5, 2.0}) {
        const Nodes nodes = Cluster(size, racks);
        const Nodes after = Reweighted(nodes, 0, weight);
        const Moved moved = Compare(nodes, after, 0);
        EXPECT_EQ(moved.from + moved.to + moved.others, 0.0);
      }
    }
  }
}

// --- sequences ----------------------------------------------------------------------------------

struct Plan {
  const char* name;
  std::vector<double> weights;
  uint64_t racks, size_min, size_max;
  double limit;
};

uint64_t RackOf(const RingNode& node) { return static_cast<uint64_t>(node.rack[1] - '0'); }

// A cluster that changes at random. Racks are kept at about one size.
class Story {
 public:
  Story(const Plan& plan, uint64_t seed) : plan_(plan), prng_(seed) {
    while (nodes_.size() < plan_.size_min) JoinOne();
  }

  // What moved between nodes that the step is not about.
  double Step() {
    const uint64_t kind = prng_.Below(plan_.weights.size() > 1 ? 4 : 3);
    const bool grow =
        nodes_.size() <= plan_.size_min || (kind < 2 && nodes_.size() < plan_.size_max);
    if (kind == 3) return Change([this](NodeIndex& node) { return ReweightOne(node); });
    if (!grow) return Change([this](NodeIndex& node) { return LeaveOne(node); });
    JoinOne();
    return 0;
  }
  const Nodes& nodes() const { return nodes_; }

 private:
  double AnyWeight() { return plan_.weights[prng_.Below(plan_.weights.size())]; }
  std::vector<size_t> RackSizes() const {
    std::vector<size_t> sizes(plan_.racks);
    for (const RingNode& node : nodes_) ++sizes[RackOf(node)];
    return sizes;
  }
  void JoinOne() {
    const auto sizes = RackSizes();
    const auto rack = std::min_element(sizes.begin(), sizes.end()) - sizes.begin();
    Join(&nodes_, Node(++last_id_, AnyWeight(), static_cast<uint64_t>(rack)));
  }
  template <typename Plan>
  double Change(Plan plan) {
    auto node = static_cast<NodeIndex>(prng_.Below(nodes_.size()));
    const Nodes before = nodes_;
    nodes_ = plan(node);
    const double others = Compare(before, nodes_, node).others;
    nodes_ = HoldersOf(nodes_);
    return others;
  }
  Nodes LeaveOne(NodeIndex& node) {
    const auto sizes = RackSizes();
    const size_t largest = *std::max_element(sizes.begin(), sizes.end());
    while (sizes[RackOf(nodes_[node])] < largest) node = node + 1 < nodes_.size() ? node + 1 : 0;
    return With(nodes_, PlanLeave(nodes_, node, kDefaults));
  }
  Nodes ReweightOne(NodeIndex node) { return Reweighted(nodes_, node, AnyWeight()); }

  const Plan& plan_;
  base::Prng prng_;
  Nodes nodes_;
  uint64_t last_id_ = 0;
};

TEST(Placement, RandomChangesKeepTheSpread) {
  const Plan plans[] = {
      {"equal weights", {1.0}, 1, 4, 20, 0.05},
      {"equal weights, large", {1.0}, 1, 60, 100, 0.06},
      {"equal weights, three racks", {1.0}, 3, 6, 40, 0.05},
      {"equal weights, two racks", {1.0}, 2, 6, 40, 0.08},
      {"weights 0.5, 1, 2", {0.5, 1.0, 2.0}, 1, 8, 40, 0.08},
      {"weights 1, 2, three racks", {1.0, 2.0}, 3, 12, 40, 0.05},
      {"weights 0.5, 1, 2, three racks", {0.5, 1.0, 2.0}, 3, 12, 40, 0.08},
  };
  std::clog << "worst deviation  above 5%  tokens per weight  between others\n";
  for (const Plan& plan : plans) {
    double worst = 0;
    double others = 0;
    double tokens = 0;
    int above = 0;
    int steps = 0;
    for (uint64_t seed = 0; seed < 2; ++seed) {
      Story story(plan, seed);
      for (int step = 0; step < 40; ++step, ++steps) {
        others = std::max(others, story.Step());
        const double deviation = Deviation(story.nodes());
        worst = std::max(worst, deviation);
        above += deviation > 0.05;
        ASSERT_LT(deviation, plan.limit) << plan.name << ", seed " << seed << ", step " << step;
      }
      for (const RingNode& node : story.nodes()) {
        tokens = std::max(tokens, static_cast<double>(node.tokens.size()) / node.weight);
      }
    }
    EXPECT_LT(others, 0.002) << plan.name;
    PrintRow("%14.2f%%  %3d of %3d %19.0f %14.3f%%  %s", 100 * worst, above, steps, tokens,
             100 * others, plan.name);
  }
}

}  // namespace
}  // namespace lariat::ring
