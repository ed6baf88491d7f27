// SPDX-License-Identifier: Apache-2.0
#include "storage/log/log.h"

#include <gtest/gtest.h>

#include "storage/log/internal/log_world.h"

namespace lariat::storage::log {
namespace {

using base::Code;

class LogTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_EQ(world_.Open(), ""); }
  Log& log() { return *world_.log; }
  void Reopen() { ASSERT_EQ(world_.Open(), ""); }
  void AppendUntilFull() {
    while (world_.stalled == 0) {
      world_.Append(3000);
      ASSERT_TRUE(log().WriteBehind());
    }
  }
  void SyncAll() {
    world_.Sync();
    world_.Settle();
    ASSERT_EQ(log().durable(), log().end());
  }

  LogWorld world_{1};
};

TEST_F(LogTest, IsEmptyAtFirst) {
  EXPECT_EQ(log().recovered().end, 0U);
  EXPECT_EQ(log().recovered().ending, Ending::kWhole);
  EXPECT_FALSE(log().recovered().stopped_cleanly);
  world_.PowerCut();
  Reopen();
  EXPECT_EQ(log().recovered().end, 0U);
  EXPECT_EQ(log().recovered().ending, Ending::kWhole);
}

TEST_F(LogTest, OneWaiterLeadsForAll) {
  FakeQueue second;
  int told = 0;
  world_.writer->holds = true;
  world_.Append(100);
  log().Sync(log().end(), &world_.queue, [&](base::Status s) { told += s ? 1 : 100; });
  EXPECT_TRUE(world_.writer->in_flight());
  world_.Append(100);
  for (int i = 0; i < 3; ++i) {
    log().Sync(log().end(), &second, [&](base::Status s) { told += s ? 1 : 100; });
  }
  world_.writer->Land();
  world_.queue.Run();
  EXPECT_EQ(told, 1);
  EXPECT_FALSE(world_.writer->in_flight());
  second.Run();  // the first of those that wait leads
  EXPECT_TRUE(world_.writer->in_flight());
  world_.writer->Land();
  ASSERT_EQ(second.tasks.size(), 1U);  // three callbacks in one task
  second.Run();
  EXPECT_EQ(told, 4);
  EXPECT_EQ(log().Stats().syncs, 2U);
}

TEST_F(LogTest, WhoAppendedBeforeTheGroupLeftNeedsNoOther) {
  world_.writer->holds = true;
  world_.Append(100);
  world_.Append(100);
  const Lsn end = log().end();
  bool told = false;
  log().Sync(end, &world_.queue, [](base::Status) {});
  log().Sync(end, &world_.queue, [&](base::Status s) { told = s.has_value(); });
  world_.writer->Land();
  world_.queue.Run();
  EXPECT_TRUE(told);
  EXPECT_EQ(log().Stats().syncs, 1U);
  log().Sync(end, &world_.queue, [&](base::Status) { told = false; });
  EXPECT_TRUE(told);  // never on the caller's stack
  world_.queue.Run();
  EXPECT_FALSE(told);
  EXPECT_EQ(log().Stats().syncs, 1U);
}

TEST_F(LogTest, LeavesAGapBetweenSyncsWhereSeveralWait) {
  world_.writer->holds = true;
  const auto wait = [&] {
    world_.Append(100);
    log().Sync(log().end(), &world_.queue, [](base::Status) {});
  };
  const auto land_after = [&](int us) {
    world_.clock.now += std::chrono::microseconds(us);
    world_.writer->Land();
    world_.queue.Run();
  };
  wait();
  wait();
  land_after(100);  // one waits: at once
  wait();
  wait();
  land_after(100);  // two wait, 100 us after the beginning
  wait();
  wait();
  land_after(400);
  EXPECT_EQ(world_.queue.delays,
            (std::vector<base::Duration>{base::Duration{}, std::chrono::microseconds(200),
                                         base::Duration{}}));
}

