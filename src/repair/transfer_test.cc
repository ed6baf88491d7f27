// SPDX-License-Identifier: Apache-2.0
// Both sides together, on engines in memory and in virtual time.
#include "repair/transfer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "repair/range_source.h"
#include "repair/repair_test_util.h"
#include "replica/meta_store.h"

namespace lariat::repair {
namespace {

using base::Code;
using ::testing::HasSubstr;

constexpr ring::TokenRange kAll = {{UINT64_MAX}, {UINT64_MAX}};

struct Source {
  explicit Source(const config::Settings& settings) : source(reader, world.metrics, settings) {}
  replica::World world;
  replica::RangeReader reader{world.engine, world.loop, world.metrics};
  RangeSource source;
  uint64_t streaming = 7;
  bool down = false;
};

class TransferTest : public testing::Test, public TransferPort {
 protected:
  TransferTest() {
    settings_.stream_page_bytes = 4096;
    for (uint64_t i = 1; i <= 2; ++i) sources_[i] = std::make_unique<Source>(settings_);
    for (uint64_t token = 1; token <= 300; ++token) {
      PutRecord(sources_[1]->world, 1, token * 1000, std::string(100, 'a'));
      if (token % 2 == 0) PutRecord(sources_[2]->world, 1, token * 1000 + 1, "b");
    }
    Boot();
  }
  void Boot() {
    transfer_ = std::make_unique<Transfer>(env_.env(), *this, world_.metrics, telemetry::NullLog(),
                                           settings_);
  }
  void Kill() {
    transfer_.reset();
    world_.Crash();
    Boot();
  }
  static TransferPlan Plan(uint64_t change = 7) {
    TransferPlan plan;
    plan.change = change;
    plan.streams = {{1, {{UINT64_MAX}, {150000}}, 1},
                    {1, {{150000}, {UINT64_MAX}}, 1},
                    {1, kAll, 2},
                    {2, kAll, 1}};
    plan.names = {{1, "node1"}, {2, "node2"}};
    return plan;
  }
  void Go(base::Duration time) {
    env_.Advance(time, [this] {
      for (int i = 0; i < 50; ++i) {
        world_.loop.RunAll();
        for (auto& [number, source] : sources_) source->world.loop.RunAll();
      }
    });
  }
  void ExpectEverything() const {
    std::set<uint64_t> all = DurableTokens(sources_.at(1)->world, 1);
    all.merge(DurableTokens(sources_.at(2)->world, 1));
    EXPECT_EQ(DurableTokens(world_, 1), all);
  }
  size_t StoredCursors() const { return world_.engine.DurableImage()[1].size(); }

  // TransferPort
  void Pull(uint64_t number, wire::RangePull request, base::Duration, PageDone done) override {
    Source& source = *sources_.at(number);
    ++pulls_;
    if (source.down) return done(base::Fail(Code::kUnavailable, "it is down"));
    source.source.Serve(
        request, source.streaming, env_.Now(),
        [done = std::move(done)](wire::RangePage page) mutable { done(std::move(page)); });
  }
  void WriteLocal(Record record, StatusDone done) override {
    world_.replica().Write({record.bucket, record.token, std::move(record.key)},
                           std::move(record.object), {.now = world_.now}, std::move(done));
  }
  void LoadCursors(std::string prefix, ValuesDone done) override {
    meta_.List(std::move(prefix), std::move(done));
  }
  void SaveCursors(std::vector<CursorUpdate> updates, StatusDone done) override {
    std::vector<replica::MetaStore::Update> all;
    for (auto& update : updates) all.push_back({update.name, update.value});
    meta_.Apply(std::move(all), std::move(done));
  }
  std::optional<base::Duration> ForegroundLatency() override { return latency_; }
  void OnTransferChanged() override {
    ++changes_;
    if (on_changed_) on_changed_();
  }

