// SPDX-License-Identifier: Apache-2.0
// Leader commit: Sync, and what follows from it. The rest of Log is in log.cc.
#include <algorithm>
#include <iterator>
#include <utility>

#include "base/check.h"
#include "storage/log/log.h"

namespace lariat::storage::log {

void Log::Sync(Lsn upto, SyncQueue* queue, SyncDone done) {
  std::vector<Waiter> waiter;
  waiter.push_back({upto, queue, std::move(done)});
  bool lead = false;
  {
    const std::lock_guard lock(mutex_);
    LARIAT_CHECK(upto <= tail_.end(), "who waits has appended");
    if (failed_ || upto <= durable()) {
      Tell(std::move(waiter), Usable());
      return;
    }
    waiting_.push_back(std::move(waiter.front()));
    lead = !std::exchange(leading_, true);
  }
  if (lead) Lead();
}

// Takes all that was appended, by whomever, and has it written.
void Log::Lead() {
  {
    const std::scoped_lock both(write_mutex_, mutex_);
    if (failed_ || closing_) return;
    in_flight_ = tail_.Take(Tail::Padding::kToBlock);
    in_flight_->group.dirty.assign(dirty_.begin(), dirty_.end());
    dirty_.clear();
    sync_began_ = clock_->Now();
  }
  writer_->Write(in_flight_->group,
                 [log = shared_from_this()](const base::Status& status) { log->Finish(status); });
}

void Log::Finish(const base::Status& status) {
  const std::lock_guard lock(mutex_);
  Taken taken = *std::exchange(in_flight_, std::nullopt);
  const base::Instant now = clock_->Now();
  ++counts_.syncs;
  counts_.sync_nanoseconds += static_cast<uint64_t>((now - sync_began_).count());
  counts_.synced_bytes += taken.buffer.size();
  landed_.notify_all();
  if (!status) FailLocked(status.error());
  if (failed_) return;
  durable_ = taken.end;
  tail_.GiveBack(std::move(taken));
  Tell(TakeDurableLocked(), {});
  leading_ = !waiting_.empty();
  if (!leading_) return;
  // The next group is led by another thread's turn: a leader that went on would never come back to
  // its own work while others write. Where several wait more are sure to come within the gap.
  base::Duration delay{};
  if (waiting_.size() > 1) delay = std::max(delay, sync_began_ + options_.sync_gap - now);
  waiting_.front().queue->PostAfter(delay, [weak = weak_from_this()] {
    if (const auto log = weak.lock()) log->Lead();
  });
}

std::vector<Log::Waiter> Log::TakeDurableLocked() {
  const auto rest = std::stable_partition(waiting_.begin(), waiting_.end(),
                                          [&](const Waiter& w) { return w.upto <= durable(); });
  std::vector<Waiter> told(std::make_move_iterator(waiting_.begin()),
                           std::make_move_iterator(rest));
  waiting_.erase(waiting_.begin(), rest);
  return told;
}

void Log::FailLocked(const base::Error& error) {
  if (failed_) return;
  failed_ = error;
  Tell(std::exchange(waiting_, {}), base::Fail(error));
}

// One task for each queue. Posting runs nothing, so a lock may be held.
void Log::Tell(std::vector<Waiter> waiters, const base::Status& status) {
  std::vector<std::pair<SyncQueue*, std::vector<SyncDone>>> by_queue;
  for (Waiter& waiter : waiters) {
    auto it = std::find_if(by_queue.begin(), by_queue.end(),
                           [&](const auto& entry) { return entry.first == waiter.queue; });
    if (it == by_queue.end()) {
      by_queue.emplace_back(waiter.queue, std::vector<SyncDone>());
      it = std::prev(by_queue.end());
    }
    it->second.push_back(std::move(waiter.done));
  }
  for (auto& [queue, dones] : by_queue) {
    queue->Post([dones = std::move(dones), status]() mutable {
      for (SyncDone& done : dones) done(status);
    });
  }
}

}  // namespace lariat::storage::log
