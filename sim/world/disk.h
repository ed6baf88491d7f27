// SPDX-License-Identifier: Apache-2.0
// The disk of one machine: storage::MemoryEngine, whose crash semantics are exact, with delays and
// faults drawn from the seed, and a look at every record that is written. It outlives the processes
// that use it.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>

#include "base/prng.h"
#include "sim/options.h"
#include "sim/world/bug.h"
#include "sim/world/damage.h"
#include "sim/world/scheduler.h"
#include "storage/memory_engine.h"

namespace lariat::sim {

class Disk final : public storage::Engine, private storage::FaultPlan {
 public:
  struct Counts {
    uint64_t misses = 0, read_errors = 0, stalls = 0, fulls = 0;
    uint64_t removed = 0;  // records
    // Damaged records that were replaced and kept in quarantine, by this process and earlier ones.
    uint64_t refilled = 0, refilled_before = 0;
    uint64_t unkept = 0;  // damaged records that went without a trace
  };
  // Called for every record written, after it is in the engine; also for those in hints.
  using OnRecord = std::function<void(const std::string& data_key, const std::string& record)>;

  Disk(Scheduler& scheduler, const Options& options, base::Prng prng, Bug bug, OnRecord on_record);

  // No more faults from here on; delays stay.
  void Heal() {
    faults_ = false;
    fail_next_sync_ = false;
  }
  void FailNextSync() { fail_next_sync_ = true; }
  // The process has ended. A power cut loses what was not synced, or a part of it.
  void Crash(bool power_cut);
  const storage::MemoryEngine::Image& Image() const { return engine_.DurableImage(); }
  void Restore(storage::MemoryEngine::Image image) { engine_.Restore(std::move(image)); }
  // An old copy takes its place. What it lacks the others may have heard of.
  void PutBack(storage::MemoryEngine::Image image);
  // The durable record, or null.
  const std::string* FindDurable(const std::string& data_key) const;
  // A record disappears, now and durably, as damage would do it.
  void Forget(const std::string& data_key) { engine_.Forget(storage::Space::kData, data_key); }
  // A durable record is damaged. False if there is none that is whole.
  bool Spoil(const std::string& data_key);
  // Some neighbouring records cannot be read any more, until the next start does without them.
  void LoseFile() { damage_.AddUnreadable(Image(), &prng_); }
  bool damaged() const override { return damage_.AnyUnreadable(); }
  // Files and log are told apart from here on.
  void KeepLog() { engine_.KeepLog(); }
  // The next start finds the log damaged.
  void CutLog() { cut_log_ = true; }
  // The value apart is damaged.
  void SpoilApart() { engine_.SpoilApart(); }
  // Sealed topology documents that were ever stored here: by epoch their hashes, but for what each
  // member says about itself.
  const std::map<uint64_t, std::set<uint64_t>>& documents() const { return documents_; }
  const Damage& damage() const { return damage_; }
  // Of keys whose record is still damaged.
  std::vector<std::string> Spoiled();
  const Counts& counts() const { return counts_; }

  storage::Lookup TryGet(storage::Space space, std::string_view key, std::string* value,
                         base::Error* error) override;
  void Get(storage::Space space, std::string key, storage::CompletionQueue* queue,
           GetDone done) override;
  base::Status Write(const storage::WriteBatch& batch) override;
  void Sync(storage::CompletionQueue* queue, SyncDone done) override;
  void Flush(storage::Space space, storage::CompletionQueue* queue, SyncDone done) override;
  void WriteApart(std::string bytes, storage::CompletionQueue* queue, SyncDone done) override;
  base::Result<std::string> ReadApart() override { return engine_.ReadApart(); }
  void Scan(storage::Space space, std::string from, std::string to, storage::ScanLimits limits,
            storage::CompletionQueue* queue, ScanDone done) override;
  base::Result<std::string> GetBlocking(storage::Space space, std::string_view key) override;
  storage::Health health() const override { return engine_.health(); }
  storage::EngineStats Stats() const override { return engine_.Stats(); }

 private:
  void Schedule(storage::Operation operation, base::UniqueFunction<void()> task) override;
  bool MissMemory() override;
  bool FailRead() override;
  base::Status FailWrite() override;
  bool NearlyFull() override;
  bool FailSync() override { return std::exchange(fail_next_sync_, false); }
  size_t LoseInCrash(size_t unsynced) override;
  size_t CutInCrash(size_t logged) override;
  void Show(const storage::WriteBatch::Operation& operation);
  void NoteDocument(const std::string& bytes);
  // Planted bugs.
  storage::WriteBatch Tampered(storage::WriteBatch batch) const;
  void PurgeByTime(const storage::WriteBatch::Operation& operation);
  // What a get gives instead of what is there: for damage, and for planted bugs.
  void Alter(storage::Space space, std::string_view key, base::Result<std::string>* result);
  void Lie(storage::Space space, std::string_view key, base::Result<std::string>* result);
  bool Alters() const {
    return bug_ != Bug::kNone || damage_.AnyUnreadable() || damage_.AnySpoiled();
  }
  void AlterScan(storage::Space space, std::string_view from, std::string_view to,
                 base::Result<std::vector<storage::Entry>>* result) const;
  // Keys of the batch whose record is damaged before it.
  std::set<std::string> SpoiledIn(const storage::WriteBatch& batch);
  void CountKept(const std::set<std::string>& spoiled, const storage::WriteBatch& batch);

  Scheduler& scheduler_;
  const Options& options_;
  base::Prng prng_;
  Bug bug_;
  OnRecord on_record_;
  bool faults_ = true;
  bool fail_next_sync_ = false;
  base::Instant full_from_{};  // the next time
  base::Instant full_until_{};
  bool power_cut_ = false;
  bool cut_log_ = false;
  Counts counts_;
  Damage damage_;
  std::map<uint64_t, std::set<uint64_t>> documents_;
  std::map<std::string, std::string> before_;  // kStaleRead: the version before the last one
  storage::MemoryEngine engine_;
};

// An exponentially distributed delay with this mean, at most ten times as long.
base::Duration DrawDelay(int64_t mean_us, base::Prng* prng);

}  // namespace lariat::sim
