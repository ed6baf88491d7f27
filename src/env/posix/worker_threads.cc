// SPDX-License-Identifier: Apache-2.0
#include "env/posix/worker_threads.h"

#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace lariat::env::posix {
namespace {

constexpr int kNicer = 5;

}  // namespace

struct WorkerThreads::Impl {
  void Work() {
    // So that clients who are in do not feel those who want to come in. Of this thread alone; that
    // it may not is no harm.
    setpriority(PRIO_PROCESS, static_cast<id_t>(syscall(SYS_gettid)), kNicer);
    std::unique_lock lock(mutex);
    for (;;) {
      something.wait(lock, [this] { return ends || !waiting.empty(); });
      if (ends) return;
      Task task = std::move(waiting.front());
      waiting.pop_front();
      lock.unlock();
      task();
      task = nullptr;
      lock.lock();
    }
  }

  const size_t waiting_max;
  std::mutex mutex;
  std::condition_variable something;
  std::deque<Task> waiting;
  bool ends = false;
  std::vector<std::thread> threads;
};

WorkerThreads::WorkerThreads(size_t threads, size_t waiting_max)
    : impl_(new Impl{.waiting_max = waiting_max,
                     .mutex = {},
                     .something = {},
                     .waiting = {},
                     .ends = false,
                     .threads = {}}) {
  for (size_t i = 0; i < threads; ++i) {
    impl_->threads.emplace_back([impl = impl_.get()] { impl->Work(); });
  }
}

WorkerThreads::~WorkerThreads() {
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->ends = true;
  }
  impl_->something.notify_all();
  for (std::thread& thread : impl_->threads) thread.join();
}

bool WorkerThreads::Run(Task task) {
  {
    const std::lock_guard lock(impl_->mutex);
    if (impl_->ends || impl_->waiting.size() >= impl_->waiting_max) return false;
    impl_->waiting.push_back(std::move(task));
  }
  impl_->something.notify_one();
  return true;
}

}  // namespace lariat::env::posix
