// SPDX-License-Identifier: Apache-2.0
#include "storage/memory_engine.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace lariat::storage {
namespace {

using base::Code;
using base::Fail;

void Apply(const WriteBatch::Operation& operation, MemoryEngine::Image* image) {
  auto& space = (*image)[static_cast<size_t>(operation.space)];
  if (operation.remove) {
    space.erase(operation.key);
  } else {
    space.insert_or_assign(operation.key, operation.value);
  }
}

void Apply(const WriteBatch& batch, MemoryEngine::Image* image) {
  for (const WriteBatch::Operation& operation : batch.operations) Apply(operation, image);
}

base::Status SyncStatus(bool ok) {
  if (ok) return {};
  return Fail(Code::kIo, "injected sync error");
}

}  // namespace

MemoryEngine::MemoryEngine(FaultPlan* plan) : plan_(plan) {
  LARIAT_CHECK(plan != nullptr, "an engine in memory needs a fault plan");
}

void MemoryEngine::Crash() {
  const size_t lost = std::min(plan_->LoseInCrash(unsynced_.size()), unsynced_.size());
  MakeDurable(written_ - lost);
  if (log_) {
    const size_t cut = std::min(plan_->CutInCrash(log_->batches.size()), log_->batches.size());
    if (cut > 0) CutLog(cut);
    KeepLog();  // what recovery has read it puts into files
  }
  live_ = durable_;
  StartLife();
}

void MemoryEngine::Restore(Image image) {
  durable_ = std::move(image);
  if (log_) KeepLog();
  live_ = durable_;
  StartLife();
}

void MemoryEngine::Forget(Space space, std::string_view key) {
  for (Image* image : {&live_, &durable_}) {
    auto& map = (*image)[static_cast<size_t>(space)];
    if (const auto it = map.find(key); it != map.end()) map.erase(it);
  }
  for (WriteBatch& batch : unsynced_) {
    std::erase_if(batch.operations, [&](const WriteBatch::Operation& operation) {
      return operation.space == space && operation.key == key;
    });
  }
}

void MemoryEngine::Spoil(Space space, std::string_view key, const std::string& bytes) {
  const auto at = static_cast<size_t>(space);
  auto& live = live_[at].find(key)->second;
  auto& durable = durable_[at].find(key)->second;
  LARIAT_CHECK(live == durable, "only what is durable can be damaged");
  const std::string before = std::exchange(live, bytes);
  durable = bytes;
  if (!log_) return;
  const auto file = log_->files[at].find(key);
  if (file != log_->files[at].end() && file->second == before) file->second = bytes;
  for (WriteBatch& batch : log_->batches) {
    for (WriteBatch::Operation& operation : batch.operations) {
      const bool same = operation.space == space && operation.key == key;
      if (same && !operation.remove && operation.value == before) operation.value = bytes;
    }
  }
}

// --- log and files -----------------------------------------------------------------------------

void MemoryEngine::KeepLog() { log_ = Log{durable_, {}, {}}; }

void MemoryEngine::FlushLog(Space space, uint64_t upto) {
  const uint64_t before = written_ - unsynced_.size() - log_->batches.size();  // the log
  size_t& done = log_->in_files[static_cast<size_t>(space)];
  for (; before + done < upto; ++done) {
    for (const WriteBatch::Operation& operation : log_->batches[done].operations) {
      if (operation.space == space) Apply(operation, &log_->files);
    }
  }
}

void MemoryEngine::CutLog(size_t batches) {
  Image kept = log_->files;
  for (size_t i = 0; i < log_->batches.size() - batches; ++i) {
    for (const WriteBatch::Operation& operation : log_->batches[i].operations) {
      const bool in_files = i < log_->in_files[static_cast<size_t>(operation.space)];
      if (!in_files) Apply(operation, &kept);
    }
  }
  kept[static_cast<size_t>(Space::kMeta)].insert_or_assign(std::string(kLogCutKey), "1");
  durable_ = std::move(kept);
}

void MemoryEngine::StartLife() {
  unsynced_.clear();
  dead_ = false;
  ++life_;
}

void MemoryEngine::MakeDurable(uint64_t batches) {
  while (!unsynced_.empty() && written_ - unsynced_.size() < batches) {
    Apply(unsynced_.front(), &durable_);
    if (log_) log_->batches.push_back(std::move(unsynced_.front()));
    unsynced_.pop_front();
  }
}

void MemoryEngine::Later(Operation operation, base::UniqueFunction<void()> task) {
  plan_->Schedule(operation, [this, life = life_, task = std::move(task)]() mutable {
    if (life == life_) task();
  });
}

void MemoryEngine::Complete(CompletionQueue* queue, base::UniqueFunction<void()> task) {
  queue->Post([this, life = life_, task = std::move(task)]() mutable {
    if (life == life_) task();
  });
}

base::Result<std::string> MemoryEngine::GetBlocking(Space space, std::string_view key) {
  const auto& map = live_[static_cast<size_t>(space)];
  const auto it = map.find(key);
  if (it == map.end()) return Fail(Code::kNotFound, "no such key");
  return it->second;
}

