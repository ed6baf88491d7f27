// SPDX-License-Identifier: Apache-2.0
#include "storage/rocksdb/internal/rocks_engine.h"

#include <rocksdb/experimental.h>
#include <rocksdb/file_system.h>

#include <algorithm>
#include <chrono>
#include <limits>
#include <utility>

#include "storage/rocksdb/internal/rocks_config.h"

namespace lariat::storage::internal {
namespace {

using base::Code;
using base::Fail;

constexpr std::chrono::milliseconds kWatchPeriod{500};
constexpr uint64_t kTurnsToResume = 20;  // of the watcher
constexpr uint64_t kTurnsToFree = 2;
constexpr uint32_t kFreeRounds = 8;        // one for each level, and the flush
constexpr size_t kOperationOverhead = 16;  // bytes of framing that a batch adds to an operation

rocksdb::Slice ToSlice(std::string_view bytes) { return {bytes.data(), bytes.size()}; }

}  // namespace

uint64_t FreeSpace(rocksdb::Env* env, const std::string& directory) {
  uint64_t free = 0;
  const rocksdb::IOStatus status =
      env->GetFileSystem()->GetFreeSpace(directory, rocksdb::IOOptions(), &free, nullptr);
  // Where it cannot be known, a full disk shows itself by a failed write.
  return status.ok() ? free : std::numeric_limits<uint64_t>::max();
}

Opened::~Opened() {
  if (!db) return;
  for (auto* family : families) db->DestroyColumnFamilyHandle(family).PermitUncheckedError();
  db->Close().PermitUncheckedError();
}

RocksEngine::RocksEngine(const RocksOptions& options, rocksdb::Env* env, uint64_t reserve_bytes,
                         std::unique_ptr<EngineState> state, Opened opened)
    : clock_(env->GetSystemClock()),
      env_(env),
      directory_(options.directory),
      log_elsewhere_(options.log_elsewhere),
      state_(std::move(state)),
      opened_(std::move(opened)),
      db_(opened_.db.get()),
      guard_([this] { return FreeBytes(); }, reserve_bytes, clock_->NowNanos()),
      end_mark_(options.directory),
      synced_sequence_(options.log_elsewhere ? kNothingKnown : db_->GetLatestSequenceNumber()),
      apart_(env, options.directory),
      pool_(options.io_threads, options.io_queue_max),
      committer_([this] { return SyncLog(); }, std::chrono::milliseconds(options.periodic_sync_ms)),
      apart_committer_([this] { return WriteAside(); }, std::chrono::milliseconds(0)),
      idempotency_ttl_s_(options.idempotency_ttl_s),
      sweep_turns_(IdempotencySweepSeconds(options) * 1000 / kWatchPeriod.count()),
      watcher_([this] { Watch(); }) {}

RocksEngine::~RocksEngine() {
  {
    const std::lock_guard lock(watch_mutex_);
    watch_stopping_ = true;
  }
  watch_wake_.notify_one();
  watcher_.join();
  pool_.Stop();
  committer_.Stop();
  apart_committer_.Stop();
  // Closing does not sync the log. Nobody waits for this sync, so its error (remembered in the
  // state) has no one to go to; a dead engine is not synced again.
  (void)SyncLog();
  { const Opened closed = std::move(opened_); }
  if (!state_->dead() && synced_sequence_ < kLogElsewhere) end_mark_.NoteAll(synced_sequence_);
}

// --- Reading

base::Error RocksEngine::ReadError(const rocksdb::Status& status) {
  if (!status.IsNotFound()) read_errors_.fetch_add(1, std::memory_order_relaxed);
  if (status.IsCorruption()) state_->Damaged(status.ToString());
  return FromRocks(status);
}

Lookup RocksEngine::TryGet(Space space, std::string_view key, std::string* value,
                           base::Error* error) {
  rocksdb::ReadOptions options;
  options.read_tier = rocksdb::kBlockCacheTier;
  value->clear();
  const rocksdb::Status status = db_->Get(options, Family(space), ToSlice(key), value);
  // RocksDB before 9.1 says "found", and gives no value, when the table is not open (its change
  // 12443). What is really empty is read again, with the disk.
  if (status.ok()) return value->empty() ? Lookup::kNotInMemory : Lookup::kFound;
  if (status.IsNotFound()) return Lookup::kAbsent;
  if (status.IsIncomplete()) return Lookup::kNotInMemory;
  *error = ReadError(status);
  return Lookup::kError;
}

base::Result<std::string> RocksEngine::GetBlocking(Space space, std::string_view key) {
  std::string value;
  const rocksdb::Status status =
      db_->Get(rocksdb::ReadOptions(), Family(space), ToSlice(key), &value);
  if (!status.ok()) return Fail(ReadError(status));
  return value;
}

void RocksEngine::Get(Space space, std::string key, CompletionQueue* queue, GetDone done) {
  // Shared between the task and the refusal below, which needs the callback back.
  auto finish = std::make_unique<GetDone>(std::move(done));
  GetDone* const refused = finish.get();
  base::UniqueFunction<void()> task = [this, space, key = std::move(key), queue,
                                       finish = std::move(finish)]() mutable {
    reads_from_disk_.fetch_add(1, std::memory_order_relaxed);
    queue->Post([finish = std::move(finish), result = GetBlocking(space, key)]() mutable {
      (*finish)(std::move(result));
    });
  };
  if (pool_.Submit(task)) return;
  queue->Post([finish = std::move(*refused)]() mutable {
    finish(Fail(Code::kOverloaded, "too many reads wait for the disk"));
  });
}

void RocksEngine::Scan(Space space, std::string from, std::string to, ScanLimits limits,
                       CompletionQueue* queue, ScanDone done) {
  const rocksdb::Snapshot* const snapshot = db_->GetSnapshot();
  ScanRequest request{space, std::move(from), std::move(to), limits, snapshot};
  auto finish = std::make_unique<ScanDone>(std::move(done));
  ScanDone* const refused = finish.get();
  base::UniqueFunction<void()> task = [this, request = std::move(request), queue,
                                       finish = std::move(finish)]() mutable {
    base::Result<std::vector<Entry>> result = ScanNow(request);
    db_->ReleaseSnapshot(request.snapshot);
    queue->Post([finish = std::move(finish), result = std::move(result)]() mutable {
      (*finish)(std::move(result));
    });
  };
  if (pool_.Submit(task)) return;
  db_->ReleaseSnapshot(snapshot);
  queue->Post([finish = std::move(*refused)]() mutable {
    finish(Fail(Code::kOverloaded, "too many reads wait for the disk"));
  });
}

base::Result<std::vector<Entry>> RocksEngine::ScanNow(const ScanRequest& request) {
  rocksdb::ReadOptions options;
  options.snapshot = request.snapshot;
  options.fill_cache = false;  // a long scan must not push out what single reads need
  const rocksdb::Slice to(request.to);
  if (!request.to.empty()) options.iterate_upper_bound = &to;
  const std::unique_ptr<rocksdb::Iterator> it(db_->NewIterator(options, Family(request.space)));
  std::vector<Entry> entries;
  size_t bytes = 0;
  for (it->Seek(request.from); it->Valid() && entries.size() < request.limits.entries_max;
       it->Next()) {
    bytes += it->key().size() + it->value().size();
    if (bytes > request.limits.bytes_max && !entries.empty()) break;
    entries.push_back({it->key().ToString(), it->value().ToString()});
  }
  if (!it->status().ok()) return Fail(ReadError(it->status()));
  return entries;
}

// --- Writing

base::Status RocksEngine::Write(const WriteBatch& batch) {
  if (state_->dead()) return Fail(state_->DeadError());
  if (auto admitted = Admit(batch); !admitted) return admitted;
  rocksdb::WriteBatch rocks_batch(batch.bytes + kOperationOverhead * (batch.operations.size() + 1));
  const auto add = [&rocks_batch](rocksdb::ColumnFamilyHandle* family, const auto& operation) {
    return operation.remove ? rocks_batch.Delete(family, operation.key)
                            : rocks_batch.Put(family, operation.key, operation.value);
  };
  for (const WriteBatch::Operation& operation : batch.operations) {
    rocksdb::Status status = add(Family(operation.space), operation);
    if (status.ok() && operation.space == Space::kMeta) {
      status = add(opened_.families[kMetaCopy], operation);
    }
    if (!status.ok()) return Fail(Code::kInvalidArgument, status.ToString());
  }
  rocksdb::WriteOptions options;
  options.no_slowdown = true;
  const rocksdb::Status status = db_->Write(options, &rocks_batch);
  if (status.ok()) {
    written_.fetch_add(1, std::memory_order_release);
    return {};
  }
  if (status.IsIncomplete()) {
    writes_stalled_.fetch_add(1, std::memory_order_relaxed);
    return Fail(Code::kStalled, status.ToString());
  }
  // The listener has heard of it if it came from the log. If a flush lacked space, RocksDB says so
  // to the writers that come after it.
  if (status.IsNoSpace() && !state_->dead()) {
    state_->LackSpace();
    return Fail(Code::kDiskFull, status.ToString());
  }
  state_->Die(status.ToString());
  return Fail(state_->DeadError());
}

uint64_t RocksEngine::FreeBytes() const {
  const uint64_t free = FreeSpace(env_, directory_);
  return free - std::min<uint64_t>(free, promised_.load(std::memory_order_relaxed));
}

base::Status RocksEngine::Admit(const WriteBatch& batch) {
  const uint64_t now = clock_->NowNanos();
  if (log_elsewhere_) promised_.fetch_add(batch.bytes, std::memory_order_relaxed);
  if (!state_->no_space() && guard_.Admit(batch.bytes, now)) return {};
  if (!batch.UsesReserve()) return Fail(Code::kDiskFull, "the disk is nearly full");
  if (!guard_.Admit(batch.bytes, now, Purpose::kDelete)) {
    return Fail(Code::kDiskFull, "the disk is full: what is kept free for deletes is used up too");
  }
  free_rounds_.store(kFreeRounds, std::memory_order_relaxed);
  return {};
}

void RocksEngine::Sync(CompletionQueue* queue, SyncDone done) {
  if (state_->dead()) {
    queue->Post([done = std::move(done), error = state_->DeadError()]() mutable {
      done(Fail(std::move(error)));
    });
    return;
  }
  committer_.Request(queue, std::move(done));
}

void RocksEngine::Flush(Space space, CompletionQueue* queue, SyncDone done) {
  auto finish = std::make_unique<SyncDone>(std::move(done));
  SyncDone* const refused = finish.get();
  base::UniqueFunction<void()> task = [this, space, queue, finish = std::move(finish)]() mutable {
    const rocksdb::Status flushed = db_->Flush(rocksdb::FlushOptions(), Family(space));
    base::Status status;
    if (!flushed.ok()) status = Fail(FromRocks(flushed));
    queue->Post([finish = std::move(finish), status = std::move(status)]() mutable {
      (*finish)(std::move(status));
    });
  };
  if (pool_.Submit(task)) return;
  queue->Post([finish = std::move(*refused)]() mutable {
    finish(Fail(Code::kOverloaded, "too many reads wait for the disk"));
  });
}

void RocksEngine::WriteApart(std::string bytes, CompletionQueue* queue, SyncDone done) {
  {
    const std::lock_guard lock(apart_mutex_);
    apart_next_ = std::move(bytes);
  }
  apart_committer_.Request(queue, std::move(done));
}

base::Status RocksEngine::WriteAside() {
  if (state_->dead()) return Fail(state_->DeadError());
  std::optional<std::string> bytes;
  {
    const std::lock_guard lock(apart_mutex_);
    bytes = std::exchange(apart_next_, std::nullopt);
  }
  if (!bytes) return {};  // an earlier round has it
  base::Status status = apart_.Write(*bytes);
  if (status) return status;
  if (status.error().code != Code::kDiskFull) {
    state_->Die("writing the file apart: " + status.error().message);
  }
  // Whoever's turn comes next must not take this value for written.
  const std::lock_guard lock(apart_mutex_);
  if (!apart_next_) apart_next_ = std::move(bytes);
  return status;
}

base::Status RocksEngine::SyncLog() {
  if (state_->dead()) return Fail(state_->DeadError());
  // A write counts itself before it returns, so whoever asked for this sync is included.
  const uint64_t written = written_.load(std::memory_order_acquire);
  if (written == synced_) return {};
  const uint64_t sequence = db_->GetLatestSequenceNumber();
  const uint64_t start = clock_->NowNanos();
  const rocksdb::Status status = db_->SyncWAL();
  sync_nanoseconds_.fetch_add(clock_->NowNanos() - start, std::memory_order_relaxed);
  syncs_.fetch_add(1, std::memory_order_relaxed);
  // Also when it only lacked space: what the kernel did with the pages is unknown.
  if (!status.ok()) state_->Die("sync of the log: " + status.ToString());
  if (state_->dead()) return Fail(state_->DeadError());
  synced_ = written;
  synced_sequence_.store(sequence, std::memory_order_relaxed);
  return {};
}

// --- Condition

void RocksEngine::Watch() {
  std::unique_lock lock(watch_mutex_);
  uint64_t turns = 0;
  bool was_full = false;
  while (!watch_wake_.wait_for(lock, kWatchPeriod, [this] { return watch_stopping_; })) {
    lock.unlock();
    guard_.Measure(clock_->NowNanos());
    NoteEnd();
    // What is deleted already may be all that makes room again.
    const bool is_full = health() == Health::kDiskFull;
    if (is_full && !was_full) FreeRemoved();
    was_full = is_full;
    ++turns;
    ResumeIfThereIsRoom(turns);
    FreeWhatWasDeleted(turns);
    if (turns % sweep_turns_ == 0 && health() == Health::kOk) ForgetOldAnswers();
    lock.lock();
  }
}

void RocksEngine::NoteEnd() {
  const std::lock_guard lock(mark_mutex_);
  if (synced_sequence_ != kNothingKnown) end_mark_.Note(synced_sequence_);
}

// Drops the files of answers whose youngest is too old: a file is as old as its flush, which comes
// after all that it holds. Errors come back through the listener, and at the next turn.
void RocksEngine::ForgetOldAnswers() {
  rocksdb::ColumnFamilyHandle* family = Family(Space::kIdempotency);
  // Closes the file of the newest answers, so that none becomes much older than its oldest.
  if (!db_->Flush(rocksdb::FlushOptions(), family).ok()) return;
  int64_t now = 0;
  if (!clock_->GetCurrentTime(&now).ok()) return;
  now -= clock_ahead_s_.load(std::memory_order_relaxed);
  rocksdb::ColumnFamilyMetaData files;
  db_->GetColumnFamilyMetaData(family, &files);
  auto& newest_first = files.levels.front().files;
  for (auto file = newest_first.rbegin(); file != newest_first.rend(); ++file) {
    if (file->file_creation_time + idempotency_ttl_s_ >= static_cast<uint64_t>(now)) return;
    if (!db_->DeleteFile(file->name).ok()) return;
  }
}

// In the deletes' reserve now and then, since a compaction that fits is what makes room.
void RocksEngine::ResumeIfThereIsRoom(uint64_t turn) {
  if (!state_->no_space() || state_->dead() || guard_.full(Purpose::kDelete)) return;
  if (guard_.full() && turn % kTurnsToResume != 0) return;
  const rocksdb::Status status = db_->Resume();
  if (status.ok()) {
    // It may have begun another manifest. If that cannot be noted, the file apart counts as old.
    (void)apart_.OnOpened();
    return state_->SpaceIsBack();
  }
  if (status.IsNoSpace() || status.IsBusy()) return;  // the next turn tries again
  state_->Die(status.ToString());
}

void RocksEngine::FreeRemoved() { free_rounds_.store(kFreeRounds, std::memory_order_relaxed); }

// A delete frees nothing until compaction has brought it together with what it covers, and on a
// full disk nothing else that is written sets one going. It goes on until all of it is freed: just
// below the reserve the next writes would be refused at once.
void RocksEngine::FreeWhatWasDeleted(uint64_t turn) {
  if (free_rounds_.load(std::memory_order_relaxed) == 0 || turn % kTurnsToFree != 0) return;
  if (state_->no_space() || state_->dead()) return;
  if (Property(Space::kData, rocksdb::DB::Properties::kNumRunningCompactions) > 0) return;
  free_rounds_.fetch_sub(1, std::memory_order_relaxed);
  rocksdb::FlushOptions options;
  options.wait = false;
  options.allow_write_stall = true;
  // Errors come back through the listener.
  db_->Flush(options, Family(Space::kData)).PermitUncheckedError();
  // Each file that is not on the last level goes one level down.
  rocksdb::experimental::SuggestCompactRange(db_, Family(Space::kData), nullptr, nullptr)
      .PermitUncheckedError();
}

Health RocksEngine::health() const {
  if (state_->dead()) return Health::kDead;
  return state_->no_space() || guard_.full() ? Health::kDiskFull : Health::kOk;
}

uint64_t RocksEngine::Property(Space space, const std::string& name) const {
  uint64_t value = 0;
  return db_->GetIntProperty(Family(space), name, &value) ? value : 0;
}

EngineStats RocksEngine::Stats() const {
  using Properties = rocksdb::DB::Properties;
  EngineStats stats;
  stats.memory_bytes = opened_.cache->GetUsage();
  for (size_t i = 0; i < kSpaces; ++i) {
    const auto space = static_cast<Space>(i);
    stats.disk_bytes += Property(space, Properties::kTotalSstFilesSize);
    stats.memory_bytes += Property(space, Properties::kSizeAllMemTables);
    stats.memory_bytes += Property(space, Properties::kEstimateTableReadersMem);
    stats.compaction_bytes_pending += Property(space, Properties::kEstimatePendingCompactionBytes);
  }
  stats.keys_estimate = Property(Space::kData, Properties::kEstimateNumKeys);
  stats.syncs = syncs_.load(std::memory_order_relaxed);
  stats.sync_nanoseconds = sync_nanoseconds_.load(std::memory_order_relaxed);
  stats.writes_stalled = writes_stalled_.load(std::memory_order_relaxed);
  stats.reads_from_disk = reads_from_disk_.load(std::memory_order_relaxed);
  stats.read_errors = read_errors_.load(std::memory_order_relaxed);
  stats.block_cache_hits = opened_.statistics->getTickerCount(rocksdb::BLOCK_CACHE_HIT);
  stats.block_cache_misses = opened_.statistics->getTickerCount(rocksdb::BLOCK_CACHE_MISS);
  for (const auto ticker :
       {rocksdb::COMPACT_READ_BYTES, rocksdb::COMPACT_WRITE_BYTES, rocksdb::FLUSH_WRITE_BYTES}) {
    stats.compaction_bytes += opened_.statistics->getTickerCount(ticker);
  }
  stats.flush_bytes = ingested_bytes_.load(std::memory_order_relaxed);
  stats.compaction_bytes += stats.flush_bytes;
  stats.disk_free_bytes = guard_.free_bytes();
  stats.disk_reserve_bytes = guard_.reserve(Purpose::kAny);
  stats.disk_delete_reserve_bytes = guard_.reserve(Purpose::kDelete);
  stats.log_truncated = opened_.log_truncated;
  stats.salvaged = opened_.salvaged;
  stats.quarantine_bytes = opened_.quarantine_bytes;
  return stats;
}

}  // namespace lariat::storage::internal
