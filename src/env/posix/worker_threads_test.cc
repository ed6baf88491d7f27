// SPDX-License-Identifier: Apache-2.0
#include "env/posix/worker_threads.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <memory>

namespace lariat::env::posix {
namespace {

TEST(WorkerThreads, RunEachTaskOnceBesideTheCaller) {
  std::atomic<int> ran{0};
  std::promise<void> last;
  WorkerThreads workers(2, 100);
  for (int i = 0; i < 50; ++i) {
    ASSERT_TRUE(workers.Run([&ran, &last] {
      if (++ran == 50) last.set_value();
    }));
  }
  last.get_future().wait();
  EXPECT_EQ(ran, 50);
}

TEST(WorkerThreads, RefuseWhatTheirQueueHasNoRoomFor) {
  std::promise<void> begun, go;
  auto may_go = go.get_future().share();
  WorkerThreads workers(1, 2);
  ASSERT_TRUE(workers.Run([&begun, may_go] {
    begun.set_value();
    may_go.wait();
  }));
  begun.get_future().wait();
  EXPECT_TRUE(workers.Run([] {}));
  EXPECT_TRUE(workers.Run([] {}));
  EXPECT_FALSE(workers.Run([] {}));
  go.set_value();
}

TEST(WorkerThreads, DropWhatHasNotBegunWhenTheyEnd) {
  auto kept = std::make_shared<int>(1);
  std::promise<void> begun, go;
  auto may_go = go.get_future().share();
  auto workers = std::make_unique<WorkerThreads>(1, 10);
  ASSERT_TRUE(workers->Run([&begun, may_go] {
    begun.set_value();
    may_go.wait();
  }));
  begun.get_future().wait();
  ASSERT_TRUE(workers->Run([kept] {}));
  go.set_value();
  workers.reset();
  EXPECT_EQ(kept.use_count(), 1);
}

}  // namespace
}  // namespace lariat::env::posix
