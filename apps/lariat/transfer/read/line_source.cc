// SPDX-License-Identifier: Apache-2.0
#include "apps/lariat/transfer/read/line_source.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/check.h"

namespace lariat::cli::transfer {

namespace {
constexpr size_t kChunk = 256 << 10;
}

base::Result<std::unique_ptr<LineSource>> LineSource::Open(const std::string& path) {
  int fd = path == "-" ? dup(STDIN_FILENO) : open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    return base::Fail(base::Code::kIo, fmt::format("cannot read {}: {}", path, strerror(errno)));
  }
  auto source = std::make_unique<LineSource>(fd);
  if (auto skipped = source->SkipMark(); !skipped) {
    return base::Fail(skipped.error().code, fmt::format("{} {}", path, skipped.error().message));
  }
  return source;
}

base::Status LineSource::SkipMark() {
  while (buffer_.size() < kByteOrderMark.size() && Fill()) {
  }
  if (IsWideText(buffer_)) {
    return base::Fail(base::Code::kInvalidArgument,
                      "is UTF-16 or UTF-32, not UTF-8; 'iconv -f UTF-16 -t UTF-8' makes it so");
  }
  if (buffer_.starts_with(kByteOrderMark)) Advance(kByteOrderMark.size());
  return {};
}

LineSource::~LineSource() { close(fd_); }

uint64_t LineSource::size() const {
  struct stat info {};
  if (fstat(fd_, &info) != 0 || !S_ISREG(info.st_mode)) return 0;
  return static_cast<uint64_t>(info.st_size);
}

bool LineSource::Fill() {
  if (at_end_) return false;
  if (!holding_) hold_ = position_;
  buffer_.erase(0, hold_);
  position_ -= std::exchange(hold_, 0);
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

void LineSource::Advance(size_t to) {
  offset_ += to - position_;
  position_ = to;
}

void LineSource::Hold() {
  holding_ = true;
  hold_ = position_;
}

void LineSource::GoBack(uint64_t offset, uint64_t line) {
  LARIAT_CHECK(offset <= offset_, "going back to what was not read yet");
  LARIAT_CHECK(offset_ - offset <= held_bytes(), "going back to bytes that are gone");
  position_ -= offset_ - offset;
  offset_ = offset;
  line_ = line;
}

// The place behind the first line end from `from` on; npos if more must be read to know it: a CR
// that ends the buffer may be the first half of CR LF.
size_t LineSource::BehindLine(size_t from) const {
  auto start = buffer_.begin() + static_cast<ptrdiff_t>(from);
  auto end = std::find_if(start, buffer_.end(), [](char c) { return c == '\n' || c == '\r'; });
  if (end == buffer_.end()) return std::string::npos;
  const auto behind = static_cast<size_t>(end - buffer_.begin()) + 1;
  if (*end == '\n') return behind;
  if (behind == buffer_.size()) return at_end_ ? behind : std::string::npos;
  return buffer_[behind] == '\n' ? behind + 1 : behind;
}

// The whole of a line that is too long.
void LineSource::Discard() {
  holding_ = false;
  while (true) {
    size_t end = BehindLine(position_);
    if (end != std::string::npos) return Advance(end);
    // A CR at the end stays, since an LF may follow it.
    Advance(buffer_.size() - (buffer_.ends_with('\r') && !at_end_ ? 1 : 0));
    if (!Fill()) return Advance(buffer_.size());
  }
}

bool LineSource::Next(std::string_view* line) {
  cut_ = false;
  size_t searched = 0;
  while (true) {
    size_t end = BehindLine(position_ + searched);
    size_t length = (end == std::string::npos ? buffer_.size() : end) - position_;
    if (length > kRecordBytesMax) {
      cut_ = true;
      *line = {};
      if (holding_ && hold_ < position_) return true;
      Discard();
      ++line_;
      return true;
    }
    if (end == std::string::npos) {
      searched = length - (length > 0 && buffer_.back() == '\r' ? 1 : 0);
      if (Fill()) continue;
      if (length == 0 || !error_.empty()) return false;
    }
    *line = std::string_view(buffer_).substr(position_, length);
    Advance(position_ + length);
    ++line_;
    return true;
  }
}

base::Status LineSource::SkipTo(uint64_t offset) {
  if (offset <= offset_) return {};  // nothing was read in the earlier run
  std::string_view line;
  while (offset_ < offset) {
    if (!Next(&line)) {
      return base::Fail(base::Code::kInvalidArgument,
                        fmt::format("ends at byte {}, before byte {}", offset_, offset));
    }
  }
  if (offset_ == offset) return {};
  return base::Fail(base::Code::kInvalidArgument, fmt::format("no line ends at byte {}", offset));
}

std::string_view WithoutLineEnd(std::string_view line) {
  if (line.ends_with('\n')) line.remove_suffix(1);
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

}  // namespace lariat::cli::transfer
