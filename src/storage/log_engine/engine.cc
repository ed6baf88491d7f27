// SPDX-License-Identifier: Apache-2.0
#include "storage/log_engine/internal/engine.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace lariat::storage::log_engine {

using base::Code;
using base::Fail;

namespace {

constexpr base::Duration kSyncGap = std::chrono::microseconds(300);

// For a sync on the caller's stack: what is posted meanwhile.
class TasksOfSync final : public log::SyncQueue {
 public:
  void Post(base::UniqueFunction<void()> task) override { tasks_.push_back(std::move(task)); }
  void PostAfter(base::Duration /*delay*/, base::UniqueFunction<void()> task) override {
    Post(std::move(task));
  }
  void Run() {
    for (auto& task : tasks_) task();
  }

 private:
  std::vector<base::UniqueFunction<void()>> tasks_;
};

// Its removal may not be forgotten with the log: the file's word would count again.
bool ForgetsSalvage(const WriteBatch& batch) {
  return std::any_of(batch.operations.begin(), batch.operations.end(), [](const auto& operation) {
    return operation.space == Space::kMeta && operation.remove && operation.key == kSalvagedKey;
  });
}

}  // namespace

LogEngine::LogEngine(const LogEngineOptions& options, const World& world,
                     std::unique_ptr<Files> files)
    : options_(options), world_(world), files_(std::move(files)), tables_(options.table_bytes) {}

LogEngine::~LogEngine() {
  (void)Close();  // what could not be flushed is in the log
}

base::Status LogEngine::Close() {
  if (std::exchange(closed_, true)) return {};
  if (!committer_) return Fail(Code::kUnavailable, "it was never open");
  {
    const std::lock_guard lock(flush_mutex_);
    flush_stopping_ = true;
  }
  flush_wake_.notify_one();
  if (flusher_.joinable()) flusher_.join();
  base::Status status = FlushNow();
  TellFlushed(std::exchange(flush_waiters_, {}), status);
  if (committer_) committer_->Stop();
  files_->StopReading();
  if (status) status = log_->Close();
  if (status) files_->LogIsEmpty();
  return status;
}

// --- reading -----------------------------------------------------------------------------------

std::optional<base::Result<std::string>> LogEngine::Known(Space space, std::string_view key,
                                                          table::ReadToken* token) {
  std::string value;
  const Tables::Answer answer = tables_.Find(space, key, &value);
  *token = answer.token;
  switch (answer.known) {
    case table::Known::kRecord:
      return value;
    case table::Known::kAbsent:
      return Fail(Code::kNotFound, "");
    case table::Known::kLost:
      return Fail(files_->DeadError());
    case table::Known::kUnknown:
      return std::nullopt;
  }
  return std::nullopt;
}

void LogEngine::Fill(Space space, std::string_view key, const base::Result<std::string>& read,
                     table::ReadToken token) {
  if (read) {
    tables_.Fill(space, key, *read, token);
  } else if (read.error().code == Code::kNotFound) {
    tables_.Fill(space, key, std::nullopt, token);
  }
}

Lookup LogEngine::TryGet(Space space, std::string_view key, std::string* value,
                         base::Error* error) {
  const Tables::Answer answer = tables_.Find(space, key, value);
  switch (answer.known) {
    case table::Known::kRecord:
      return Lookup::kFound;
    case table::Known::kAbsent:
      return Lookup::kAbsent;
    case table::Known::kLost:
      *error = files_->DeadError();
      return Lookup::kError;
    case table::Known::kUnknown:
      break;
  }
  const Lookup looked = files_->TryGet(space, key, value, error);
  if (looked == Lookup::kFound) tables_.Fill(space, key, *value, answer.token);
  if (looked == Lookup::kAbsent) tables_.Fill(space, key, std::nullopt, answer.token);
  return looked;
}

base::Result<std::string> LogEngine::GetBlocking(Space space, std::string_view key) {
  table::ReadToken token;
  if (auto known = Known(space, key, &token)) return *std::move(known);
  auto read = files_->GetBlocking(space, key);
  Fill(space, key, read, token);
  return read;
}

