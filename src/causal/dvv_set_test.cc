// SPDX-License-Identifier: Apache-2.0
#include "causal/dvv_set.h"

#include <gtest/gtest.h>

#include "causal/causal_test_util.h"

namespace lariat::causal {
namespace {

const Actor kA = MakeActor(1);
const Actor kB = MakeActor(2);

DotSet Ctx(std::initializer_list<Dot> dots) {
  DotSet set;
  for (const Dot& dot : dots) set.Add(dot);
  return set;
}

// "1.1=v1 2.1=y": node.counter=bytes of each value.
std::string Show(const DvvSet& set) {
  std::string text;
  for (const auto& v : set.values()) {
    text += (text.empty() ? "" : " ") + std::to_string(v.dot.actor.node) + "." +
            std::to_string(v.dot.counter) + "=" + v.value.bytes;
  }
  return text;
}

DvvSet Joined(DvvSet a, const DvvSet& b) {
  a.Join(b);
  return a;
}

// Guards M1.
TEST(DvvSet, FollowsTheWorkedExample) {
  DvvSet set;
  EXPECT_EQ(set.Update({}, MakeValue("v1"), kA), (Dot{kA, 1}));
  EXPECT_EQ(Show(set), "1.1=v1");
  const DvvSet first = set;
  EXPECT_EQ(set.Update({}, MakeValue("v2"), kA), (Dot{kA, 2}));
  EXPECT_EQ(Show(set), "1.1=v1 1.2=v2");
  EXPECT_EQ(set.Update(Ctx({{kA, 1}}), MakeValue("v3"), kA), (Dot{kA, 3}));
  EXPECT_EQ(Show(set), "1.2=v2 1.3=v3");
  EXPECT_EQ(set.history().Max(kA), 3U);
  const DvvSet last = set;
  set.Join(first);
  EXPECT_EQ(set, last) << "a late old state changes nothing";
  EXPECT_EQ(Joined(first, last), last);
}

// Guards M1.
TEST(DvvSet, TwoCoordinatorsWithOneContextMakeSiblingsInEitherOrder) {
  DvvSet start;
  start.Update({}, MakeValue("v1"), kA);
  DvvSet at_a = start;
  DvvSet at_b = start;
  at_a.Update(Ctx({{kA, 1}}), MakeValue("x"), kA);
  at_b.Update(Ctx({{kA, 1}}), MakeValue("y"), kB);
  EXPECT_EQ(Show(Joined(at_a, at_b)), "1.2=x 2.1=y");
  EXPECT_EQ(Joined(at_a, at_b), Joined(at_b, at_a));
}

TEST(DvvSet, ADeleteConcurrentWithAWriteLeavesTheWrite) {
  DvvSet start;
  start.Update({}, MakeValue("v1"), kA);
  DvvSet deleted = start;
  DvvSet written = start;
  Value tombstone;
  tombstone.tombstone = true;
  deleted.Update(Ctx({{kA, 1}}), tombstone, kA);
  written.Update(Ctx({{kA, 1}}), MakeValue("v2"), kB);
  const DvvSet both = Joined(deleted, written);
  ASSERT_EQ(both.values().size(), 2U);
  EXPECT_TRUE(both.values()[0].value.tombstone);
  EXPECT_EQ(both.values()[1].value.bytes, "v2");
}

// Guards M1.
TEST(DvvSet, DiscardDropsExactlyTheCoveredValuesAndLearnsTheContext) {
  DvvSet set;
  for (const char* v : {"v1", "v2", "v3"}) set.Update({}, MakeValue(v), kA);
  const DotSet context = Ctx({{kA, 1}, {kA, 3}, {kB, 2}});
  set.Discard(context);
  EXPECT_EQ(Show(set), "1.2=v2");
  EXPECT_TRUE(set.history().Covers(context));
  const DvvSet once = set;
  set.Discard(context);
  EXPECT_EQ(set, once);
  set.Discard({});
  EXPECT_EQ(set, once) << "a blind write discards nothing";
}

TEST(DvvSet, AContextLearntAheadOfItsValuesKeepsThemOut) {
  DvvSet elsewhere;
  elsewhere.Update({}, MakeValue("old"), kA);
  DvvSet here;  // never had "old", and is told to overwrite it
  here.Update(Ctx({{kA, 1}}), MakeValue("new"), kB);
  EXPECT_EQ(Show(Joined(here, elsewhere)), "2.1=new");
  EXPECT_EQ(Show(Joined(elsewhere, here)), "2.1=new");
}

// A client that only ever writes, and was never shown its rival's values.
struct Writer {
  DotSet context;
  void Put(const std::string& bytes, const Actor& actor, DvvSet* set) {
    const Dot dot = set->Update(context, MakeValue(bytes), actor);
    Context reply{context, {}, 0};
    reply.seen.Add(dot);
    const auto back = DecodeContext(EncodeContext(reply, "b", "k"), "b", "k");
    ASSERT_TRUE(back);
    context = back->seen;
  }
};

constexpr int kRounds = 10'000;

// Guards M8: 10,000 rounds.
TEST(SiblingBound, TwoWritersAtOneCoordinatorLeaveTwoValues) {
  DvvSet set;
  Writer one, two;
  for (int round = 0; round < kRounds; ++round) {
    one.Put("one", kA, &set);
    ASSERT_LE(set.values().size(), 2U) << round;
    two.Put("two", kA, &set);
    ASSERT_EQ(set.values().size(), 2U) << round;
  }
  EXPECT_EQ(set.history().DotsInClouds(), 0U);
}

// Guards M8: 10,000 rounds.
TEST(SiblingBound, TwoWritersAtTwoCoordinatorsLeaveTwoValues) {
  DvvSet at_a, at_b;
  Writer one, two;
  base::Prng prng(5);
  for (int round = 0; round < kRounds; ++round) {
    one.Put("one", kA, &at_a);
    two.Put("two", kB, &at_b);
    if (prng.Chance(0.7)) at_b.Join(at_a);
    if (prng.Chance(0.7)) at_a.Join(at_b);
    ASSERT_LE(at_a.values().size(), 2U) << round;
    ASSERT_LE(at_b.values().size(), 2U) << round;
  }
}

// Guards M8: 10,000 rounds.
TEST(SiblingBound, WritersThatWanderBetweenCoordinatorsLeaveTwoValues) {
  DvvSet state[2];
  Writer one, two;
  base::Prng prng(6);
  for (int round = 0; round < kRounds; ++round) {
    for (Writer* writer : {&one, &two}) {
      const uint64_t at = prng.Below(2);
      writer->Put("v", at == 0 ? kA : kB, &state[at]);
      state[1 - at].Join(state[at]);
      state[at].Join(state[1 - at]);
      ASSERT_LE(state[at].values().size(), 2U) << round;
      ASSERT_EQ(state[0], state[1]) << round;
    }
  }
}

}  // namespace
}  // namespace lariat::causal
