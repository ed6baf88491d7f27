// SPDX-License-Identifier: Apache-2.0
#include "storage/rocksdb/internal/apart_file.h"

#include <utility>

#include "storage/rocksdb/internal/engine_state.h"
#include "storage/rocksdb/internal/store_files.h"

namespace lariat::storage::internal {

using base::Code;
using base::Fail;

namespace {

constexpr const char* kApart = "/APART";
constexpr const char* kOpened = "/OPENED";
constexpr std::string_view kManifestPrefix = "MANIFEST-";

}  // namespace

ApartFile::ApartFile(rocksdb::Env* env, std::string directory)
    : env_(env), directory_(std::move(directory)) {}

std::string ApartFile::Manifest() const {
  std::string name;
  const rocksdb::Status read = rocksdb::ReadFileToString(env_, directory_ + "/CURRENT", &name);
  return read.ok() && name.starts_with(kManifestPrefix) ? name : "";
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
