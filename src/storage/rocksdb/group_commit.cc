// SPDX-License-Identifier: Apache-2.0
#include "storage/rocksdb/group_commit.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace lariat::storage {

GroupCommit::GroupCommit(std::function<base::Status()> sync, std::chrono::milliseconds period)
    : sync_(std::move(sync)), period_(period), thread_([this] { Run(); }) {}

GroupCommit::~GroupCommit() { Stop(); }

void GroupCommit::Request(CompletionQueue* queue, Engine::SyncDone done) {
  bool wake = false;
  {
    const std::lock_guard lock(mutex_);
    waiting_.push_back({queue, std::move(done)});
    wake = std::exchange(asleep_, false);
  }
  if (wake) wake_.notify_one();
}

void GroupCommit::Stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void GroupCommit::Run() {
  std::unique_lock lock(mutex_);
  while (true) {
    const auto ready = [this] { return stopping_ || !waiting_.empty(); };
    asleep_ = !ready();
    if (period_.count() > 0) {
      wake_.wait_for(lock, period_, ready);
    } else {
      wake_.wait(lock, ready);
    }
    asleep_ = false;
    if (stopping_ && waiting_.empty()) return;
    std::vector<Waiter> waiters = std::exchange(waiting_, {});
    lock.unlock();
    const base::Status status = sync_();
    Complete(std::move(waiters), status);
    lock.lock();
  }
}

void GroupCommit::Complete(std::vector<Waiter> waiters, const base::Status& status) {
  // A node has a handful of shards, so a linear search finds the queue's list quickest.
  std::vector<std::pair<CompletionQueue*, std::vector<Engine::SyncDone>>> by_queue;
  for (Waiter& waiter : waiters) {
    auto it = std::find_if(by_queue.begin(), by_queue.end(),
                           [&](const auto& entry) { return entry.first == waiter.queue; });
    if (it == by_queue.end()) {
      by_queue.emplace_back(waiter.queue, std::vector<Engine::SyncDone>());
      it = std::prev(by_queue.end());
    }
    it->second.push_back(std::move(waiter.done));
  }
  for (auto& [queue, dones] : by_queue) {
    queue->Post([dones = std::move(dones), status]() mutable {
      for (Engine::SyncDone& done : dones) done(status);
    });
  }
}

}  // namespace lariat::storage
