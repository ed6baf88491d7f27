// SPDX-License-Identifier: Apache-2.0
#include "ring/ring.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <set>

#include "base/prng.h"

namespace lariat::ring {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

RingNode Node(uint64_t id, const std::string& rack, std::vector<Token> tokens) {
  RingNode node;
  node.id = {0, id};
  node.name = "node" + std::to_string(id);
  node.dc = "dc1";
  node.rack = rack;
  node.tokens = std::move(tokens);
  return node;
}

// Nodes with random tokens, round robin over the racks.
std::vector<RingNode> RandomNodes(base::Prng& prng, uint64_t count, uint64_t racks) {
  std::vector<RingNode> nodes;
  for (uint64_t i = 0; i < count; ++i) {
    std::vector<Token> tokens;
    for (int k = 0; k < 8; ++k) tokens.push_back({prng.Next()});
    std::sort(tokens.begin(), tokens.end());
    nodes.push_back(Node(i + 1, "rack" + std::to_string(i % racks), std::move(tokens)));
  }
  return nodes;
}

// The rule in its plainest form, to compare with.
std::vector<NodeIndex> PlainPrimaries(const Ring& ring, Token token, uint32_t n) {
  std::vector<std::pair<uint64_t, NodeIndex>> distance;
  for (NodeIndex i = 0; i < ring.size(); ++i) {
    uint64_t nearest = UINT64_MAX;
    for (const Token t : ring.nodes()[i].tokens) nearest = std::min(nearest, t.value - token.value);
    distance.emplace_back(nearest, i);
  }
  std::sort(distance.begin(), distance.end());
  std::set<std::string> racks;
  std::set<std::pair<uint64_t, NodeIndex>> chosen;
  for (const auto& d : distance) {
    if (chosen.size() < n && racks.insert(ring.nodes()[d.second].rack).second) chosen.insert(d);
  }
  for (const auto& d : distance) {
    if (chosen.size() < n) chosen.insert(d);
  }
  std::vector<NodeIndex> result;
  for (const auto& d : chosen) result.push_back(d.second);
  return result;
}

TEST(Ring, EmptyRingsHaveNobody) {
  const Ring empty;
  EXPECT_THAT(empty.Primaries({5}, 3).primaries, IsEmpty());
  EXPECT_THAT(empty.Fallbacks({5}, 3), IsEmpty());
  EXPECT_THAT(empty.Ranges(3), IsEmpty());
  EXPECT_THAT(empty.Ownership(3), IsEmpty());
  const Ring tokenless({Node(1, "r", {})});
  EXPECT_THAT(tokenless.Primaries({5}, 3).primaries, IsEmpty());
  EXPECT_THAT(tokenless.Ownership(3), ElementsAre(0.0));
}

TEST(Ring, OneTokenOwnsEverything) {
  const Ring ring({Node(1, "r", {{100}}), Node(2, "r", {})});
  for (const uint64_t t : {0ULL, 99ULL, 100ULL, 101ULL, ~0ULL}) {
    EXPECT_THAT(ring.Primaries({t}, 3).primaries, ElementsAre(0U));
  }
  EXPECT_THAT(ring.Ownership(1), ElementsAre(1.0, 0.0));
  EXPECT_THAT(ring.Ownership(2), ElementsAre(1.0, 0.0));
  const auto ranges = ring.Ranges(1);
  ASSERT_EQ(ranges.size(), 1U);
  EXPECT_EQ(ranges[0].from, ranges[0].to);
}

TEST(Ring, RangesExcludeTheirStartAndIncludeTheirEnd) {
  const Ring ring({Node(1, "r", {{100}}), Node(2, "r", {{200}}), Node(3, "r", {{300}})});
  EXPECT_THAT(ring.Primaries({100}, 2).primaries, ElementsAre(0U, 1U));
  EXPECT_THAT(ring.Primaries({101}, 2).primaries, ElementsAre(1U, 2U));
  EXPECT_THAT(ring.Primaries({301}, 2).primaries, ElementsAre(0U, 1U));  // around zero
  EXPECT_THAT(ring.Primaries({0}, 2).primaries, ElementsAre(0U, 1U));
  EXPECT_THAT(ring.Primaries({150}, 9).primaries, ElementsAre(1U, 2U, 0U));
  EXPECT_THAT(ring.Primaries({150}, 0).primaries, IsEmpty());
  EXPECT_THAT(ring.Fallbacks({150}, 1), ElementsAre(2U, 0U));
  EXPECT_THAT(ring.Fallbacks({150}, 0), ElementsAre(1U, 2U, 0U));
}

TEST(Ring, TakesUnusedRacksFirstAndKeepsRingOrder) {
  const Ring ring(
      {Node(1, "a", {{100}}), Node(2, "a", {{200}}), Node(3, "b", {{300}}), Node(4, "b", {{400}})});
  EXPECT_THAT(ring.Primaries({50}, 2).primaries, ElementsAre(0U, 2U));
  EXPECT_THAT(ring.Primaries({50}, 3).primaries, ElementsAre(0U, 1U, 2U));
  EXPECT_THAT(ring.Fallbacks({50}, 2), ElementsAre(1U, 3U));
  EXPECT_THAT(ring.Primaries({250}, 3).primaries, ElementsAre(2U, 3U, 0U));
}

TEST(Ring, RacksOfTwoDatacentersAreDifferentRacks) {
  std::vector<RingNode> nodes = {Node(1, "r", {{100}}), Node(2, "r", {{200}}),
                                 Node(3, "r", {{300}})};
  nodes[2].dc = "dc2";
  EXPECT_THAT(Ring(nodes).Primaries({50}, 2).primaries, ElementsAre(0U, 2U));
}

TEST(Ring, AgreesWithTheRuleInItsPlainestForm) {
  base::Prng prng(42);
  for (int round = 0; round < 60; ++round) {
    const Ring ring(RandomNodes(prng, 1 + prng.Below(20), 1 + prng.Below(5)));
    for (int i = 0; i < 30; ++i) {
      const Token token{prng.Next()};
      const auto n = static_cast<uint32_t>(1 + prng.Below(8));
      const auto& primaries = ring.Primaries(token, n).primaries;
      EXPECT_EQ(primaries, PlainPrimaries(ring, token, n));
      std::vector<NodeIndex> all = ring.Fallbacks(token, n);
      all.insert(all.end(), primaries.begin(), primaries.end());
      std::sort(all.begin(), all.end());
      std::vector<NodeIndex> everybody(ring.size());
      std::iota(everybody.begin(), everybody.end(), 0U);
      EXPECT_EQ(all, everybody);
    }
  }
}

TEST(Ring, ThreeCopiesOverThreeRacksAreOneInEach) {
  base::Prng prng(7);
  const Ring ring(RandomNodes(prng, 12, 3));
  for (const Ring::Range& range : ring.Ranges(3)) {
    std::set<std::string> racks;
    for (const NodeIndex i : range.owners.primaries) racks.insert(ring.nodes()[i].rack);
    EXPECT_EQ(racks.size(), 3U);
  }
}

TEST(Ring, RangesTileTheRingAndSharesAddUp) {
  base::Prng prng(8);
  const Ring ring(RandomNodes(prng, 9, 2));
  const auto ranges = ring.Ranges(3);
  ASSERT_EQ(ranges.size(), 72U);
  for (size_t i = 0; i < ranges.size(); ++i) {
    EXPECT_EQ(ranges[i].from, ranges[(i + 71) % 72].to);
    EXPECT_EQ(ring.Primaries(ranges[i].to, 3).primaries, ranges[i].owners.primaries);
    const Token next{ranges[i].to.value + 1};
    EXPECT_EQ(ring.Primaries(next, 3).primaries, ranges[(i + 1) % 72].owners.primaries);
  }
  for (const uint32_t n : {1U, 2U, 3U, 9U, 50U}) {
    const auto share = ring.Ownership(n);
    EXPECT_NEAR(std::accumulate(share.begin(), share.end(), 0.0), 1.0, 1e-9);
  }
  for (const double share : ring.Ownership(9)) EXPECT_NEAR(share, 1.0 / 9, 1e-9);
}

TEST(Ring, ReplicationBeyondTheMaximumGetsTheMaximum) {
  base::Prng prng(9);
  const Ring ring(RandomNodes(prng, 20, 1));
  EXPECT_EQ(ring.Primaries({1}, 16).primaries.size(), Ring::kMaxReplication);
  EXPECT_EQ(ring.Primaries({1}, 17).primaries, ring.Primaries({1}, 16).primaries);
  EXPECT_EQ(ring.Fallbacks({1}, 17).size(), 4U);
}

TEST(Ring, CopiesAreIndependent) {
  Ring ring({Node(1, "r", {{100}}), Node(2, "r", {{200}})});
  const Ring copy = ring;
  const Ring moved = std::move(ring);
  EXPECT_THAT(copy.Primaries({150}, 2).primaries, ElementsAre(1U, 0U));
  EXPECT_THAT(moved.Primaries({150}, 2).primaries, ElementsAre(1U, 0U));
}

TEST(RingDeathTest, RefusesTokensAndIdsThatAreUsedTwice) {
  EXPECT_DEATH(Ring({Node(1, "r", {{100}}), Node(2, "r", {{100}})}), "token");
  EXPECT_DEATH(Ring({Node(1, "r", {{100}}), Node(1, "r", {{200}})}), "id");
}

}  // namespace
}  // namespace lariat::ring
