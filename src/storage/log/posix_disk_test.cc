// SPDX-License-Identifier: Apache-2.0
// The log on real files, with several threads that append and wait.
#include "storage/log/posix_disk.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <map>
#include <thread>

#include "storage/log/log.h"

namespace lariat::storage::log {
namespace {

class TempDirectory {
 public:
  TempDirectory() : path_((std::filesystem::temp_directory_path() / "lariat-XXXXXX").string()) {
    LARIAT_CHECK(mkdtemp(path_.data()) != nullptr, "no temporary directory");
  }
  ~TempDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TempDirectory(const TempDirectory&) = delete;
  TempDirectory& operator=(const TempDirectory&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

class RealClock final : public env::Clock {
 public:
  base::Instant Now() const override {
    return base::Instant(std::chrono::steady_clock::now().time_since_epoch());
  }
  base::WallTime Wall() const override { return {1}; }
};

// A shard: one thread that runs what is posted to it.
class ThreadQueue final : public SyncQueue {
 public:
  void Post(base::UniqueFunction<void()> task) override { PostAfter({}, std::move(task)); }
  void PostAfter(base::Duration delay, base::UniqueFunction<void()> task) override {
    {
      const std::lock_guard lock(mutex_);
      tasks_.emplace(std::chrono::steady_clock::now() + delay, std::move(task));
    }
    wake_.notify_one();
  }
  void RunUntil(const bool& finished) {
    std::unique_lock lock(mutex_);
    while (!finished) {
      if (tasks_.empty()) {
        wake_.wait(lock);
      } else if (const auto due = tasks_.begin()->first; due > std::chrono::steady_clock::now()) {
        wake_.wait_until(lock, due);
      } else {
        auto task = std::move(tasks_.begin()->second);
        tasks_.erase(tasks_.begin());
        lock.unlock();
        task();
        lock.lock();
      }
    }
  }
  // What is left when its shard has nothing to wait for: it may be its turn to lead for others.
  void ServeUntil(const std::atomic<int>& busy) {
    while (busy > 0) {
      bool finished = false;
      PostAfter(base::Millis(1), [&] { finished = true; });
      RunUntil(finished);
    }
  }

 private:
  std::mutex mutex_;
  std::condition_variable wake_;
  std::multimap<std::chrono::steady_clock::time_point, base::UniqueFunction<void()>> tasks_;
};

class Collect final : public Replay {
 public:
  base::Status OnBatch(Lsn /*end*/, WriteBatch batch) override {
    for (auto& operation : batch.operations) values[operation.key] = std::move(operation.value);
    return {};
  }
  std::map<std::string, std::string> values;
};

class PosixLogTest : public testing::TestWithParam<DirectWrites> {
 protected:
  std::shared_ptr<Log> Open(Collect* replay) {
    LogOptions options;
    options.shape = {{1, 2}, 64 << 10, 64};
    options.slots_at_open = 32;
    auto log =
        Log::Open(options, MakePosixDisk(directory_.path(), GetParam()), nullptr, &clock_, replay);
    EXPECT_TRUE(log.has_value()) << log.error().message;
    return *log;
  }
  static WriteBatch Put(const std::string& key, size_t size) {
    WriteBatch batch;
    batch.Put(Space::kData, key, std::string(size, key.back()));
    return batch;
  }

  TempDirectory directory_;
  RealClock clock_;
};

TEST_P(PosixLogTest, ThreadsAppendAndWait) {
  constexpr int kThreads = 4;
  constexpr int kRounds = 100;
  {
    Collect nothing;
    const auto log = Open(&nothing);
    std::vector<std::unique_ptr<ThreadQueue>> queues;
    for (int i = 0; i < kThreads; ++i) queues.push_back(std::make_unique<ThreadQueue>());
    std::atomic<int> busy{kThreads};
    std::vector<std::thread> threads;
    for (int i = 0; i < kThreads; ++i) {
      threads.emplace_back([&, i] {
        ThreadQueue& queue = *queues[static_cast<size_t>(i)];
        for (int round = 0; round < kRounds; ++round) {
          const std::string key = std::to_string(i) + "-" + std::to_string(round);
          const auto end = log->Append(Put(key, 300 + static_cast<size_t>(round)));
          ASSERT_TRUE(end.has_value()) << end.error().message;
          if (round % 3 == i % 3) {
            ASSERT_TRUE(log->WriteBehind());
            continue;
          }
          bool told = false;
          log->Sync(*end, &queue, [&](base::Status status) {
            EXPECT_TRUE(status) << status.error().message;
            told = true;
          });
          queue.RunUntil(told);
          EXPECT_GE(log->durable(), *end);
        }
        --busy;
        queue.ServeUntil(busy);
      });
    }
    for (std::thread& thread : threads) thread.join();
    ASSERT_TRUE(log->WriteBehind());
  }  // killed
  Collect found;
  {
    const auto log = Open(&found);
    EXPECT_NE(log->recovered().ending, Ending::kDamaged) << log->recovered().why;
    EXPECT_EQ(found.values.size(), size_t{kThreads * kRounds});
    ASSERT_TRUE(log->Close());
  }
  Collect again;
  const auto log = Open(&again);
  EXPECT_TRUE(log->recovered().stopped_cleanly);
  EXPECT_EQ(again.values, found.values);
}

TEST_P(PosixLogTest, ASlotThatBecameShorterIsDamage) {
  {
    Collect nothing;
    const auto log = Open(&nothing);
    for (int i = 0; i < 50; ++i) ASSERT_TRUE(log->Append(Put(std::to_string(i), 500)));
    ASSERT_TRUE(log->Close());
  }
  std::filesystem::resize_file(directory_.path() + "/slot-1", 12000);
  for (int i = 0; i < 2; ++i) {  // until it is written to
    Collect found;
    const auto log = Open(&found);
    EXPECT_FALSE(found.values.empty());
    EXPECT_LT(found.values.size(), 50U);
    EXPECT_EQ(log->recovered().ending, Ending::kDamaged);
    EXPECT_FALSE(log->recovered().why.empty());
  }
  std::filesystem::remove(directory_.path() + "/slot-1");
  Collect found;
  const auto log = Open(&found);
  EXPECT_EQ(log->recovered().ending, Ending::kDamaged);
}

INSTANTIATE_TEST_SUITE_P(Ways, PosixLogTest,
                         testing::Values(DirectWrites::kProbe, DirectWrites::kNever),
                         [](const auto& way) {
                           return way.param == DirectWrites::kProbe ? "Probe" : "Never";
                         });

}  // namespace
}  // namespace lariat::storage::log
