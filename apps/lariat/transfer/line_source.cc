// SPDX-License-Identifier: Apache-2.0
#include "apps/lariat/transfer/line_source.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace lariat::cli::transfer {

namespace {
constexpr size_t kChunk = 256 << 10;
}

base::Result<std::unique_ptr<LineSource>> LineSource::Open(const std::string& path) {
  int fd = path == "-" ? dup(STDIN_FILENO) : open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    return base::Fail(base::Code::kIo, fmt::format("cannot read {}: {}", path, strerror(errno)));
  }
  return std::make_unique<LineSource>(fd);
}

LineSource::~LineSource() { close(fd_); }

uint64_t LineSource::size() const {
  struct stat info {};
  if (fstat(fd_, &info) != 0 || !S_ISREG(info.st_mode)) return 0;
  return static_cast<uint64_t>(info.st_size);
}

bool LineSource::Fill() {
  if (at_end_) return false;
  buffer_.erase(0, position_);
  position_ = 0;
  size_t old = buffer_.size();
  buffer_.resize(old + kChunk);
  ssize_t got = 0;
  do {
    got = read(fd_, buffer_.data() + old, kChunk);
  } while (got < 0 && errno == EINTR);
  if (got < 0) error_ = strerror(errno);
  buffer_.resize(old + static_cast<size_t>(std::max<ssize_t>(got, 0)));
  at_end_ = got <= 0;
  return !at_end_;
}

// The whole of a line that is too long.
void LineSource::Discard() {
  while (true) {
    size_t end = buffer_.find('\n', position_);
    size_t next = end == std::string::npos ? buffer_.size() : end + 1;
    offset_ += next - position_;
    position_ = next;
    if (end != std::string::npos || !Fill()) return;
  }
}

bool LineSource::Next(std::string_view* line) {
  cut_ = false;
  size_t searched = 0;
  while (true) {
    size_t end = buffer_.find('\n', position_ + searched);
    size_t length = (end == std::string::npos ? buffer_.size() : end + 1) - position_;
    if (length > kRecordBytesMax) {
      Discard();
      cut_ = true;
      *line = {};
      return true;
    }
    if (end == std::string::npos) {
      searched = length;
      if (Fill()) continue;
      if (length == 0 || !error_.empty()) return false;
    }
    *line = std::string_view(buffer_).substr(position_, length);
    position_ += length;
    offset_ += length;
    return true;
  }
}

base::Status LineSource::SkipTo(uint64_t offset) {
  while (offset_ < offset) {
    if (position_ == buffer_.size() && !Fill()) {
      return base::Fail(base::Code::kInvalidArgument,
                        fmt::format("ends at byte {}, before byte {}", offset_, offset));
    }
    size_t step = std::min<uint64_t>(offset - offset_, buffer_.size() - position_);
    position_ += step;
    offset_ += step;
  }
  return {};
}

}  // namespace lariat::cli::transfer
