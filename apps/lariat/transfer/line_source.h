// SPDX-License-Identifier: Apache-2.0
// Lines of a file or of standard input with bounded memory, and the offset of each.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

namespace lariat::cli::transfer {

// Larger than any record that a value of the largest size can need, escapes included.
inline constexpr size_t kRecordBytesMax = size_t{8} << 20;

class LineSource {
 public:
  // "-" is standard input.
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
  uint64_t size() const;                       // 0 if it is not a plain file
  const std::string& error() const { return error_; }
  base::Status SkipTo(uint64_t offset);

 private:
  bool Fill();
  void Discard();

  int fd_;
  std::string buffer_;
  size_t position_ = 0;
  uint64_t offset_ = 0;
  bool cut_ = false;
  bool at_end_ = false;
  std::string error_;
};

}  // namespace lariat::cli::transfer
