// SPDX-License-Identifier: Apache-2.0
#include "storage/rocksdb/internal/text_log.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>
#include <utility>

namespace lariat::storage::internal {
namespace {

constexpr size_t kLineBytesMax = 4096;  // what is longer is cut

}  // namespace

TextLog::TextLog(std::string directory, uint64_t file_bytes_max, rocksdb::Env* env,
                 std::function<void()> truncated)
    : path_(std::move(directory) + "/LOG"),
      file_bytes_max_(file_bytes_max),
      env_(env),
      truncated_(std::move(truncated)) {
  StartFile();
}

TextLog::~TextLog() {
  if (file_ >= 0) ::close(file_);
}

void TextLog::StartFile() {
  if (file_ >= 0) ::close(file_);
  // Without an earlier file there is nothing to rename, and without a new one nothing is logged.
  (void)std::rename(path_.c_str(), (path_ + ".old").c_str());
  file_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  size_ = 0;
}

void TextLog::Logv(const char* format, va_list arguments) {
  if (std::strstr(format, "Point in time recovered to log") != nullptr) {
    if (!said_truncated_.exchange(true) && truncated_) truncated_();
  }
  std::array<char, kLineBytesMax> line;
  int length = std::snprintf(line.data(), line.size(), "%llu ",
                             static_cast<unsigned long long>(env_->NowMicros()));
  const size_t room = line.size() - static_cast<size_t>(length) - 1;  // 1 for the line's end
  const int text = std::vsnprintf(line.data() + length, room, format, arguments);
  length += std::clamp(text, 0, static_cast<int>(room) - 1);
  if (line[static_cast<size_t>(length) - 1] != '\n') line[static_cast<size_t>(length++)] = '\n';

  const std::lock_guard lock(mutex_);
  if (size_ > file_bytes_max_) StartFile();
  const ssize_t written = ::write(file_, line.data(), static_cast<size_t>(length));
  if (written > 0) size_ += static_cast<size_t>(written);
}

}  // namespace lariat::storage::internal
