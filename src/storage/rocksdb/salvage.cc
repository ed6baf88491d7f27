// SPDX-License-Identifier: Apache-2.0
#include "storage/rocksdb/internal/salvage.h"

#include <fcntl.h>
#include <rocksdb/db.h>
#include <rocksdb/options.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "storage/rocksdb/internal/engine_state.h"
#include "storage/rocksdb/internal/rocks_config.h"
#include "storage/rocksdb/internal/rocks_engine.h"
#include "storage/rocksdb/internal/text_log.h"

namespace lariat::storage::internal {

using base::Code;
using base::Fail;
namespace fs = std::filesystem;

namespace {

constexpr const char* kMark = "/SALVAGE";
constexpr const char* kFresh = "/salvage-new";
constexpr std::string_view kQuarantine = "quarantine-";
constexpr size_t kQuarantinesMax = 2;
constexpr size_t kBatchBytes = 1 << 20;
constexpr uint64_t kTextLogBytesMax = 1 << 20;
// How finely the end of an unreadable place is looked for: a block has some dozen records, and the
// first eight bytes after a common prefix tell them apart.
constexpr int kProbesMax = 64;

base::Error IoError(const std::string& what, const std::error_code& failure) {
  return {Code::kIo, what + ": " + failure.message()};
}

// --- the mark ----------------------------------------------------------------------------------

// Durable when it returns, the file and its name.
base::Status SyncDirectory(const std::string& directory) {
  const int file = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (file < 0) return Fail(Code::kIo, "cannot open " + directory);
  const bool synced = ::fsync(file) == 0;
  ::close(file);
  if (!synced) return Fail(Code::kIo, "cannot sync " + directory);
  return {};
}

base::Status WriteMark(rocksdb::Env* env, const std::string& directory, const std::string& text) {
  const std::string path = directory + kMark;
  const rocksdb::Status status =
      rocksdb::WriteStringToFile(env, text, path + ".new", /*should_sync=*/true);
  if (!status.ok()) return Fail(FromRocks(status));
  std::error_code failure;
  fs::rename(path + ".new", path, failure);
  if (failure) return Fail(IoError("cannot write " + path, failure));
  return SyncDirectory(directory);
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

// --- copying -----------------------------------------------------------------------------------

struct Store {
  std::unique_ptr<rocksdb::DB> db;
  std::vector<rocksdb::ColumnFamilyHandle*> families;
  bool log_truncated = false;

  Store() = default;
  Store(Store&&) = default;
  Store& operator=(Store&&) = default;
  ~Store() {
    if (!db) return;
    for (auto* family : families) db->DestroyColumnFamilyHandle(family).PermitUncheckedError();
    db->Close().PermitUncheckedError();
  }
};

std::vector<rocksdb::ColumnFamilyDescriptor> Spaces(const RocksOptions& options,
                                                    const std::shared_ptr<rocksdb::Cache>& cache) {
  std::vector<rocksdb::ColumnFamilyDescriptor> spaces;
  for (size_t i = 0; i < kSpaces; ++i) {
    const auto space = static_cast<Space>(i);
    spaces.emplace_back(SpaceName(space), SpaceOptions(space, options, cache));
  }
  return spaces;
}

// Nothing is changed in it. `read_all`: over holes in the log too.
base::Result<Store> OpenOld(const RocksOptions& options, rocksdb::Env* env, bool read_all) {
  const auto cache = BlockCache(options);
  rocksdb::DBOptions db_options = DatabaseOptions(options, env);
  db_options.paranoid_checks = false;  // a table that cannot be opened is an unreadable place
  if (read_all) db_options.wal_recovery_mode = rocksdb::WALRecoveryMode::kSkipAnyCorruptedRecords;
  const auto log = std::make_shared<TextLog>(options.directory + kFresh, kTextLogBytesMax, env);
  db_options.info_log = log;
  // A store of an earlier version may lack the newest spaces.
  std::vector<std::string> present;
  const rocksdb::Status listed =
      rocksdb::DB::ListColumnFamilies(db_options, options.directory, &present);
  if (!listed.ok()) return Fail(FromRocks(listed));
  auto spaces = Spaces(options, cache);
  while (spaces.size() > 1 &&
         std::find(present.begin(), present.end(), spaces.back().name) == present.end()) {
    spaces.pop_back();
  }
  Store store;
  rocksdb::DB* db = nullptr;
  const rocksdb::Status status =
      rocksdb::DB::OpenForReadOnly(db_options, options.directory, spaces, &store.families, &db);
  if (!status.ok()) return Fail(FromRocks(status));
  store.db.reset(db);
  store.log_truncated = read_all || log->said_truncated();
  return store;
}

base::Result<Store> OpenFresh(const RocksOptions& options, rocksdb::Env* env) {
  const auto cache = BlockCache(options);
  rocksdb::DBOptions db_options = DatabaseOptions(options, env);
  db_options.info_log =
      std::make_shared<TextLog>(options.directory + kFresh, kTextLogBytesMax, env);
  Store store;
  rocksdb::DB* db = nullptr;
  const rocksdb::Status status = rocksdb::DB::Open(db_options, options.directory + kFresh,
                                                   Spaces(options, cache), &store.families, &db);
  if (!status.ok()) return Fail(FromRocks(status));
  store.db.reset(db);
  return store;
}

// The key with this number in its eight bytes after `skip`.
std::string KeyAt(const std::string& like, size_t skip, uint64_t number) {
  std::string key = like.substr(0, skip);
  for (int shift = 56; shift >= 0; shift -= 8) key.push_back(static_cast<char>(number >> shift));
  return key;
}

uint64_t NumberIn(const std::string& key, size_t skip) {
  uint64_t number = 0;
  for (size_t i = 0; i < 8; ++i) {
    const size_t at = skip + i;
    number = number << 8 | (at < key.size() ? static_cast<unsigned char>(key[at]) : 0);
  }
  return number;
}

class Copier {
 public:
  Copier(Store& from, Store& to, Space space)
      : from_(from), to_(to), space_(static_cast<size_t>(space)) {}

  base::Status Run() {
    NewIterator();
    it_->SeekToFirst();
    for (;;) {
      for (; it_->Valid(); it_->Next()) {
        // The value before the next step is the last good one.
        last_ = it_->key().ToString();
        batch_.Put(to_.families[space_], it_->key(), it_->value()).PermitUncheckedError();
        if (batch_.GetDataSize() < kBatchBytes) continue;
        if (auto written = Flush(); !written) return written;
      }
      if (it_->status().ok()) break;
      damaged_ = true;
      if (!it_->status().IsCorruption() && !it_->status().IsIOError()) {
        return Fail(FromRocks(it_->status()));
      }
      if (!Leap()) break;
    }
    return Flush();
  }
  bool damaged() const { return damaged_; }

 private:
  void NewIterator() {
    rocksdb::ReadOptions options;
    options.fill_cache = false;
    it_.reset(from_.db->NewIterator(options, from_.families[space_]));
  }
  // A failed iterator stays failed, so each probe has its own.
  bool Works(const std::string& key) {
    NewIterator();
    it_->Seek(key);
    return it_->status().ok();
  }
  // To the first place behind the last good key from which reading works; false if there is none.
  // Where it works everything from there on is whole, so older states that lie under the
  // unreadable block in other files are left out with it. First by growing steps, then between
  // the last failure and the first success; among keys with a common prefix (the bucket's).
  bool Leap() {
    for (size_t skip = std::min<size_t>(4, last_.size());; --skip) {
      const uint64_t start = NumberIn(last_, skip);
      uint64_t bad = start;
      std::optional<uint64_t> good;
      for (int bit = 0; bit < 64 && !good; ++bit) {
        const uint64_t step = uint64_t{1} << bit;
        if (start > UINT64_MAX - step) break;
        if (Works(KeyAt(last_, skip, start + step))) {
          good = start + step;
        } else {
          bad = start + step;
        }
      }
      if (!good && start < UINT64_MAX && Works(KeyAt(last_, skip, UINT64_MAX))) good = UINT64_MAX;
      if (good) {
        for (int probe = 0; probe<kProbesMax&& * good - bad> 1; ++probe) {
          const uint64_t middle = bad + (*good - bad) / 2;
          (Works(KeyAt(last_, skip, middle)) ? *good : bad) = middle;
        }
        return Works(KeyAt(last_, skip, *good));
      }
      if (skip == 0) return false;
      skip = std::min<size_t>(skip, 1);  // then over all buckets
    }
  }
  base::Status Flush() {
    rocksdb::WriteOptions options;
    options.disableWAL = true;  // flushed as a whole at the end
    const rocksdb::Status status = to_.db->Write(options, &batch_);
    batch_.Clear();
    if (!status.ok()) return Fail(FromRocks(status));
    return {};
  }

  Store& from_;
  Store& to_;
  const size_t space_;
  std::unique_ptr<rocksdb::Iterator> it_;
  rocksdb::WriteBatch batch_;
  std::string last_;
  bool damaged_ = false;
};

base::Error Unreadable(const std::string& directory, const std::string& why) {
  return {Code::kCorruption,
          "the store in " + directory + " is damaged beyond repair (" + why +
              "): keep it aside if you want to look at it, and start this node with an empty data "
              "directory under a new name and --replace with its present name; its replicas are "
              "then copied from the other nodes"};
}

base::Status CopyAll(const RocksOptions& options, rocksdb::Env* env) {
  auto old = OpenOld(options, env, /*read_all=*/false);
  if (!old && old.error().code == Code::kCorruption) old = OpenOld(options, env, true);
  if (!old) return Fail(Unreadable(options.directory, old.error().message));
  auto fresh = OpenFresh(options, env);
  if (!fresh) return Fail(fresh.error());
  for (size_t i = 0; i < old->families.size(); ++i) {
    const auto space = static_cast<Space>(i);
    if (space == Space::kTree) continue;
    Copier copier(*old, *fresh, space);
    if (auto copied = copier.Run(); !copied) return copied;
    if (space == Space::kMeta && copier.damaged()) {
      return Fail(Unreadable(options.directory,
                             "what the node knows about itself and the cluster "
                             "cannot be read"));
    }
  }
  const auto meta = static_cast<size_t>(Space::kMeta);
  rocksdb::WriteOptions write;
  write.disableWAL = true;
  rocksdb::Status status = fresh->db->Put(write, fresh->families[meta],
                                          rocksdb::Slice(kSalvagedKey.data(), kSalvagedKey.size()),
                                          old->log_truncated ? "truncated" : "whole log");
  if (status.ok()) {
    status = fresh->db->Flush(rocksdb::FlushOptions(), fresh->families);
  }
  if (!status.ok()) return Fail(FromRocks(status));
  return {};
}

// --- moving ------------------------------------------------------------------------------------

bool IsOfStore(const std::string& name) {
  const auto begins = [&name](std::string_view prefix) { return name.starts_with(prefix); };
  return name.ends_with(".sst") || name.ends_with(".log") || begins("MANIFEST-") ||
         begins("OPTIONS-") || begins("LOG") || name == "CURRENT" || name == "IDENTITY" ||
         name.ends_with(".dbtmp");
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

uint64_t BytesOfTables(const std::string& directory) {
  std::error_code ignored;
  uint64_t bytes = 0;
  for (const auto& entry : fs::directory_iterator(directory, ignored)) {
    const bool is_manifest = entry.path().filename().string().starts_with("MANIFEST-");
    if (is_manifest || entry.path().extension() == ".sst") bytes += entry.file_size(ignored);
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
  const uint64_t needed = BytesOf(options.directory) + reserve_bytes;
  const uint64_t free = FreeSpace(env, options.directory);
  if (free < needed) {
    return Fail(Code::kDiskFull,
                "the store in " + options.directory +
                    " is damaged; what can be read of it has to be copied, which needs " +
                    std::to_string(needed) + " bytes of free disk, and there are " +
                    std::to_string(free));
  }
  fs::create_directories(fresh, failure);
  if (failure) return Fail(IoError("cannot create " + fresh, failure));
  return CopyAll(options, env);
}

}  // namespace

base::Status CheckNotGone(const std::string& directory) {
  std::error_code ignored;
  if (fs::exists(directory + "/CURRENT", ignored) || BytesOfTables(directory) == 0) return {};
  return Fail(Unreadable(directory, "the file CURRENT is missing"));
}

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
