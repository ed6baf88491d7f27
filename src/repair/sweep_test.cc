// SPDX-License-Identifier: Apache-2.0
// The sweep of one node with its timers: a real replica here, the others as the test says.
#include "repair/sweep/sweep.h"

#include <gtest/gtest.h>

#include "merkle/grid.h"
#include "repair/repair_test_util.h"

namespace lariat::repair {
namespace {

using base::Code;
using base::Fail;
using base::Seconds;
using Tokens = std::set<uint64_t>;

constexpr uint32_t kBucket = 1;
constexpr int64_t kNowMs = 1'000'000;  // of TestEnv

std::string ObjectOf(causal::Value value) {
  causal::Object object(causal::Kind::kSiblings);
  object.dvv()->Update({}, std::move(value), {2, 1, 1});
  return object.Encode();
}
std::string Deleted(int64_t written_ms) {
  return ObjectOf({.tombstone = true, .written = {written_ms}});
}
std::string Expiring(int64_t expires_ms) {
  return ObjectOf({.written = {1}, .expires_ms = expires_ms, .bytes = "v"});
}

class SweepTest : public testing::Test, public SweepPort {
 protected:
  SweepTest() {
    settings_.repair_purge_interval_s = 100;
    settings_.repair_settle_ms = 10'000;
  }
  void Put(uint64_t token, const std::string& object) {
    world_.replica().Write({kBucket, {token}, "k" + std::to_string(token)}, object,
                           {.now = world_.now},
                           [](const base::Status& status) { EXPECT_TRUE(status.has_value()); });
    world_.loop.RunAll();
  }
  static SweepPlan Plan(uint64_t fence = 3) {
    SweepPlan plan;
    plan.fence = fence;
    plan.self = 1;
    plan.members = {1, 2, 3};
    plan.items = {{kBucket, 60, {{UINT64_MAX}, {100}}, {1, 2}, {}},
                  {kBucket, 60, {{100}, {200}}, {1, 2, 3}, {2, 3}}};
    return plan;
  }
  void Boot() {
    sweep_ = std::make_unique<Sweep>(env_.env(), *this, reader_, world_.metrics,
                                     telemetry::NullLog(), settings_);
    sweep_->SetPlan(Plan());
  }
  void Go(base::Duration time) {
    env_.Advance(time, [this] { world_.loop.RunAll(); });
  }
  uint64_t Blocked(SweepBlock why) const {
    return sweep_->figures().blocked[static_cast<size_t>(why)];
  }

  // SweepPort
  void Ask(const To& to, wire::HintsRequest request, HintsDone done) override {
    ++asked_;
    if (to.fence != fence_) return done(Fail(Code::kStaleEpoch, "another document"));
    if (away_.contains(to.member)) return done(Fail(Code::kUnavailable, "away"));
    wire::HintsReply reply;
    for (const auto& key : request.keys) {
      if (hinted_.contains(key)) reply.hinted.push_back(key);
    }
    world_.loop.Post([reply, done = std::move(done)]() mutable { done(std::move(reply)); });
  }
  void Ask(const To& to, wire::SweepRequest request, SweepDone done) override {
    ++asked_;
    if (to.fence != fence_) return done(Fail(Code::kStaleEpoch, "another document"));
    if (away_.contains(to.member)) return done(Fail(Code::kUnavailable, "away"));
    wire::SweepReply reply;
    if (to.member != 1 || request.step == wire::SweepStep::kConfirm) {
      for (const auto& key : request.keys) {
        const bool lacks = to.member == 2 && lacking_.contains(key.key);
        reply.states.push_back(lacks ? wire::SweepState::kAbsent : wire::SweepState::kSame);
      }
      return done(std::move(reply));
    }
    std::vector<replica::RecordVersion> records;
    for (const auto& key : request.keys) records.push_back({key.key, key.digest});
    world_.replica().RemoveIf(
        std::move(records), [] { return true; },
        [done = std::move(done)](base::Result<std::vector<replica::RecordState>> states) mutable {
          ASSERT_TRUE(states);
          wire::SweepReply removed;
          for (const auto state : *states) {
            EXPECT_EQ(state, replica::RecordState::kDone);
            removed.states.push_back(wire::SweepState::kSame);
          }
          done(std::move(removed));
        });
  }
  void FindLeaves(uint32_t bucket, LeavesDone done) override {
    EXPECT_EQ(bucket, kBucket);
    Leaves leaves;
    leaves.worth_reading.assign(merkle::kLeaves, worth_reading_);
    leaves.tombstones = 7;
    done(std::move(leaves));
  }
  void MakeEqual(uint64_t fence, Mend mend) override {
    EXPECT_EQ(fence, fence_);
    EXPECT_EQ(mend.member, 2U);
    mended_.insert(mend.keys.begin(), mend.keys.end());
  }
  bool IsAlive(uint64_t member) override { return !away_.contains(member); }
  std::optional<base::Duration> ForegroundLatency() override { return std::nullopt; }

