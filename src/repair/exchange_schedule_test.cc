// SPDX-License-Identifier: Apache-2.0
// Whose turn it is to be compared.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "repair/exchange/schedule_core.h"

namespace lariat::repair {
namespace {

using ::testing::HasSubstr;
using State = RepairTask::State;

constexpr wire::TokenSpan kAll = {UINT64_MAX, UINT64_MAX};
constexpr wire::TokenSpan kLow = {UINT64_MAX, 1000};

class ScheduleTest : public testing::Test {
 protected:
  ScheduleTest() {
    schedule_.SetOptions(options_);
    schedule_.SetNames({{1, "node1"}, {2, "node2"}, {3, "node3"}});
  }
  // This is member 1 of three that hold everything; buckets 7 and 8.
  void Begin(std::map<ExchangePair, int64_t> passes = {}) {
    for (uint64_t partner : {2, 3}) schedule_.SetAlive(partner, true, now_);
    SetPairs(std::move(passes));
  }
  void SetPairs(std::map<ExchangePair, int64_t> passes = {}) {
    std::map<ExchangePair, std::vector<wire::TokenSpan>> pairs;
    for (uint32_t bucket : {7, 8}) {
      for (uint64_t partner : {2, 3}) pairs[{bucket, partner}] = {kAll};
    }
    schedule_.SetPairs(std::move(pairs), passes, now_);
  }
  std::optional<ScheduleCore::Pick> Next() { return schedule_.Next(now_, Wall()); }
  base::WallTime Wall() const { return {1'000'000 + (now_ - base::Instant()) / base::Millis(1)}; }
  bool End(ExchangeEnd end = ExchangeEnd::kComplete, uint64_t received = 0,
           const std::string& why = "") {
    ScheduleCore::Result result;
    result.end = end;
    result.why = why;
    result.figures.keys_received = received;
    return schedule_.OnEnded(result, now_, Wall());
  }
  // Lets time pass, and every comparison that begins be complete after a second; who they were
  // with.
  std::vector<ExchangePair> Go(base::Duration time) {
    std::vector<ExchangePair> done;
    for (const base::Instant end = now_ + time; now_ < end; now_ += base::Millis(250)) {
      if (schedule_.running()) {
        End();
      } else if (auto pick = Next()) {
        done.push_back(pick->pair);
      }
    }
    if (schedule_.running()) End();
    return done;
  }
  const RepairTask& Task(uint64_t id) const {
    for (const RepairTask& task : schedule_.tasks()) {
      if (task.id == id) return task;
    }
    ADD_FAILURE() << "no such task";
    return schedule_.tasks().front();
  }

