// SPDX-License-Identifier: Apache-2.0
// Measures what token allocation promises and asserts it. The table in README.md is the output of
//   ring_test --gtest_filter='Allocation.*'
#include "ring/allocation.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <iomanip>
#include <iostream>
#include <numeric>
#include <set>

#include "base/prng.h"
#include "ring/fair_share.h"

namespace lariat::ring {
namespace {

constexpr AllocationOptions kDefaults;

// To 100 nodes and with several seeds it takes minutes: LARIAT_RING_WALK=full does, as README.md
// has it. Otherwise the walks end early.
bool FullWalk() { return std::getenv("LARIAT_RING_WALK") != nullptr; }

RingNode Node(uint64_t id, double weight, const std::string& rack) {
  RingNode node;
  node.id = {0, id};
  node.name = "node" + std::to_string(id);
  node.dc = "dc1";
  node.rack = rack;
  node.weight = weight;
  return node;
}

// Nodes that join one after another; weights and racks (r0, r1, ...) are given out in turn.
struct Layout {
  std::vector<double> weights = {1.0};
  uint64_t racks = 1;
  RingNode At(uint64_t i) const {
    return Node(i + 1, weights[i % weights.size()], "r" + std::to_string(i % racks));
  }
};

std::string Percent(double share) {
  char text[32];
  std::snprintf(text, sizeof(text), "%7.2f%%", 100 * share);
  return text;
}

void Join(std::vector<RingNode>& nodes, RingNode node, const AllocationOptions& options = {}) {
  node.tokens = AllocateTokens(nodes, node, options);
  nodes.push_back(std::move(node));
}

std::vector<RingNode> Cluster(const Layout& layout, uint64_t size) {
  std::vector<RingNode> nodes;
  for (uint64_t i = 0; i < size; ++i) Join(nodes, layout.At(i));
  return nodes;
}

// Largest relative deviation of a node's replicas from its fair share.
double Deviation(const std::vector<RingNode>& nodes, uint32_t n) {
  const auto held = Ring(nodes).Ownership(n);
  const auto fair = FairShares(nodes, n);
  const double copies = std::accumulate(fair.begin(), fair.end(), 0.0);
  double worst = 0;
  for (size_t i = 0; i < nodes.size(); ++i) {
    worst = std::max(worst, std::abs(held[i] * copies / fair[i] - 1));
  }
  return worst;
}

// What a join moves, exactly: shares of the token space.
struct Moves {
  double primary = 0;         // keys whose first primary changed
  double replicas = 0;        // replicas that are new somewhere, of all replicas
  double between_others = 0;  // of both, on another node than the newcomer
};

Moves Compare(const Ring& before, const Ring& after, uint32_t n) {
  const auto newcomer = static_cast<NodeIndex>(after.size() - 1);
  const double copies = static_cast<double>(std::min<size_t>(n, after.size()));
  Moves moves;
  for (const Ring::Range& range : after.Ranges(n)) {
    const auto& old_owners = before.Primaries(range.to, n).primaries;
    const auto& new_owners = range.owners.primaries;
    const double share = static_cast<double>(range.to.value - range.from.value) * 0x1p-64;
    if (old_owners[0] != new_owners[0]) {
      moves.primary += share;
      if (new_owners[0] != newcomer) moves.between_others += share;
    }
    for (const NodeIndex node : new_owners) {
      if (std::find(old_owners.begin(), old_owners.end(), node) != old_owners.end()) continue;
      moves.replicas += share / copies;
      if (node != newcomer) moves.between_others += share;
    }
  }
  return moves;
}

// --- walks through all sizes -------------------------------------------------------------------

struct Walk {
  const char* name;
  bool weighted;                // 0.5, 1, 2, each once in three nodes
  std::vector<uint64_t> racks;  // given out once each in turn, in any order
  uint64_t from;                // sizes below are measured, not asserted
  double limit;
};

struct WalkResult {
  double worst_small = 0, worst = 0, moved_low = 1, moved_high = 1;
  int above = 0, steps = 0;
};

template <typename T>
void Shuffle(std::vector<T>* values, base::Prng* prng) {
  for (size_t i = values->size(); i > 1; --i)
    std::swap((*values)[i - 1], (*values)[prng->Below(i)]);
}

void JoinAll(const Walk& walk, uint64_t seed, uint64_t size, WalkResult* result) {
  base::Prng prng(seed);
  std::vector<double> weights = {0.5, 1.0, 2.0};
  std::vector<uint64_t> racks = walk.racks;
  std::vector<RingNode> nodes;
  for (uint64_t i = 0; i < size; ++i) {
    if (i % weights.size() == 0) Shuffle(&weights, &prng);
    if (i % racks.size() == 0) Shuffle(&racks, &prng);
    const Ring before(nodes);
    const double weight = walk.weighted ? weights[i % weights.size()] : 1.0;
    Join(nodes, Node(i + 1, weight, "r" + std::to_string(racks[i % racks.size()])));
    if (nodes.size() < 3) continue;
    const double deviation = Deviation(nodes, 3);
    const Moves moves = Compare(before, Ring(nodes), 3);
    ASSERT_EQ(moves.between_others, 0.0) << walk.name;
    ++result->steps;
    result->above += deviation > 0.05;
    double& worst = nodes.size() < walk.from ? result->worst_small : result->worst;
    worst = std::max(worst, deviation);
    if (nodes.size() < walk.from) continue;
    const double moved = moves.replicas * 3 / FairShares(nodes, 3).back();
    result->moved_low = std::min(result->moved_low, moved);
    result->moved_high = std::max(result->moved_high, moved);
  }
}

TEST(Allocation, SpreadWhileNodesJoinOneByOne) {
  const Layout layout;
  std::vector<RingNode> nodes;
  std::clog << "nodes  max deviation  moved by the last join   1/nodes\n";
  for (uint64_t i = 0; i < 100; ++i) {
    const Ring before(nodes);
    Join(nodes, layout.At(i));
    const double deviation = Deviation(nodes, 3);
    EXPECT_LT(deviation, 0.05) << nodes.size();
    if (i == 0) continue;
    const Moves moves = Compare(before, Ring(nodes), 3);
    const double fair = 1.0 / static_cast<double>(nodes.size());
    EXPECT_NEAR(moves.replicas, fair, 0.05 * fair) << nodes.size();
    EXPECT_EQ(moves.between_others, 0.0) << nodes.size();
    const std::set<uint64_t> shown = {2, 3, 4, 5, 8, 16, 32, 50, 64, 100};
    if (shown.count(i + 1) == 0) continue;
    std::clog << std::setw(5) << nodes.size() << "       " << Percent(deviation)
              << "                " << Percent(moves.replicas) << "  " << Percent(fair) << "\n";
  }
}

TEST(Allocation, SpreadWhileNodesJoinInOtherLayouts) {
  const struct {
    const char* name;
    Layout layout;
    double limit;  // for every size from `from` to 60
    uint64_t from;
  } cases[] = {
      {"three racks", {{1.0}, 3}, 0.05, 1},
      {"two racks", {{1.0}, 2}, 0.05, 1},
      {"weights 1, 2, 0.5", {{1.0, 2.0, 0.5}, 1}, 0.05, 6},
      {"three racks, nodes of weight 1, 2, 0.5", {{1.0, 2.0, 0.5}, 3}, 0.11, 1},
      {"weights 1, 2, 0.5, 1 in three racks", {{1.0, 2.0, 0.5, 1.0}, 3}, 0.05, 1},
  };
  std::clog << "max deviation, up to 60 nodes (at size)\n";
  for (const auto& c : cases) {
    std::vector<RingNode> nodes;
    double worst = 0;
    size_t at = 0;
    for (uint64_t i = 0; i < 60; ++i) {
      const Ring before(nodes);
      Join(nodes, c.layout.At(i));
      if (i > 0) {
        EXPECT_EQ(Compare(before, Ring(nodes), 3).between_others, 0.0);
      }
      const double deviation = Deviation(nodes, 3);
      if (i + 1 >= c.from) {
        EXPECT_LT(deviation, c.limit) << c.name << ", " << nodes.size();
      }
      if (deviation > worst) at = nodes.size();
      worst = std::max(worst, deviation);
    }
    std::clog << Percent(worst) << " (" << at << ")  " << c.name << "\n";
  }
}

TEST(Allocation, AllSizesInAllLayouts) {
  const Walk walks[] = {
      {"equal weights, one rack", false, {0}, 3, 0.05},
      {"equal weights, two racks", false, {0, 1}, 3, 0.05},
      {"equal weights, three racks", false, {0, 1, 2}, 3, 0.05},
      {"equal weights, racks 2:1", false, {0, 0, 1}, 8, 0.14},
      {"equal weights, racks 4:1", false, {0, 0, 0, 0, 1}, 8, 0.06},
      {"equal weights, racks 3:2:1", false, {0, 0, 0, 1, 1, 2}, 8, 0.05},
      {"weights 0.5, 1, 2, one rack", true, {0}, 8, 0.05},
      {"weights 0.5, 1, 2, two racks", true, {0, 1}, 12, 0.15},
      {"weights 0.5, 1, 2, three racks", true, {0, 1, 2}, 8, 0.07},
      {"weights 0.5, 1, 2, racks 2:1", true, {0, 0, 1}, 12, 0.14},
      {"weights 0.5, 1, 2, racks 4:1", true, {0, 0, 0, 0, 1}, 12, 0.14},
      {"weights 0.5, 1, 2, racks 3:2:1", true, {0, 0, 0, 1, 1, 2}, 12, 0.08},
  };
  std::clog << "worst, from size on  (smaller)  above 5%  moved / fair share\n";
  for (const Walk& walk : walks) {
    WalkResult result;
    for (uint64_t seed = 0; seed < (FullWalk() ? 3 : 1); ++seed) {
      JoinAll(walk, 100 + seed, FullWalk() ? 100 : 40, &result);
    }
    EXPECT_LT(result.worst, walk.limit) << walk.name;
    EXPECT_GT(result.moved_low, 0.9) << walk.name;
    EXPECT_LT(result.moved_high, 1.1) << walk.name;
    char row[160];
    std::snprintf(row, sizeof(row), "%6.2f%% %11u %10.2f%% %4d of %3d     %.3f to %.3f  %s",
                  100 * result.worst, static_cast<unsigned>(walk.from), 100 * result.worst_small,
                  result.above, result.steps, result.moved_low, result.moved_high, walk.name);
    std::clog << row << "\n";
  }
}

TEST(Allocation, OneCopyMovesOnlyToTheNewcomer) {
  for (const uint64_t size : {1U, 2U, 3U, 8U, 40U}) {
    std::vector<RingNode> nodes = Cluster({}, size);
    const Ring before(nodes);
    Join(nodes, Layout().At(size));
    const Moves moves = Compare(before, Ring(nodes), 1);
    const double fair = 1.0 / static_cast<double>(size + 1);
    EXPECT_EQ(moves.between_others, 0.0) << size;
    EXPECT_NEAR(moves.primary, fair, 0.2 * fair) << size;
  }
}

TEST(Allocation, JoinsEvenOutWhatALostNodeLeftBehind) {
  auto nodes = Cluster({}, 20);
  nodes.erase(nodes.begin() + 7);
  const double after_loss = Deviation(nodes, 3);
  std::clog << "one of 20 nodes lost: max deviation" << Percent(after_loss) << ", then";
  for (uint64_t i = 20; i < 24; ++i) {
    Join(nodes, Layout().At(i));
    std::clog << Percent(Deviation(nodes, 3));
  }
  std::clog << " after each of the next joins\n";
  EXPECT_LT(Deviation(nodes, 3), 0.05);
}

TEST(Allocation, OtherReplicationsStayNearToo) {
  // Tokens are chosen for n = 3; buckets may use another n on the same ring.
  const auto nodes = Cluster({}, 30);
  EXPECT_LT(Deviation(nodes, 1), 0.15);
  EXPECT_LT(Deviation(nodes, 2), 0.15);
  EXPECT_LT(Deviation(nodes, 5), 0.15);
}

TEST(Allocation, GivesTokensByWeight) {
  auto nodes = Cluster({}, 2);
  for (const auto& [weight, count] : {std::pair(1.0, 16U), {2.0, 32U}, {0.5, 8U}, {0.01, 1U}}) {
    const auto tokens = AllocateTokens(nodes, Node(9, weight, "r0"), kDefaults);
    EXPECT_EQ(tokens.size(), count);
    EXPECT_TRUE(std::is_sorted(tokens.begin(), tokens.end()));
  }
  EXPECT_EQ(AllocateTokens({}, Node(9, 0.0, "r0"), kDefaults).size(), 1U);
  EXPECT_EQ(AllocateTokens({}, Node(9, 1e9, "r0"), kDefaults).size(), kTokensMax);
}

TEST(Allocation, TokensAreNewEvenIfThereAreMoreThanGaps) {
  std::vector<RingNode> nodes;
  Join(nodes, Node(1, 1.0, "r0"), {1, 3});
  Join(nodes, Node(2, 100.0, "r0"), {4, 3});  // 400 tokens beside one
  Join(nodes, Node(3, 1.0, "r0"), {300, 3});
  const Ring ring(nodes);  // checks that no token is used twice
  EXPECT_EQ(ring.Ranges(1).size(), 1U + 400U + 300U);
}

TEST(Allocation, TokensThatLieTogetherAreNoTrouble) {
  std::vector<RingNode> nodes = {Node(1, 1.0, "r0"), Node(2, 1.0, "r0")};
  for (uint64_t i = 0; i < 16; ++i) nodes[i % 2].tokens.push_back({UINT64_MAX - 7 + i});
  for (RingNode& node : nodes) std::sort(node.tokens.begin(), node.tokens.end());
  Join(nodes, Node(3, 1.0, "r0"));
  EXPECT_EQ(nodes.back().tokens.size(), 16U);
  EXPECT_EQ(Ring(nodes).size(), 3U);
}

TEST(Allocation, FirstTokensAreEvenlySpaced) {
  const auto tokens = AllocateTokens({}, Node(1, 1.0, "r0"), kDefaults);
  ASSERT_EQ(tokens.size(), 16U);
  for (uint64_t i = 0; i < 16; ++i) EXPECT_EQ(tokens[i].value, i << 60);
}

TEST(Allocation, IsDeterministic) {
  // Golden: a change here gives other tokens to nodes of the same cluster, which is allowed, but
  // must be meant.
  const AllocationOptions four{4, 3};
  std::vector<RingNode> nodes;
  for (uint64_t i = 0; i < 3; ++i) Join(nodes, Layout().At(i), four);
  std::vector<uint64_t> second;
  std::vector<uint64_t> third;
  for (const Token token : nodes[1].tokens) second.push_back(token.value);
  for (const Token token : nodes[2].tokens) third.push_back(token.value);
  EXPECT_EQ(second, (std::vector<uint64_t>{0x1fd2c88176d00c00, 0x602cae3c52b11200,
                                           0xa00087a18ddcf800, 0xe000000000021000}));
  EXPECT_EQ(third, (std::vector<uint64_t>{0x353b4378b775c800, 0x560172ce670e1600,
                                          0xd42ca5aa855b2500, 0xf45ef25bbc1b3c00}));
}

TEST(Allocation, IgnoresTheNewcomersOldTokens) {
  auto nodes = Cluster({}, 5);
  const auto others = std::vector<RingNode>(nodes.begin(), nodes.end() - 1);
  EXPECT_EQ(AllocateTokens(nodes, nodes.back(), kDefaults),
            AllocateTokens(others, nodes.back(), kDefaults));
}

TEST(FairShares, FollowWeightsWithinWhatIsPossible) {
  std::vector<RingNode> nodes = {Node(1, 1, "a"), Node(2, 2, "a"), Node(3, 1, "b"),
                                 Node(4, 4, "c")};
  const auto near = [&](uint32_t n, std::vector<double> expected) {
    const auto shares = FairShares(nodes, n);
    for (size_t i = 0; i < nodes.size(); ++i) EXPECT_NEAR(shares[i], expected[i], 1e-9) << i;
  };
  near(1, {0.125, 0.25, 0.125, 0.5});
  near(3, {1.0 / 3, 2.0 / 3, 1, 1});  // one copy in each rack
  near(4, {1, 1, 1, 1});
  near(9, {1, 1, 1, 1});
  EXPECT_TRUE(FairShares({}, 3).empty());
}

}  // namespace
}  // namespace lariat::ring
