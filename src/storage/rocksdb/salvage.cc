// SPDX-License-Identifier: Apache-2.0
#include "storage/rocksdb/internal/salvage.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <vector>

#include "storage/rocksdb/internal/end_mark.h"
#include "storage/rocksdb/internal/engine_state.h"
#include "storage/rocksdb/internal/rocks_engine.h"
#include "storage/rocksdb/internal/salvage_copy.h"
#include "storage/rocksdb/internal/store_files.h"

namespace lariat::storage::internal {

using base::Code;
using base::Fail;
namespace fs = std::filesystem;

namespace {

constexpr const char* kMark = "/SALVAGE";
constexpr const char* kFresh = "/salvage-new";
constexpr std::string_view kQuarantine = "quarantine-";
constexpr size_t kQuarantinesMax = 2;

base::Error IoError(const std::string& what, const std::error_code& failure) {
  return {Code::kIo, what + ": " + failure.message()};
}

// --- the mark ----------------------------------------------------------------------------------

base::Status WriteMark(rocksdb::Env* env, const std::string& directory, const std::string& text) {
  return ReplaceFile(env, directory + kMark, text);
}

struct Mark {
  std::string state;       // damaged | copied | moved; empty: there is no mark
  std::string quarantine;  // name of its directory
};

Mark ReadMark(const std::string& directory) {
  std::ifstream file(directory + kMark);
  Mark mark;
  if (file) file >> mark.state >> mark.quarantine;
  // A torn first one says "damaged" too.
  if (file.is_open() && mark.state.empty()) mark.state = "damaged";
  return mark;
}

// --- moving ------------------------------------------------------------------------------------

bool IsOfStore(const std::string& name) {
  const auto begins = [&name](std::string_view prefix) { return name.starts_with(prefix); };
  return name.ends_with(".sst") || name.ends_with(".log") || begins("MANIFEST-") ||
         begins("OPTIONS-") || begins("LOG") || name == "CURRENT" || name == "IDENTITY" ||
         name == kEndMarkName || name.ends_with(".dbtmp");
}

// The store's files alone. LOCK stays: it is held.
base::Status MoveStore(const std::string& from, const std::string& to) {
  std::error_code failure;
  fs::create_directories(to, failure);
  if (failure) return Fail(IoError("cannot create " + to, failure));
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(from, failure)) {
    if (entry.is_regular_file() && IsOfStore(entry.path().filename().string())) {
      files.push_back(entry.path());
    }
  }
  if (failure) return Fail(IoError("cannot list " + from, failure));
  for (const fs::path& file : files) {
    fs::rename(file, fs::path(to) / file.filename(), failure);
    if (failure) return Fail(IoError("cannot move " + file.string(), failure));
  }
  if (auto synced = SyncDirectory(to); !synced) return synced;
  return SyncDirectory(from);
}

uint64_t BytesOf(const std::string& directory) {
  std::error_code ignored;
  uint64_t bytes = 0;
  for (const auto& entry : fs::directory_iterator(directory, ignored)) {
    if (entry.is_regular_file() && IsOfStore(entry.path().filename().string())) {
      bytes += entry.file_size(ignored);
    }
  }
  return bytes;
}

// Oldest first: their names are in the order of time.
std::vector<fs::path> Quarantines(const std::string& directory) {
  std::error_code ignored;
  std::vector<fs::path> kept;
  for (const auto& entry : fs::directory_iterator(directory, ignored)) {
    if (entry.path().filename().string().starts_with(kQuarantine)) kept.push_back(entry.path());
  }
  std::sort(kept.begin(), kept.end());
  return kept;
}

void DropOldQuarantines(const std::string& directory) {
  std::error_code ignored;
  const std::vector<fs::path> kept = Quarantines(directory);
  for (size_t i = 0; i + kQuarantinesMax < kept.size(); ++i) fs::remove_all(kept[i], ignored);
}

base::Status CopyAside(const RocksOptions& options, rocksdb::Env* env, uint64_t reserve_bytes) {
  const std::string fresh = options.directory + kFresh;
  std::error_code failure;
  fs::remove_all(fresh, failure);
  if (auto whole = CheckAnchor(options.directory); !whole) return whole;
  if (auto fits = CheckSalvageSpace(options, env, reserve_bytes); !fits) return fits;
  fs::create_directories(fresh, failure);
  if (failure) return Fail(IoError("cannot create " + fresh, failure));
  if (auto copied = CopyReadable(options, env, fresh); !copied) return copied;
  // Whose turn it was (files.h) is to be known of the copy too; how far it came is not the same.
  const auto reached = ReadEndMark(options.directory);
  if (!options.log_elsewhere || !reached) return {};
  const uint64_t sequence = reached->sequence == kLogElsewhere ? kLogElsewhere : 0;
  return ReplaceFile(env, fresh + "/" + kEndMarkName, EncodeReached({.sequence = sequence}));
}

}  // namespace

uint64_t QuarantineBytes(const std::string& directory) {
  uint64_t bytes = 0;
  for (const fs::path& kept : Quarantines(directory)) bytes += BytesOf(kept.string());
  return bytes;
}

void NoteDamage(rocksdb::Env* env, const std::string& directory, const std::string& why) {
  if (IsDamageNoted(env, directory)) return;
  // If it cannot be noted, whoever meets the damage next does it.
  (void)WriteMark(env, directory, "damaged - " + why + "\n");
}

bool IsDamageNoted(rocksdb::Env* env, const std::string& directory) {
  return env->FileExists(directory + kMark).ok();
}

base::Status CheckSalvageSpace(const RocksOptions& options, rocksdb::Env* env,
                               uint64_t reserve_bytes) {
  const uint64_t needed = BytesOf(options.directory) + reserve_bytes;
  const uint64_t free = FreeSpace(env, options.directory);
  if (free >= needed) return {};
  return Fail(Code::kDiskFull,
              "the store in " + options.directory +
                  " is damaged; what can be read of it has to be copied, which needs " +
                  std::to_string(needed) + " bytes of free disk, and there are " +
                  std::to_string(free));
}

base::Status Salvage(const RocksOptions& options, rocksdb::Env* env, uint64_t reserve_bytes) {
  const std::string& directory = options.directory;
  Mark mark = ReadMark(directory);
  if (mark.state != "copied" && mark.state != "moved") {
    if (auto copied = CopyAside(options, env, reserve_bytes); !copied) return copied;
    mark = {"copied", std::string(kQuarantine) + std::to_string(env->NowMicros() / 1'000'000)};
    if (auto noted = WriteMark(env, directory, "copied " + mark.quarantine + "\n"); !noted) {
      return noted;
    }
  }
  if (mark.state == "copied") {
    if (auto moved = MoveStore(directory, directory + "/" + mark.quarantine); !moved) return moved;
    if (auto noted = WriteMark(env, directory, "moved " + mark.quarantine + "\n"); !noted) {
      return noted;
    }
  }
  const std::string fresh = directory + kFresh;
  std::error_code failure;
  if (fs::exists(fresh, failure)) {
    if (auto moved = MoveStore(fresh, directory); !moved) return moved;
    fs::remove_all(fresh, failure);
  }
  fs::remove(directory + kMark, failure);
  if (failure) return Fail(IoError("cannot remove " + directory + kMark, failure));
  DropOldQuarantines(directory);
  return SyncDirectory(directory);
}

}  // namespace lariat::storage::internal
