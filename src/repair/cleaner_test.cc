// SPDX-License-Identifier: Apache-2.0
#include "repair/cleaner.h"

#include <gtest/gtest.h>

#include "repair/repair_test_util.h"

namespace lariat::repair {
namespace {

using base::Code;
using Tokens = std::set<uint64_t>;

TEST(CleanerCore, WalksEveryItemAndThoseWithSkippedKeysAgain) {
  CleanerPlan plan;
  plan.items = {{1, {{0}, {5}}}, {2, {{0}, {5}}}};
  CleanerCore core(plan);
  EXPECT_EQ(core.Next()->item.bucket, 1U);
  core.OnPage("a", false, true);
  EXPECT_EQ(core.Next()->after, "a");
  core.OnPage("b", true, false);
  EXPECT_EQ(core.Next()->item.bucket, 2U);
  EXPECT_EQ(core.Next()->after, "");
  core.OnPage("", true, false);
  ASSERT_TRUE(core.Next());
  EXPECT_EQ(core.Next()->item.bucket, 1U);
  core.OnPage("", true, false);
  EXPECT_FALSE(core.Next());
}

class CleanerTest : public testing::Test, public CleanerPort {
 protected:
  CleanerTest() {
    for (const uint32_t bucket : {1U, 2U}) {
      for (uint64_t token = 1; token <= 10; ++token) PutRecord(world_, bucket, token, "v");
    }
    Boot();
  }
  void Boot() {
    const Cleaner::Books books{world_.metrics.cleaned_records, world_.metrics.cleaned_bytes,
                               "records"};
    cleaner_ = std::make_unique<Cleaner>(env_.env(), *this, reader_, books, telemetry::NullLog(),
                                         settings_);
  }
  static CleanerPlan Plan(uint64_t fence = 3) {
    CleanerPlan plan;
    plan.fence = fence;
    plan.items = {{1, {{2}, {6}}}, {1, {{8}, {9}}}, {2, {{9}, {3}}}};
    return plan;
  }
  void Go(base::Duration time) {
    env_.Advance(time, [this] { world_.loop.RunAll(); });
  }
  void Remove(uint64_t fence, std::vector<std::string> data_keys, RemoveDone done) override {
    ++calls_;
    if (fence != fence_) return done(base::Fail(Code::kStaleEpoch, "another document"));
    if (!hold_) return RemoveNow(std::move(data_keys), std::move(done));
    held_ = [this, keys = std::move(data_keys), done = std::move(done)]() mutable {
      RemoveNow(std::move(keys), std::move(done));
    };
  }
  void RemoveNow(std::vector<std::string> data_keys, RemoveDone done) {
    std::vector<replica::RecordVersion> records;
    for (const std::string& key : data_keys) records.push_back({key, std::nullopt});
    world_.replica().RemoveIf(
        std::move(records), [] { return true; },
        [keys = std::move(data_keys),
         done = std::move(done)](base::Result<std::vector<replica::RecordState>> states) mutable {
          if (!states) return done(base::Fail(states.error()));
          std::vector<std::string> skipped;
          for (size_t i = 0; i < keys.size(); ++i) {
            if ((*states)[i] == replica::RecordState::kBusy) skipped.push_back(keys[i]);
          }
          done(std::move(skipped));
        });
  }

