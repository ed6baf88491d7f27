// SPDX-License-Identifier: Apache-2.0
#include "storage/memory_engine.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <functional>
#include <memory>
#include <utility>

#include "storage/engine_contract.h"

namespace lariat::storage {
namespace {

using base::Code;
using contract::FlushAndWait;
using contract::GetAndWait;
using contract::PutOne;
using contract::ScanAndWait;
using contract::SyncAndWait;
using contract::WriteApartAndWait;

class LoopQueue final : public contract::TestQueue {
 public:
  void Post(base::UniqueFunction<void()> task) override { tasks_.push_back(std::move(task)); }
  bool RunUntil(const std::function<bool()>& finished) override {
    while (!finished()) {
      if (tasks_.empty()) return false;
      base::UniqueFunction<void()> task = std::move(tasks_.front());
      tasks_.pop_front();
      task();
    }
    return true;
  }
  size_t waiting() const { return tasks_.size(); }

 private:
  std::deque<base::UniqueFunction<void()>> tasks_;
};

class TestPlan final : public FaultPlan {
 public:
  explicit TestPlan(LoopQueue* disk) : disk_(disk) {}
  void Schedule(Operation /*operation*/, base::UniqueFunction<void()> task) override {
    disk_->Post(std::move(task));
  }
  bool MissMemory() override { return miss_memory; }
  bool FailRead() override { return fail_read; }
  base::Status FailWrite() override { return fail_write; }
  bool FailSync() override { return fail_sync; }
  size_t LoseInCrash(size_t unsynced) override { return std::min(unsynced, lose_at_most); }

  bool miss_memory = false;
  bool fail_read = false;
  base::Status fail_write;
  bool fail_sync = false;
  size_t CutInCrash(size_t logged) override { return std::min(logged, cut_at_most); }

  size_t lose_at_most = SIZE_MAX;
  size_t cut_at_most = 0;

 private:
  LoopQueue* disk_;
};

class MemorySubject final : public contract::Subject {
 public:
  Engine* engine() override { return &engine_; }
  contract::TestQueue* queue() override { return &queue_; }
  void Restart() override { engine_.Crash(); }

 private:
  LoopQueue queue_;
  TestPlan plan_{&queue_};
  MemoryEngine engine_{&plan_};
};

}  // namespace

namespace contract {
INSTANTIATE_TEST_SUITE_P(Memory, EngineContract,
                         testing::Values(SubjectMaker{
                             "memory", [] { return std::make_unique<MemorySubject>(); }}),
                         SubjectName);
}  // namespace contract

namespace {

class MemoryEngineTest : public testing::Test {
 protected:
  void Put(const std::string& key) {
    ASSERT_TRUE(PutOne(&engine_, Space::kData, key, "v").has_value());
  }
  bool Has(const std::string& key) { return engine_.GetBlocking(Space::kData, key).has_value(); }

