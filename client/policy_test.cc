// SPDX-License-Identifier: Apache-2.0
#include "client/policy.h"

#include <gtest/gtest.h>
#include <lariat/types.h>

#include "client/session_memory.h"

namespace lariat::client {
namespace {

using std::chrono::microseconds;

TEST(TokenBucket, BoundsWhatIsExtraByAShare) {
  TokenBucket bucket(0.25, 3);
  int taken = 0;
  for (int i = 0; i < 1000; ++i) {
    bucket.Deposit();
    while (bucket.Take()) ++taken;
  }
  EXPECT_GE(taken, 250);
  EXPECT_LE(taken, 253);
}

TEST(TokenBucket, KeepsNoMoreThanABurst) {
  TokenBucket bucket(0.5, 2);
  for (int i = 0; i < 100; ++i) bucket.Deposit();
  EXPECT_TRUE(bucket.Take());
  EXPECT_TRUE(bucket.Take());
  EXPECT_FALSE(bucket.Take());
}

TEST(LatencyWindow, FollowsTheSlowestTwentieth) {
  LatencyWindow window;
  for (size_t i = 1; i < LatencyWindow::kEach; ++i) window.Add(microseconds(100));
  EXPECT_EQ(window.Slow(), microseconds(0));
  for (int i = 0; i < 1000; ++i) window.Add(microseconds(i % 100 + 1));
  EXPECT_GE(window.Slow(), microseconds(92));
  EXPECT_LE(window.Slow(), microseconds(98));
  for (size_t i = 0; i < LatencyWindow::kSamples; ++i) window.Add(microseconds(5000));
  EXPECT_EQ(window.Slow(), microseconds(5000));
}

Answer ReplyOf(Code code) {
  Answer answer;
  answer.reply.code = code;
  return answer;
}

TEST(Judge, RepeatsOnlyWhatIsSafe) {
  Request read;
  Request plain;
  plain.op = Request::Op::kPut;
  Request with_id = plain;
  with_id.id = "id";
  for (const Answer& answer : {Answer{Answer::End::kLost, {}, {}},
                               Answer{Answer::End::kSilent, {}, {}}, ReplyOf(Code::Unknown)}) {
    EXPECT_TRUE(Judge(read, answer).try_again);
    EXPECT_FALSE(Judge(read, answer).may_be_applied);
    EXPECT_FALSE(Judge(plain, answer).try_again);
    EXPECT_TRUE(Judge(plain, answer).may_be_applied);
    EXPECT_TRUE(Judge(with_id, answer).try_again);
    EXPECT_TRUE(Judge(with_id, answer).may_be_applied);
  }
  for (const Answer& answer : {Answer{Answer::End::kNotSent, {}, {}}, ReplyOf(Code::Unavailable),
                               ReplyOf(Code::InsufficientReplicas), ReplyOf(Code::Overloaded)}) {
    EXPECT_TRUE(Judge(plain, answer).try_again);
    EXPECT_FALSE(Judge(plain, answer).may_be_applied);
  }
  for (const Code code : {Code::Ok, Code::NotFound, Code::PreconditionFailed, Code::TooLarge,
                          Code::InvalidArgument, Code::NotAuthorized}) {
    EXPECT_FALSE(Judge(with_id, ReplyOf(code)).try_again);
  }
  EXPECT_TRUE(Judge(plain, Answer{Answer::End::kNotSent, {}, {}}).is_free);
}

TEST(ErrorOf, ARefusalAfterALostTryIsUnknown) {
  EXPECT_EQ(ErrorOf(ReplyOf(Code::Unavailable), false, false).outcome, Outcome::NotDone);
  EXPECT_EQ(ErrorOf(ReplyOf(Code::Unavailable), false, true).outcome, Outcome::Unknown);
  EXPECT_EQ(ErrorOf(ReplyOf(Code::Timeout), true, false).outcome, Outcome::NotDone);
  EXPECT_EQ(ErrorOf({Answer::End::kSilent, {}, "m"}, false, true).code, Code::Timeout);
}

// --- sessions ------------------------------------------------------------------------------------

SessionMemory::Seen Look(SessionMemory& memory) { return memory.Look("b", "k"); }

TEST(SessionMemory, AnotherContextIsCoveredByAMajorityIfWhatWasSeenIsWide) {
  SessionMemory memory(10, Bug::kNone);
  EXPECT_TRUE(memory.Covers(Look(memory), "C1", false, false));  // nothing was seen
  memory.Note("b", "k", {}, "C1", true);
  EXPECT_TRUE(memory.Covers(Look(memory), "C1", false, false));
  EXPECT_FALSE(memory.Covers(Look(memory), "C2", false, false));
  EXPECT_TRUE(memory.Covers(Look(memory), "C2", true, false));
  memory.Note("b", "k", Look(memory), "C3", false);
  EXPECT_FALSE(memory.Covers(Look(memory), "C2", true, false));
  EXPECT_TRUE(memory.Covers(Look(memory), "C2", true, true));
}

TEST(SessionMemory, WhatIsToldAgainStaysWide) {
  SessionMemory memory(10, Bug::kNone);
  memory.Note("b", "k", {}, "C1", true);
  memory.Note("b", "k", Look(memory), "C1", false);
  EXPECT_TRUE(Look(memory).is_wide);
}

TEST(SessionMemory, ADeleteThatTellsNoContextIsCoveredByNoContext) {
  SessionMemory memory(10, Bug::kNone);
  memory.Note("b", "k", {}, std::nullopt, true);
  EXPECT_FALSE(memory.Covers(Look(memory), "", false, false));
  EXPECT_TRUE(memory.Covers(Look(memory), "", true, false));
}

TEST(SessionMemory, WhatWasNotedMeanwhileIsNotForgotten) {
  SessionMemory memory(10, Bug::kNone);
  memory.Note("b", "k", {}, "C1", true);
  const auto before = Look(memory);
  memory.Note("b", "k", before, "C2", true);   // a write, while a read is under way
  memory.Note("b", "k", before, "C1", false);  // which showed the old state
  EXPECT_EQ(Look(memory).context, "C2");
  EXPECT_FALSE(memory.Covers(Look(memory), "C1", false, false));
}

TEST(SessionMemory, ForgetsWhatWasUsedLongestAgo) {
  SessionMemory memory(2, Bug::kNone);
  memory.Note("b", "1", {}, "C", true);
  memory.Note("b", "2", {}, "C", true);
  EXPECT_EQ(memory.Look("b", "1").context, "C");
  memory.Note("b", "3", {}, "C", true);
  EXPECT_EQ(memory.Look("b", "1").context, "C");
  EXPECT_EQ(memory.Look("b", "2").context, "");
}

TEST(IsWide, MeansThatEveryMajorityHasOne) {
  const BucketView usual{3, 2, 2};
  EXPECT_TRUE(IsWide(Consistency::Default, usual, true));
  EXPECT_FALSE(IsWide(Consistency::Default, std::nullopt, true));
  EXPECT_TRUE(IsWide(Consistency::Quorum, std::nullopt, true));
  EXPECT_FALSE(IsWide(Consistency::One, usual, false));
  EXPECT_TRUE(IsWide(Consistency::Two, usual, false));
  EXPECT_FALSE(IsWide(Consistency::Two, BucketView{5, 3, 3}, false));
  EXPECT_FALSE(IsWide(Consistency::Default, BucketView{3, 1, 2}, true));
  EXPECT_TRUE(IsWide(Consistency::Default, BucketView{3, 1, 2}, false));
  EXPECT_FALSE(IsWide(Consistency::LocalQuorum, usual, true));
}

// --- ready resolvers -----------------------------------------------------------------------------

TEST(Resolvers, LatestAndUnion) {
  const std::vector<Sibling> siblings{{"pear\napple\n", "t", "", 5}, {"fig\napple", "t", "", 9}};
  EXPECT_EQ(ResolveLatest("k", siblings).bytes, "fig\napple");
  EXPECT_EQ(ResolveSetUnion("k", siblings).bytes, "apple\nfig\npear\n");
  const std::vector<Sibling> same{{"b", "", "", 5}, {"c", "", "", 5}, {"a", "", "", 5}};
  EXPECT_EQ(ResolveLatest("k", same).bytes, "c");
}

}  // namespace
}  // namespace lariat::client