  config::Settings settings_;
  replica::World world_;
  replica::RangeReader reader_{world_.engine, world_.loop, world_.metrics};
  TestEnv env_{&world_.loop};
  uint64_t fence_ = 3;
  int asked_ = 0;
  bool worth_reading_ = true;
  std::set<uint64_t> away_;
  std::set<std::string> hinted_, lacking_, mended_;
  std::unique_ptr<Sweep> sweep_;
};

TEST_F(SweepTest, RemovesWhatIsOldEnoughAndConfirmedAndNothingElse) {
  Put(1, Deleted(kNowMs - 60'000));
  Put(2, Deleted(kNowMs - 59'000));
  Put(3, replica::PeerObject("v"));
  Put(4, Expiring(kNowMs - 61'000));
  Put(5, Expiring(kNowMs + 1));
  Put(101, Deleted(1));  // another one sweeps it
  Boot();
  ASSERT_TRUE(sweep_->NextIn());
  EXPECT_LE(*sweep_->NextIn(), Seconds(100));
  Go(*sweep_->NextIn() + Seconds(15));
  EXPECT_TRUE(sweep_->Running()) << "late messages are waited for";
  EXPECT_EQ(DurableTokens(world_, kBucket), (Tokens{1, 2, 3, 4, 5, 101}));
  Go(Seconds(6));
  EXPECT_FALSE(sweep_->Running());
  EXPECT_EQ(DurableTokens(world_, kBucket), (Tokens{2, 3, 5, 101}));
  EXPECT_EQ(sweep_->figures().purged, 2U);
  EXPECT_EQ(sweep_->figures().tombstones, 7U);
  EXPECT_EQ(Blocked(SweepBlock::kGrace), 1U);
  EXPECT_EQ(world_.metrics.tombstones_purged.value(), 1U);
  EXPECT_EQ(world_.metrics.expired_purged.value(), 1U);
  EXPECT_EQ(world_.metrics.tombstones_blocked[telemetry::SweepBlock::kGrace].value(), 1);
  EXPECT_EQ(world_.metrics.sweep_oldest_blocked_s.value(), 59);
}

TEST_F(SweepTest, WhatIsBlockedStaysAndIsTriedAgain) {
  Put(1, Deleted(1));
  Put(2, Deleted(1));
  Put(3, Deleted(1));
  hinted_ = {KeyAt(kBucket, 1)};
  lacking_ = {KeyAt(kBucket, 2)};
  Boot();
  Go(Seconds(125));
  EXPECT_EQ(DurableTokens(world_, kBucket), (Tokens{1, 2}));
  EXPECT_EQ(Blocked(SweepBlock::kHints), 1U);
  EXPECT_EQ(Blocked(SweepBlock::kNotEverywhere), 1U);
  EXPECT_EQ(mended_, (std::set<std::string>{KeyAt(kBucket, 2)}));
  hinted_.clear();
  lacking_.clear();
  Go(Seconds(150));
  EXPECT_EQ(DurableTokens(world_, kBucket), Tokens{});
  EXPECT_EQ(Blocked(SweepBlock::kHints), 0U);
}

// Guards M12, M13.
TEST_F(SweepTest, NothingGoesWhileAMemberIsAway) {
  Put(1, Deleted(1));
  away_ = {3};
  Boot();
  Go(Seconds(1000));
  EXPECT_EQ(DurableTokens(world_, kBucket), Tokens{1});
  EXPECT_EQ(Blocked(SweepBlock::kNodeAway), 1U);
  away_.clear();
  Go(Seconds(150));
  EXPECT_EQ(DurableTokens(world_, kBucket), Tokens{});
}

TEST_F(SweepTest, CountsForThoseThatWouldSweepAndAreAway) {
  Put(101, Deleted(1));
  Put(102, Deleted(kNowMs + 1));
  away_ = {2};
  Boot();
  Go(Seconds(125));
  EXPECT_EQ(Blocked(SweepBlock::kNodeAway), 0U) << "3 sweeps or counts";
  away_ = {2, 3};
  Go(Seconds(150));
  EXPECT_EQ(Blocked(SweepBlock::kNodeAway), 1U);
  EXPECT_EQ(Blocked(SweepBlock::kGrace), 1U);
  EXPECT_EQ(DurableTokens(world_, kBucket), (Tokens{101, 102}));
  EXPECT_EQ(asked_, 0) << "nobody is asked to confirm";
  away_.clear();
  Go(Seconds(150));
  EXPECT_EQ(Blocked(SweepBlock::kNodeAway), 0U);
}

TEST_F(SweepTest, ManyBatchesShareTheirPauses) {
  for (uint64_t token = 0; token <= 100; ++token) {
    for (int i = 0; i < 30; ++i) {
      world_.replica().Write({kBucket, {token}, "k" + std::to_string(i)}, Deleted(1),
                             {.now = world_.now}, [](const base::Status&) {});
    }
    world_.loop.RunAll();
  }
  Boot();
  Go(*sweep_->NextIn() + Seconds(22));
  EXPECT_EQ(sweep_->figures().purged, 101U * 30);
  EXPECT_EQ(DurableTokens(world_, kBucket), Tokens{});
}

TEST_F(SweepTest, ANewTopologyEndsTheSweepThatRuns) {
  Put(1, Deleted(1));
  Boot();
  Go(*sweep_->NextIn() + Seconds(15));
  fence_ = 4;
  sweep_->Pause();
  EXPECT_FALSE(sweep_->Running());
  Go(Seconds(500));
  EXPECT_EQ(DurableTokens(world_, kBucket), Tokens{1});
  sweep_->SetPlan(Plan(4));
  Go(Seconds(30));
  EXPECT_EQ(DurableTokens(world_, kBucket), Tokens{}) << "one was due";
}

TEST_F(SweepTest, LeavesWithoutCandidatesAreNotRead) {
  Put(1, Deleted(1));
  worth_reading_ = false;
  Boot();
  Go(Seconds(200));
  EXPECT_EQ(asked_, 0);
  EXPECT_GT(world_.metrics.sweeps.value(), 0U);
}

}  // namespace
}  // namespace lariat::repair
