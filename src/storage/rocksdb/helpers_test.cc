// SPDX-License-Identifier: Apache-2.0
// The parts of the engine that know nothing of RocksDB.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <fstream>
#include <mutex>
#include <string>
#include <vector>

#include "storage/rocksdb/group_commit.h"
#include "storage/rocksdb/internal/io_pool.h"
#include "storage/rocksdb/internal/space_guard.h"
#include "storage/rocksdb/internal/text_log.h"
#include "storage/rocksdb/test_world.h"

namespace lariat::storage::internal {
namespace {

constexpr std::chrono::milliseconds kNoPeriod{0};

// Lets threads through when it is opened.
class Gate {
 public:
  void Open() {
    {
      const std::lock_guard lock(mutex_);
      open_ = true;
    }
    wake_.notify_all();
  }
  void Pass() {
    std::unique_lock lock(mutex_);
    ++waiting_;
    wake_.wait(lock, [this] { return open_; });
  }
  bool HasVisitor() {
    const std::lock_guard lock(mutex_);
    return waiting_ > 0;
  }

 private:
  std::mutex mutex_;
  std::condition_variable wake_;
  bool open_ = false;
  int waiting_ = 0;
};

TEST(GroupCommitTest, OneSyncServesEverybodyWhoAskedBeforeIt) {
  Gate gate;
  std::atomic<int> syncs = 0;
  SharedQueue first;
  SharedQueue second;
  int done = 0;
  GroupCommit committer(
      [&]() -> base::Status {
        ++syncs;
        gate.Pass();
        return {};
      },
      kNoPeriod);
  committer.Request(&first, [&](base::Status) { ++done; });
  ASSERT_TRUE(Eventually([&] { return gate.HasVisitor(); }));
  for (int i = 0; i < 50; ++i) {
    committer.Request(&first, [&](base::Status) { ++done; });
    committer.Request(&second, [&](base::Status) { ++done; });
  }
  gate.Open();
  ASSERT_TRUE(first.RunUntil([&] { return done == 51; }));
  ASSERT_TRUE(second.RunUntil([&] { return done == 101; }));
  EXPECT_EQ(syncs, 2);
  EXPECT_EQ(first.posts(), 2U) << "one task for each round";
  EXPECT_EQ(second.posts(), 1U);
}

TEST(GroupCommitTest, EverybodyHearsOfAnError) {
  SharedQueue queue;
  GroupCommit committer([]() -> base::Status { return base::Fail(base::Code::kIo, "broken"); },
                        kNoPeriod);
  int failed = 0;
  for (int i = 0; i < 3; ++i) {
    committer.Request(&queue, [&](base::Status status) {
      failed += !status.has_value() && status.error().code == base::Code::kIo ? 1 : 0;
    });
  }
  EXPECT_TRUE(queue.RunUntil([&] { return failed == 3; }));
}

TEST(GroupCommitTest, APeriodNeedsNobodyToAsk) {
  std::atomic<int> syncs = 0;
  GroupCommit committer(
      [&]() -> base::Status {
        ++syncs;
        return {};
      },
      std::chrono::milliseconds(1));
  EXPECT_TRUE(Eventually([&] { return syncs > 3; }));
}

TEST(GroupCommitTest, StopServesWhoWaits) {
  Gate gate;
  SharedQueue queue;
  int done = 0;
  GroupCommit committer(
      [&]() -> base::Status {
        gate.Pass();
        return {};
      },
      kNoPeriod);
  for (int i = 0; i < 5; ++i) committer.Request(&queue, [&](base::Status) { ++done; });
  gate.Open();
  committer.Stop();
  EXPECT_TRUE(queue.RunUntil([&] { return done == 5; }));
}

TEST(IoPoolTest, RefusesMoreThanItsLimitAndRunsTheRest) {
  Gate gate;
  std::atomic<int> ran = 0;
  IoPool pool(1, 2);
  base::UniqueFunction<void()> blocker = [&] { gate.Pass(); };
  ASSERT_TRUE(pool.Submit(blocker));
  ASSERT_TRUE(Eventually([&] { return gate.HasVisitor(); }));
  for (int i = 0; i < 3; ++i) {
    base::UniqueFunction<void()> task = [&] { ++ran; };
    EXPECT_EQ(pool.Submit(task), i < 2);
    EXPECT_EQ(static_cast<bool>(task), i == 2) << "a refused task stays with its owner";
  }
  gate.Open();
  pool.Stop();
  EXPECT_EQ(ran, 2);
}

TEST(SpaceGuardTest, ClosesBelowTheReserveAndOpensAQuarterAboveIt) {
  uint64_t free = 2000;
  SpaceGuard guard([&] { return free; }, 1000, 0);
  EXPECT_TRUE(guard.Admit(1, 0));
  const auto full_at = [&](uint64_t bytes) {
    free = bytes;
    guard.Measure(0);
    return guard.full();
  };
  EXPECT_FALSE(full_at(1000));
  EXPECT_TRUE(full_at(999));
  EXPECT_FALSE(guard.Admit(1, 0));
  EXPECT_TRUE(full_at(1249));
  EXPECT_FALSE(full_at(1250));
  EXPECT_TRUE(guard.Admit(1, 0));
}

TEST(SpaceGuardTest, ABurstBetweenTwoMeasurementsIsSeen) {
  uint64_t free = 1500;
  SpaceGuard guard([&] { return free; }, 1000, 0);
  int admitted = 0;
  // Nobody measures from outside; every write takes its 100 bytes from the disk.
  while (admitted < 100 && guard.Admit(100, 0)) {
    free -= 100;
    ++admitted;
  }
  EXPECT_LE(admitted, 7);
  EXPECT_GE(admitted, 5);
}

TEST(SpaceGuardTest, AnOldMeasurementIsRenewedByTheNextWrite) {
  uint64_t free = 1 << 20;
  SpaceGuard guard([&] { return free; }, 1000, 0);
  free = 0;  // somebody else filled the disk
  EXPECT_TRUE(guard.Admit(1, 9'000'000));
  EXPECT_FALSE(guard.Admit(1, 11'000'000));
}

TEST(SpaceGuardTest, DeletesGoOnDownToHalfOfTheReserve) {
  uint64_t free = 999;
  SpaceGuard guard([&] { return free; }, 1000, 0);
  EXPECT_FALSE(guard.Admit(1, 0));
  EXPECT_TRUE(guard.Admit(1, 0, Purpose::kDelete));
  int admitted = 0;
  while (admitted < 100 && guard.Admit(100, 0, Purpose::kDelete)) {
    free -= 100;
    ++admitted;
  }
  EXPECT_LE(admitted, 6);
  EXPECT_GE(admitted, 4);
  EXPECT_TRUE(guard.full(Purpose::kDelete));
  EXPECT_EQ(guard.free_bytes(), free);
  free = 625;
  guard.Measure(0);
  EXPECT_TRUE(guard.Admit(1, 0, Purpose::kDelete));
  EXPECT_FALSE(guard.Admit(1, 0));
}

TEST(SpaceGuardTest, NoReserveAdmitsEverything) {
  SpaceGuard guard([] { return uint64_t{0}; }, 0, 0);
  EXPECT_TRUE(guard.Admit(1 << 20, 0));
  EXPECT_TRUE(guard.Admit(1 << 20, 0, Purpose::kDelete));
  EXPECT_FALSE(guard.full());
}

// The lines of a file without the time in front.
std::vector<std::string> LinesOf(const std::string& path) {
  std::vector<std::string> lines;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);)
    lines.push_back(line.substr(line.find(' ') + 1));
  return lines;
}

