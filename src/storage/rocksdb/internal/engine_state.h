// SPDX-License-Identifier: Apache-2.0
// What is wrong with an engine: nothing, no space, damaged (salvage.h), or dead. Set by whoever
// sees an error first (a writer, the committer, RocksDB's flush and compaction threads), read by
// all. Thread-safe.
//
// Dead is for good: after a failed sync or log write the kernel may have dropped the pages and
// marked them clean, so a second sync that succeeds proves nothing. That goes for a log write that
// lacked space too (the reserve of SpaceGuard exists so that it does not come to that); a flush or
// compaction that lacks space has lost nothing and can be done again.
#pragma once

#include <rocksdb/listener.h>
#include <rocksdb/status.h>

#include <atomic>
#include <functional>
#include <mutex>
#include <string>
#include <utility>

#include "base/result.h"

namespace lariat::storage::internal {

class EngineState {
 public:
  // `note_damage` is called at most once, by any thread.
  explicit EngineState(std::function<void(const std::string&)> note_damage = nullptr)
      : note_damage_(std::move(note_damage)) {}
  void LackSpace() { no_space_.store(true, std::memory_order_release); }
  void Die(const std::string& reason, bool of_damage = false);
  void SpaceIsBack() { no_space_.store(false, std::memory_order_release); }
  bool dead() const { return dead_.load(std::memory_order_acquire); }
  bool no_space() const { return no_space_.load(std::memory_order_acquire); }
  bool damaged() const { return damaged_.load(std::memory_order_acquire); }
  // Only if that was the first error: after a failed sync nothing else counts.
  bool died_of_damage() const;
  base::Error DeadError() const;
  // A file of the store cannot be read. The first time it is noted on the disk, which waits for it:
  // a store that is damaged in a way that kills the process must be known to be.
  void Damaged(const std::string& reason);

 private:
  std::atomic<bool> dead_{false};
  std::atomic<bool> no_space_{false};
  std::atomic<bool> damaged_{false};
  mutable std::mutex mutex_;
  std::string reason_;
  bool of_damage_ = false;
  const std::function<void(const std::string&)> note_damage_;
};

// Tells the state about errors that RocksDB met, on whatever thread.
class ErrorListener final : public rocksdb::EventListener {
 public:
  explicit ErrorListener(EngineState* state) : state_(state) {}
  void OnBackgroundError(rocksdb::BackgroundErrorReason reason, rocksdb::Status* error) override;
  // The engine resumes by itself, when its own reserve is free again.
  void OnErrorRecoveryBegin(rocksdb::BackgroundErrorReason reason, rocksdb::Status error,
                            bool* automatic) override;

 private:
  EngineState* state_;
};

// kIo, kCorruption, kDiskFull or kNotFound, with RocksDB's words.
base::Error FromRocks(const rocksdb::Status& status);

}  // namespace lariat::storage::internal
