// SPDX-License-Identifier: Apache-2.0
#include "storage/rocksdb/internal/salvage_copy.h"

#include <rocksdb/db.h>
#include <rocksdb/options.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "storage/rocksdb/internal/end_mark.h"
#include "storage/rocksdb/internal/engine_state.h"
#include "storage/rocksdb/internal/rocks_config.h"
#include "storage/rocksdb/internal/store_files.h"
#include "storage/rocksdb/internal/text_log.h"

namespace lariat::storage::internal {

using base::Code;
using base::Fail;

namespace {

constexpr size_t kBatchBytes = 1 << 20;
constexpr uint64_t kCopyLogBytesMax = 1 << 20;
// How finely the end of an unreadable place is looked for: a block has some dozen records, and the
// first eight bytes after a common prefix tell them apart.
constexpr int kProbesMax = 64;

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

// Nothing is changed in it. `read_all`: over holes in the log too.
base::Result<Store> OpenOld(const RocksOptions& options, rocksdb::Env* env,
                            const std::string& log_directory, bool read_all) {
  const auto cache = BlockCache(options);
  rocksdb::DBOptions db_options = DatabaseOptions(options, env);
  db_options.paranoid_checks = false;  // a table that cannot be opened is an unreadable place
  if (read_all) db_options.wal_recovery_mode = rocksdb::WALRecoveryMode::kSkipAnyCorruptedRecords;
  const auto log = std::make_shared<TextLog>(log_directory, kCopyLogBytesMax, env);
  db_options.info_log = log;
  // A store of an earlier version may lack the newest spaces.
  std::vector<std::string> present;
  const rocksdb::Status listed =
      rocksdb::DB::ListColumnFamilies(db_options, options.directory, &present);
  if (!listed.ok()) return Fail(FromRocks(listed));
  auto spaces = Families(options, cache);
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
  const auto reached = ReadEndMark(options.directory);
  const bool ends_early =
      EndsEarly(reached, store.db->GetLatestSequenceNumber(), options.log_elsewhere);
  store.log_truncated = read_all || log->said_truncated() || ends_early;
  return store;
}

base::Result<Store> OpenFresh(const RocksOptions& options, rocksdb::Env* env,
                              const std::string& directory) {
  const auto cache = BlockCache(options);
  rocksdb::DBOptions db_options = DatabaseOptions(options, env);
  db_options.info_log = std::make_shared<TextLog>(directory, kCopyLogBytesMax, env);
  Store store;
  rocksdb::DB* db = nullptr;
  const rocksdb::Status status =
      rocksdb::DB::Open(db_options, directory, Families(options, cache), &store.families, &db);
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
  Copier(Store& from, size_t from_family, Store& to, size_t to_family)
      : from_(from),
        to_(to),
        from_family_(from.families[from_family]),
        to_family_(to.families[to_family]) {}

  base::Status Run() {
    NewIterator();
    it_->SeekToFirst();
    for (;;) {
      for (; it_->Valid(); it_->Next()) {
        // The value before the next step is the last good one.
        last_ = it_->key().ToString();
        batch_.Put(to_family_, it_->key(), it_->value()).PermitUncheckedError();
        ++copied_;
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
  size_t copied() const { return copied_; }

 private:
  void NewIterator() {
    rocksdb::ReadOptions options;
    options.fill_cache = false;
    it_.reset(from_.db->NewIterator(options, from_family_));
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
        for (int probe = 0; probe < kProbesMax && (*good - bad) > 1; ++probe) {
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
  rocksdb::ColumnFamilyHandle* const from_family_;
  rocksdb::ColumnFamilyHandle* const to_family_;
  std::unique_ptr<rocksdb::Iterator> it_;
  rocksdb::WriteBatch batch_;
  std::string last_;
  bool damaged_ = false;
  size_t copied_ = 0;
};

}  // namespace

namespace {

// kMeta, from wherever it can be read as a whole. What can be read of the damaged one is no other
// than what the whole one has.
base::Status CopyMeta(const std::string& directory, Store& old, Store& fresh) {
  const auto meta = static_cast<size_t>(Space::kMeta);
  Copier first(old, meta, fresh, meta);
  if (auto copied = first.Run(); !copied || !first.damaged()) return copied;
  if (kMetaCopy < old.families.size()) {
    Copier second(old, kMetaCopy, fresh, meta);
    if (auto copied = second.Run(); !copied) return copied;
    // One that has nothing yet is of a store that an earlier version wrote last.
    if (!second.damaged() && second.copied() > 0) return {};
  }
  return Fail(
      Unreadable(directory, "what the node knows about itself and the cluster cannot be read"));
}

}  // namespace

base::Status CopyReadable(const RocksOptions& options, rocksdb::Env* env,
                          const std::string& directory) {
  auto old = OpenOld(options, env, directory, /*read_all=*/false);
  if (!old && old.error().code == Code::kCorruption) {
    old = OpenOld(options, env, directory, true);
  }
  if (!old) return Fail(Unreadable(options.directory, old.error().message));
  auto fresh = OpenFresh(options, env, directory);
  if (!fresh) return Fail(fresh.error());
  if (auto copied = CopyMeta(options.directory, *old, *fresh); !copied) return copied;
  for (size_t i = 0; i < std::min(old->families.size(), kSpaces); ++i) {
    const auto space = static_cast<Space>(i);
    if (space == Space::kTree || space == Space::kMeta) continue;
    Copier copier(*old, i, *fresh, i);
    if (auto copied = copier.Run(); !copied) return copied;
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

}  // namespace lariat::storage::internal
