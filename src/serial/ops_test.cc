// SPDX-License-Identifier: Apache-2.0
#include "serial/ops.h"

#include <gtest/gtest.h>

#include "serial/history_test_util.h"

namespace lariat::serial {
namespace {

using causal::SerialState;

constexpr Terms kNow{{10'000}, 1000};

Op Put(const std::string& value) {
  Op op;
  op.kind = Op::Kind::kPut;
  op.value.bytes = value;
  return op;
}
Op Delete() {
  Op op;
  op.kind = Op::Kind::kDelete;
  return op;
}

std::vector<Outcome> ApplyTo(SerialState* state, const std::vector<Op>& ops,
                             const Terms& terms = kNow) {
  std::vector<Outcome> results;
  Apply(ops, terms, state, &results);
  return results;
}

TEST(Ops, VersionsGrowOverDeletesToo) {
  SerialState state;
  const auto results = ApplyTo(&state, {Put("a"), Delete(), Delete(), Put("b")});
  EXPECT_EQ(results[0].version, 1U);
  EXPECT_EQ(results[1].version, 2U);
  EXPECT_EQ(results[2].version, 2U);  // there was nothing to delete
  EXPECT_EQ(results[3].version, 3U);
}

TEST(Ops, EachOfACombinedProposalHasItsOutcome) {
  SerialState state;
  Op first = Put("a"), second = Put("b"), third = Put("c"), by_value = Put("d");
  first.if_none = second.if_none = true;
  third.if_version = 1;
  by_value.expect = "c";
  const auto results = ApplyTo(&state, {first, second, third, by_value, Op()});
  EXPECT_EQ(results[0].kind, Outcome::Kind::kDone);
  EXPECT_EQ(results[1].kind, Outcome::Kind::kLost);
  EXPECT_EQ(results[1].version, 1U);
  EXPECT_EQ(results[1].value->bytes, "a");
  EXPECT_EQ(results[2].version, 2U);
  EXPECT_EQ(results[3].version, 3U);
  EXPECT_EQ(results[4].value->bytes, "d");
}

TEST(Ops, AVersionIsLostOnAKeyWithoutValue) {
  SerialState state;
  Op put = Put("a");
  put.if_version = 0;
  EXPECT_EQ(ApplyTo(&state, {put})[0].kind, Outcome::Kind::kLost);
}

TEST(Ops, AnIdCountsOnceAndTellsTheFirstAnswer) {
  SerialState state;
  Op put = Put("a"), lost = Put("b");
  put.id = base::Hash128{1, 2};
  lost.id = base::Hash128{3, 4};
  lost.if_none = true;
  ApplyTo(&state, {put, lost, Put("c")});
  const auto again = ApplyTo(&state, {put, lost});
  EXPECT_TRUE(again[0].replayed);
  EXPECT_EQ(again[0].version, 1U);
  EXPECT_EQ(again[1].kind, Outcome::Kind::kLost);
  EXPECT_EQ(again[1].version, 1U);
  EXPECT_EQ(state.version, 2U);
}

TEST(Ops, MoreIdsThanAreRememberedAreRefused) {
  SerialState state;
  for (size_t i = 0; i < kAnswersMax; ++i) {
    Op put = Put("a");
    put.id = base::Hash128{i, 0};
    EXPECT_EQ(ApplyTo(&state, {put})[0].kind, Outcome::Kind::kDone);
  }
  Op more = Put("b");
  more.id = base::Hash128{kAnswersMax, 0};
  EXPECT_EQ(ApplyTo(&state, {more})[0].kind, Outcome::Kind::kTooManyIds);
  EXPECT_EQ(ApplyTo(&state, {Put("c")})[0].kind, Outcome::Kind::kDone);
  const Terms tomorrow{{kNow.now.ms + kAnswerMs + 1}, 1000};
  EXPECT_EQ(ApplyTo(&state, {more}, tomorrow)[0].kind, Outcome::Kind::kDone);
}

TEST(Ops, AnExpiryIsHonouredLateAndIsAWrite) {
  SerialState state;
  Op put = Put("a");
  put.value.expires_ms = 10'500;
  ApplyTo(&state, {put});
  const Terms not_yet{{11'499}, 1000}, over{{11'500}, 1000};
  EXPECT_TRUE(ApplyTo(&state, {Op()}, not_yet)[0].value.has_value());
  EXPECT_FALSE(ApplyTo(&state, {Op()}, over)[0].value.has_value());
  EXPECT_EQ(state.version, 2U);
  EXPECT_TRUE(state.value.tombstone);
  // Whoever has a slower clock sees it gone, too.
  EXPECT_FALSE(ApplyTo(&state, {Op()}, kNow)[0].value.has_value());
}

TEST(Ops, WhatBecameOfAnUnknownOneIsToldByItsVersion) {
  SerialState state;
  const auto made = ApplyTo(&state, {Put("a")});
  SerialState older;
  EXPECT_EQ(FateOf(Put("a"), made[0], &older, kNow), Fate::kOut);
  EXPECT_EQ(FateOf(Put("a"), made[0], &state, kNow), Fate::kUnknown);
  EXPECT_EQ(FateOf(Put("a"), made[0], nullptr, kNow), Fate::kUnknown);
  EXPECT_EQ(FateOf(Op(), Outcome(), nullptr, kNow), Fate::kOut);
}

TEST(HistoryCheck, FindsWhatNoRegisterCouldHaveDone) {
  const auto put = [](const std::string& value, uint64_t version, int64_t began, int64_t ended) {
    Event e;
    e.kind = Event::Kind::kPut;
    e.value = value;
    e.end = Event::End::kDone;
    e.version = version;
    e.began = began;
    e.ended = ended;
    return e;
  };
  const auto read = [](const std::string& value, uint64_t version, int64_t began, int64_t ended) {
    Event e;
    e.end = Event::End::kDone;
    e.version = version;
    e.shown = value;
    e.began = began;
    e.ended = ended;
    return e;
  };
  EXPECT_EQ(HistoryCheck::Judge({put("a", 1, 1, 2), read("a", 1, 3, 4), put("b", 2, 3, 9)}), "");
  EXPECT_NE(HistoryCheck::Judge({put("a", 1, 1, 2), put("b", 1, 3, 4)}), "");
  EXPECT_NE(HistoryCheck::Judge({put("a", 1, 1, 2), put("b", 2, 3, 4), read("a", 1, 5, 6)}), "");
  EXPECT_NE(HistoryCheck::Judge({read("a", 1, 1, 2), put("a", 1, 3, 4)}), "");
  Event unknown = put("a", 0, 5, 6);
  unknown.end = Event::End::kUnknown;
  EXPECT_EQ(HistoryCheck::Judge({unknown, read("a", 1, 90, 91)}), "");
  EXPECT_NE(HistoryCheck::Judge({unknown, read("a", 1, 1, 2)}), "");
  Event not_done = put("a", 0, 5, 6);
  not_done.end = Event::End::kNotDone;
  EXPECT_NE(HistoryCheck::Judge({not_done, read("a", 1, 90, 91)}), "");
}

}  // namespace
}  // namespace lariat::serial
