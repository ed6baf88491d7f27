// SPDX-License-Identifier: Apache-2.0
// The engine over an open database (rocksdb_engine.h says what it promises).
#pragma once

#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/statistics.h>
#include <rocksdb/system_clock.h>

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "storage/rocksdb/files.h"
#include "storage/rocksdb/group_commit.h"
#include "storage/rocksdb/internal/apart_file.h"
#include "storage/rocksdb/internal/end_mark.h"
#include "storage/rocksdb/internal/engine_state.h"
#include "storage/rocksdb/internal/io_pool.h"
#include "storage/rocksdb/internal/space_guard.h"
#include "storage/rocksdb/rocksdb_engine.h"

namespace lariat::storage::internal {

// Free bytes for the data directory.
uint64_t FreeSpace(rocksdb::Env* env, const std::string& directory);

// Of RocksEngine: what END says, when it is neither a sequence number nor kLogElsewhere: nothing.
inline constexpr uint64_t kNothingKnown = UINT64_MAX;

// What Open made; the engine takes it over.
struct Opened {
  std::unique_ptr<rocksdb::DB> db;
  std::vector<rocksdb::ColumnFamilyHandle*> families;  // kFamilies
  std::shared_ptr<rocksdb::Cache> cache;               // with RocksDB's tables
  std::shared_ptr<rocksdb::Statistics> statistics;     // with RocksDB
  bool log_truncated = false;
  bool salvaged = false;
  bool used_by_others = false;     // Files
  bool log_was_elsewhere = false;  // Files
  uint64_t quarantine_bytes = 0;

  Opened() = default;
  Opened(Opened&&) = default;
  Opened& operator=(Opened&&) = default;
  ~Opened();  // closes it
};

// Puts it into kMeta and its copy, durably.
base::Status PutNote(const Opened& opened, std::string_view key, std::string_view value);
// kLogCutKey, if it is there, has the value kCutOfOwnLog from here on.
base::Status NoteAsOwn(const Opened& opened);

class RocksEngine final : public Files {
 public:
  // `reserve_bytes` is what the options ask for, fitted to the disk.
  RocksEngine(const RocksOptions& options, rocksdb::Env* env, uint64_t reserve_bytes,
              std::unique_ptr<EngineState> state, Opened opened);
  ~RocksEngine() override;

  Lookup TryGet(Space space, std::string_view key, std::string* value, base::Error* error) override;
  void Get(Space space, std::string key, CompletionQueue* queue, GetDone done) override;
  base::Status Write(const WriteBatch& batch) override;
  void Sync(CompletionQueue* queue, SyncDone done) override;
  void Flush(Space space, CompletionQueue* queue, SyncDone done) override;
  void WriteApart(std::string bytes, CompletionQueue* queue, SyncDone done) override;
  base::Result<std::string> ReadApart() override { return apart_.Read(); }
  void Scan(Space space, std::string from, std::string to, ScanLimits limits,
            CompletionQueue* queue, ScanDone done) override;
  base::Result<std::string> GetBlocking(Space space, std::string_view key) override;
  Health health() const override;
  bool damaged() const override { return state_->damaged(); }
  bool died_of_damage() const override { return state_->died_of_damage(); }
  EngineStats Stats() const override;
  void SetClockAhead(int64_t seconds) override { clock_ahead_s_ = seconds; }
  void FreeRemoved() override;

  std::vector<base::Result<std::string>> GetMany(Space space,
                                                 const std::vector<std::string>& keys) override;
  Snapshot TakeSnapshot() override;
  std::unique_ptr<Cursor> Scan(const Range& range, const Snapshot& snapshot) override;
  bool Run(base::UniqueFunction<void()>& task) override { return pool_.Submit(task); }
  void StopReading() override { pool_.Stop(); }
  base::Status Admit(const WriteBatch& batch) override;
  void SetPromised(uint64_t bytes) override { promised_ = bytes; }
  base::Status Take(const Versions& versions) override;
  bool Crowded() const override;
  void Die(const std::string& reason) override { state_->Die(reason); }
  base::Error DeadError() const override { return state_->DeadError(); }
  bool used_by_others() const override { return opened_.used_by_others; }
  bool log_was_elsewhere() const override { return opened_.log_was_elsewhere; }
  base::Result<std::string> StoreId() override;
  base::Status NoteCut() override { return PutNote(opened_, kLogCutKey, kCutOfOwnLog); }
  base::Status LogIsElsewhere() override;
  void LogIsEmpty() override;

 private:
  struct ScanRequest {
    Space space;
    std::string from;
    std::string to;
    ScanLimits limits;
    const rocksdb::Snapshot* snapshot;
  };

  rocksdb::ColumnFamilyHandle* Family(Space space) const {
    return opened_.families[static_cast<size_t>(space)];
  }
  uint64_t Property(Space space, const std::string& name) const;
  base::Error ReadError(const rocksdb::Status& status);
  base::Result<std::vector<Entry>> ScanNow(const ScanRequest& request);
  base::Status SyncLog();     // on the committer's thread
  base::Status WriteAside();  // on that of apart_committer_
  rocksdb::Status PutWithoutLog(const Versions& versions);
  rocksdb::Status Ingest(const Versions& versions);
  rocksdb::Status IngestFrom(const std::string& directory, const Versions& versions);
  base::Status Taken(const rocksdb::Status& status);
  void Watch();  // the watcher's thread, and so the next three
  uint64_t FreeBytes() const;
  void NoteEnd();
  void ForgetOldAnswers();
  void ResumeIfThereIsRoom(uint64_t turn);
  void FreeWhatWasDeleted(uint64_t turn);

  const std::shared_ptr<rocksdb::SystemClock> clock_;  // with the environment
  rocksdb::Env* const env_;
  const std::string directory_;
  const bool log_elsewhere_;
  const std::unique_ptr<EngineState> state_;  // outlives the database, which reports to it
  Opened opened_;
  rocksdb::DB* const db_;
  std::atomic<uint64_t> promised_{0};  // bytes that are to be taken (Files)
  SpaceGuard guard_;
  std::mutex mark_mutex_;
  EndMark end_mark_;

  std::atomic<uint64_t> written_{0};          // batches
  uint64_t synced_ = 0;                       // committer only: this many of them are durable
  std::atomic<uint64_t> synced_sequence_{0};  // for END; or kNothingKnown, kLogElsewhere
  std::atomic<uint64_t> syncs_{0};
  std::atomic<uint64_t> sync_nanoseconds_{0};
  std::atomic<uint64_t> writes_stalled_{0};
  std::atomic<uint64_t> ingested_bytes_{0};
  std::atomic<uint64_t> reads_from_disk_{0};
  std::atomic<uint64_t> read_errors_{0};
  std::atomic<uint32_t> free_rounds_{0};  // of compaction, until what was deleted is freed

  ApartFile apart_;
  std::mutex apart_mutex_;
  std::optional<std::string> apart_next_;  // to be written

  IoPool pool_;
  GroupCommit committer_;
  GroupCommit apart_committer_;
  const uint64_t idempotency_ttl_s_;
  std::atomic<int64_t> clock_ahead_s_{0};
  const uint64_t sweep_turns_;
  std::mutex watch_mutex_;
  std::condition_variable watch_wake_;
  bool watch_stopping_ = false;
  std::thread watcher_;  // last: it uses the others
};

}  // namespace lariat::storage::internal
