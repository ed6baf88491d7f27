// SPDX-License-Identifier: Apache-2.0
#include "storage/rocksdb/internal/apart_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <utility>

#include "storage/rocksdb/internal/engine_state.h"

namespace lariat::storage::internal {

using base::Code;
using base::Fail;

namespace {

constexpr const char* kApart = "/APART";
constexpr const char* kOpened = "/OPENED";
constexpr std::string_view kManifest = "MANIFEST-";

}  // namespace

base::Status SyncDirectory(const std::string& directory) {
  const int file = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (file < 0) return Fail(Code::kIo, "cannot open " + directory);
  const bool synced = ::fsync(file) == 0;
  ::close(file);
  if (!synced) return Fail(Code::kIo, "cannot sync " + directory);
  return {};
}

base::Status ReplaceFile(rocksdb::Env* env, const std::string& path, const std::string& bytes) {
  const std::string fresh = path + ".new";
  const rocksdb::Status status =
      rocksdb::WriteStringToFile(env, bytes, fresh, /*should_sync=*/true);
  if (!status.ok()) return Fail(FromRocks(status));
  if (std::rename(fresh.c_str(), path.c_str()) != 0) return Fail(Code::kIo, "cannot write " + path);
  return SyncDirectory(path.substr(0, path.rfind('/')));
}

ApartFile::ApartFile(rocksdb::Env* env, std::string directory)
    : env_(env), directory_(std::move(directory)) {}

std::string ApartFile::Manifest() const {
  std::string name;
  const rocksdb::Status read = rocksdb::ReadFileToString(env_, directory_ + "/CURRENT", &name);
  return read.ok() && name.starts_with(kManifest) ? name : "";
}

void ApartFile::OnOpening() {
  const std::string now = Manifest();
  if (now.empty()) return;  // new, or damaged: then it was not opened
  std::string last;
  const rocksdb::Status read = rocksdb::ReadFileToString(env_, directory_ + kOpened, &last);
  out_of_date_ = !read.ok() || last != now;
}

base::Status ApartFile::OnOpened() {
  if (out_of_date_) {
    const rocksdb::Status gone = env_->DeleteFile(directory_ + kApart);
    if (!gone.ok() && env_->FileExists(directory_ + kApart).ok()) return Fail(FromRocks(gone));
    if (auto synced = SyncDirectory(directory_); !synced) return synced;
    out_of_date_ = false;
  }
  return ReplaceFile(env_, directory_ + kOpened, Manifest());
}

base::Status ApartFile::Write(const std::string& bytes) {
  return ReplaceFile(env_, directory_ + kApart, bytes);
}

base::Result<std::string> ApartFile::Read() const {
  std::string bytes;
  const rocksdb::Status read = rocksdb::ReadFileToString(env_, directory_ + kApart, &bytes);
  if (read.ok()) return bytes;
  const bool none = env_->FileExists(directory_ + kApart).IsNotFound();
  return Fail(none ? Code::kNotFound : Code::kIo, read.ToString());
}

}  // namespace lariat::storage::internal
