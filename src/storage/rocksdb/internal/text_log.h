// SPDX-License-Identifier: Apache-2.0
// RocksDB's text log: the file LOG in the data directory, and LOG.old before it. RocksDB's own
// writer ends the process at the second line that finds no room on the disk; this one drops the
// line. It also keeps an eye on what is said: that recovery stopped at a bad record is said nowhere
// else. Thread-safe.
#pragma once

#include <rocksdb/env.h>

#include <atomic>
#include <cstdarg>
#include <functional>
#include <mutex>
#include <string>

namespace lariat::storage::internal {

class TextLog final : public rocksdb::Logger {
 public:
  // Lines start with the time of `env` in microseconds since 1970, as RocksDB's events have it.
  // `truncated` is called when recovery says that it stops at a bad record, before it drops the
  // log.
  TextLog(std::string directory, uint64_t file_bytes_max, rocksdb::Env* env,
          std::function<void()> truncated = nullptr);
  ~TextLog() override;

  using rocksdb::Logger::Logv;
  void Logv(const char* format, va_list arguments) override;
  size_t GetLogFileSize() const override { return size_.load(std::memory_order_relaxed); }
  bool said_truncated() const { return said_truncated_.load(std::memory_order_relaxed); }

 private:
  void StartFile();

  const std::string path_;
  const uint64_t file_bytes_max_;
  rocksdb::Env* const env_;
  const std::function<void()> truncated_;
  std::mutex mutex_;
  int file_ = -1;
  std::atomic<size_t> size_{0};
  std::atomic<bool> said_truncated_{false};
};

}  // namespace lariat::storage::internal
