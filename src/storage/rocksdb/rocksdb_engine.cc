// SPDX-License-Identifier: Apache-2.0
#include "storage/rocksdb/rocksdb_engine.h"

#include <rocksdb/db.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <system_error>
#include <utility>
#include <vector>

#include "storage/rocksdb/internal/apart_file.h"
#include "storage/rocksdb/internal/log_check.h"
#include "storage/rocksdb/internal/open.h"
#include "storage/rocksdb/internal/rocks_config.h"
#include "storage/rocksdb/internal/rocks_engine.h"
#include "storage/rocksdb/internal/salvage.h"
#include "storage/rocksdb/internal/store_files.h"
#include "storage/rocksdb/internal/text_log.h"

namespace lariat::storage {
namespace {

using base::Code;
using base::Fail;
using internal::Opened;

constexpr uint64_t kTextLogBytesMax = 8ULL << 20;
constexpr const char* kCutMark = "/CUT";  // a file; docs/formats/notes.md

// The reserve, but no more than an eighth of a small disk.
uint64_t ReserveOn(const RocksOptions& options) {
  std::error_code failure;
  const auto space = std::filesystem::space(options.directory, failure);
  if (failure) return options.disk_reserve_bytes;
  return std::min<uint64_t>(options.disk_reserve_bytes, space.capacity / 8);
}

base::Error OpenError(const rocksdb::Status& status, const std::string& directory) {
  const std::string words = status.ToString();
  // RocksDB has no code of its own for this.
  if (words.find("While lock file") != std::string::npos ||
      words.find("lock hold by current process") != std::string::npos) {
    return {Code::kConflict, "the data directory " + directory + " is in use by another process"};
  }
  base::Error error = internal::FromRocks(status);
  error.message = "cannot open the data directory " + directory + ": " + error.message;
  return error;
}

// Gives the reserve to keep on this disk.
base::Result<uint64_t> PrepareDirectory(const RocksOptions& options, rocksdb::Env* env) {
  std::error_code failure;
  std::filesystem::create_directories(options.directory, failure);
  if (failure) {
    return Fail(Code::kIo,
                "cannot create the data directory " + options.directory + ": " + failure.message());
  }
  const uint64_t reserve = ReserveOn(options);
  const uint64_t free = internal::FreeSpace(env, options.directory);
  const uint64_t minimum = reserve / 4;  // recovery itself writes files
  if (free >= minimum) return reserve;
  return Fail(Code::kDiskFull, "the disk of " + options.directory + " has " + std::to_string(free) +
                                   " bytes free; starting needs " + std::to_string(minimum));
}

// Durable before recovery drops the log: a crash in the middle of it must not hide what it found.
// If it cannot be noted, what is noted after the open has to do.
void NoteCut(rocksdb::Env* env, const std::string& directory) {
  const std::string path = directory + kCutMark;
  if (!rocksdb::WriteStringToFile(env, "\n", path, /*should_sync=*/true).ok()) return;
  std::unique_ptr<rocksdb::Directory> names;
  if (env->NewDirectory(directory, &names).ok()) names->Fsync().PermitUncheckedError();
}

// One that cannot be read counts as there: it costs work, never data.
bool HasNote(const Opened& opened, std::string_view key, std::string* value) {
  const auto meta = opened.families[static_cast<size_t>(Space::kMeta)];
  return !opened.db
              ->Get(rocksdb::ReadOptions(), meta, rocksdb::Slice(key.data(), key.size()), value)
              .IsNotFound();
}

// What earlier opens and this one have found out, none of which may be forgotten before somebody
// has taken note of it.
base::Status ReadNotes(const RocksOptions& options, rocksdb::Env* env, bool cut, Opened* opened) {
  const auto reached = internal::ReadEndMark(options.directory);
  std::string value;
  const bool noted = HasNote(*opened, kLogCutKey, &value);
  opened->log_was_elsewhere = reached && reached->sequence == internal::kLogElsewhere;
  // Such a program overwrites END soon, and notes that its log is cut before it writes anything.
  opened->used_by_others =
      reached && (!opened->log_was_elsewhere || (noted && value != kCutOfOwnLog));
  cut = cut ||
        internal::EndsEarly(reached, opened->db->GetLatestSequenceNumber(), options.log_elsewhere);
  if (cut || env->FileExists(options.directory + kCutMark).ok()) {
    const std::string_view who = options.log_elsewhere ? kCutOfOwnLog : "1";
    if (auto put = noted ? base::Status() : internal::PutNote(*opened, kLogCutKey, who); !put)
      return put;
    env->DeleteFile(options.directory + kCutMark).PermitUncheckedError();
  }
  opened->log_truncated = HasNote(*opened, kLogCutKey, &value);
  value.clear();
  opened->salvaged = HasNote(*opened, kSalvagedKey, &value);
  if (value == "truncated") opened->log_truncated = true;
  return {};
}

base::Result<std::map<std::string, std::string>> ReadAll(const Opened& opened, size_t family) {
  std::map<std::string, std::string> all;
  const std::unique_ptr<rocksdb::Iterator> it(
      opened.db->NewIterator(rocksdb::ReadOptions(), opened.families[family]));
  for (it->SeekToFirst(); it->Valid(); it->Next()) {
    all.emplace(it->key().ToString(), it->value().ToString());
  }
  if (!it->status().ok()) return Fail(internal::FromRocks(it->status()));
  return all;
}

// Reads kMeta and its copy as a whole, so that a damaged block is met now. They are the same unless
// an earlier version wrote last.
base::Status MirrorMeta(const Opened& opened) {
  const auto meta = ReadAll(opened, static_cast<size_t>(Space::kMeta));
  if (!meta) return Fail(meta.error());
  const auto copy = ReadAll(opened, internal::kMetaCopy);
  if (!copy) return Fail(copy.error());
  if (*copy == *meta) return {};
  rocksdb::WriteBatch batch;
  rocksdb::ColumnFamilyHandle* const family = opened.families[internal::kMetaCopy];
  for (const auto& [key, value] : *copy) batch.Delete(family, key).PermitUncheckedError();
  for (const auto& [key, value] : *meta) batch.Put(family, key, value).PermitUncheckedError();
  rocksdb::WriteOptions write;
  write.sync = true;
  const rocksdb::Status written = opened.db->Write(write, &batch);
  if (!written.ok()) return Fail(internal::FromRocks(written));
  return {};
}

base::Result<Opened> OpenDatabase(const RocksOptions& options, rocksdb::Env* env,
                                  internal::EngineState* state) {
  Opened opened;
  rocksdb::DBOptions db_options = internal::DatabaseOptions(options, env);
  opened.statistics = db_options.statistics;
  opened.cache = internal::BlockCache(options);
  db_options.listeners.push_back(std::make_shared<internal::ErrorListener>(state));
  const auto log = std::make_shared<internal::TextLog>(
      options.directory, kTextLogBytesMax, env,
      [env, directory = options.directory] { NoteCut(env, directory); });
  db_options.info_log = log;
  rocksdb::DB* db = nullptr;
  const rocksdb::Status status =
      rocksdb::DB::Open(db_options, options.directory, internal::Families(options, opened.cache),
                        &opened.families, &db);
  if (!status.ok()) return Fail(OpenError(status, options.directory));
  opened.db.reset(db);
  if (auto read = ReadNotes(options, env, log->said_truncated(), &opened); !read) {
    return Fail(std::move(read.error()));
  }
  if (auto same = MirrorMeta(opened); !same) return Fail(std::move(same.error()));
  opened.quarantine_bytes = internal::QuarantineBytes(options.directory);
  return opened;
}

// Whoever has it open holds this lock; the node's own is taken before.
template <typename Use>
base::Status WithLock(const RocksOptions& options, rocksdb::Env* env, Use use) {
  rocksdb::FileLock* lock = nullptr;
  const rocksdb::Status locked = env->LockFile(options.directory + "/LOCK", &lock);
  if (!locked.ok()) return Fail(OpenError(locked, options.directory));
  auto status = use();
  env->UnlockFile(lock).PermitUncheckedError();
  return status;
}

base::Result<std::unique_ptr<Files>> Open(const RocksOptions& options, rocksdb::Env* env) {
  base::Result<uint64_t> reserve = PrepareDirectory(options, env);
  if (!reserve.has_value()) return Fail(std::move(reserve.error()));
  internal::ApartFile apart(env, options.directory);
  const auto salvage = [&] { return internal::Salvage(options, env, *reserve); };
  const auto look = [&]() -> base::Status {
    apart.OnOpening();
    if (auto marked = internal::MarkHoles(options.directory); !marked) return marked;
    return internal::IsDamageNoted(env, options.directory)
               ? salvage()
               : internal::CheckAnchor(options.directory);
  };
  if (auto whole = WithLock(options, env, look); !whole) return Fail(whole.error());
  auto state = std::make_unique<internal::EngineState>(
      [env, directory = options.directory](const std::string& why) {
        internal::NoteDamage(env, directory, why);
      });
  base::Result<Opened> opened = OpenDatabase(options, env, state.get());
  if (!opened.has_value() && opened.error().code == Code::kCorruption) {
    if (auto saved = WithLock(options, env, salvage); !saved) return Fail(saved.error());
    opened = OpenDatabase(options, env, state.get());
  }
  if (!opened.has_value()) return Fail(std::move(opened.error()));
  auto engine = std::make_unique<internal::RocksEngine>(options, env, *reserve, std::move(state),
                                                        *std::move(opened));
  if (auto noted = apart.OnOpened(); !noted) return Fail(std::move(noted.error()));
  return engine;
}

}  // namespace

base::Status internal::PutNote(const Opened& opened, std::string_view key, std::string_view value) {
  rocksdb::WriteBatch batch;
  for (const size_t family : {static_cast<size_t>(Space::kMeta), kMetaCopy}) {
    batch.Put(opened.families[family], key, value).PermitUncheckedError();
  }
  rocksdb::WriteOptions write;
  write.sync = true;
  const rocksdb::Status status = opened.db->Write(write, &batch);
  if (!status.ok()) return Fail(FromRocks(status));
  return {};
}

base::Status internal::NoteAsOwn(const Opened& opened) {
  std::string value;
  if (!HasNote(opened, kLogCutKey, &value) || value == kCutOfOwnLog) return {};
  return PutNote(opened, kLogCutKey, kCutOfOwnLog);
}

base::Result<std::unique_ptr<Engine>> internal::OpenRocksEngineIn(const RocksOptions& options,
                                                                  rocksdb::Env* env) {
  return Open(options, env);
}

base::Result<std::unique_ptr<Files>> OpenRocksFiles(const RocksOptions& options,
                                                    rocksdb::Env* env) {
  RocksOptions without_log = options;
  without_log.log_elsewhere = true;
  return Open(without_log, env != nullptr ? env : rocksdb::Env::Default());
}

base::Status CheckSalvage(const RocksOptions& options) {
  return internal::CheckSalvageSpace(options, rocksdb::Env::Default(), ReserveOn(options));
}

base::Result<std::unique_ptr<Engine>> OpenRocksEngine(const RocksOptions& options) {
  return internal::OpenRocksEngineIn(options, rocksdb::Env::Default());
}

}  // namespace lariat::storage