  config::Settings settings_;
  std::map<uint64_t, std::unique_ptr<Source>> sources_;
  replica::World world_;
  replica::MetaStore meta_{world_.engine, world_.loop};
  TestEnv env_{&world_.loop};
  std::optional<base::Duration> latency_;
  int pulls_ = 0;
  int changes_ = 0;
  std::function<void()> on_changed_;
  std::unique_ptr<Transfer> transfer_;
};

TEST_F(TransferTest, BringsEverythingAndForgetsItsCursors) {
  EXPECT_EQ(transfer_->change(), 0U);
  EXPECT_FALSE(transfer_->Finished());
  transfer_->Start(Plan());
  transfer_->Start(Plan());
  EXPECT_FALSE(transfer_->Finished());
  Go(base::Seconds(5));
  EXPECT_TRUE(transfer_->Finished());
  ExpectEverything();
  const TransferProgress progress = transfer_->Progress();
  EXPECT_EQ(progress.change, 7U);
  EXPECT_EQ(progress.ranges_done, 4U);
  EXPECT_EQ(progress.keys, 450U);
  EXPECT_EQ(changes_, 1);
  EXPECT_EQ(world_.metrics.stream_keys.value(), 450U);
  EXPECT_EQ(world_.metrics.stream_bytes.value(), progress.bytes);
  EXPECT_EQ(world_.metrics.streams_running.value(), 0);
  EXPECT_EQ(sources_[1]->world.metrics.stream_sent_bytes.value() +
                sources_[2]->world.metrics.stream_sent_bytes.value(),
            progress.bytes);
  EXPECT_EQ(env_.timers(), 0U) << "nothing is left running";
  EXPECT_EQ(StoredCursors(), 4U);
  transfer_->Stop();
  Go(base::Seconds(1));
  EXPECT_EQ(StoredCursors(), 0U);
  EXPECT_EQ(transfer_->change(), 0U);
}

TEST_F(TransferTest, AKilledReceiverGoesOnAfterItsLastConfirmedKeys) {
  settings_.stream_max_bytes_per_s = 20000;
  Boot();
  transfer_->Start(Plan());
  Go(base::Millis(2500));
  ASSERT_FALSE(transfer_->Finished());
  const uint64_t keys = transfer_->Progress().keys;
  EXPECT_GT(keys, 50U);
  settings_.stream_max_bytes_per_s = 0;
  Kill();
  pulls_ = 0;
  transfer_->Start(Plan());
  Go(base::Seconds(5));
  EXPECT_TRUE(transfer_->Finished());
  ExpectEverything();
  EXPECT_GT(transfer_->Progress().keys, 449U) << "of all runs";
  EXPECT_LT(world_.metrics.stream_keys.value(), 450 + keys) << "not all over again";
  Kill();
  pulls_ = 0;
  transfer_->Start(Plan());
  Go(base::Seconds(1));
  EXPECT_TRUE(transfer_->Finished());
  EXPECT_EQ(pulls_, 0);
}

TEST_F(TransferTest, CursorsOfOtherChangesAreDeleted) {
  transfer_->Start(Plan());
  Go(base::Seconds(5));
  ASSERT_TRUE(transfer_->Finished());
  for (auto& [number, source] : sources_) source->streaming = 8;
  pulls_ = 0;
  transfer_->Start(Plan(8));
  EXPECT_FALSE(transfer_->Finished());
  EXPECT_EQ(transfer_->change(), 8U);
  Go(base::Seconds(5));
  EXPECT_TRUE(transfer_->Finished());
  EXPECT_GT(pulls_, 4);
  EXPECT_EQ(StoredCursors(), 4U);
  // A node that was killed and finds no change under way.
  Kill();
  transfer_->Stop();
  Go(base::Seconds(1));
  EXPECT_EQ(StoredCursors(), 0U);
}

TEST_F(TransferTest, CursorsThatCannotBeReadDelayTheStart) {
  transfer_->Start(Plan());
  Go(base::Seconds(5));
  Kill();
  world_.plan.fail_read = true;
  transfer_->Start(Plan());
  Go(base::Seconds(2));
  EXPECT_FALSE(transfer_->Finished());
  EXPECT_THAT(transfer_->Progress().trouble, HasSubstr("cursors cannot be read"));
  world_.plan.fail_read = false;
  Go(base::Seconds(2));
  EXPECT_TRUE(transfer_->Finished());
  EXPECT_EQ(transfer_->Progress().trouble, "");
}

TEST_F(TransferTest, WaitsForSourcesAndTellsWhichOne) {
  sources_[2]->down = true;
  sources_[1]->streaming = 6;
  transfer_->Start(Plan());
  Go(base::Seconds(30));
  EXPECT_THAT(transfer_->Progress().trouble, HasSubstr("node1 gives nothing yet"));
  sources_[1]->streaming = 7;
  Go(base::Seconds(30));
  EXPECT_EQ(transfer_->Progress().trouble, "node2 does not answer (it is down)");
  EXPECT_EQ(transfer_->Progress().ranges_done, 3U);
  EXPECT_FALSE(transfer_->Finished());
  sources_[2]->down = false;
  on_changed_ = [this] {
    if (transfer_->Finished()) transfer_->Stop();
  };
  Go(base::Seconds(30));
  ExpectEverything();
  EXPECT_EQ(transfer_->change(), 0U) << "stopped from its own callback";
  EXPECT_EQ(env_.timers(), 0U);
}

TEST_F(TransferTest, ADamagedRecordKeepsItFromFinishing) {
  replica::World& source = sources_[2]->world;
  const std::string key = KeyAt(1, 200001);
  const std::string good = source.engine.GetBlocking(storage::Space::kData, key).value();
  const auto put = [&](const std::string& record) {
    storage::WriteBatch batch;
    batch.Put(storage::Space::kData, key, record);
    ASSERT_TRUE(source.engine.Write(batch).has_value());
  };
  std::string bad = good;
  bad.back() = static_cast<char>(bad.back() ^ 1);
  put(bad);
  transfer_->Start(Plan());
  Go(base::Seconds(100));
  EXPECT_FALSE(transfer_->Finished());
  EXPECT_EQ(DurableTokens(world_, 1).size(), 449U) << "all the others are here";
  EXPECT_THAT(transfer_->Progress().trouble, HasSubstr("node2 cannot read 1 damaged records"));
  put(good);
  Go(base::Seconds(100));
  EXPECT_TRUE(transfer_->Finished());
  EXPECT_EQ(DurableTokens(world_, 1).size(), 450U);
}

TEST_F(TransferTest, ItsOwnNewerRecordsStay) {
  PutRecord(world_, 1, 5000, "newer");
  transfer_->Start(Plan());
  Go(base::Seconds(5));
  ASSERT_TRUE(transfer_->Finished());
  std::optional<base::Result<replica::ReadResult>> read;
  world_.replica().Read({1, {5000}, "k5000"}, {},
                        [&](base::Result<replica::ReadResult> result) { read = result; });
  world_.loop.RunAll();
  const auto object = causal::Object::Decode((*read)->object).value();
  EXPECT_EQ(object.dvv()->values().size(), 1U) << "one dot of the peer: joined, not added";
}

TEST_F(TransferTest, SlowClientsSlowItDown) {
  const auto seconds_to_finish = [this](uint64_t change) {
    for (auto& [number, source] : sources_) source->streaming = change;
    const base::Instant start = env_.Now();
    transfer_->Start(Plan(change));
    while (!transfer_->Finished() && env_.Now() - start < base::Seconds(100)) {
      Go(base::Millis(100));
    }
    return base::ToSeconds(env_.Now() - start);
  };
  EXPECT_LT(seconds_to_finish(8), 0.5);
  settings_.stream_max_bytes_per_s = 30000;
  transfer_->ApplySettings(settings_);
  const double limited = seconds_to_finish(9);
  EXPECT_GT(limited, 1.0);
  EXPECT_LT(limited, 5.0);
}

TEST_F(TransferTest, ASourceWithSlowClientsGivesLess) {
  Source& source = *sources_[1];
  wire::RangePull pull = {7, 1, UINT64_MAX, UINT64_MAX, "", 1 << 20};
  const auto serve = [&](base::Instant now) {
    std::optional<wire::RangePage> answer;
    source.source.Serve(pull, 7, now, [&](wire::RangePage page) { answer = std::move(page); });
    source.world.loop.RunAll();
    return answer.value();
  };
  base::Instant now = env_.Now();
  EXPECT_LE(serve(now).entries.size(), 40U) << "its own page size counts too";
  source.source.OnLatency(base::Millis(500), now);
  int given = 0;
  for (int i = 0; i < 3000 && serve(now).outcome.ok(); ++i) ++given;
  EXPECT_LT(given, 200);
  EXPECT_EQ(serve(now).outcome.code, Code::kOverloaded);
  EXPECT_TRUE(serve(now + base::Seconds(2)).outcome.ok());
  pull.change = 6;
  EXPECT_EQ(serve(now).outcome.code, Code::kStaleEpoch);
  pull.change = 0;
  std::optional<wire::RangePage> answer;
  source.source.Serve(pull, 0, now, [&](wire::RangePage page) { answer = std::move(page); });
  EXPECT_EQ(answer->outcome.code, Code::kStaleEpoch) << "no change is no change";
}

}  // namespace
}  // namespace lariat::repair