  config::Settings settings_;
  replica::World world_;
  replica::RangeReader reader_{world_.engine, world_.loop, world_.metrics};
  TestEnv env_{&world_.loop};
  uint64_t fence_ = 3;
  int calls_ = 0;
  bool hold_ = false;
  base::UniqueFunction<void()> held_;
  std::unique_ptr<Cleaner> cleaner_;
};

TEST_F(CleanerTest, RemovesWhatThePlanSaysAndNothingElse) {
  cleaner_->Start(Plan());
  EXPECT_TRUE(cleaner_->Running());
  Go(base::Seconds(5));
  EXPECT_FALSE(cleaner_->Running());
  EXPECT_EQ(DurableTokens(world_, 1), (Tokens{1, 2, 7, 8, 10}));
  EXPECT_EQ(DurableTokens(world_, 2), (Tokens{4, 5, 6, 7, 8, 9}));
  EXPECT_EQ(cleaner_->removed(), 9U);
  EXPECT_EQ(world_.metrics.cleaned_records.value(), 9U);
  EXPECT_GT(world_.metrics.cleaned_bytes.value(), 9 * 20U);
  calls_ = 0;
  cleaner_->Start(Plan());
  EXPECT_FALSE(cleaner_->Running()) << "once for each fence";
  Boot();
  cleaner_->Start(Plan());
  Go(base::Seconds(5));
  EXPECT_FALSE(cleaner_->Running());
  EXPECT_EQ(calls_, 0) << "again after a restart: there is nothing left";
}

TEST_F(CleanerTest, ARecordThatIsBeingWrittenIsTriedAgainLater) {
  world_.plan.hold_syncs = true;
  world_.replica().Write({1, {4}, "k4"}, replica::PeerObject("new", 3), {.now = world_.now},
                         [](const base::Status&) {});
  world_.loop.RunAll();
  cleaner_->Start(Plan());
  env_.Advance(base::Seconds(5), [this] { world_.loop.RunAll(); });
  EXPECT_TRUE(cleaner_->Running());
  world_.plan.Release();
  world_.loop.RunAll();
  EXPECT_EQ(cleaner_->removed(), 3U) << "of the first range, which has four";
  Go(base::Seconds(5));
  EXPECT_FALSE(cleaner_->Running());
  EXPECT_EQ(cleaner_->removed(), 9U);
  EXPECT_EQ(DurableTokens(world_, 1), (Tokens{1, 2, 7, 8, 10}));
}

TEST_F(CleanerTest, AnotherDocumentEndsIt) {
  fence_ = 4;
  cleaner_->Start(Plan(3));
  Go(base::Seconds(5));
  EXPECT_FALSE(cleaner_->Running());
  EXPECT_EQ(calls_, 1);
  EXPECT_EQ(DurableTokens(world_, 1).size(), 10U);
  cleaner_->Start(Plan(4));
  Go(base::Seconds(5));
  EXPECT_EQ(DurableTokens(world_, 1).size(), 5U);
}

TEST_F(CleanerTest, StopsAtOnce) {
  hold_ = true;
  cleaner_->Start(Plan());
  Go(base::Seconds(1));
  ASSERT_EQ(calls_, 1);
  cleaner_->Stop();
  EXPECT_FALSE(cleaner_->Running());
  EXPECT_EQ(env_.timers(), 0U);
  held_();
  hold_ = false;
  Go(base::Seconds(5));
  EXPECT_EQ(calls_, 1);
  EXPECT_EQ(cleaner_->removed(), 0U) << "the answer belongs to nobody";
  cleaner_->Start(Plan());
  Go(base::Seconds(5));
  EXPECT_EQ(DurableTokens(world_, 1).size(), 5U) << "may begin again";
}

TEST_F(CleanerTest, FailuresAreTriedAgain) {
  world_.plan.fail_read = true;
  cleaner_->Start(Plan());
  env_.Advance(base::Seconds(3), [this] { world_.loop.RunAll(); });
  EXPECT_TRUE(cleaner_->Running());
  world_.plan.fail_read = false;
  world_.plan.fail_write = base::Fail(Code::kDiskFull, "full");
  env_.Advance(base::Seconds(3), [this] { world_.loop.RunAll(); });
  EXPECT_TRUE(cleaner_->Running());
  EXPECT_EQ(cleaner_->removed(), 0U);
  world_.plan.fail_write = {};
  Go(base::Seconds(3));
  EXPECT_FALSE(cleaner_->Running());
  EXPECT_EQ(cleaner_->removed(), 9U);
}

TEST_F(CleanerTest, ADamagedRecordGoesToo) {
  storage::WriteBatch batch;
  batch.Put(storage::Space::kData, KeyAt(1, 4), "rubbish");
  ASSERT_TRUE(world_.engine.Write(batch).has_value());
  cleaner_->Start(Plan());
  Go(base::Seconds(5));
  EXPECT_EQ(DurableTokens(world_, 1), (Tokens{1, 2, 7, 8, 10}));
}

TEST_F(CleanerTest, KeepsItsRate) {
  for (uint64_t token = 1; token <= 100; ++token) {
    PutRecord(world_, 5, token, std::string(10000, 'x'));
  }
  settings_.stream_clean_bytes_per_s = 100000;
  cleaner_->ApplySettings(settings_);
  CleanerPlan plan;
  plan.fence = 3;
  plan.items = {{5, {{0}, {0}}}};
  cleaner_->Start(plan);
  const base::Instant start = env_.Now();
  while (cleaner_->Running() && env_.Now() - start < base::Seconds(100)) {
    env_.Advance(base::Millis(100), [this] { world_.loop.RunAll(); });
  }
  EXPECT_EQ(cleaner_->removed(), 100U);
  EXPECT_GT(env_.Now() - start, base::Seconds(6));
  EXPECT_LT(env_.Now() - start, base::Seconds(15));
}

}  // namespace
}  // namespace lariat::repair
