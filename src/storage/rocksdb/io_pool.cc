// SPDX-License-Identifier: Apache-2.0
#include "storage/rocksdb/internal/io_pool.h"

#include <algorithm>
#include <utility>

namespace lariat::storage::internal {

IoPool::IoPool(uint32_t threads, uint32_t waiting_max) : waiting_max_(waiting_max) {
  for (uint32_t i = 0; i < std::max(threads, 1U); ++i) threads_.emplace_back([this] { Run(); });
}

IoPool::~IoPool() { Stop(); }

bool IoPool::Submit(base::UniqueFunction<void()>& task) {
  {
    const std::lock_guard lock(mutex_);
    if (waiting_.size() >= waiting_max_) return false;
    waiting_.push_back(std::move(task));
  }
  wake_.notify_one();
  return true;
}

void IoPool::Stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

void IoPool::Run() {
  std::unique_lock lock(mutex_);
  while (true) {
    wake_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
    if (waiting_.empty()) return;
    base::UniqueFunction<void()> task = std::move(waiting_.front());
    waiting_.pop_front();
    lock.unlock();
    task();
    task = nullptr;  // what it captured is released before the lock is taken again
    lock.lock();
  }
}

}  // namespace lariat::storage::internal