TEST(TextLogTest, WritesLinesAndKeepsOneOlderFile) {
  const TempDirectory directory;
  TextLog log(directory.path(), 100, rocksdb::Env::Default());
  rocksdb::Log(&log, "number %d", 1);
  rocksdb::Log(rocksdb::InfoLogLevel::WARN_LEVEL, &log, "with its own end\n");
  rocksdb::Log(&log, "%s", std::string(10000, 'x').c_str());
  rocksdb::Log(&log, "in the next file");
  EXPECT_EQ(LinesOf(directory.path() + "/LOG"), std::vector<std::string>{"in the next file"});
  const auto old = LinesOf(directory.path() + "/LOG.old");
  ASSERT_EQ(old.size(), 3U);
  EXPECT_EQ(old[0], "number 1");
  EXPECT_EQ(old[1], "[WARN] with its own end");
  EXPECT_LT(old[2].size(), 4096U);
  EXPECT_FALSE(log.said_truncated());
}

TEST(TextLogTest, ALineThatCannotBeWrittenIsDropped) {
  const TempDirectory directory;
  TextLog log(directory.path() + "/nowhere", 100, rocksdb::Env::Default());
  for (int i = 0; i < 3; ++i) rocksdb::Log(&log, "lost");
  EXPECT_EQ(log.GetLogFileSize(), 0U);
}

}  // namespace
}  // namespace lariat::storage::internal
