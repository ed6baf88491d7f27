// SPDX-License-Identifier: Apache-2.0
// The engine with RocksDB's own log: the contract, and what comes of that log.
#include <gtest/gtest.h>

#include <filesystem>

#include "storage/engine_contract.h"
#include "storage/rocksdb/engine_test_util.h"
#include "storage/rocksdb/internal/open.h"

namespace lariat::storage {

// Of this program's tests.
base::Result<std::unique_ptr<Engine>> internal::OpenUnderTest(const RocksOptions& options,
                                                              rocksdb::Env* env,
                                                              DiskFaults* /*faults*/) {
  return OpenRocksEngineIn(options, env != nullptr ? env : rocksdb::Env::Default());
}

namespace {

using base::Code;
using contract::PutOne;
using internal::RocksEngineTest;
using internal::SharedQueue;
using internal::SmallOptions;
using internal::TempDirectory;
using internal::Value;

class RocksSubject final : public contract::Subject {
 public:
  RocksSubject() { Open(); }
  Engine* engine() override { return engine_.get(); }
  contract::TestQueue* queue() override { return &queue_; }
  void Restart() override {
    engine_.reset();
    Open();
  }

 private:
  void Open() { engine_ = OpenRocksEngine(SmallOptions(directory_.path())).value(); }

  TempDirectory directory_;
  SharedQueue queue_;
  std::unique_ptr<Engine> engine_;
};

}  // namespace

namespace contract {
INSTANTIATE_TEST_SUITE_P(Rocks, EngineContract,
                         testing::Values(SubjectMaker{
                             "rocksdb", [] { return std::make_unique<RocksSubject>(); }}),
                         SubjectName);
}  // namespace contract

namespace {

// The power fails at random moments: of the log a random part of what was not synced is left.
// Guards M3.
TEST_F(RocksEngineTest, APowerFailureLosesOnlyWhatWasNotSynced) {
  base::Prng random(7);
  for (int round = 0; round < 8; ++round) {
    const TempDirectory after;
    const int written = static_cast<int>(random.Between(1, 60));
    const int synced = static_cast<int>(random.Between(0, written));
    options_.directory = directory_.path() + "/" + std::to_string(round);
    ASSERT_EQ(Open(), Code::kOk);
    for (int i = 0; i < written; ++i) {
      ASSERT_EQ(Put(i), Code::kOk);
      if (i + 1 == synced) {
        ASSERT_EQ(Sync(), Code::kOk);
      }
    }
    for (const auto& entry : std::filesystem::directory_iterator(options_.directory)) {
      const std::string copy = after.path() + "/" + entry.path().filename().string();
      std::filesystem::copy_file(entry.path(), copy);
      if (entry.path().extension() != ".log") continue;
      const std::lock_guard lock(faults_.mutex);
      const uint64_t durable = faults_.synced[entry.path().string()];
      const uint64_t left = entry.file_size() - durable;
      std::filesystem::resize_file(copy, durable + random.Below(left + 1));
    }
    options_.directory = after.path();
    ASSERT_EQ(Open(), Code::kOk);
    bool gap = false;
    for (int i = 0; i < written; ++i) {
      if (i < synced) {
        EXPECT_TRUE(Has(i)) << "round " << round << ", synced key " << i;
      }
      EXPECT_FALSE(Has(i) && gap) << "a later write without an earlier one";
      gap = gap || !Has(i);
    }
  }
}

// Guards M39.
TEST_F(RocksEngineTest, ADamagedLogEndsEarlyAndSaysSo) {
  ASSERT_EQ(Open(), Code::kOk);
  for (int i = 0; i < 100; ++i) ASSERT_EQ(Put(i), Code::kOk);
  ASSERT_EQ(Sync(), Code::kOk);
  engine_.reset();
  for (const std::string& log : Files(".log")) {
    FlipByte(log, std::filesystem::file_size(log) / 2);
  }
  ASSERT_EQ(Open(), Code::kOk);
  EXPECT_TRUE(engine_->Stats().log_truncated);
  EXPECT_TRUE(Has(0));
  EXPECT_FALSE(Has(99));
  // This recovery dropped the bad log. It is said until somebody has taken note.
  ASSERT_EQ(Open(), Code::kOk);
  EXPECT_TRUE(engine_->Stats().log_truncated);
  ASSERT_EQ(Open(), Code::kOk);
  EXPECT_TRUE(engine_->Stats().log_truncated);
  WriteBatch noted;
  noted.Remove(Space::kMeta, std::string(kLogCutKey));
  ASSERT_TRUE(engine_->Write(noted).has_value());
  ASSERT_EQ(Sync(), Code::kOk);
  ASSERT_EQ(Open(), Code::kOk);
  EXPECT_FALSE(engine_->Stats().log_truncated);
}

// A tombstone that was confirmed and removed: wherever the log is cut, the value that it deleted
// does not come back.
// Guards M12: a log cut at 19 places.
TEST_F(RocksEngineTest, WhatWasFlushedIsNotTakenBackByADamagedLog) {
  int cut = 0;
  for (int place = 1; place < 20; ++place) {
    engine_.reset();
    std::filesystem::remove_all(options_.directory);
    ASSERT_EQ(Open(), Code::kOk);
    const auto fill = [&](const std::string& name) {  // of a space that is not flushed
      for (int i = 0; i < 20; ++i) {
        ASSERT_TRUE(PutOne(engine_.get(), Space::kMeta, name + std::to_string(i), Value(i)));
      }
    };
    ASSERT_TRUE(PutOne(engine_.get(), Space::kData, "key", "value"));
    fill("a");
    ASSERT_TRUE(PutOne(engine_.get(), Space::kData, "key", "tombstone"));
    fill("b");
    ASSERT_TRUE(FlushAndWait(engine_.get(), &queue_, Space::kData));
    fill("c");
    WriteBatch purge;
    purge.Remove(Space::kData, "key");
    ASSERT_TRUE(engine_->Write(purge));
    fill("d");
    ASSERT_EQ(Sync(), Code::kOk);
    engine_.reset();
    for (const std::string& log : Files(".log")) {
      FlipByte(log, std::filesystem::file_size(log) * place / 20);
    }
    ASSERT_EQ(Open(), Code::kOk);
    cut += engine_->Stats().log_truncated || engine_->Stats().salvaged ? 1 : 0;
    const auto key = engine_->GetBlocking(Space::kData, "key");
    EXPECT_EQ(key.value_or("tombstone"), "tombstone") << place;
    EXPECT_TRUE(key || key.error().code == Code::kNotFound);
  }
  EXPECT_EQ(cut, 19);
}

}  // namespace
}  // namespace lariat::storage
