// SPDX-License-Identifier: Apache-2.0
// Threads that may wait for the disk, behind a queue with a limit. Thread-safe.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

#include "base/unique_function.h"

namespace lariat::storage::internal {

class IoPool {
 public:
  IoPool(uint32_t threads, uint32_t waiting_max);
  ~IoPool();  // as Stop

  // False if too many tasks wait; the task is then left as it was.
  bool Submit(base::UniqueFunction<void()>& task);
  // Runs what waits, then ends the threads. No Submit may follow.
  void Stop();

 private:
  void Run();

  const size_t waiting_max_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<base::UniqueFunction<void()>> waiting_;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace lariat::storage::internal
