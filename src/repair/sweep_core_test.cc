// SPDX-License-Identifier: Apache-2.0
#include "repair/sweep/sweep_core.h"

#include <gtest/gtest.h>

#include "base/prng.h"
#include "merkle/grid.h"

namespace lariat::repair {
namespace {

using base::Code;
using base::Fail;
using base::Instant;
using base::Millis;
using causal::Object;
using wire::SweepState;

// --- one record ----------------------------------------------------------------------------------

constexpr int64_t kMax = INT64_MAX;
constexpr causal::Actor kA{1, 1, 1};
constexpr causal::Actor kB{2, 1, 1};

causal::Value Value(int64_t written_ms, int64_t expires_ms = 0, bool tombstone = false) {
  causal::Value value;
  value.written.ms = written_ms;
  value.expires_ms = expires_ms;
  value.tombstone = tombstone;
  return value;
}
causal::Value Tombstone(int64_t written_ms) { return Value(written_ms, 0, true); }

Object Siblings(std::vector<std::pair<causal::Actor, causal::Value>> values) {
  Object object(causal::Kind::kSiblings);
  for (auto& [actor, value] : values) object.dvv()->Update({}, std::move(value), actor);
  return object;
}
Object Register(causal::Value value) {
  Object object(causal::Kind::kLww);
  object.lww()->stamp.packed = 5;
  object.lww()->value = std::move(value);
  return object;
}
SweepDecision Decide(const Object& object, int64_t now_ms, uint64_t grace_s) {
  return JudgeForSweep(object, {now_ms}, grace_s).decision;
}

TEST(JudgeForSweep, WaitsUntilTheNewestDeleteOrExpiryIsOlderThanGrace) {
  EXPECT_EQ(Decide(Register(Tombstone(1000)), 10'999, 10), SweepDecision::kGrace);
  EXPECT_EQ(Decide(Register(Tombstone(1000)), 11'000, 10), SweepDecision::kPurge);
  EXPECT_EQ(Decide(Register(Value(1000, 5000)), 14'999, 10), SweepDecision::kGrace);
  EXPECT_EQ(Decide(Register(Value(1000, 5000)), 15'000, 10), SweepDecision::kPurge);
  EXPECT_EQ(Decide(Register(Value(1000, 5000)), 4999, 0), SweepDecision::kNothing) << "lives";
  EXPECT_EQ(Decide(Register(Value(1000)), kMax, 0), SweepDecision::kNothing);
  const Object both = Siblings({{kA, Tombstone(1000)}, {kB, Value(0, 3000)}});
  EXPECT_EQ(Decide(both, 3999, 1), SweepDecision::kGrace);
  EXPECT_EQ(Decide(both, 4000, 1), SweepDecision::kPurge);
  EXPECT_TRUE(JudgeForSweep(both, {4000}, 1).tombstone);
  const Object one_lives = Siblings({{kA, Tombstone(1000)}, {kB, Value(0)}});
  EXPECT_EQ(Decide(one_lives, kMax, 0), SweepDecision::kNothing);
  // What was dead when it was written is as old as its writing.
  EXPECT_EQ(Decide(Register(Value(5000, 1)), 5500, 1), SweepDecision::kGrace);
  EXPECT_EQ(Decide(Object(causal::Kind::kLww), kMax, 0), SweepDecision::kNothing);
  EXPECT_EQ(Decide(Object(causal::Kind::kSiblings), kMax, 0), SweepDecision::kNothing);
}

TEST(JudgeForSweep, IsRightForEvery64BitTime) {
  EXPECT_EQ(Decide(Register(Value(1, kMax)), kMax - 1, 0), SweepDecision::kNothing);
  EXPECT_EQ(Decide(Register(Value(1, kMax)), kMax, 0), SweepDecision::kPurge);
  EXPECT_EQ(Decide(Register(Value(1, kMax)), kMax, 1), SweepDecision::kGrace);
  EXPECT_EQ(Decide(Register(Tombstone(kMax)), 1'000'000, 0), SweepDecision::kGrace);
  EXPECT_EQ(Decide(Register(Tombstone(1)), 1'000'000, UINT64_MAX), SweepDecision::kGrace);
  EXPECT_EQ(Decide(Register(Tombstone(1)), kMax, UINT64_MAX / 1000), SweepDecision::kGrace);
  EXPECT_EQ(Decide(Register(Tombstone(INT64_MIN)), kMax, 1), SweepDecision::kPurge);
  const int64_t in_2038 = int64_t{1} << 31;
  EXPECT_EQ(Decide(Register(Value(1, in_2038 * 1000)), in_2038 * 1000 - 1, 0),
            SweepDecision::kNothing);
  EXPECT_EQ(Decide(Register(Value(1, in_2038 * 1000)), in_2038 * 1000 + 5000, 5),
            SweepDecision::kPurge);
}

// The sweeper's clock is days ahead, and it takes a living value for an expired one.
TEST(ConfirmFor, AReplicaConfirmsOnlyWhatItWouldDoItself) {
  using wire::SweepState;
  using wire::SweepStep;
  Object object = Siblings({{kA, Value(1000)}, {kB, Value(1000)}});
  object.dvv()->Update(object.dvv()->history(), Value(2000, 1'000'000), kA);
  const std::string bytes = object.Encode();
  const auto digest = Object::Digest(bytes);
  ASSERT_EQ(Decide(object, 50'000, 10), SweepDecision::kFold);
  EXPECT_EQ(ConfirmFor(SweepStep::kFold, bytes, digest, {50'000}, 10), SweepState::kSame);
  EXPECT_EQ(ConfirmFor(SweepStep::kPurge, bytes, digest, {50'000}, 10), SweepState::kBusy);
  EXPECT_EQ(ConfirmFor(SweepStep::kPurge, bytes, digest, {1'010'000}, 10), SweepState::kSame);
  EXPECT_EQ(ConfirmFor(SweepStep::kFold, bytes, digest, {1'010'000}, 10), SweepState::kSame);
  EXPECT_EQ(ConfirmFor(SweepStep::kFold, bytes, {}, {50'000}, 10), SweepState::kDifferent);
  EXPECT_EQ(ConfirmFor(SweepStep::kFold, std::nullopt, digest, {50'000}, 10), SweepState::kAbsent);
}

TEST(JudgeForSweep, FoldsTheHistoryOfActorsWithoutAValue) {
  Object object = Siblings({{kA, Value(1000)}});
  object.dvv()->Update(object.dvv()->history(), Value(2000), kB);
  EXPECT_EQ(Decide(object, 2999, 1), SweepDecision::kGrace);
  EXPECT_EQ(Decide(object, 3000, 1), SweepDecision::kFold);
  ASSERT_TRUE(object.Fold());
  EXPECT_EQ(Decide(object, 3000, 1), SweepDecision::kNothing);
  object.dvv()->Update(object.dvv()->history(), Tombstone(4000), kA);
  EXPECT_EQ(Decide(object, 5000, 1), SweepDecision::kPurge) << "all of it";
}

// --- where to look -------------------------------------------------------------------------------

TEST(PartsIn, CoversExactlyTheTokensOfTheRangeInSetLeaves) {
  base::Prng random(1);
  for (int i = 0; i < 300; ++i) {
    std::vector<bool> leaves(merkle::kLeaves);
    const uint32_t base = random.Chance(0.3) ? merkle::kLeaves - 4 : random.Below(8);
    for (uint32_t leaf = 0; leaf < 8; ++leaf) {
      if (random.Chance(0.6)) leaves[(base + leaf) % merkle::kLeaves] = true;
    }
    const auto near = [&] {
      const uint64_t leaf = (base + random.Below(10)) % merkle::kLeaves;
      const uint64_t token = merkle::FirstToken(static_cast<uint32_t>(leaf));
      return ring::Token{token + (random.Chance(0.5) ? random.Next() >> 16 : 0) - 1};
    };
    const ring::TokenRange range{near(), near()};
    const auto parts = PartsIn(range, leaves);
    for (const auto& part : parts) EXPECT_LE(part.First(), part.to);
    for (int j = 0; j < 50; ++j) {
      const ring::Token token = {near().value + random.Below(3)};
      const bool wanted = range.Contains(token) && leaves[merkle::LeafOf(token.value)];
      int found = 0;
      for (const auto& part : parts) found += part.Contains(token) ? 1 : 0;
      ASSERT_EQ(found, wanted ? 1 : 0);
    }
  }
  const std::vector<bool> all(merkle::kLeaves, true);
  const ring::TokenRange ring{{UINT64_MAX}, {UINT64_MAX}};
  EXPECT_EQ(PartsIn(ring, all), std::vector{ring}) << "adjacent ones are joined";
}

// --- the proof -----------------------------------------------------------------------------------

class SweepBatchTest : public testing::Test {
 protected:
  SweepBatchTest() {
    SweepBatchPlan plan;
    plan.self = 1;
    plan.members = {1, 2, 3, 4};
    plan.replicas = {1, 2, 3};
    plan.keys = {{"a", {1, 1}}, {"b", {2, 2}}};
    batch_.emplace(std::move(plan), SweepTimes{Millis(100), base::Seconds(10)});
  }
  // "hints 1 2 3 4: a b", and so on; remembers the questions.
  std::string Next() {
    auto asks = batch_->Next(now_);
    if (asks.empty()) return "";
    asks_ = std::move(asks);
    std::string text;
    if (const auto* hints = std::get_if<wire::HintsRequest>(&asks_[0].request)) {
      text = "hints";
      for (const auto& ask : asks_) text += " " + std::to_string(ask.member);
      for (const auto& key : hints->keys) text += " " + key;
      return text;
    }
    const auto& sweep = std::get<wire::SweepRequest>(asks_[0].request);
    text = sweep.step == wire::SweepStep::kConfirm ? "confirm" : "purge";
    for (const auto& ask : asks_) text += " " + std::to_string(ask.member);
    for (const auto& key : sweep.keys) text += " " + key.key;
    return text;
  }
  void Answer(uint64_t member, std::vector<SweepState> states) {
    wire::SweepReply reply;
    reply.states = std::move(states);
    reply.run = 10 * member;
    reply.confirmed = 100 * member;
    batch_->OnSweep(member, asks_[0].ticket, reply, now_);
  }
  void AnswerAll() {
    for (const auto& ask : asks_) {
      if (std::holds_alternative<wire::HintsRequest>(ask.request)) {
        batch_->OnHints(ask.member, ask.ticket, wire::HintsReply{}, now_);
      } else {
        const auto& keys = std::get<wire::SweepRequest>(ask.request).keys;
        Answer(ask.member, std::vector<SweepState>(keys.size()));
      }
    }
  }
  void Pause() {
    EXPECT_EQ(Next(), "");
    ASSERT_EQ(batch_->wake(), now_ + Millis(100));
    now_ += Millis(99);
    EXPECT_EQ(Next(), "");
    now_ += Millis(1);
  }
  uint64_t Blocked(SweepBlock why) const { return batch_->blocked()[static_cast<size_t>(why)]; }

  Instant now_{base::Seconds(5)};
  std::optional<SweepBatch> batch_;
  std::vector<SweepBatch::Ask> asks_;
};

TEST_F(SweepBatchTest, AsksInTheOrderOfTheProof) {
  EXPECT_EQ(Next(), "hints 1 2 3 4 a b");
  AnswerAll();
  EXPECT_EQ(Next(), "confirm 1 2 3 a b");
  AnswerAll();
  Pause();
  EXPECT_EQ(Next(), "hints 1 2 3 4 a b");
  AnswerAll();
  Pause();
  EXPECT_EQ(Next(), "purge 2 3 a b");
  const auto& confirmed = std::get<wire::SweepRequest>(asks_[0].request).confirmed;
  ASSERT_EQ(confirmed.size(), 3U) << "whoever purges remembers who has confirmed";
  EXPECT_EQ(confirmed[1].member, 2U);
  EXPECT_EQ(confirmed[1].run, 20U);
  EXPECT_EQ(confirmed[1].confirmed, 200U);
  Answer(2, {SweepState::kSame, SweepState::kSame});
  EXPECT_EQ(Next(), "");
  Answer(3, {SweepState::kAbsent, SweepState::kBusy});
  EXPECT_EQ(Next(), "purge 1 a") << "itself last, and only what the others have done";
  AnswerAll();
  EXPECT_TRUE(batch_->Done());
  ASSERT_EQ(batch_->removed().size(), 1U);
  EXPECT_EQ(batch_->removed()[0].key, "a");
  EXPECT_EQ(Blocked(SweepBlock::kBusy), 1U);
}

// Guards M12, M13.
TEST_F(SweepBatchTest, AMemberThatDoesNotAnswerBlocksAll) {
  Next();
  batch_->OnHints(4, asks_[0].ticket, Fail(Code::kTimeout, "silent"), now_);
  EXPECT_FALSE(batch_->Done()) << "the others are waited for";
  AnswerAll();
  EXPECT_TRUE(batch_->Done());
  EXPECT_EQ(Blocked(SweepBlock::kNodeAway), 2U);
}

TEST_F(SweepBatchTest, AMemberThatMayHoldOldRecordsBlocksAll) {
  Next();
  wire::HintsReply reply;
  reply.unclean = "its clean-up runs";
  batch_->OnHints(4, asks_[0].ticket, reply, now_);
  AnswerAll();
  EXPECT_EQ(Blocked(SweepBlock::kUnclean), 2U);
}

// Guards M12.
TEST_F(SweepBatchTest, AHintThatAppearsBetweenTheLooksBlocksItsKey) {
  Next();
  AnswerAll();
  Next();
  AnswerAll();
  Pause();
  Next();
  wire::HintsReply reply;
  reply.hinted = {"b"};
  batch_->OnHints(4, asks_[0].ticket, reply, now_);
  AnswerAll();
  EXPECT_EQ(Blocked(SweepBlock::kHints), 1U);
  Pause();
  EXPECT_EQ(Next(), "purge 2 3 a");
}

TEST_F(SweepBatchTest, WhatIsNotTheSameEverywhereIsHandedOut) {
  Next();
  AnswerAll();
  Next();
  Answer(3, {SweepState::kAbsent, SweepState::kDifferent});
  AnswerAll();
  EXPECT_TRUE(batch_->Done());
  EXPECT_EQ(Blocked(SweepBlock::kNotEverywhere), 2U);
  ASSERT_EQ(batch_->unequal().size(), 2U);
  EXPECT_EQ(batch_->unequal()[0].member, 3U);
}

TEST_F(SweepBatchTest, OldConfirmationsAreNotReliedOn) {
  Next();
  AnswerAll();
  Next();
  AnswerAll();
  Pause();
  Next();
  AnswerAll();
  EXPECT_EQ(Next(), "");
  now_ += base::Seconds(10);
  EXPECT_EQ(Next(), "");
  EXPECT_TRUE(batch_->Done());
  EXPECT_EQ(Blocked(SweepBlock::kBusy), 2U);
}

TEST_F(SweepBatchTest, LateAndOddAnswersProveNothing) {
  Next();
  const auto first = asks_;
  AnswerAll();
  Next();
  for (const auto& ask : first) {
    wire::SweepReply all;
    all.states.resize(2);
    batch_->OnSweep(ask.member, ask.ticket, all, now_);
  }
  EXPECT_EQ(Next(), "");
  Answer(2, {SweepState::kSame});
  AnswerAll();
  EXPECT_TRUE(batch_->Done());
  EXPECT_EQ(Blocked(SweepBlock::kBusy), 2U) << "an answer for one key of two";
}

}  // namespace
}  // namespace lariat::repair
