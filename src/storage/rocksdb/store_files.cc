// SPDX-License-Identifier: Apache-2.0
#include "storage/rocksdb/internal/store_files.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

#include "storage/rocksdb/internal/end_mark.h"
#include "storage/rocksdb/internal/engine_state.h"

namespace lariat::storage::internal {

using base::Code;
using base::Fail;
namespace fs = std::filesystem;

namespace {

constexpr uint64_t kFirstManifest = 1;  // of every store, until it is opened for the first time

struct Found {
  std::vector<uint64_t> manifests;
  bool data = false;  // a table, or something in a log
};

Found Look(const std::string& directory) {
  Found found;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(directory, ignored)) {
    const fs::path& path = entry.path();
    if (const auto number = ManifestNumber(path.filename().string())) {
      found.manifests.push_back(*number);
    }
    const bool is_log = path.extension() == ".log" && entry.file_size(ignored) > 0;
    found.data = found.data || is_log || path.extension() == ".sst";
  }
  return found;
}

// The manifest that CURRENT names, put right if need be; nothing in a directory without a store.
base::Result<std::optional<uint64_t>> FindAnchor(const std::string& directory) {
  const std::string path = directory + "/CURRENT";
  const Found found = Look(directory);
  const std::string current = ReadFile(path);
  const auto named = ManifestNumber(current);
  std::error_code ignored;
  if (named && current.ends_with('\n')) {
    if (fs::exists(directory + "/" + ManifestName(*named), ignored)) return named;
  }
  const bool only_first = found.manifests == std::vector<uint64_t>{kFirstManifest};
  const bool unborn = !found.data && (found.manifests.empty() || only_first);
  if (unborn && !fs::exists(path, ignored)) return std::optional<uint64_t>();
  if (found.manifests.size() != 1) {
    return Fail(Unreadable(directory, found.manifests.empty()
                                          ? "the list of its files (MANIFEST) is missing"
                                          : "the file CURRENT is damaged or missing"));
  }
  if (auto put =
          ReplaceFile(rocksdb::Env::Default(), path, ManifestName(found.manifests[0]) + "\n");
      !put) {
    return Fail(put.error());
  }
  return std::optional(found.manifests[0]);
}

}  // namespace

base::Error Unreadable(const std::string& directory, const std::string& why) {
  return {Code::kCorruption,
          "the store in " + directory + " is damaged beyond repair (" + why +
              "): keep it aside if you want to look at it, and start this node with an empty data "
              "directory under a new name and --replace with its present name; its replicas are "
              "then copied from the other nodes"};
}

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

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

base::Status CheckAnchor(const std::string& directory) {
  const auto manifest = FindAnchor(directory);
  if (!manifest) return Fail(manifest.error());
  const auto reached = ReadEndMark(directory);
  if (!*manifest || !reached || reached->manifest != **manifest) return {};
  Reached now;
  now.manifest = reached->manifest;
  const bool read = FollowManifest(directory, reached->manifest_bytes, &now);
  if (read && now.manifest_bytes == reached->manifest_bytes &&
      now.manifest_sum == reached->manifest_sum) {
    return {};
  }
  return Fail(Unreadable(
      directory, "the list of its files (" + ManifestName(now.manifest) + ") is not what it was"));
}

}  // namespace lariat::storage::internal
