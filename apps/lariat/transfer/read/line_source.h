// SPDX-License-Identifier: Apache-2.0
// Lines of a file or of standard input with bounded memory, and the place of each. A line ends with
// LF, CR LF or CR, also mixed in one file. A byte order mark at the start is passed over.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

namespace lariat::cli::transfer {

// Larger than any record that a value of the largest size can need, escapes included.
inline constexpr size_t kRecordBytesMax = size_t{8} << 20;

inline constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

// Whether a file that starts so is UTF-16 or UTF-32, which no reader takes.
inline bool IsWideText(std::string_view start) {
  return start.starts_with("\xFF\xFE") || start.starts_with("\xFE\xFF");
}

class LineSource {
 public:
  // "-" is standard input. Refuses what starts with the mark of UTF-16 or UTF-32.
  static base::Result<std::unique_ptr<LineSource>> Open(const std::string& path);
  explicit LineSource(int descriptor) : fd_(descriptor) {}  // owned
  ~LineSource();
  LineSource(const LineSource&) = delete;
  LineSource& operator=(const LineSource&) = delete;

  // The next line with its line end, valid until the next call; false at the end or when reading
  // failed. For a line longer than kRecordBytesMax the line is empty and cut() is true.
  bool Next(std::string_view* line);
  bool cut() const { return cut_; }
  uint64_t offset() const { return offset_; }  // of the next line
  uint64_t line() const { return line_; }      // its number, from 1
  uint64_t size() const;                       // 0 if it is not a plain file
  const std::string& error() const { return error_; }
  // REQUIRES: `offset` is behind a line end.
  base::Status SkipTo(uint64_t offset);

  // From here on all bytes are kept, so that GoBack can return to a line; until the next Hold. A
  // line that is too long is not passed over while lines before it are held.
  void Hold();
  size_t held_bytes() const { return position_ - hold_; }
  // REQUIRES: `offset` and `line` are those of a line since Hold.
  void GoBack(uint64_t offset, uint64_t line);

 private:
  base::Status SkipMark();
  bool Fill();
  size_t BehindLine(size_t from) const;
  void Discard();
  void Advance(size_t to);

  int fd_;
  std::string buffer_;
  size_t position_ = 0;
  size_t hold_ = 0;  // bytes from here on are kept; at most position_
  bool holding_ = false;
  uint64_t offset_ = 0;
  uint64_t line_ = 1;
  bool cut_ = false;
  bool at_end_ = false;
  std::string error_;
};

// The line without its line end.
std::string_view WithoutLineEnd(std::string_view line);

}  // namespace lariat::cli::transfer