// --- writing -----------------------------------------------------------------------------------

base::Status LogEngine::Write(const WriteBatch& batch) {
  if (health() == Health::kDead) return Fail(files_->DeadError());
  if (auto admitted = files_->Admit(batch); !admitted) return admitted;
  if (batch.Empty()) return {};
  const Tables::Parts parts = Tables::PartsOf(batch);
  base::Result<log::Lsn> end = Fail(Code::kStalled, "too much waits to be flushed");
  bool full = true;
  {
    const Tables::Lock lock(tables_, parts);
    if (tables_.HasRoom(batch)) end = log_->Append(batch);
    if (end) full = tables_.Apply(batch, *end);
  }
  if (full || ForgetsSalvage(batch)) AskForFlush();
  if (end) return batch.sync_follows ? base::Status() : WriteBehind();
  if (end.error().code == Code::kStalled) writes_stalled_.fetch_add(1, std::memory_order_relaxed);
  const bool refused = end.error().code == Code::kStalled || end.error().code == Code::kTooLarge;
  return refused ? base::Status(Fail(end.error())) : DieOfLog(end.error());
}

base::Status LogEngine::WriteBehind() {
  const base::Status status = log_->WriteBehind();
  return status ? status : DieOfLog(status.error());
}

base::Status LogEngine::DieOfLog(const base::Error& error) {
  files_->Die(error.message);
  tables_.Fail(log_->durable());
  return Fail(files_->DeadError());
}

void LogEngine::Sync(CompletionQueue* queue, SyncDone done) {
  asked_.fetch_add(1, std::memory_order_relaxed);
  if (health() != Health::kDead) return committer_->Request(queue, std::move(done));
  queue->Post([done = std::move(done), error = files_->DeadError()]() mutable {
    done(Fail(std::move(error)));
  });
}

// The log's leader is this thread alone, so a group is written before Sync returns.
base::Status LogEngine::SyncLog() {
  if (health() == Health::kDead) return Fail(files_->DeadError());
  // Where several wait more are sure to come: one sync for all of them, a little later.
  const base::Duration since = world_.clock->Now() - sync_began_;
  const bool several = asked_.exchange(0, std::memory_order_relaxed) > 1;
  if (several && since < kSyncGap) std::this_thread::sleep_for(kSyncGap - since);
  sync_began_ = world_.clock->Now();
  const log::Lsn end = log_->end();
  if (end <= log_->durable()) return {};
  TasksOfSync tasks;
  std::optional<base::Status> told;
  log_->Sync(end, &tasks, [&told](base::Status status) { told = std::move(status); });
  tasks.Run();
  LARIAT_CHECK(told.has_value(), "the only leader writes its group itself");
  return *told ? *told : DieOfLog(told->error());
}

EngineStats LogEngine::Stats() const {
  EngineStats stats = files_->Stats();
  const log::LogStats log = log_->Stats();
  const table::TableStats tables = tables_.Stats();
  stats.memory_bytes += tables.bytes + log.buffered_bytes;
  stats.table_bytes = tables.bytes;
  stats.table_unflushed_bytes = tables.unflushed_bytes;
  stats.table_evicted = tables.evicted;
  tables_.CountFinds(&stats.table_hits, &stats.table_misses);
  stats.log_slots = log.slots;
  stats.log_live_slots = log.live_slots;
  stats.log_durable = log.durable;
  stats.log_bytes = log.synced_bytes + log.behind_bytes;
  stats.flushes = flushes_.load(std::memory_order_relaxed);
  stats.flush_nanoseconds = flush_nanoseconds_.load(std::memory_order_relaxed);
  stats.syncs = log.syncs;
  stats.sync_nanoseconds = log.sync_nanoseconds;
  stats.writes_stalled = writes_stalled_.load(std::memory_order_relaxed);
  stats.log_truncated = log_truncated_;
  stats.salvaged = salvaged_;
  return stats;
}

}  // namespace lariat::storage::log_engine
