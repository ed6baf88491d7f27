// SPDX-License-Identifier: Apache-2.0
// RocksDB's text log, with an eye on it: that recovery stopped at a bad record is said nowhere
// else.
#pragma once

#include <rocksdb/env.h>

#include <atomic>
#include <memory>

namespace lariat::storage::internal {

class RecoveryLog final : public rocksdb::Logger {
 public:
  explicit RecoveryLog(std::shared_ptr<rocksdb::Logger> file) : file_(std::move(file)) {}
  using rocksdb::Logger::Logv;
  void Logv(const char* format, va_list arguments) override;
  void Logv(rocksdb::InfoLogLevel level, const char* format, va_list arguments) override;
  void LogHeader(const char* format, va_list arguments) override;
  void Flush() override;
  size_t GetLogFileSize() const override { return file_->GetLogFileSize(); }
  bool truncated() const { return truncated_.load(std::memory_order_relaxed); }

 private:
  const std::shared_ptr<rocksdb::Logger>
      file_;  // shared with nobody else; RocksDB's API hands it so
  std::atomic<bool> truncated_{false};
};

}  // namespace lariat::storage::internal
