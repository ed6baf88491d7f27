// SPDX-License-Identifier: Apache-2.0
// What every engine over RocksDB's files does, on disks that fail as they are told.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <optional>

#include "storage/rocksdb/engine_test_util.h"

namespace lariat::storage {
namespace {

using base::Code;
using contract::GetAndWait;
using contract::PutOne;
using contract::ScanAndWait;
using internal::Eventually;
using internal::Key;
using internal::RocksEngineTest;
using internal::SharedQueue;
using internal::SmallOptions;
using internal::TempDirectory;
using internal::Value;

TEST_F(RocksEngineTest, ClosingSyncsTheLog) {
  ASSERT_EQ(Open(), Code::kOk);
  ASSERT_EQ(Put(1), Code::kOk);
  const int before = faults_.log_syncs;
  engine_.reset();
  EXPECT_GT(faults_.log_syncs, before);
  ASSERT_EQ(Open(), Code::kOk);
  EXPECT_TRUE(Has(1));
  EXPECT_FALSE(engine_->Stats().log_truncated);
}

TEST_F(RocksEngineTest, SyncsThatCoverNothingNewTouchNoDisk) {
  ASSERT_EQ(Open(), Code::kOk);
  ASSERT_EQ(Put(1), Code::kOk);
  ASSERT_EQ(Sync(), Code::kOk);
  ASSERT_EQ(Sync(), Code::kOk);
  EXPECT_EQ(engine_->Stats().syncs, 1U);
}

TEST_F(RocksEngineTest, PeriodicSyncNeedsNobodyToAsk) {
  options_.periodic_sync_ms = 5;
  ASSERT_EQ(Open(), Code::kOk);
  ASSERT_EQ(Put(1), Code::kOk);
  EXPECT_TRUE(Eventually([&] { return engine_->Stats().syncs > 0; }));
}

TEST_F(RocksEngineTest, WhatCompactionAndFlushMoveIsCounted) {
  ASSERT_EQ(Open(), Code::kOk);
  // More than a memtable.
  for (int i = 0; i < 1200; ++i) ASSERT_EQ(Put(i), Code::kOk);
  EXPECT_TRUE(Eventually([&] { return engine_->Stats().compaction_bytes > 100'000; }));
}

// Guards M37.
TEST_F(RocksEngineTest, AFailedSyncIsFinal) {
  ASSERT_EQ(Open(), Code::kOk);
  ASSERT_EQ(Put(1), Code::kOk);
  faults_.fail_log_sync = true;
  EXPECT_EQ(Sync(), Code::kIo);
  faults_.fail_log_sync = false;
  const int syncs = faults_.log_syncs;
  EXPECT_EQ(engine_->health(), Health::kDead);
  EXPECT_EQ(Sync(), Code::kIo);
  EXPECT_EQ(Put(2), Code::kIo);
  EXPECT_EQ(engine_->health(), Health::kDead);
  engine_.reset();
  EXPECT_EQ(faults_.log_syncs, syncs) << "nothing may be synced after a failed sync";
}

// Guards M37.
TEST_F(RocksEngineTest, AFailedLogWriteIsFinal) {
  for (const bool lacks_space : {false, true}) {
    faults_.append_lacks_space = lacks_space;
    ASSERT_EQ(Open(), Code::kOk);
    ASSERT_EQ(Put(1), Code::kOk);
    ASSERT_EQ(Sync(), Code::kOk);
    faults_.fail_log_append = true;
    EXPECT_EQ(Put(2), Code::kIo);
    faults_.fail_log_append = false;
    EXPECT_EQ(Put(3), Code::kIo);
    EXPECT_EQ(Sync(), Code::kIo);
    EXPECT_EQ(engine_->health(), Health::kDead);
    ASSERT_EQ(Open(), Code::kOk) << "a restart on a healthy disk";
    EXPECT_TRUE(Has(1));
    EXPECT_FALSE(Has(2)) << "a refused write must not appear later";
  }
}

// Guards M37.
TEST_F(RocksEngineTest, AFailedFlushIsFinal) {
  ASSERT_EQ(Open(), Code::kOk);
  faults_.fail_table_append = true;
  EXPECT_EQ(PutUntilRefused(0, 20000), Code::kIo);
  EXPECT_EQ(engine_->health(), Health::kDead);
}

TEST_F(RocksEngineTest, ATableThatLacksSpaceIsAPause) {
  ASSERT_EQ(Open(), Code::kOk);
  faults_.append_lacks_space = true;
  faults_.fail_table_append = true;
  EXPECT_EQ(PutUntilRefused(0, 20000), Code::kDiskFull);
  EXPECT_EQ(engine_->health(), Health::kDiskFull);
  EXPECT_TRUE(Has(0)) << "reads go on";
  faults_.fail_table_append = false;
  EXPECT_TRUE(Eventually([&] { return engine_->health() == Health::kOk; }));
  EXPECT_EQ(PutUntilRefused(20000, 100), Code::kOk);
  EXPECT_EQ(Sync(), Code::kOk);
  ASSERT_EQ(Open(), Code::kOk);
  EXPECT_TRUE(Has(0));
  EXPECT_TRUE(Has(20099));
}

// Guards M38.
TEST_F(RocksEngineTest, BelowTheReserveWritesAreRefusedUntilThereIsRoomAgain) {
  ASSERT_EQ(Open(), Code::kOk);
  ASSERT_EQ(Put(1), Code::kOk);
  faults_.free_bytes = options_.disk_reserve_bytes - 1;
  EXPECT_TRUE(Eventually([&] { return engine_->health() == Health::kDiskFull; }));
  EXPECT_EQ(Put(2), Code::kDiskFull);
  EXPECT_TRUE(Has(1));
  EXPECT_EQ(Sync(), Code::kOk) << "what was accepted can still be made durable";
  EXPECT_EQ(Put(2), Code::kDiskFull);
  faults_.free_bytes = options_.disk_reserve_bytes * 2;
  EXPECT_TRUE(Eventually([&] { return engine_->health() == Health::kOk; }));
  EXPECT_EQ(Put(2), Code::kOk);
}

TEST_F(RocksEngineTest, BelowTheReserveDeletesGoOnDownToTheirOwn) {
  ASSERT_EQ(Open(), Code::kOk);
  ASSERT_EQ(Put(1), Code::kOk);
  faults_.free_bytes = options_.disk_reserve_bytes - 1;
  ASSERT_TRUE(Eventually([&] { return engine_->health() == Health::kDiskFull; }));
  WriteBatch tombstone;
  tombstone.Put(Space::kData, Key(1), "deleted");
  EXPECT_EQ(engine_->Write(tombstone).error().code, Code::kDiskFull);
  tombstone.is_delete = true;
  EXPECT_TRUE(engine_->Write(tombstone));
  WriteBatch removal;  // a purge, and what the node notes about itself
  removal.Remove(Space::kData, Key(2));
  removal.Put(Space::kMeta, "clock", "later");
  EXPECT_TRUE(engine_->Write(removal));
  removal.Put(Space::kHints, "hint", "h");
  EXPECT_EQ(engine_->Write(removal).error().code, Code::kDiskFull);
  EXPECT_EQ(Sync(), Code::kOk);
  EXPECT_EQ(engine_->GetBlocking(Space::kData, Key(1)).value(), "deleted");

  const EngineStats stats = engine_->Stats();
  EXPECT_LT(stats.disk_free_bytes, options_.disk_reserve_bytes);
  EXPECT_GT(stats.disk_free_bytes, options_.disk_reserve_bytes - 10'000);  // some may be promised
  EXPECT_EQ(stats.disk_reserve_bytes, options_.disk_reserve_bytes);
  EXPECT_EQ(stats.disk_delete_reserve_bytes, options_.disk_reserve_bytes / 2);
  faults_.free_bytes = options_.disk_reserve_bytes / 2 - 1;
  ASSERT_TRUE(Eventually([&] { return !engine_->Write(tombstone).has_value(); }));
  const base::Error refused = engine_->Write(tombstone).error();
  EXPECT_EQ(refused.code, Code::kDiskFull);
  EXPECT_NE(refused.message.find("kept free for deletes is used up"), std::string::npos);
  faults_.free_bytes = options_.disk_reserve_bytes - 1;
  EXPECT_TRUE(Eventually([&] { return engine_->Write(tombstone).has_value(); }));
  EXPECT_EQ(Put(2), Code::kDiskFull);
}

TEST_F(RocksEngineTest, WithoutRoomItDoesNotStart) {
  faults_.free_bytes = options_.disk_reserve_bytes / 4 - 1;
  const auto opened = internal::OpenUnderTest(options_, env_.get());
  ASSERT_FALSE(opened.has_value());
  EXPECT_EQ(opened.error().code, Code::kDiskFull);
  EXPECT_NE(opened.error().message.find("bytes free"), std::string::npos);
}

TEST_F(RocksEngineTest, ASecondOpenIsAConflict) {
  ASSERT_EQ(Open(), Code::kOk);
  const auto second = internal::OpenUnderTest(options_);
  ASSERT_FALSE(second.has_value());
  EXPECT_EQ(second.error().code, Code::kConflict);
}

TEST_F(RocksEngineTest, AFileInTheWayIsAnError) {
  options_.directory = directory_.path() + "/file";
  std::ofstream(options_.directory) << "not a directory";
  EXPECT_EQ(Open(), Code::kIo);
}

// Guards M6.
TEST_F(RocksEngineTest, ADamagedBlockIsCorruptionAndNeverAbsence) {
  constexpr int kKeys = 200;
  ASSERT_EQ(Open(), Code::kOk);
  for (int i = 0; i < kKeys; ++i) ASSERT_EQ(Put(i), Code::kOk);
  ASSERT_EQ(Open(), Code::kOk);  // recovery writes the tables
  engine_.reset();
  const std::vector<std::string> tables = Files(".sst");
  ASSERT_FALSE(tables.empty());
  for (const std::string& table : tables) {
    // Data blocks come first; filter and index at the end stay whole, so that it opens.
    const uint64_t end = std::filesystem::file_size(table) * 9 / 10;
    for (uint64_t at = 100; at < end; at += 3000) FlipByte(table, at);
  }
  ASSERT_EQ(Open(), Code::kOk);
  int damaged = 0;
  for (int i = 0; i < kKeys; ++i) {
    std::string value;
    base::Error error;
    const Lookup lookup = engine_->TryGet(Space::kData, Key(i), &value, &error);
    EXPECT_NE(lookup, Lookup::kAbsent);
    if (lookup == Lookup::kError) {
      EXPECT_EQ(error.code, Code::kCorruption);
    }
    const auto result = GetAndWait(engine_.get(), &queue_, Space::kData, Key(i));
    if (result.has_value()) {
      EXPECT_EQ(*result, Value(i));
    } else {
      EXPECT_EQ(result.error().code, Code::kCorruption);
      ++damaged;
    }
  }
  EXPECT_GT(damaged, 10);
  EXPECT_GE(engine_->Stats().read_errors, static_cast<uint64_t>(damaged));
  const auto scan = ScanAndWait(engine_.get(), &queue_, "", "");
  ASSERT_FALSE(scan.has_value());
  EXPECT_EQ(scan.error().code, Code::kCorruption);
}

TEST_F(RocksEngineTest, ALogThatWasCutIsNotForgottenInACrashWithinTheOpen) {
  ASSERT_EQ(Open(), Code::kOk);
  engine_.reset();
  std::ofstream(directory_.path() + "/CUT") << "\n";  // recovery noted it, and died
  ASSERT_EQ(Open(), Code::kOk);
  EXPECT_TRUE(engine_->Stats().log_truncated);
  EXPECT_FALSE(std::filesystem::exists(directory_.path() + "/CUT"));
  ASSERT_EQ(Open(), Code::kOk);
  EXPECT_TRUE(engine_->Stats().log_truncated);
}

TEST_F(RocksEngineTest, MemoryAnswersWithoutTheDisk) {
  ASSERT_EQ(Open(), Code::kOk);
  for (int i = 0; i < 100; ++i) ASSERT_EQ(Put(i), Code::kOk);
  ASSERT_EQ(Open(), Code::kOk);
  std::string value;
  base::Error error;
  EXPECT_EQ(engine_->TryGet(Space::kData, Key(50), &value, &error), Lookup::kNotInMemory);
  EXPECT_EQ(GetAndWait(engine_.get(), &queue_, Space::kData, Key(50)).value(), Value(50));
  EXPECT_EQ(engine_->TryGet(Space::kData, Key(50), &value, &error), Lookup::kFound);
  EXPECT_EQ(value, Value(50));
  int absent = 0;
  for (int i = 0; i < 100; ++i) {
    const std::string other = Key(i) + "x";  // inside the table's range: the filter answers
    const Lookup lookup = engine_->TryGet(Space::kData, other, &value, &error);
    absent += lookup == Lookup::kAbsent ? 1 : 0;
  }
  EXPECT_GE(absent, 90);
  const EngineStats stats = engine_->Stats();
  EXPECT_EQ(stats.reads_from_disk, 1U);
  EXPECT_GT(stats.disk_bytes, 100000U);
  EXPECT_GT(stats.memory_bytes, 0U);
  EXPECT_EQ(stats.keys_estimate, 100U);
  EXPECT_GT(stats.block_cache_hits, 0U);
}

// RocksDB 7.8 takes a table that it may not open for one that has every key, without a value.
TEST_F(RocksEngineTest, MemoryKnowsNothingOfATableThatIsNotOpen) {
  options_.open_files_max = 20;
  constexpr int kTables = 60;
  for (int i = 0; i < kTables; ++i) {
    ASSERT_EQ(Open(), Code::kOk);
    ASSERT_EQ(Put(i), Code::kOk);
  }
  ASSERT_EQ(Open(), Code::kOk);
  int unknown = 0;
  for (int i = 0; i < kTables; ++i) {
    for (const bool there : {true, false}) {
      const std::string key = there ? Key(i) : Key(i) + "x";
      std::string value = "of another key";
      base::Error error;
      const Lookup lookup = engine_->TryGet(Space::kData, key, &value, &error);
      ASSERT_NE(lookup, Lookup::kError) << error.message;
      if (lookup == Lookup::kNotInMemory) {
        ++unknown;
      } else {
        ASSERT_EQ(lookup == Lookup::kFound, there) << key;
        if (there) {
          ASSERT_EQ(value, Value(i));
        }
      }
    }
  }
  EXPECT_GT(unknown, 0);
  EXPECT_EQ(GetAndWait(engine_.get(), &queue_, Space::kData, Key(7)).value(), Value(7));
}

TEST_F(RocksEngineTest, ReadsPastTheQueuesLimitAreRefused) {
  options_.io_queue_max = 0;
  ASSERT_EQ(Open(), Code::kOk);
  ASSERT_EQ(Put(1), Code::kOk);
  ASSERT_EQ(Open(), Code::kOk);  // or it might be in memory
  EXPECT_EQ(GetAndWait(engine_.get(), &queue_, Space::kData, Key(1)).error().code,
            Code::kOverloaded);
  EXPECT_EQ(ScanAndWait(engine_.get(), &queue_, "", "").error().code, Code::kOverloaded);
}

TEST_F(RocksEngineTest, TheDestructorCompletesWhatWaits) {
  ASSERT_EQ(Open(), Code::kOk);
  ASSERT_EQ(Put(1), Code::kOk);
  int completed = 0;
  for (int i = 0; i < 50; ++i) {
    engine_->Get(Space::kData, Key(1), &queue_, [&](auto) { ++completed; });
    engine_->Scan(Space::kData, "", "", {}, &queue_, [&](auto) { ++completed; });
    engine_->Sync(&queue_, [&](auto) { ++completed; });
  }
  engine_.reset();
  EXPECT_TRUE(queue_.RunUntil([&] { return completed == 150; }));
}

TEST_F(RocksEngineTest, AnswersOfWritesAreForgottenAfterTheirTime) {
  options_.idempotency_ttl_s = 1;
  options_.open_files_max = 32;  // which RocksDB's own time limit does not go with
  ASSERT_EQ(Open(), Code::kOk);
  ASSERT_TRUE(PutOne(engine_.get(), Space::kIdempotency, "request", "answer").has_value());
  ASSERT_TRUE(PutOne(engine_.get(), Space::kMeta, "identity", "me").has_value());
  const auto start = std::chrono::steady_clock::now();
  EXPECT_TRUE(Eventually(
      [&] { return !engine_->GetBlocking(Space::kIdempotency, "request").has_value(); }));
  EXPECT_GE(std::chrono::steady_clock::now() - start, std::chrono::seconds(1));
  EXPECT_TRUE(engine_->GetBlocking(Space::kMeta, "identity").has_value());
  EXPECT_EQ(engine_->health(), Health::kOk);
}

TEST_F(RocksEngineTest, AnswersOfWritesAgeByTheRightTime) {
  options_.idempotency_ttl_s = 23;
  ASSERT_EQ(Open(), Code::kOk);
  ASSERT_TRUE(PutOne(engine_.get(), Space::kIdempotency, "request", "answer").has_value());
  const auto start = std::chrono::steady_clock::now();
  engine_->SetClockAhead(-3600);
  EXPECT_TRUE(Eventually(
      [&] { return !engine_->GetBlocking(Space::kIdempotency, "request").has_value(); }));
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(23));
}

TEST_F(RocksEngineTest, EveryCompressionOpens) {
  for (const char* name : {"none", "lz4", "zstd"}) {
    options_.compression = name;
    options_.background_bytes_per_s = 64 << 20;
    ASSERT_EQ(Open(), Code::kOk) << name;
    EXPECT_EQ(PutUntilRefused(0, 600), Code::kOk) << name;
    EXPECT_TRUE(Has(599));
  }
}

TEST_F(RocksEngineTest, ManyShardsWriteAndSyncAtOnce) {
  ASSERT_EQ(Open(), Code::kOk);
  constexpr int kShards = 4;
  constexpr int kWrites = 200;
  std::vector<std::thread> shards;
  std::atomic<int> durable = 0;
  for (int shard = 0; shard < kShards; ++shard) {
    shards.emplace_back([&, shard] {
      SharedQueue queue;
      int answered = 0;
      for (int i = 0; i < kWrites; ++i) {
        if (Put(shard * kWrites + i, 100) != Code::kOk) return;
        engine_->Sync(&queue, [&](base::Status status) {
          ++answered;
          durable += status.has_value() ? 1 : 0;
        });
      }
      EXPECT_TRUE(queue.RunUntil([&] { return answered == kWrites; }));
    });
  }
  for (std::thread& shard : shards) shard.join();
  EXPECT_EQ(durable, kShards * kWrites);
  ASSERT_EQ(Open(), Code::kOk);
  for (int i = 0; i < kShards * kWrites; ++i) EXPECT_TRUE(Has(i));
}

}  // namespace
}  // namespace lariat::storage
