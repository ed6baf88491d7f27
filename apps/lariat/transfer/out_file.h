// SPDX-License-Identifier: Apache-2.0
// A file that is written, whose first failure is kept: a full disk may show only at the end.
#pragma once

#include <cstdio>
#include <string>
#include <string_view>

namespace lariat::cli::transfer {

class OutFile {
 public:
  enum class Mode : uint8_t { kNew, kAppend };
  OutFile(std::string path, Mode mode);
  ~OutFile() { Close(); }
  OutFile(const OutFile&) = delete;
  OutFile& operator=(const OutFile&) = delete;

  bool Write(std::string_view bytes);
  bool Flush();  // into the file, as far as this process is concerned
  // Nothing is written after it.
  void Close();
  // Of opening, writing or closing; empty if all went well.
  const std::string& error() const { return error_; }

 private:
  void Failed();

  std::string path_;
  std::string error_;
  FILE* file_;
};

}  // namespace lariat::cli::transfer