  ScheduleOptions options_;
  ScheduleCore schedule_{1, 1};
  base::Instant now_{base::Seconds(100)};
};

TEST_F(ScheduleTest, NothingUntilThereAreRanges) {
  EXPECT_FALSE(Next());
  EXPECT_THAT(schedule_.suspended(), HasSubstr("not in a cluster"));
  schedule_.SetPairs({}, {}, now_);
  EXPECT_FALSE(Next());
  EXPECT_EQ(schedule_.suspended(), "");
}

TEST_F(ScheduleTest, AStartedNodeComparesWithAllAndThenAtIntervals) {
  Begin({{{7, 2}, 500}});
  EXPECT_EQ(schedule_.StatusOf({7, 2}).last_pass_ms, 500);
  EXPECT_EQ(Go(base::Seconds(5)).size(), 4U);
  EXPECT_GT(schedule_.StatusOf({7, 2}).last_pass_ms, 1'000'000);
  EXPECT_TRUE(Go(base::Seconds(500)).empty());
  const auto second = Go(base::Seconds(200));
  EXPECT_EQ(std::set<ExchangePair>(second.begin(), second.end()).size(), 4U);
  EXPECT_EQ(second.size(), 4U);
}

TEST_F(ScheduleTest, OneAtATime) {
  Begin();
  now_ += base::Seconds(2);
  const auto first = Next();
  ASSERT_TRUE(first);
  EXPECT_TRUE(schedule_.StatusOf(first->pair).running);
  now_ += base::Seconds(1000);
  EXPECT_FALSE(Next());
  EXPECT_TRUE(End());
  EXPECT_TRUE(Next());
}

TEST_F(ScheduleTest, WhatIsUrgentGoesFirst) {
  Begin();
  Go(base::Seconds(5));
  schedule_.SetAlive(3, false, now_);
  Go(base::Seconds(30));
  schedule_.Mark({8, 2}, Urgency::kDoubt, now_);
  schedule_.SetAlive(3, true, now_);
  schedule_.Mark({7, 3}, Urgency::kDirty, now_);
  EXPECT_TRUE(schedule_.StatusOf({7, 3}).dirty);
  now_ += base::Seconds(2);
  const auto order = Go(base::Seconds(10));
  EXPECT_THAT(order,
              ::testing::ElementsAre(ExchangePair{8, 2}, ExchangePair{7, 3}, ExchangePair{8, 3}));
  EXPECT_FALSE(schedule_.StatusOf({7, 3}).dirty);
  EXPECT_FALSE(schedule_.StatusOf({8, 2}).doubt);
}

TEST_F(ScheduleTest, WhileRangesMoveOnlyDoubtsGoOn) {
  Begin();
  Go(base::Seconds(5));
  const uint64_t task = schedule_.AddTask({}, Wall());
  schedule_.Mark({7, 3}, Urgency::kDirty, now_);
  schedule_.Suspend("a change is under way", true);
  schedule_.Mark({8, 2}, Urgency::kDoubt, now_);
  EXPECT_THAT(Go(base::Seconds(1000)), ::testing::ElementsAre(ExchangePair{8, 2}));
  EXPECT_EQ(Task(task).trouble, "a change is under way");
  schedule_.Suspend("this node is out");
  schedule_.Mark({8, 2}, Urgency::kDoubt, now_);
  EXPECT_TRUE(Go(base::Seconds(1000)).empty());
}

TEST_F(ScheduleTest, AMarkThatComesDuringAComparisonStays) {
  Begin();
  Go(base::Seconds(5));
  schedule_.Mark({7, 2}, Urgency::kDirty, now_);
  ASSERT_EQ(Next()->pair, (ExchangePair{7, 2}));
  now_ += base::Millis(1);
  schedule_.Mark({7, 2}, Urgency::kDirty, now_);
  now_ += base::Millis(1);
  End();
  EXPECT_TRUE(schedule_.StatusOf({7, 2}).dirty);
}

TEST_F(ScheduleTest, OfTwoThatMeetAgainOneBeginsAtOnce) {
  Begin();
  Go(base::Seconds(5));
  schedule_.SetAlive(2, false, now_);
  EXPECT_TRUE(Go(base::Seconds(20)).empty());
  schedule_.SetAlive(2, true, now_);
  EXPECT_EQ(Go(base::Seconds(4)).size(), 2U) << "this one has the smaller number";
  ScheduleCore other(1, 9);
  other.SetAlive(2, true, now_);
  other.SetPairs({{{7, 2}, {kAll}}}, {}, now_);
  now_ += base::Seconds(2);
  ASSERT_TRUE(other.Next(now_, Wall()));
  ScheduleCore::Result complete;
  complete.end = ExchangeEnd::kComplete;
  other.OnEnded(complete, now_, Wall());
  other.SetAlive(2, false, now_);
  other.SetAlive(2, true, now_);
  now_ += base::Seconds(4);
  EXPECT_FALSE(other.Next(now_, Wall()));
  now_ += base::Seconds(3);
  EXPECT_TRUE(other.Next(now_, Wall()));
}

TEST_F(ScheduleTest, FailuresWaitLongerEachTime) {
  Begin();
  schedule_.SetAlive(3, false, now_);
  std::vector<base::Instant> tries;
  for (const base::Instant end = now_ + base::Seconds(100); now_ < end; now_ += base::Millis(100)) {
    const auto pick = Next();
    if (!pick) continue;
    if (pick->pair == ExchangePair{7, 2}) tries.push_back(now_);
    EXPECT_FALSE(End(ExchangeEnd::kFailed, 0, "no answer"));
  }
  ASSERT_GE(tries.size(), 4U);
  EXPECT_LE(tries.size(), 7U);
  EXPECT_GE(tries[3] - tries[2], tries[1] - tries[0]);
  EXPECT_EQ(schedule_.StatusOf({7, 2}).trouble, "no answer");
  EXPECT_EQ(schedule_.StatusOf({7, 2}).last_pass_ms, 0);
  Go(base::Seconds(200));
  EXPECT_EQ(schedule_.StatusOf({7, 2}).trouble, "");
}

TEST_F(ScheduleTest, SwitchedOffItDoesWhatIsAskedForAndWhatIsInDoubt) {
  options_.enabled = false;
  schedule_.SetOptions(options_);
  Begin();
  schedule_.Mark({7, 2}, Urgency::kDirty, now_);
  EXPECT_TRUE(Go(base::Seconds(2000)).empty());
  schedule_.Mark({7, 3}, Urgency::kDoubt, now_);
  EXPECT_EQ(Go(base::Seconds(5)).size(), 1U);
  schedule_.AddTask({}, Wall());
  EXPECT_EQ(Go(base::Seconds(10)).size(), 4U);
}

// --- what was asked for ------------------------------------------------------------------------

TEST_F(ScheduleTest, ATaskIsDoneWhenEveryPairIs) {
  Begin();
  Go(base::Seconds(5));
  const uint64_t id = schedule_.AddTask({}, Wall());
  EXPECT_GT(id, ScheduleCore::kTaskBase);
  EXPECT_NEAR(Task(id).Share(), 4, 1e-9);
  ASSERT_TRUE(Next());
  EXPECT_EQ(schedule_.running()->task, id);
  End();
  EXPECT_NEAR(Task(id).ShareDone(), 1, 1e-9);
  EXPECT_EQ(Task(id).state, State::kRunning);
  Go(base::Seconds(3));
  EXPECT_EQ(Task(id).state, State::kDone);
  EXPECT_GT(Task(id).ended_ms, Task(id).asked_ms);
}

TEST_F(ScheduleTest, ATaskGoesRoundUntilNothingNewComes) {
  Begin();
  Go(base::Seconds(5));
  RepairOrder order;
  order.bucket = 7;
  const uint64_t id = schedule_.AddTask(order, Wall());
  std::vector<uint64_t> partners;
  // The third node brings something that the second lacks.
  while (Task(id).state == State::kRunning) {
    const auto pick = Next();
    ASSERT_TRUE(pick);
    partners.push_back(pick->pair.partner);
    End(ExchangeEnd::kComplete, partners.size() == 2 ? 5 : 0);
    now_ += base::Seconds(1);
  }
  EXPECT_EQ(partners, (std::vector<uint64_t>{2, 3, 2}));
  EXPECT_EQ(Task(id).keys_received, 5U);
}

TEST_F(ScheduleTest, ATaskThatAlwaysBringsSomethingEnds) {
  Begin();
  const uint64_t id = schedule_.AddTask({}, Wall());
  int count = 0;
  while (Task(id).state == State::kRunning && ++count < 1000) {
    if (Next()) End(ExchangeEnd::kComplete, 1);
  }
  EXPECT_EQ(Task(id).state, State::kDone);
  EXPECT_LE(count, 40);
}

TEST_F(ScheduleTest, ATaskForAPartOfTheRing) {
  Begin();
  Go(base::Seconds(5));
  RepairOrder order;
  order.bucket = 8;
  order.range = kLow;
  const uint64_t id = schedule_.AddTask(order, Wall());
  const auto pick = Next();
  ASSERT_TRUE(pick);
  EXPECT_EQ(pick->ranges, std::vector<wire::TokenSpan>{kLow});
  const int64_t before = schedule_.StatusOf(pick->pair).last_pass_ms;
  now_ += base::Seconds(1);
  EXPECT_FALSE(End()) << "not all that the pair holds";
  EXPECT_EQ(schedule_.StatusOf(pick->pair).last_pass_ms, before);
  Go(base::Seconds(2));
  EXPECT_EQ(Task(id).state, State::kDone);
}

TEST_F(ScheduleTest, ATaskWithNothingToDoIsDone) {
  schedule_.SetPairs({}, {}, now_);
  const uint64_t id = schedule_.AddTask({}, Wall());
  Next();
  EXPECT_EQ(Task(id).state, State::kDone);
}

TEST_F(ScheduleTest, ATaskFailsWhenAPartnerStaysAway) {
  Begin();
  schedule_.SetAlive(3, false, now_);
  const uint64_t id = schedule_.AddTask({}, Wall());
  Go(base::Seconds(30));
  EXPECT_EQ(Task(id).state, State::kRunning);
  EXPECT_EQ(Task(id).trouble, "node3 is down");
  Go(base::Seconds(60));
  EXPECT_EQ(Task(id).state, State::kFailed);
  EXPECT_EQ(Task(id).trouble, "node3 is down");
  EXPECT_NEAR(Task(id).ShareDone(), 2, 1e-9) << "all others were compared";
}

TEST_F(ScheduleTest, ATaskWaitsForAPartnerThatIsSoonBack) {
  Begin();
  schedule_.SetAlive(3, false, now_);
  const uint64_t id = schedule_.AddTask({}, Wall());
  Go(base::Seconds(40));
  schedule_.SetAlive(3, true, now_);
  Go(base::Seconds(10));
  EXPECT_EQ(Task(id).state, State::kDone);
}

TEST_F(ScheduleTest, ATaskWaitsLongForATreeThatIsBuilt) {
  Begin();
  const uint64_t id = schedule_.AddTask({}, Wall());
  ScheduleCore::Result unknown;
  unknown.end = ExchangeEnd::kIncomplete;
  unknown.why = "it is reading its data";
  unknown.figures.spans_unknown = 5;
  const auto go = [&](base::Duration time) {
    for (const base::Instant end = now_ + time; now_ < end; now_ += base::Seconds(1)) {
      if (Next()) schedule_.OnEnded(unknown, now_, Wall());
    }
  };
  go(base::Seconds(600));
  EXPECT_EQ(Task(id).state, State::kRunning);
  EXPECT_EQ(Task(id).trouble, "it is reading its data");
  go(base::Seconds(2000));
  EXPECT_EQ(Task(id).state, State::kFailed);
}

TEST_F(ScheduleTest, ATaskBeginsAnewWithOtherRanges) {
  Begin();
  const uint64_t id = schedule_.AddTask({}, Wall());
  ASSERT_TRUE(Next());
  End();
  ASSERT_TRUE(Next());
  schedule_.Suspend("a change is under way");
  EXPECT_FALSE(End()) << "it was dropped";
  EXPECT_FALSE(Next());
  EXPECT_EQ(Task(id).trouble, "a change is under way");
  now_ += base::Seconds(1000);
  SetPairs();
  EXPECT_EQ(Task(id).state, State::kRunning);
  EXPECT_EQ(Task(id).ShareDone(), 0);
  Go(base::Seconds(20));
  EXPECT_EQ(Task(id).state, State::kDone);
}

TEST_F(ScheduleTest, TheLastTasksAreRemembered) {
  Begin();
  const uint64_t running = schedule_.AddTask({}, Wall());
  Go(base::Seconds(10));
  for (int i = 0; i < 100; ++i) {
    schedule_.AddTask({}, Wall());
    Go(base::Seconds(3));
  }
  EXPECT_EQ(schedule_.tasks().size(), ScheduleCore::kTasksMax);
  EXPECT_EQ(schedule_.tasks().back().id, running + 100);
}

TEST(Ranges, Clip) {
  const std::vector<wire::TokenSpan> ranges = {{UINT64_MAX, 100}, {200, 300}, {400, UINT64_MAX}};
  using Spans = std::vector<wire::TokenSpan>;
  EXPECT_EQ(Clip(ranges, kAll), ranges);
  EXPECT_EQ(Clip(ranges, {50, 250}), (Spans{{50, 100}, {200, 250}}));
  EXPECT_EQ(Clip(ranges, {450, 20}), (Spans{{UINT64_MAX, 20}, {450, UINT64_MAX}}));
  EXPECT_EQ(Clip(ranges, {100, 200}), Spans{});
  EXPECT_NEAR(ShareOf(Spans{{UINT64_MAX, UINT64_MAX / 4}, {UINT64_MAX / 2, UINT64_MAX}}), 0.75,
              1e-9);
}

}  // namespace
}  // namespace lariat::repair
