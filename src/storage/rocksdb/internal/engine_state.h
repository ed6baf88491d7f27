// SPDX-License-Identifier: Apache-2.0
// What is wrong with an engine: nothing, no space, or dead. Set by whoever sees an error first (a
// writer, the committer, RocksDB's flush and compaction threads), read by all. Thread-safe.
//
// Dead is for good: after a failed sync or log write the kernel may have dropped the pages and
// marked them clean, so a second sync that succeeds proves nothing.
#pragma once

#include <rocksdb/listener.h>
#include <rocksdb/status.h>

#include <atomic>
#include <mutex>
#include <string>

#include "base/result.h"

namespace lariat::storage::internal {

class EngineState {
 public:
  // Out of space is a pause, everything else the end.
  void Report(const rocksdb::Status& error);
  void Die(const std::string& reason);
  void SpaceIsBack() { no_space_.store(false, std::memory_order_release); }
  bool dead() const { return dead_.load(std::memory_order_acquire); }
  bool no_space() const { return no_space_.load(std::memory_order_acquire); }
  base::Error DeadError() const;

 private:
  std::atomic<bool> dead_{false};
  std::atomic<bool> no_space_{false};
  mutable std::mutex mutex_;
  std::string reason_;
};

// Tells the state about errors of flushes and compactions.
class ErrorListener final : public rocksdb::EventListener {
 public:
  explicit ErrorListener(EngineState* state) : state_(state) {}
  void OnBackgroundError(rocksdb::BackgroundErrorReason reason, rocksdb::Status* error) override;
  void OnErrorRecoveryEnd(const rocksdb::BackgroundErrorRecoveryInfo& info) override;

 private:
  EngineState* state_;
};

// kIo, kCorruption, kDiskFull or kNotFound, with RocksDB's words.
base::Error FromRocks(const rocksdb::Status& status);

}  // namespace lariat::storage::internal
