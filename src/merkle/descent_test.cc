// SPDX-License-Identifier: Apache-2.0
#include "merkle/descent.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <map>
#include <set>

#include "merkle/leaf_sum.h"

namespace lariat::merkle {
namespace {

// A replica: token -> state. (Keys that share a token make no difference here.)
using Replica = std::map<uint64_t, uint64_t>;

LeafSum Sum(const Replica& replica, const Span& span, uint32_t leaf) {
  LeafSum sum;
  for (auto at = replica.lower_bound(FirstToken(leaf));
       at != replica.end() && LeafOf(at->first) == leaf; ++at) {
    if (!span.Contains(at->first)) continue;
    sum.Add(EntryHash(std::to_string(at->first), {0, at->second}), {});
  }
  return sum;
}

SpanHash HashOf(const Replica& replica, const Span& span, const std::set<uint32_t>& unknown = {}) {
  RunHash run;
  auto at = replica.lower_bound(span.First());
  while (at != replica.end() && at->first <= span.to) {
    const uint32_t leaf = LeafOf(at->first);
    run.Add(leaf, Sum(replica, span, leaf));
    at = replica.upper_bound(LastToken(leaf));
  }
  const auto first_unknown = unknown.lower_bound(span.FirstLeaf());
  const bool known = first_unknown == unknown.end() || *first_unknown > span.LastLeaf();
  return {run.hash(), run.keys(), known};
}

struct Outcome {
  std::vector<Span> differing;
  std::vector<Span> unknown;
  uint64_t hashes = 0;
  int rounds = 0;
};

Outcome Compare(const Replica& mine, const Replica& theirs, const std::vector<Span>& spans,
                uint64_t keys_enough = 64, const std::set<uint32_t>& unknown = {}) {
  Descent descent(spans, keys_enough);
  Outcome outcome;
  for (auto ask = descent.Next(1000); !ask.empty(); ask = descent.Next(1000)) {
    std::vector<SpanHash> a, b;
    for (const Span& span : ask) {
      EXPECT_LE(span.First(), span.to) << "over zero";
      const bool cut = span.CutsFirstLeaf() || span.CutsLastLeaf();
      EXPECT_TRUE(!cut || span.FirstLeaf() == span.LastLeaf()) << "cuts a leaf and goes beyond";
      a.push_back(HashOf(mine, span));
      b.push_back(HashOf(theirs, span, unknown));
    }
    EXPECT_TRUE(descent.Compare(a, b));
    ++outcome.rounds;
  }
  outcome.differing = descent.differing();
  outcome.unknown = descent.unknown();
  outcome.hashes = descent.hashes_compared();
  return outcome;
}

const std::vector<Span> kRing = {{5, 5}};

Replica Many(uint64_t n) {
  Replica replica;
  for (uint64_t i = 0; i < n; ++i) replica[base::Hash64(std::to_string(i))] = 1;
  return replica;
}

TEST(Descent, EqualReplicasCostOneHashForEachSpan) {
  const Replica replica = Many(1000);
  const Outcome outcome = Compare(replica, replica, {{0, 1ULL << 60}, {UINT64_MAX, UINT64_MAX}});
  EXPECT_TRUE(outcome.differing.empty());
  EXPECT_LE(outcome.hashes, 4U);  // the first span is cut twice
}

// Guards M28.
TEST(Descent, FindsOneDifferenceAmongMany) {
  const Replica mine = Many(50'000);
  const uint64_t token = std::next(mine.begin(), 23'456)->first;
  for (const char* what : {"differs", "missing", "extra"}) {
    Replica theirs = mine;
    uint64_t where = token;
    if (what[0] == 'd') theirs[token] = 2;
    if (what[0] == 'm') theirs.erase(token);
    if (what[0] == 'e') theirs[where = token + 1] = 1;
    const Outcome outcome = Compare(mine, theirs, kRing, 0);
    ASSERT_EQ(outcome.differing.size(), 1U) << what;
    EXPECT_TRUE(outcome.differing[0].Contains(where));
    EXPECT_EQ(outcome.differing[0].FirstLeaf(), outcome.differing[0].LastLeaf());
    EXPECT_LE(outcome.hashes, 2U + 4 * 16) << what;
    EXPECT_LE(outcome.rounds, 5);
  }
}

TEST(Descent, StopsEarlyWhereThereAreFewKeys) {
  const Outcome outcome = Compare(Many(3), Many(0), kRing, 3);
  ASSERT_EQ(outcome.differing.size(), 1U);
  EXPECT_EQ(outcome.hashes, 1U);
}

TEST(Descent, LeavesOutWhatASideDoesNotKnow) {
  const Replica mine = Many(10'000);
  Replica theirs = mine;
  theirs[FirstToken(77) + 1] = 9;
  theirs[FirstToken(78) + 1] = 9;
  const Outcome outcome = Compare(mine, theirs, kRing, 0, {77, 500});
  ASSERT_EQ(outcome.differing.size(), 1U);
  EXPECT_EQ(outcome.differing[0], SpanOfLeaves(78, 78));
  ASSERT_EQ(outcome.unknown.size(), 2U);
  EXPECT_EQ(outcome.unknown[0], SpanOfLeaves(77, 77));
  EXPECT_EQ(outcome.unknown[1], SpanOfLeaves(500, 500));
}

TEST(Descent, RefusesAnAnswerOfAnotherLength) {
  Descent descent(kRing);
  const auto ask = descent.Next(10);
  EXPECT_FALSE(descent.Compare({}, {}));
  EXPECT_FALSE(descent.Compare({{}, {}}, {{}, {}}));
  EXPECT_EQ(descent.Next(10), ask);
}

// Whatever differs within the spans is found, and nothing outside them is named.
// Guards M28.
RC_GTEST_PROP(Descent, FindsExactlyTheSpansThatDiffer, ()) {
  // Tokens crowded around a few places, so that spans begin and end within leaves.
  const auto token = rc::gen::map(
      rc::gen::tuple(rc::gen::element<uint64_t>(0, 1, 2, 300, 65534, 65535),
                     rc::gen::element<uint64_t>(0, 1, 1000, (1ULL << 47), (1ULL << 48) - 1)),
      [](const std::tuple<uint64_t, uint64_t>& parts) {
        return (std::get<0>(parts) << kLeafShift) + std::get<1>(parts);
      });
  const auto replica = rc::gen::container<Replica>(token, rc::gen::inRange<uint64_t>(1, 3));
  const Replica mine = *replica;
  const Replica theirs = *replica;
  const Span span{*token, *token};
  const auto enough = *rc::gen::inRange<uint64_t>(0, 4);
  std::set<uint64_t> expected;
  for (const auto& [a, b] : {std::pair(&mine, &theirs), std::pair(&theirs, &mine)}) {
    for (const auto& [at, state] : *a) {
      const auto other = b->find(at);
      const bool same = other != b->end() && other->second == state;
      if (span.Contains(at) && !same) expected.insert(at);
    }
  }
  const Outcome outcome = Compare(mine, theirs, {span}, enough);
  for (const uint64_t at : expected) {
    const auto times = std::count_if(outcome.differing.begin(), outcome.differing.end(),
                                     [at](const Span& found) { return found.Contains(at); });
    RC_ASSERT(times == 1);
  }
  for (const Span& found : outcome.differing) {
    RC_ASSERT(span.Contains(found.First()) && span.Contains(found.to));
    RC_ASSERT(std::any_of(expected.begin(), expected.end(),
                          [&found](uint64_t at) { return found.Contains(at); }));
  }
}

}  // namespace
}  // namespace lariat::merkle
