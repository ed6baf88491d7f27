// SPDX-License-Identifier: Apache-2.0
#include "storage/rocksdb/rocksdb_engine.h"

#include <rocksdb/db.h>

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>
#include <vector>

#include "storage/rocksdb/internal/open.h"
#include "storage/rocksdb/internal/rocks_config.h"
#include "storage/rocksdb/internal/rocks_engine.h"
#include "storage/rocksdb/internal/salvage.h"
#include "storage/rocksdb/internal/text_log.h"

namespace lariat::storage {
namespace {

using base::Code;
using base::Fail;
using internal::Opened;

constexpr uint64_t kTextLogBytesMax = 8ULL << 20;

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

base::Result<Opened> OpenDatabase(const RocksOptions& options, rocksdb::Env* env,
                                  internal::EngineState* state) {
  Opened opened;
  rocksdb::DBOptions db_options = internal::DatabaseOptions(options, env);
  opened.statistics = db_options.statistics;
  opened.cache = internal::BlockCache(options);
  db_options.listeners.push_back(std::make_shared<internal::ErrorListener>(state));
  const auto log = std::make_shared<internal::TextLog>(options.directory, kTextLogBytesMax, env);
  db_options.info_log = log;

  std::vector<rocksdb::ColumnFamilyDescriptor> descriptors;
  for (size_t i = 0; i < kSpaces; ++i) {
    const auto space = static_cast<Space>(i);
    descriptors.emplace_back(internal::SpaceName(space),
                             internal::SpaceOptions(space, options, opened.cache));
  }
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  rocksdb::DB* db = nullptr;
  const rocksdb::Status status =
      rocksdb::DB::Open(db_options, options.directory, descriptors, &handles, &db);
  if (!status.ok()) return Fail(OpenError(status, options.directory));
  opened.db.reset(db);
  std::copy(handles.begin(), handles.end(), opened.families.begin());
  opened.log_truncated = log->said_truncated();
  const auto meta = opened.families[static_cast<size_t>(Space::kMeta)];
  std::string salvaged;
  const rocksdb::Status told =
      opened.db->Get(rocksdb::ReadOptions(), meta,
                     rocksdb::Slice(kSalvagedKey.data(), kSalvagedKey.size()), &salvaged);
  opened.salvaged = told.ok();
  opened.quarantine_bytes = internal::QuarantineBytes(options.directory);
  if (salvaged == "truncated") opened.log_truncated = true;
  return opened;
}

// Whoever has it open holds this lock; the node's own is taken before.
base::Status SalvageLocked(const RocksOptions& options, rocksdb::Env* env, uint64_t reserve) {
  rocksdb::FileLock* lock = nullptr;
  const rocksdb::Status locked = env->LockFile(options.directory + "/LOCK", &lock);
  if (!locked.ok()) return Fail(OpenError(locked, options.directory));
  auto status = internal::Salvage(options, env, reserve);
  env->UnlockFile(lock).PermitUncheckedError();
  return status;
}

}  // namespace

base::Result<std::unique_ptr<Engine>> internal::OpenRocksEngineIn(const RocksOptions& options,
                                                                  rocksdb::Env* env) {
  base::Result<uint64_t> reserve = PrepareDirectory(options, env);
  if (!reserve.has_value()) return Fail(std::move(reserve.error()));
  if (IsDamageNoted(env, options.directory)) {
    if (auto saved = SalvageLocked(options, env, *reserve); !saved) return Fail(saved.error());
  }
  if (auto whole = CheckNotGone(options.directory); !whole) return Fail(whole.error());
  auto state =
      std::make_unique<EngineState>([env, directory = options.directory](const std::string& why) {
        NoteDamage(env, directory, why);
      });
  base::Result<Opened> opened = OpenDatabase(options, env, state.get());
  if (!opened.has_value() && opened.error().code == Code::kCorruption) {
    if (auto saved = SalvageLocked(options, env, *reserve); !saved) return Fail(saved.error());
    opened = OpenDatabase(options, env, state.get());
  }
  if (!opened.has_value()) return Fail(std::move(opened.error()));
  return std::make_unique<RocksEngine>(options, env, *reserve, std::move(state),
                                       *std::move(opened));
}

base::Status CheckSalvage(const RocksOptions& options) {
  return internal::CheckSalvageSpace(options, rocksdb::Env::Default(), ReserveOn(options));
}

base::Result<std::unique_ptr<Engine>> OpenRocksEngine(const RocksOptions& options) {
  return internal::OpenRocksEngineIn(options, rocksdb::Env::Default());
}

}  // namespace lariat::storage
