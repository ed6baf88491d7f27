// SPDX-License-Identifier: Apache-2.0
// The engine of log_engine.h.
#pragma once

#include <array>
#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "storage/log/log.h"
#include "storage/log_engine/internal/log_directory.h"
#include "storage/log_engine/internal/tables.h"
#include "storage/log_engine/log_engine.h"
#include "storage/rocksdb/files.h"
#include "storage/rocksdb/group_commit.h"

namespace lariat::storage::log_engine {

using MakeDisk = std::function<std::unique_ptr<log::Disk>(const std::string& directory)>;

// The outside world of an engine.
struct World {
  const env::Clock* clock = nullptr;
  rocksdb::Env* env = nullptr;  // of the files; null: the usual one
  MakeDisk make_disk;           // of the log
};

// OpenEngine for kLog in another world.
base::Result<std::unique_ptr<Engine>> OpenLogEngineIn(const LogEngineOptions& options,
                                                      const World& world);

class LogEngine final : public Engine {
 public:
  LogEngine(const LogEngineOptions& options, const World& world, std::unique_ptr<Files> files);
  ~LogEngine() override;
  // Recovers the log. Called once, before anything else.
  base::Status Open();
  // What the destructor does first. ok: all is in files, and the log is empty.
  base::Status Close();

  Lookup TryGet(Space space, std::string_view key, std::string* value, base::Error* error) override;
  void Get(Space space, std::string key, CompletionQueue* queue, GetDone done) override;
  base::Status Write(const WriteBatch& batch) override;
  size_t batch_bytes_max() const override { return log_->shape().segment_bytes / 2; }
  void Sync(CompletionQueue* queue, SyncDone done) override;
  void Flush(Space space, CompletionQueue* queue, SyncDone done) override;
  void WriteApart(std::string bytes, CompletionQueue* queue, SyncDone done) override {
    files_->WriteApart(std::move(bytes), queue, std::move(done));
  }
  base::Result<std::string> ReadApart() override { return files_->ReadApart(); }
  void Scan(Space space, std::string from, std::string to, ScanLimits limits,
            CompletionQueue* queue, ScanDone done) override;
  base::Result<std::string> GetBlocking(Space space, std::string_view key) override;
  Health health() const override { return files_->health(); }
  bool damaged() const override { return files_->damaged(); }
  bool died_of_damage() const override { return files_->died_of_damage(); }
  EngineStats Stats() const override;
  void SetClockAhead(int64_t seconds) override { files_->SetClockAhead(seconds); }
  void FreeRemoved() override {
    freed_ = true;
    files_->FreeRemoved();
  }

 private:
  struct Read {
    Space space;
    std::string key;
    table::ReadToken token;
    CompletionQueue* queue;
    GetDone done;
  };
  struct ScanRequest {
    Files::Range range;
    ScanLimits limits;
    Tables::Unflushed unflushed;
    Files::Snapshot snapshot;
  };
  struct FlushWaiter {
    CompletionQueue* queue;
    SyncDone done;
  };

  // --- opening, open.cc
  class IntoTables;
  base::Result<log::LogOptions> LogSettings();
  base::Status OpenLog();
  base::Status Forget(const LogDirectory& directory);
  base::Status OnReplayed(log::Lsn end, const WriteBatch& batch);
  base::Status SyncSlots();
  base::Status TakeNotes();
  base::Status Wipe(Space space);
  base::Status WriteNow(const WriteBatch& batch);

  // --- engine.cc
  base::Status WriteBehind();
  base::Status DieOfLog(const base::Error& error);
  base::Status SyncLog();  // on the committer's thread
  // Nothing: ask the files, and fill what they say in with the token.
  std::optional<base::Result<std::string>> Known(Space space, std::string_view key,
                                                 table::ReadToken* token);
  void Fill(Space space, std::string_view key, const base::Result<std::string>& read,
            table::ReadToken token);

  // --- reads.cc
  void AskToRead();
  void ReadSome();  // on an I/O thread
  ScanRequest ScanRequestOf(Files::Range range, const ScanLimits& limits);
  base::Result<std::vector<Entry>> Merge(const ScanRequest& request);

  // --- flush.cc, on the flusher's thread but for FlushNow while opening and closing
  void RunFlusher();
  bool WantsFlush();
  void LookAfterLog();
  base::Status TryFlush();
  base::Status FlushNow();
  base::Status SyncUpTo(log::Lsn upto);
  Files::Versions VersionsToFlush();
  void AskForFlush();
  static void TellFlushed(std::vector<FlushWaiter> waiters, const base::Status& status);

  const LogEngineOptions options_;
  const World world_;
  const std::unique_ptr<Files> files_;
  Tables tables_;
  std::shared_ptr<log::Log> log_;  // shared with its tasks; null until it is open
  log::Lsn replayed_ = 0;          // while opening: the end of the last batch
  bool log_truncated_ = false;
  bool salvaged_ = false;

  bool closed_ = false;

  std::atomic<uint64_t> writes_stalled_{0};

  std::mutex reads_mutex_;
  std::vector<Read> reads_;   // that nobody has begun
  bool reads_asked_ = false;  // an I/O thread will look

  std::atomic<uint32_t> asked_{0};  // Syncs since the committer began one
  base::Instant sync_began_{};      // the committer's
  std::optional<GroupCommit> committer_;

  mutable std::mutex flush_mutex_;
  std::condition_variable flush_wake_;
  bool flush_wanted_ = false;
  bool flush_stopping_ = false;
  std::vector<FlushWaiter> flush_waiters_;
  std::atomic<uint64_t> flushes_{0};
  std::atomic<uint64_t> flush_nanoseconds_{0};
  std::atomic<bool> freed_{false};  // what the files get next gives room back
  base::Instant flushed_{};         // when the last flush began
  std::thread flusher_;
};

}  // namespace lariat::storage::log_engine
