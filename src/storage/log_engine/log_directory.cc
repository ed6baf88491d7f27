// SPDX-License-Identifier: Apache-2.0
#include "storage/log_engine/internal/log_directory.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <system_error>

namespace lariat::storage::log_engine {

using base::Code;
using base::Fail;
namespace fs = std::filesystem;

namespace {

base::Status SyncNames(const std::string& directory) {
  const int file = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const bool synced = file >= 0 && ::fsync(file) == 0;
  if (file >= 0) ::close(file);
  if (!synced) return Fail(Code::kIo, "cannot sync the directory " + directory);
  return {};
}

}  // namespace

uint64_t LogDirectory::Fitted(uint64_t bytes) const {
  constexpr uint64_t kLeast = 16 << 20;  // as the setting's least
  std::error_code failure;
  const auto space = fs::space(store_, failure);
  if (failure) return bytes;
  return std::min<uint64_t>(bytes, std::max<uint64_t>(space.capacity / 8, kLeast));
}

bool LogDirectory::Exists() const {
  std::error_code ignored;
  return fs::exists(path_, ignored);
}

base::Status LogDirectory::Make() const {
  std::error_code failure;
  fs::remove_all(dropped_, failure);
  if (!failure && fs::create_directories(path_, failure)) return SyncNames(store_);
  if (failure) return Fail(Code::kIo, "cannot create " + path_ + ": " + failure.message());
  return {};
}

base::Status LogDirectory::Drop() const {
  std::error_code failure;
  fs::remove_all(dropped_, failure);
  if (!failure) fs::rename(path_, dropped_, failure);
  if (failure) return Fail(Code::kIo, "cannot remove " + path_ + ": " + failure.message());
  if (auto synced = SyncNames(store_); !synced) return synced;
  fs::remove_all(dropped_, failure);  // if that fails, Make does it
  return {};
}

}  // namespace lariat::storage::log_engine