TEST_F(LogTest, AFullLogStallsAndGoesOnAfterACut) {
  AppendUntilFull();
  EXPECT_EQ(log().Stats().slots, 2U);
  const size_t held = world_.appended.size();
  ASSERT_TRUE(log().Grow());
  world_.Append(3000);
  EXPECT_EQ(world_.appended.size(), held + 1);
  ASSERT_TRUE(log().Grow());
  EXPECT_EQ(log().Grow().error().code, Code::kStalled);
  world_.stalled = 0;
  AppendUntilFull();
  EXPECT_EQ(log().Stats().live_slots, 4U);

  const CutPoint point = log().TakeCutPoint();
  EXPECT_EQ(log().Cut(point).error().code, Code::kConflict);
  SyncAll();
  ASSERT_TRUE(log().Cut(point));
  world_.cuts = {point.lsn()};
  EXPECT_EQ(log().Stats().live_slots, 1U);
  world_.stalled = 0;
  AppendUntilFull();
  EXPECT_EQ(log().Stats().live_slots, 4U);
  world_.Kill();
  Reopen();
  EXPECT_EQ(log().recovered().cut, point.lsn());
  // Full as it was: opening needs no slot.
  world_.stalled = 0;
  world_.Append(3000);
  EXPECT_EQ(world_.stalled, 1U);
  const CutPoint all = log().TakeCutPoint();
  ASSERT_TRUE(log().Cut(all));
  world_.cuts = {all.lsn()};
  world_.Append(3000);
  SyncAll();
  world_.PowerCut();
  Reopen();
}

TEST_F(LogTest, StartsThatWriteNothingUseNoSlot) {
  world_.Append(100);
  SyncAll();
  for (int i = 0; i < 10; ++i) {
    world_.PowerCut();
    Reopen();
    EXPECT_EQ(log().Stats().live_slots, 1U);
  }
}

TEST_F(LogTest, AFailedWriteIsTheEnd) {
  for (const bool direct : {true, false}) {
    world_.Append(100);
    if (!direct) {
      ASSERT_TRUE(log().WriteBehind());
    }
    world_.disk->FailAfter(1);
    const Lsn durable = log().durable();
    base::Status status;
    log().Sync(log().end(), &world_.queue, [&](base::Status s) { status = std::move(s); });
    world_.queue.Run();
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().code, Code::kIo);
    EXPECT_EQ(log().Append({}).error().code, Code::kIo);
    EXPECT_EQ(log().WriteBehind().error().code, Code::kIo);
    EXPECT_EQ(log().Cut(log().TakeCutPoint()).error().code, Code::kIo);
    EXPECT_EQ(log().Tick().error().code, Code::kIo);
    EXPECT_EQ(log().Close().error().code, Code::kIo);
    EXPECT_EQ(log().durable(), durable);
    world_.PowerCut();
    Reopen();
  }
}

TEST_F(LogTest, AGroupThatLandsAfterAFailureIsNotTold) {
  world_.writer->holds = true;
  world_.Append(100);
  base::Status status;
  log().Sync(log().end(), &world_.queue, [&](base::Status s) { status = std::move(s); });
  world_.Append(100);
  world_.disk->FailAfter(1);
  EXPECT_FALSE(log().WriteBehind());
  world_.Settle();
  EXPECT_FALSE(status);
  EXPECT_EQ(log().durable(), 0U);
}

TEST_F(LogTest, MarksOnceASecondIfThereIsNews) {
  const auto tick = [&](int ms) {
    world_.clock.now += base::Millis(ms);
    const Lsn end = log().end();
    EXPECT_TRUE(log().Tick());
    return log().end() > end;
  };
  EXPECT_FALSE(tick(5000));
  world_.Append(100);
  SyncAll();
  EXPECT_TRUE(tick(1000));
  EXPECT_FALSE(tick(5000));
  world_.Append(100);
  EXPECT_TRUE(tick(1000));
  world_.Append(100);
  EXPECT_FALSE(tick(500));
  EXPECT_TRUE(tick(500));
  EXPECT_FALSE(tick(1000));  // the batch is not durable: nothing more to say
  SyncAll();
  EXPECT_TRUE(tick(1000));  // what was synced since has a witness now
  EXPECT_FALSE(tick(1000));
  world_.Kill();
  Reopen();
  ASSERT_TRUE(log().recovered().last_mark.has_value());
  EXPECT_EQ(log().recovered().last_mark->at.ms, world_.clock.Wall().ms - 1000);
  EXPECT_FALSE(log().recovered().last_clean_stop.has_value());
  EXPECT_TRUE(tick(1000));  // a start says how far it read
}