  LoopQueue queue_;
  TestPlan plan_{&queue_};
  MemoryEngine engine_{&plan_};
};

TEST_F(MemoryEngineTest, ACrashForgetsWhatWasNotSynced) {
  Put("a");
  ASSERT_TRUE(SyncAndWait(&engine_, &queue_).has_value());
  Put("b");
  engine_.Crash();
  EXPECT_TRUE(Has("a"));
  EXPECT_FALSE(Has("b"));
}

TEST_F(MemoryEngineTest, ACrashMayKeepAPrefixOfTheUnsynced) {
  Put("a");
  Put("b");
  Put("c");
  plan_.lose_at_most = 1;
  engine_.Crash();
  EXPECT_TRUE(Has("a"));
  EXPECT_TRUE(Has("b"));
  EXPECT_FALSE(Has("c"));
  EXPECT_EQ(engine_.DurableImage()[0].size(), 2U);
}

TEST_F(MemoryEngineTest, ASyncCoversOnlyWhatWasWrittenBeforeIt) {
  Put("a");
  bool synced = false;
  engine_.Sync(&queue_, [&](base::Status status) { synced = status.has_value(); });
  Put("b");
  ASSERT_TRUE(queue_.RunUntil([&] { return synced; }));
  engine_.Crash();
  EXPECT_TRUE(Has("a"));
  EXPECT_FALSE(Has("b"));
}

TEST_F(MemoryEngineTest, ACrashDropsPendingCompletions) {
  Put("a");
  int completed = 0;
  engine_.Sync(&queue_, [&](auto) { ++completed; });
  engine_.Get(Space::kData, "a", &queue_, [&](auto) { ++completed; });
  // The sync has reached the disk and its answer waits in the shard's queue.
  ASSERT_TRUE(queue_.RunUntil([turns = 0]() mutable { return ++turns > 1; }));
  engine_.Crash();
  ASSERT_TRUE(queue_.RunUntil([&] { return queue_.waiting() == 0; }));
  EXPECT_EQ(completed, 0);
  EXPECT_TRUE(Has("a")) << "the disk has it, only the answer was lost";
}

// Guards M6.
TEST_F(MemoryEngineTest, ReadFaultsAreErrorsAndNeverAbsence) {
  plan_.fail_read = true;
  std::string value;
  base::Error error;
  EXPECT_EQ(engine_.TryGet(Space::kData, "a", &value, &error), Lookup::kError);
  EXPECT_EQ(error.code, Code::kCorruption);
  EXPECT_EQ(GetAndWait(&engine_, &queue_, Space::kData, "a").error().code, Code::kCorruption);
  EXPECT_EQ(ScanAndWait(&engine_, &queue_, "", "").error().code, Code::kCorruption);
  EXPECT_EQ(engine_.Stats().read_errors, 3U);
}

TEST_F(MemoryEngineTest, AMissSendsTheReaderToTheDisk) {
  Put("a");
  plan_.miss_memory = true;
  std::string value;
  base::Error error;
  EXPECT_EQ(engine_.TryGet(Space::kData, "a", &value, &error), Lookup::kNotInMemory);
  EXPECT_EQ(GetAndWait(&engine_, &queue_, Space::kData, "a").value(), "v");
}

TEST_F(MemoryEngineTest, ARefusedWriteLeavesNothing) {
  for (const Code code : {Code::kStalled, Code::kDiskFull}) {
    plan_.fail_write = base::Fail(code, "injected");
    EXPECT_EQ(PutOne(&engine_, Space::kData, "a", "v").error().code, code);
  }
  EXPECT_FALSE(Has("a"));
}

TEST_F(MemoryEngineTest, AFailedSyncIsTheEndUntilTheNodeRestarts) {
  Put("a");
  plan_.fail_sync = true;
  EXPECT_EQ(SyncAndWait(&engine_, &queue_).error().code, Code::kIo);
  plan_.fail_sync = false;
  EXPECT_EQ(engine_.health(), Health::kDead);
  EXPECT_EQ(SyncAndWait(&engine_, &queue_).error().code, Code::kIo);
  EXPECT_EQ(PutOne(&engine_, Space::kData, "b", "v").error().code, Code::kIo);
  engine_.Crash();
  EXPECT_EQ(engine_.health(), Health::kOk);
  EXPECT_FALSE(Has("a"));
  Put("b");
}

TEST_F(MemoryEngineTest, ABackupCanBeRestored) {
  Put("a");
  ASSERT_TRUE(SyncAndWait(&engine_, &queue_).has_value());
  const MemoryEngine::Image backup = engine_.DurableImage();
  Put("b");
  ASSERT_TRUE(SyncAndWait(&engine_, &queue_).has_value());
  engine_.Restore(backup);
  EXPECT_TRUE(Has("a"));
  EXPECT_FALSE(Has("b"));
  engine_.Crash();
  EXPECT_TRUE(Has("a"));
}

TEST_F(MemoryEngineTest, ACutLogForgetsWhatOnlyItsEndHas) {
  Put("old");
  ASSERT_TRUE(SyncAndWait(&engine_, &queue_).has_value());
  engine_.KeepLog();
  Put("flushed");
  ASSERT_TRUE(PutOne(&engine_, Space::kMeta, "not flushed", "v").has_value());
  ASSERT_TRUE(FlushAndWait(&engine_, &queue_, Space::kData).has_value());
  Put("synced");
  ASSERT_TRUE(SyncAndWait(&engine_, &queue_).has_value());
  plan_.cut_at_most = SIZE_MAX;
  engine_.Crash();
  EXPECT_TRUE(Has("old"));
  EXPECT_TRUE(Has("flushed"));
  EXPECT_FALSE(Has("synced"));
  EXPECT_FALSE(engine_.GetBlocking(Space::kMeta, "not flushed").has_value());
  EXPECT_TRUE(engine_.Stats().log_truncated);
}

TEST_F(MemoryEngineTest, WhatIsApartIsNotCutWithTheLog) {
  engine_.KeepLog();
  ASSERT_TRUE(WriteApartAndWait(&engine_, &queue_, "kept").has_value());
  engine_.WriteApart("not yet", &queue_, [](const base::Status&) {});
  Put("a");
  ASSERT_TRUE(SyncAndWait(&engine_, &queue_).has_value());
  engine_.WriteApart("never", &queue_, [](const base::Status&) {});
  plan_.cut_at_most = 1;
  engine_.Crash();
  while (queue_.waiting() > 0) (void)queue_.RunUntil([] { return false; });
  EXPECT_FALSE(Has("a"));
  EXPECT_EQ(engine_.ReadApart().value(), "not yet");
  plan_.fail_sync = true;
  EXPECT_EQ(WriteApartAndWait(&engine_, &queue_, "fails").error().code, Code::kIo);
  EXPECT_EQ(engine_.health(), Health::kDead);
  EXPECT_EQ(engine_.ReadApart().value(), "not yet");
}

TEST_F(MemoryEngineTest, AFlushCoversOnlyWhatWasWrittenBeforeIt) {
  engine_.KeepLog();
  Put("a");
  bool flushed = false;
  engine_.Flush(Space::kData, &queue_, [&](base::Status status) { flushed = status.has_value(); });
  Put("b");
  bool synced = false;
  engine_.Sync(&queue_, [&](base::Status status) { synced = status.has_value(); });
  ASSERT_TRUE(queue_.RunUntil([&] { return flushed && synced; }));
  plan_.cut_at_most = SIZE_MAX;
  engine_.Crash();
  EXPECT_TRUE(Has("a"));
  EXPECT_FALSE(Has("b"));
}

TEST_F(MemoryEngineTest, ACutLogKeepsWhatLiesBeforeTheCut) {
  engine_.KeepLog();
  for (const char* key : {"a", "b", "c"}) Put(key);
  ASSERT_TRUE(SyncAndWait(&engine_, &queue_).has_value());
  plan_.cut_at_most = 1;
  engine_.Crash();
  EXPECT_TRUE(Has("b"));
  EXPECT_FALSE(Has("c"));
  plan_.cut_at_most = SIZE_MAX;
  engine_.Crash();  // recovery has put the rest into files
  EXPECT_TRUE(Has("b"));
}

TEST_F(MemoryEngineTest, SpoiledBytesStayInALogThatIsRead) {
  engine_.KeepLog();
  Put("a");
  Put("b");
  ASSERT_TRUE(SyncAndWait(&engine_, &queue_).has_value());
  engine_.Spoil(Space::kData, "a", "spoiled");
  plan_.cut_at_most = 1;
  engine_.Crash();
  EXPECT_EQ(engine_.GetBlocking(Space::kData, "a").value(), "spoiled");
  EXPECT_FALSE(Has("b"));
}

}  // namespace
}  // namespace lariat::storage
