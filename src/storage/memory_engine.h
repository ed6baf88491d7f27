// SPDX-License-Identifier: Apache-2.0
// An engine in memory with exact crash semantics, for simulation and tests: what was written and
// not synced is lost in Crash(), and every delay and fault is chosen by the owner, who passes in a
// scheduler (virtual time) and a fault plan. A Sync makes durable exactly what was written before
// it was called, never more: the least that the contract promises. Nothing in kIdempotency is ever
// forgotten (there is no clock here). The engine outlives every task that it gave to the plan or to
// a queue. Not thread-safe: one simulated node, one thread.
#pragma once

#include <array>
#include <deque>
#include <map>
#include <memory>
#include <optional>

#include "storage/engine.h"

namespace lariat::storage {

enum class Operation : uint8_t { kGet, kSync, kScan };

// Decides delays and faults. All defaults: instant (next turn), no faults.
class FaultPlan {
 public:
  virtual ~FaultPlan() = default;
  // Runs the task after a delay that the plan chooses for this kind of operation.
  virtual void Schedule(Operation operation, base::UniqueFunction<void()> task) = 0;
  virtual bool MissMemory() { return false; }      // TryGet says kNotInMemory
  virtual bool FailRead() { return false; }        // kCorruption from TryGet or Get
  virtual base::Status FailWrite() { return {}; }  // kStalled or kDiskFull
  virtual size_t BatchBytesMax() const { return SIZE_MAX; }
  virtual bool NearlyFull() { return false; }  // only what may use the reserve is taken
  virtual bool FailSync() { return false; }    // the engine dies
  // How many of the `unsynced` most recent batches a crash loses (the disk may have kept a prefix).
  virtual size_t LoseInCrash(size_t unsynced) { return unsynced; }
  // How many of the `logged` most recent batches of the log (KeepLog) lie behind a bad record when
  // the engine is used again after a crash.
  virtual size_t CutInCrash(size_t /*logged*/) { return 0; }
};

class MemoryEngine final : public Engine {
 public:
  explicit MemoryEngine(FaultPlan* plan);  // the plan outlives the engine
  // As power loss: forgets unsynced batches (a suffix of them), drops every pending completion. The
  // engine can then be used again by the restarted node.
  void Crash();
  // The durable state as it is now / putting back a copy of it (a restored backup).
  using Image = std::array<std::map<std::string, std::string, std::less<>>, kSpaces>;
  const Image& DurableImage() const { return durable_; }
  void Restore(Image image);
  // The key is gone, from memory and disk, as damage that nobody notices would have it.
  void Forget(Space space, std::string_view key);
  // What is stored under the key is from now on these bytes, wherever it lies, as damage would do
  // it. REQUIRES: it is there, and durable.
  void Spoil(Space space, std::string_view key, const std::string& bytes);
  // From now on files and log are told apart: Sync puts into the log, Flush into files, and a start
  // after a crash what the log has. A crash may cut the log (FaultPlan), which forgets what only
  // its end has, and leaves kLogCutKey.
  void KeepLog();
  // The value apart cannot be read any more.
  void SpoilApart() { apart_ = "spoiled"; }

  Lookup TryGet(Space space, std::string_view key, std::string* value, base::Error* error) override;
  void Get(Space space, std::string key, CompletionQueue* queue, GetDone done) override;
  base::Status Write(const WriteBatch& batch) override;
  size_t batch_bytes_max() const override { return plan_->BatchBytesMax(); }
  void Sync(CompletionQueue* queue, SyncDone done) override;
  void Flush(Space space, CompletionQueue* queue, SyncDone done) override;
  void WriteApart(std::string bytes, CompletionQueue* queue, SyncDone done) override;
  base::Result<std::string> ReadApart() override;
  void Scan(Space space, std::string from, std::string to, ScanLimits limits,
            CompletionQueue* queue, ScanDone done) override;
  base::Result<std::string> GetBlocking(Space space, std::string_view key) override;
  Health health() const override;
  EngineStats Stats() const override;

 private:
  // Runs `task` after the plan's delay, unless the node crashed in between.
  void Later(Operation operation, base::UniqueFunction<void()> task);
  // Hands a completion to the queue; a crash drops it too.
  void Complete(CompletionQueue* queue, base::UniqueFunction<void()> task);
  base::Result<std::string> Read(Space space, std::string_view key);
  base::Result<std::vector<Entry>> ReadRange(Space space, std::string_view from,
                                             std::string_view to, const ScanLimits& limits);
  void MakeDurable(uint64_t batches);  // all batches up to this number
  void MakeDurable(CompletionQueue* queue, SyncDone done, std::optional<Space> flushed);
  bool SyncsFail();
  void StartLife();

  struct Log {
    Image files;
    std::deque<WriteBatch> batches;          // durable, since the files of the start
    std::array<size_t, kSpaces> in_files{};  // of the first so many `files` have their part
  };
  void FlushLog(Space space, uint64_t upto);  // batches up to this number
  void CutLog(size_t batches);

  FaultPlan* plan_;
  Image live_;
  Image durable_;
  std::optional<Log> log_;
  std::deque<WriteBatch> unsynced_;
  uint64_t written_ = 0;  // batches ever written; the last unsynced_.size() of them are not durable
  uint64_t life_ = 0;     // completions of an earlier life are dropped
  bool dead_ = false;
  std::optional<std::string> apart_;  // durable
  uint64_t apart_asked_ = 0, apart_number_ = 0;
  EngineStats stats_;
};

}  // namespace lariat::storage