TEST_F(LogTest, ACleanStopIsKnown) {
  world_.Append(100);
  base::Status status = base::Fail(Code::kInternal, "not told");
  world_.writer->holds = true;
  world_.Append(50);
  ASSERT_TRUE(log().Close());
  EXPECT_EQ(log().Append({}).error().code, Code::kUnavailable);
  log().Sync(1, &world_.queue, [&](base::Status s) { status = std::move(s); });
  world_.queue.Run();
  EXPECT_EQ(status.error().code, Code::kUnavailable);
  world_.told = world_.appended.back().end;
  world_.PowerCut();
  Reopen();
  EXPECT_TRUE(log().recovered().stopped_cleanly);
  ASSERT_TRUE(log().recovered().last_clean_stop.has_value());
  EXPECT_EQ(log().recovered().last_clean_stop->at.ms, world_.clock.Wall().ms);
  world_.Append(100);
  SyncAll();
  world_.PowerCut();
  Reopen();
  EXPECT_FALSE(log().recovered().stopped_cleanly);
  EXPECT_TRUE(log().recovered().last_clean_stop.has_value());
}

TEST_F(LogTest, LimitsWhatIsAppended) {
  WriteBatch batch;
  batch.Put(Space::kData, "k", std::string(SmallShape().segment_bytes - kBlock, 'x'));
  EXPECT_EQ(log().Append(batch).error().code, Code::kTooLarge);
  batch.Clear();
  batch.Put(Space::kData, "k", std::string(SmallShape().segment_bytes - kBlock - 64, 'x'));
  ASSERT_TRUE(log().Append(batch));
}

TEST_F(LogTest, BelongsToOneStore) {
  world_.Kill();
  LogOptions options;
  options.shape = SmallShape();
  options.shape.store.low = 99;
  class Nothing final : public Replay {
    base::Status OnBatch(Lsn /*end*/, WriteBatch /*batch*/) override { return {}; }
  } replay;
  const auto open = [&](FakeFiles* files) {
    return Log::Open(options, std::make_unique<FakeDisk>(files, options.shape, Bug::kNone), nullptr,
                     &world_.clock, &replay);
  };
  EXPECT_EQ(open(&world_.files).error().code, Code::kConflict);
  // Its shape is fixed when it is made.
  options.shape = SmallShape();
  options.shape.segment_bytes *= 2;
  auto log = open(&world_.files);
  ASSERT_TRUE(log.has_value());
  EXPECT_EQ((*log)->shape(), SmallShape());
  log->reset();
  // The number of slots may grow with the setting.
  options.slots_at_open = 4;
  const auto larger = open(&world_.files);
  ASSERT_TRUE(larger.has_value());
  EXPECT_EQ((*larger)->Stats().slots, 4U);
  EXPECT_EQ((*larger)->recovered().ending, Ending::kWhole);
}

TEST_F(LogTest, AControlFileThatIsGoneAltogetherIsNoNewLog) {
  world_.Append(100);
  SyncAll();
  world_.Kill();
  world_.files.files.erase(kControlFile);
  Reopen();
  EXPECT_EQ(log().recovered().batches, 1U);
  world_.Kill();
  for (auto& [number, file] : world_.files.files) std::fill_n(file.now.begin(), kBlock, 'x');
  world_.files.files[kControlFile].now = std::string(2 * kBlock, 'x');
  EXPECT_EQ(world_.Open().substr(0, 8), "no open:");
  // Frames are left.
  world_.files.files.erase(kControlFile);
  EXPECT_EQ(world_.Open().substr(0, 8), "no open:");
}

}  // namespace
}  // namespace lariat::storage::log