base::Result<std::string> MemoryEngine::Read(Space space, std::string_view key) {
  if (plan_->FailRead()) {
    ++stats_.read_errors;
    return Fail(Code::kCorruption, "injected read error");
  }
  return GetBlocking(space, key);
}

Lookup MemoryEngine::TryGet(Space space, std::string_view key, std::string* value,
                            base::Error* error) {
  if (plan_->MissMemory()) return Lookup::kNotInMemory;
  base::Result<std::string> result = Read(space, key);
  if (result.has_value()) {
    *value = *std::move(result);
    return Lookup::kFound;
  }
  if (result.error().code == Code::kNotFound) return Lookup::kAbsent;
  *error = std::move(result.error());
  return Lookup::kError;
}

void MemoryEngine::Get(Space space, std::string key, CompletionQueue* queue, GetDone done) {
  Later(Operation::kGet,
        [this, space, key = std::move(key), queue, done = std::move(done)]() mutable {
          ++stats_.reads_from_disk;
          Complete(queue, [done = std::move(done), result = Read(space, key)]() mutable {
            done(std::move(result));
          });
        });
}

Health MemoryEngine::health() const {
  if (dead_) return Health::kDead;
  return plan_->NearlyFull() ? Health::kDiskFull : Health::kOk;
}

base::Status MemoryEngine::Write(const WriteBatch& batch) {
  if (dead_) return Fail(Code::kIo, "the engine is dead after a failed sync");
  base::Status fault = plan_->FailWrite();
  if (!fault.has_value()) {
    ++stats_.writes_stalled;
    return fault;
  }
  if (plan_->NearlyFull() && !batch.UsesReserve()) return Fail(Code::kDiskFull, "nearly full");
  Apply(batch, &live_);
  unsynced_.push_back(batch);
  ++written_;
  return {};
}

void MemoryEngine::Sync(CompletionQueue* queue, SyncDone done) {
  MakeDurable(queue, std::move(done), std::nullopt);
}

void MemoryEngine::Flush(Space space, CompletionQueue* queue, SyncDone done) {
  MakeDurable(queue, std::move(done), space);
}

void MemoryEngine::MakeDurable(CompletionQueue* queue, SyncDone done,
                               std::optional<Space> flushed) {
  Later(Operation::kSync,
        [this, upto = written_, queue, flushed, done = std::move(done)]() mutable {
          const bool ok = !SyncsFail();
          if (ok) MakeDurable(upto);
          if (ok && flushed && log_) FlushLog(*flushed, upto);
          Complete(queue, [done = std::move(done), ok]() mutable { done(SyncStatus(ok)); });
        });
}

bool MemoryEngine::SyncsFail() {
  if (dead_) return true;
  ++stats_.syncs;
  dead_ = plan_->FailSync();
  return dead_;
}

void MemoryEngine::WriteApart(std::string bytes, CompletionQueue* queue, SyncDone done) {
  Later(Operation::kSync, [this, number = ++apart_asked_, bytes = std::move(bytes), queue,
                           done = std::move(done)]() mutable {
    const bool ok = !SyncsFail();
    if (ok && number > apart_number_) {
      apart_ = std::move(bytes);
      apart_number_ = number;
    }
    Complete(queue, [done = std::move(done), ok]() mutable { done(SyncStatus(ok)); });
  });
}

base::Result<std::string> MemoryEngine::ReadApart() {
  if (!apart_) return Fail(Code::kNotFound, "nothing was written apart");
  return *apart_;
}

base::Result<std::vector<Entry>> MemoryEngine::ReadRange(Space space, std::string_view from,
                                                         std::string_view to,
                                                         const ScanLimits& limits) {
  if (plan_->FailRead()) {
    ++stats_.read_errors;
    return Fail(Code::kCorruption, "injected read error");
  }
  const auto& map = live_[static_cast<size_t>(space)];
  std::vector<Entry> entries;
  size_t bytes = 0;
  for (auto it = map.lower_bound(from); it != map.end() && entries.size() < limits.entries_max;
       ++it) {
    if (!to.empty() && it->first >= to) break;
    bytes += it->first.size() + it->second.size();
    if (bytes > limits.bytes_max && !entries.empty()) break;
    entries.push_back({it->first, it->second});
  }
  return entries;
}

void MemoryEngine::Scan(Space space, std::string from, std::string to, ScanLimits limits,
                        CompletionQueue* queue, ScanDone done) {
  // Read now, delivered later: that is the snapshot of the call's start.
  Later(Operation::kScan, [this, result = ReadRange(space, from, to, limits), queue,
                           done = std::move(done)]() mutable {
    Complete(queue, [done = std::move(done), result = std::move(result)]() mutable {
      done(std::move(result));
    });
  });
}

EngineStats MemoryEngine::Stats() const {
  EngineStats stats = stats_;
  stats.keys_estimate = live_[static_cast<size_t>(Space::kData)].size();
  const auto& notes = live_[static_cast<size_t>(Space::kMeta)];
  stats.log_truncated = notes.contains(std::string(kLogCutKey));
  stats.salvaged = notes.contains(std::string(kSalvagedKey));
  return stats;
}

}  // namespace lariat::storage
