// SPDX-License-Identifier: Apache-2.0
// From the tables into the files, and looking after the log. The rest of LogEngine is in engine.cc.
#include <algorithm>
#include <future>
#include <utility>

#include "storage/log_engine/internal/engine.h"

namespace lariat::storage::log_engine {

using base::Code;
using base::Fail;

namespace {

constexpr std::chrono::milliseconds kTurn{200};
constexpr std::chrono::milliseconds kPause{50};  // after a flush that was not possible
constexpr base::Duration kFreeGap = base::Seconds(1);
constexpr uint64_t kSweepsOfAnswers = 24;  // in their time to live, as the files do it

// One part's versions, in the order of keys.
class PartSource {
 public:
  PartSource(Tables* tables, size_t part) : tables_(tables), part_(part) {}

  // Null at the end.
  const table::Version* Peek() {
    while (at_ == chunk_.size() && more_) {
      chunk_.clear();
      at_ = 0;
      more_ = tables_->NextToFlush(part_, &chunk_);
    }
    return at_ < chunk_.size() ? chunk_[at_].get() : nullptr;
  }
  void Pass() { ++at_; }

 private:
  Tables* tables_;
  size_t part_;
  std::vector<table::VersionRef> chunk_;
  size_t at_ = 0;
  bool more_ = true;
};

// A space's versions, merged from its parts.
class SpaceSource {
 public:
  void Add(PartSource part) { parts_.push_back(std::move(part)); }
  bool Next(VersionView* out) {
    if (given_ != nullptr) given_->Pass();
    given_ = nullptr;
    const table::Version* least = nullptr;
    for (PartSource& part : parts_) {
      const table::Version* next = part.Peek();
      if (next == nullptr || (least != nullptr && least->key() <= next->key())) continue;
      least = next;
      given_ = &part;
    }
    if (least == nullptr) return false;
    *out = {least->key(), {}};
    if (!least->absent()) out->value = least->bytes();
    return true;
  }

 private:
  std::vector<PartSource> parts_;
  PartSource* given_ = nullptr;
};

// Runs what is posted on the thread that posts it.
class AtOnce final : public CompletionQueue {
 public:
  void Post(base::UniqueFunction<void()> task) override { task(); }
};

}  // namespace

void LogEngine::Flush(Space /*space*/, CompletionQueue* queue, SyncDone done) {
  {
    const std::lock_guard lock(flush_mutex_);
    flush_waiters_.push_back({queue, std::move(done)});
  }
  AskForFlush();
}

void LogEngine::AskForFlush() {
  {
    const std::lock_guard lock(flush_mutex_);
    if (std::exchange(flush_wanted_, true)) return;
  }
  flush_wake_.notify_one();
}

void LogEngine::TellFlushed(std::vector<FlushWaiter> waiters, const base::Status& status) {
  for (FlushWaiter& waiter : waiters) {
    waiter.queue->Post([done = std::move(waiter.done), status]() mutable { done(status); });
  }
}

void LogEngine::RunFlusher() {
  std::unique_lock lock(flush_mutex_);
  const auto stopping = [this] { return flush_stopping_; };
  while (!flush_stopping_) {
    flush_wake_.wait_for(lock, kTurn, [this] { return flush_stopping_ || flush_wanted_; });
    if (flush_stopping_) return;
    const bool wanted = std::exchange(flush_wanted_, false);
    std::vector<FlushWaiter> waiters = std::exchange(flush_waiters_, {});
    lock.unlock();
    LookAfterLog();
    files_->SetPromised(tables_.Stats().unflushed_bytes);
    base::Status status;
    if (wanted || WantsFlush()) status = TryFlush();
    TellFlushed(std::move(waiters), status);
    lock.lock();
    if (!status) flush_wake_.wait_for(lock, kPause, stopping);
  }
}

bool LogEngine::WantsFlush() {
  const log::LogStats log = log_->Stats();
  const bool log_fills =
      log.live_slots * 2 > log_->shape().slots_max || log.live_slots == log.slots;
  const base::Duration since = world_.clock->Now() - flushed_;
  // A delete frees nothing before the files have it, even one from before the disk was full.
  if (since >= kFreeGap && freed_.exchange(false)) return true;
  if (since >= kFreeGap && health() == Health::kDiskFull && tables_.Stats().unflushed_bytes > 0) {
    return true;
  }
  // The age of answers is that of their file.
  const auto sweep =
      base::Seconds(static_cast<int64_t>(options_.files.idempotency_ttl_s / kSweepsOfAnswers));
  const bool answers = since >= std::max<base::Duration>(sweep, base::Seconds(1)) &&
                       tables_.UnflushedOf(Space::kIdempotency) > 0;
  return log_fills || answers || tables_.WantsFlush();
}

void LogEngine::LookAfterLog() {
  if (health() == Health::kDead) return;
  const base::Status ticked = log_->Tick();
  if (!ticked && ticked.error().code != Code::kStalled) (void)DieOfLog(ticked.error());
  const log::LogStats log = log_->Stats();
  if (log.slots - log.live_slots > 1 || log.slots == log_->shape().slots_max) return;
  const EngineStats files = files_->Stats();
  if (files.disk_free_bytes < files.disk_reserve_bytes + log_->shape().segment_bytes) return;
  (void)log_->Grow();  // without it flushes come earlier
}

base::Status LogEngine::TryFlush() {
  if (files_->Crowded()) return Fail(Code::kStalled, "compaction is behind");
  return FlushNow();
}

base::Status LogEngine::FlushNow() {
  flushed_ = world_.clock->Now();
  std::optional<log::CutPoint> cut;
  log::Lsn upto = replayed_;
  {
    const Tables::Lock lock(tables_, Tables::kAll);
    if (health() == Health::kDead) return Fail(files_->DeadError());
    if (log_) cut = log_->TakeCutPoint();
    if (cut) upto = cut->lsn();
    tables_.BeginFlush(upto);
  }
  // The files must not get ahead of the log: after a crash it would be applied over them in part.
  base::Status status = log_ ? SyncUpTo(upto) : base::Status();
  if (status) status = files_->Take(VersionsToFlush());
  tables_.EndFlush(status.has_value());
  files_->SetPromised(tables_.Stats().unflushed_bytes);
  if (!status) return status;
  flushes_.fetch_add(1, std::memory_order_relaxed);
  flush_nanoseconds_.fetch_add(static_cast<uint64_t>((world_.clock->Now() - flushed_).count()),
                               std::memory_order_relaxed);
  if (cut) status = log_->Cut(*cut);
  return status ? status : DieOfLog(status.error());
}

base::Status LogEngine::SyncUpTo(log::Lsn upto) {
  if (upto <= log_->durable()) return {};
  static AtOnce queue;
  // Shared with the committer, which is still in set_value when this wakes.
  const auto told = std::make_shared<std::promise<base::Status>>();
  committer_->Request(&queue, [told](base::Status status) { told->set_value(std::move(status)); });
  return told->get_future().get();
}

Files::Versions LogEngine::VersionsToFlush() {
  Files::Versions versions;
  for (size_t space = 0; space < kSpaces; ++space) {
    auto source = std::make_shared<SpaceSource>();  // a std::function has to be copyable
    for (size_t part = 0; part < Tables::kParts; ++part) {
      if (Tables::SpaceOf(part) == static_cast<Space>(space)) source->Add({&tables_, part});
    }
    versions[space] = [source](VersionView* out) { return source->Next(out); };
  }
  return versions;
}

}  // namespace lariat::storage::log_engine
