// SPDX-License-Identifier: Apache-2.0
#include "storage/rocksdb/internal/recovery_log.h"

#include <cstring>

namespace lariat::storage::internal {

void RecoveryLog::Logv(const char* format, va_list arguments) { file_->Logv(format, arguments); }

void RecoveryLog::Logv(rocksdb::InfoLogLevel level, const char* format, va_list arguments) {
  if (std::strstr(format, "Point in time recovered to log") != nullptr) {
    truncated_.store(true, std::memory_order_relaxed);
  }
  file_->Logv(level, format, arguments);
}

void RecoveryLog::LogHeader(const char* format, va_list arguments) {
  file_->LogHeader(format, arguments);
}

void RecoveryLog::Flush() { file_->Flush(); }

}  // namespace lariat::storage::internal
