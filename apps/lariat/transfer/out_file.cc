// SPDX-License-Identifier: Apache-2.0
#include "apps/lariat/transfer/out_file.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace lariat::cli::transfer {

OutFile::OutFile(std::string path, Mode mode)
    : path_(std::move(path)), file_(std::fopen(path_.c_str(), mode == Mode::kNew ? "wbe" : "abe")) {
  if (file_ == nullptr) Failed();
}

void OutFile::Failed() {
  if (error_.empty()) error_ = fmt::format("cannot write {}: {}", path_, strerror(errno));
}

bool OutFile::Write(std::string_view bytes) {
  if (file_ == nullptr || !error_.empty()) return false;
  if (std::fwrite(bytes.data(), 1, bytes.size(), file_) != bytes.size()) Failed();
  return error_.empty();
}

bool OutFile::Flush() {
  if (file_ != nullptr && std::fflush(file_) != 0) Failed();
  return error_.empty();
}

void OutFile::Close() {
  if (file_ != nullptr && std::fclose(std::exchange(file_, nullptr)) != 0) Failed();
}

}  // namespace lariat::cli::transfer
