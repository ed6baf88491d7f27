// SPDX-License-Identifier: Apache-2.0
#include "ring/diff.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "base/prng.h"

namespace lariat::ring {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr uint64_t kMax = UINT64_MAX;

// Node i has the tokens at i; each in a rack of its own if there are racks.
std::vector<RingNode> Nodes(const std::vector<std::vector<uint64_t>>& tokens, uint64_t racks = 1) {
  std::vector<RingNode> nodes;
  for (uint64_t i = 0; i < tokens.size(); ++i) {
    RingNode node;
    node.id = {0, i + 1};
    node.rack = "r" + std::to_string(i % racks);
    for (const uint64_t token : tokens[i]) node.tokens.push_back({token});
    std::sort(node.tokens.begin(), node.tokens.end());
    nodes.push_back(std::move(node));
  }
  return nodes;
}

Ring Of(const std::vector<std::vector<uint64_t>>& tokens) { return Ring(Nodes(tokens)); }

testing::Matcher<Move> M(uint64_t from, uint64_t to, NodeIndex receiver,
                         const std::vector<NodeIndex>& sources) {
  return testing::AllOf(testing::Field(&Move::range, TokenRange{{from}, {to}}),
                        testing::Field(&Move::receiver, receiver),
                        testing::Field(&Move::sources, sources));
}

TEST(TokenRange, IsClockwise) {
  const TokenRange plain{{10}, {20}};
  EXPECT_FALSE(plain.Contains({10}));
  EXPECT_TRUE(plain.Contains({11}));
  EXPECT_TRUE(plain.Contains({20}));
  EXPECT_FALSE(plain.Contains({21}));
  const TokenRange first{{kMax}, {0}};
  EXPECT_EQ(first.First(), Token{0});
  EXPECT_TRUE(first.Contains({0}));
  EXPECT_FALSE(first.Contains({1}));
  EXPECT_FALSE(first.Contains({kMax}));
  const TokenRange all{{kMax}, {kMax}};
  EXPECT_TRUE(all.Contains({0}));
  EXPECT_TRUE(all.Contains({kMax}));
  EXPECT_EQ(all.Share(), 1.0);
  EXPECT_EQ((TokenRange{{kMax}, {(1ULL << 63) - 1}}).Share(), 0.5);
}

TEST(Diff, EqualRingsMoveNothing) {
  const Ring ring = Of({{10}, {20}, {30}});
  EXPECT_THAT(Diff(ring, 2, ring, 2), IsEmpty());
  EXPECT_THAT(Diff(Ring(), 2, Ring(), 2), IsEmpty());
}

TEST(Diff, TheFirstNodeHasNothingToCopy) {
  EXPECT_THAT(Diff(Of({{}, {}}), 3, Of({{10}, {}}), 3), IsEmpty());
}

TEST(Diff, AGainerCopiesWhatItsLeaverHolds) {
  // n = 2: (10, 20] is at b and c; d at 15 takes (10, 15] from c and, as the second, (30, 10]
  // from b. The latter passes zero and is cut there.
  const Ring before = Of({{10}, {20}, {30}, {}});
  const Ring after = Of({{10}, {20}, {30}, {15}});
  EXPECT_THAT(Diff(before, 2, after, 2),
              ElementsAre(M(kMax, 10, 3, {1}), M(10, 15, 3, {2}), M(30, kMax, 3, {1})));
}

TEST(Diff, AdjacentRangesOfOnePairAreOneMove) {
  const Ring before = Of({{10, 12, 14}, {20}, {}});
  const Ring after = Of({{}, {20}, {10, 13, 14}});
  EXPECT_THAT(Diff(before, 1, after, 1), ElementsAre(M(kMax, 14, 2, {0}), M(20, kMax, 2, {0})));
}

TEST(Diff, AReplacedNodeGivesEverythingItHeld) {
  const Ring before = Of({{kMax}, {}});
  const Ring after = Of({{}, {kMax}});
  EXPECT_THAT(Diff(before, 3, after, 3), ElementsAre(M(kMax, kMax, 1, {0})));
}

TEST(Diff, MoreCopiesComeFromAllThatHeldIt) {
  const Ring ring = Of({{10}, {20}, {30}, {40}});
  for (const Move& move : Diff(ring, 2, ring, 3)) {
    const auto& held = ring.Primaries(move.range.to, 2).primaries;
    EXPECT_THAT(move.sources, ::testing::UnorderedElementsAreArray(held));
    EXPECT_EQ(move.receiver, ring.Primaries(move.range.to, 3).primaries[2]);
  }
  EXPECT_EQ(Diff(ring, 2, ring, 3).size(), 5U);  // four ranges, one of them cut at zero
}

TEST(Diff, InASmallClusterTheNewcomerIsOneCopyMore) {
  EXPECT_THAT(Diff(Of({{10}, {20}, {}}), 3, Of({{10}, {20}, {15}}), 3),
              ElementsAre(M(kMax, kMax, 2, {0, 1})));
}

TEST(Diff, FewerCopiesGoToAllThatRemain) {
  // (40, 10] at 0, 1 and 2 becomes (40, 10] at 0 and 1: both copy 2.
  const Ring ring = Of({{10}, {20}, {30}, {40}});
  const auto moves = Diff(ring, 3, ring, 2);
  ASSERT_GE(moves.size(), 2U);
  EXPECT_THAT(moves[0], M(kMax, 10, 0, {2}));
  EXPECT_THAT(moves[1], M(kMax, 10, 1, {2}));
}

TEST(Diff, ForAGoneNodeAllOthersAreRead) {
  const Ring before = Of({{10}, {20}, {30}, {}});
  const Ring after = Of({{10}, {}, {30}, {20}});
  EXPECT_THAT(Diff(before, 3, after, 3, {1}), ElementsAre(M(kMax, kMax, 3, {0, 2})));
  EXPECT_THAT(Diff(before, 1, after, 1, {1}), ElementsAre(M(10, 20, 3, {})));  // lost
}

TEST(Diff, AGoneNodeThatIsNotMadeUpForMakesTheOthersExchange) {
  const Ring before = Of({{10}, {20}, {30}});
  const Ring after = Of({{10}, {}, {30}});
  EXPECT_THAT(Diff(before, 3, after, 3, {1}),
              ElementsAre(M(kMax, kMax, 0, {2}), M(kMax, kMax, 2, {0})));
}

TEST(Owned, RangesAreJoinedAndComplementEachOther) {
  const Ring ring = Of({{10, 20}, {30}, {}});
  EXPECT_THAT(OwnedRanges(ring, 1, 0),
              ElementsAre(TokenRange{{kMax}, {20}}, TokenRange{{30}, {kMax}}));
  EXPECT_THAT(NotOwnedRanges(ring, 1, 0), ElementsAre(TokenRange{{20}, {30}}));
  const TokenRange all{{kMax}, {kMax}};
  EXPECT_THAT(OwnedRanges(ring, 2, 0), ElementsAre(all));
  EXPECT_THAT(NotOwnedRanges(ring, 2, 0), IsEmpty());
  EXPECT_THAT(OwnedRanges(ring, 2, 2), IsEmpty());
  EXPECT_THAT(NotOwnedRanges(ring, 2, 2), ElementsAre(all));
  EXPECT_TRUE(Owns(ring, 1, 0, {31}));
  EXPECT_FALSE(Owns(ring, 1, 0, {30}));
}

// --- random rings -------------------------------------------------------------------------------

struct Case {
  std::vector<RingNode> before, after;
  uint32_t n_before = 0, n_after = 0;
  std::vector<NodeIndex> gone;
};

std::vector<RingNode> RandomNodes(base::Prng& prng, uint64_t count, uint64_t racks) {
  std::vector<std::vector<uint64_t>> tokens(count);
  for (auto& of_node : tokens) {
    const uint64_t how_many = prng.Below(4);
    for (uint64_t k = 0; k < how_many; ++k) of_node.push_back(prng.Next());
  }
  return Nodes(tokens, racks);
}

Case RandomCase(base::Prng& prng) {
  const uint64_t count = 4 + prng.Below(6);
  const uint64_t racks = 1 + prng.Below(3);
  Case c{RandomNodes(prng, count, racks), {}, 0, 0, {}};
  c.after = c.before;
  // One or two nodes with other tokens; the rest stays.
  for (uint64_t changes = 1 + prng.Below(2); changes > 0; --changes) {
    const auto node = static_cast<NodeIndex>(prng.Below(count));
    c.after[node].tokens = RandomNodes(prng, count, racks)[node].tokens;
    if (c.after[node].tokens.empty() && prng.Below(2) == 0) c.gone.push_back(node);
  }
  c.n_before = static_cast<uint32_t>(1 + prng.Below(5));
  c.n_after = prng.Below(2) == 0 ? c.n_before : static_cast<uint32_t>(1 + prng.Below(5));
  return c;
}

// Holders after the moves of a value that `holders` held before.
std::set<NodeIndex> HoldersAfter(const std::vector<Move>& moves, Token token,
                                 const std::set<NodeIndex>& holders) {
  std::set<NodeIndex> result = holders;
  for (const Move& move : moves) {
    if (!move.range.Contains(token)) continue;
    for (const NodeIndex source : move.sources) {
      if (holders.count(source) > 0) result.insert(move.receiver);
    }
  }
  return result;
}

// The promise of the header: a value with w holders before has as many after, for every w and
// every set of holders, as far as there are places for it and one of its holders can be read.
void CheckCounts(const Case& c, const std::vector<Move>& moves, Token token) {
  const auto before = Ring(c.before).Primaries(token, c.n_before).primaries;
  const auto after = Ring(c.after).Primaries(token, c.n_after).primaries;
  for (uint32_t bits = 1; bits < 1U << before.size(); ++bits) {
    std::set<NodeIndex> holders;
    bool readable = false;
    for (size_t i = 0; i < before.size(); ++i) {
      if ((bits >> i & 1U) == 0) continue;
      holders.insert(before[i]);
      readable |= std::find(c.gone.begin(), c.gone.end(), before[i]) == c.gone.end();
    }
    if (!readable) continue;
    const auto holders_after = HoldersAfter(moves, token, holders);
    const auto count = static_cast<size_t>(std::count_if(
        after.begin(), after.end(), [&](NodeIndex node) { return holders_after.count(node) > 0; }));
    ASSERT_GE(count, std::min(holders.size(), after.size()));
  }
}

TEST(Diff, KeepsTheNumberOfHoldersOfEveryValue) {
  for (uint64_t seed = 0; seed < 150; ++seed) {
    base::Prng prng(seed);
    const Case c = RandomCase(prng);
    const auto moves = Diff(Ring(c.before), c.n_before, Ring(c.after), c.n_after, c.gone);
    for (const auto* nodes : {&c.before, &c.after}) {
      for (const RingNode& node : *nodes) {
        for (const Token token : node.tokens) {
          ASSERT_NO_FATAL_FAILURE(CheckCounts(c, moves, token)) << seed;
          ASSERT_NO_FATAL_FAILURE(CheckCounts(c, moves, {token.value + 1})) << seed;
        }
      }
    }
  }
}

// A holder that lost what it held answers no reads. If all moves from it are `from_all`, then a
// value keeps the holders that it had besides, and those that take that holder's place count again.
void CheckCountsInDoubt(const Case& c, const std::vector<Move>& moves, Token token, size_t* seen) {
  const auto before = Ring(c.before).Primaries(token, c.n_before).primaries;
  const auto after = Ring(c.after).Primaries(token, c.n_after).primaries;
  const auto has = [](const auto& list, NodeIndex node) {
    return std::find(list.begin(), list.end(), node) != list.end();
  };
  for (const NodeIndex doubtful : before) {
    const bool alone = std::any_of(moves.begin(), moves.end(), [&](const Move& move) {
      return move.range.Contains(token) && has(move.sources, doubtful) && !move.from_all;
    });
    if (alone || has(c.gone, doubtful)) continue;
    for (uint32_t bits = 1; bits < 1U << before.size(); ++bits) {
      std::set<NodeIndex> holders;
      for (size_t i = 0; i < before.size(); ++i) {
        if ((bits >> i & 1U) != 0 && before[i] != doubtful) holders.insert(before[i]);
      }
      if (std::all_of(holders.begin(), holders.end(),
                      [&](NodeIndex node) { return has(c.gone, node); })) {
        continue;
      }
      const auto holders_after = HoldersAfter(moves, token, holders);
      const auto count =
          static_cast<size_t>(std::count_if(after.begin(), after.end(), [&](NodeIndex node) {
            return node != doubtful && holders_after.count(node) > 0;
          }));
      const bool stays = has(after, doubtful);
      const size_t places = after.size() - (stays ? 1 : 0);
      ASSERT_GE(count, std::min(holders.size() + (stays ? 0 : 1), places));
      ++*seen;
    }
  }
}

TEST(Diff, KeepsTheHoldersOfAValueThatASourceInDoubtHasLost) {
  size_t seen = 0;
  for (uint64_t seed = 0; seed < 150; ++seed) {
    base::Prng prng(seed);
    const Case c = RandomCase(prng);
    const auto moves = Diff(Ring(c.before), c.n_before, Ring(c.after), c.n_after, c.gone);
    for (const auto* nodes : {&c.before, &c.after}) {
      for (const RingNode& node : *nodes) {
        for (const Token token : node.tokens) {
          ASSERT_NO_FATAL_FAILURE(CheckCountsInDoubt(c, moves, token, &seen)) << seed;
        }
      }
    }
  }
  EXPECT_GT(seen, 1000U);
}

TEST(Diff, IsCutAtZeroAndMerged) {
  for (uint64_t seed = 0; seed < 150; ++seed) {
    base::Prng prng(seed);
    const Case c = RandomCase(prng);
    const auto moves = Diff(Ring(c.before), c.n_before, Ring(c.after), c.n_after, c.gone);
    for (size_t i = 0; i < moves.size(); ++i) {
      ASSERT_LE(moves[i].range.First(), moves[i].range.to);
      if (i > 0) {
        ASSERT_LE(moves[i - 1].range.First(), moves[i].range.First());
      }
      for (const Move& other : moves) {
        if (other.receiver != moves[i].receiver || &other == &moves[i]) continue;
        ASSERT_FALSE(other.range.Contains(moves[i].range.First())) << seed;
        const bool adjacent = other.range.to == moves[i].range.from && other.range.to.value != kMax;
        ASSERT_FALSE(adjacent && other.sources == moves[i].sources) << seed;
      }
    }
  }
}

TEST(OwnedRanges, AddUpToTheOwnership) {
  for (uint64_t seed = 0; seed < 150; ++seed) {
    base::Prng prng(seed);
    const Case c = RandomCase(prng);
    const Ring ring(c.before);
    const std::vector<double> shares = ring.Ownership(c.n_before);
    const auto copies = static_cast<double>(ring.Primaries({0}, c.n_before).primaries.size());
    for (NodeIndex i = 0; i < ring.size(); ++i) {
      double owned = 0, not_owned = 0;
      for (const TokenRange& range : OwnedRanges(ring, c.n_before, i)) owned += range.Share();
      for (const TokenRange& range : NotOwnedRanges(ring, c.n_before, i)) {
        not_owned += range.Share();
      }
      EXPECT_NEAR(owned, shares[i] * copies, 1e-9);
      EXPECT_NEAR(owned + not_owned, 1, 1e-9);
    }
  }
}

}  // namespace
}  // namespace lariat::ring
