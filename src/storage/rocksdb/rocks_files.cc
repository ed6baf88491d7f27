// SPDX-License-Identifier: Apache-2.0
// The engine as files alone (files.h). What else there is of it is in rocks_engine.cc.
#include <rocksdb/sst_file_writer.h>

#include <filesystem>
#include <utility>

#include "storage/rocksdb/internal/rocks_config.h"
#include "storage/rocksdb/internal/rocks_engine.h"

namespace lariat::storage::internal {
namespace {

using base::Fail;

constexpr const char* kIngestDirectory = "/ingest";
constexpr size_t kUnloggedBatchBytes = 1 << 20;

// Small, and FIFO compaction knows the files of memtables only.
bool GoesThroughMemtable(Space space) {
  return space == Space::kMeta || space == Space::kIdempotency;
}

class FilesCursor final : public Files::Cursor {
 public:
  FilesCursor(rocksdb::DB* db, rocksdb::ColumnFamilyHandle* family, const Files::Range& range,
              const rocksdb::Snapshot* snapshot,
              std::function<base::Error(const rocksdb::Status&)> read_error)
      : to_(range.to), read_error_(std::move(read_error)) {
    rocksdb::ReadOptions options;
    options.snapshot = snapshot;
    options.fill_cache = false;  // a long scan must not push out what single reads need
    if (!range.to.empty()) options.iterate_upper_bound = &to_;
    it_.reset(db->NewIterator(options, family));
    it_->Seek(range.from);
  }
  bool Valid() const override { return it_->Valid(); }
  std::string_view key() const override { return it_->key().ToStringView(); }
  std::string_view value() const override { return it_->value().ToStringView(); }
  void Next() override { it_->Next(); }
  base::Status status() override {
    if (!it_->status().ok()) return Fail(read_error_(it_->status()));
    return {};
  }

 private:
  const rocksdb::Slice to_;
  const std::function<base::Error(const rocksdb::Status&)> read_error_;
  std::unique_ptr<rocksdb::Iterator> it_;
};

// One space's versions as table files outside the database.
class SortedFiles {
 public:
  SortedFiles(rocksdb::DB* db, rocksdb::ColumnFamilyHandle* family, std::string prefix)
      : options_(OptionsOf(db, family)), family_(family), prefix_(std::move(prefix)) {}

  rocksdb::Status Write(const std::function<bool(VersionView*)>& next) {
    rocksdb::Status status;
    VersionView version;
    while (status.ok() && next(&version)) {
      if (!writer_) status = Begin();
      if (!status.ok()) break;
      status =
          version.value ? writer_->Put(version.key, *version.value) : writer_->Delete(version.key);
      if (status.ok() && writer_->FileSize() >= options_.target_file_size_base) status = End();
    }
    if (status.ok() && writer_) status = End();
    return status;
  }
  rocksdb::IngestExternalFileArg Arg() const {
    rocksdb::IngestExternalFileArg arg;
    arg.column_family = family_;
    arg.external_files = paths_;
    arg.options.move_files = true;
    arg.options.write_global_seqno = false;  // the manifest has it
    return arg;
  }
  bool Empty() const { return paths_.empty(); }
  uint64_t bytes() const { return bytes_; }

 private:
  static rocksdb::Options OptionsOf(rocksdb::DB* db, rocksdb::ColumnFamilyHandle* family) {
    return {db->GetDBOptions(), db->GetOptions(family)};
  }
  rocksdb::Status Begin() {
    paths_.push_back(prefix_ + std::to_string(paths_.size()) + ".sst");
    writer_ = std::make_unique<rocksdb::SstFileWriter>(rocksdb::EnvOptions(options_), options_,
                                                       family_, /*invalidate_page_cache=*/false,
                                                       rocksdb::Env::IO_HIGH);
    return writer_->Open(paths_.back());
  }
  rocksdb::Status End() {
    rocksdb::ExternalSstFileInfo made;
    rocksdb::Status status = writer_->Finish(&made);
    bytes_ += made.file_size;
    writer_.reset();
    return status;
  }

  const rocksdb::Options options_;
  rocksdb::ColumnFamilyHandle* const family_;
  const std::string prefix_;
  std::unique_ptr<rocksdb::SstFileWriter> writer_;
  std::vector<std::string> paths_;
  uint64_t bytes_ = 0;
};

}  // namespace

// --- Reading

std::vector<base::Result<std::string>> RocksEngine::GetMany(Space space,
                                                            const std::vector<std::string>& keys) {
  const std::vector<rocksdb::Slice> slices(keys.begin(), keys.end());
  std::vector<rocksdb::PinnableSlice> values(keys.size());
  std::vector<rocksdb::Status> statuses(keys.size());
  db_->MultiGet(rocksdb::ReadOptions(), Family(space), slices.size(), slices.data(), values.data(),
                statuses.data());
  reads_from_disk_.fetch_add(keys.size(), std::memory_order_relaxed);
  std::vector<base::Result<std::string>> results;
  for (size_t i = 0; i < keys.size(); ++i) {
    if (statuses[i].ok()) {
      results.emplace_back(values[i].ToString());
    } else {
      results.emplace_back(Fail(ReadError(statuses[i])));
    }
  }
  return results;
}

Files::Snapshot RocksEngine::TakeSnapshot() {
  return {db_->GetSnapshot(), [this](const void* snapshot) {
            db_->ReleaseSnapshot(static_cast<const rocksdb::Snapshot*>(snapshot));
          }};
}

std::unique_ptr<Files::Cursor> RocksEngine::Scan(const Range& range, const Snapshot& snapshot) {
  return std::make_unique<FilesCursor>(
      db_, Family(range.space), range, static_cast<const rocksdb::Snapshot*>(snapshot.get()),
      [this](const rocksdb::Status& status) { return ReadError(status); });
}

// --- Writing

// The small spaces before the others: if it ends between them, the log has it all.
base::Status RocksEngine::Take(const Versions& versions) {
  if (state_->dead()) return Fail(state_->DeadError());
  if (state_->no_space()) return Fail(base::Code::kDiskFull, "the disk has no room for files");
  rocksdb::Status status = PutWithoutLog(versions);
  if (status.ok()) status = Ingest(versions);
  return Taken(status);
}

rocksdb::Status RocksEngine::PutWithoutLog(const Versions& versions) {
  rocksdb::WriteOptions unlogged;
  unlogged.disableWAL = true;
  rocksdb::WriteBatch batch;
  std::vector<rocksdb::ColumnFamilyHandle*> written;
  rocksdb::Status status;
  for (size_t i = 0; i < kSpaces; ++i) {
    const auto space = static_cast<Space>(i);
    if (!GoesThroughMemtable(space)) continue;
    std::vector<rocksdb::ColumnFamilyHandle*> families = {Family(space)};
    if (space == Space::kMeta) families.push_back(opened_.families[kMetaCopy]);
    VersionView version;
    bool any = false;
    while (status.ok() && versions[i](&version)) {
      any = true;
      for (auto* family : families) {
        status = version.value ? batch.Put(family, version.key, *version.value)
                               : batch.Delete(family, version.key);
      }
      if (batch.GetDataSize() < kUnloggedBatchBytes) continue;
      if (status.ok()) status = db_->Write(unlogged, &batch);
      batch.Clear();
    }
    if (any) written.insert(written.end(), families.begin(), families.end());
  }
  if (status.ok() && batch.Count() > 0) status = db_->Write(unlogged, &batch);
  if (status.ok() && !written.empty()) status = db_->Flush(rocksdb::FlushOptions(), written);
  return status;
}

rocksdb::Status RocksEngine::Ingest(const Versions& versions) {
  const std::string directory = directory_ + kIngestDirectory;
  std::error_code failure;
  std::filesystem::remove_all(directory, failure);
  std::filesystem::create_directories(directory, failure);
  if (failure) return rocksdb::Status::IOError("cannot create " + directory, failure.message());
  rocksdb::Status status = IngestFrom(directory, versions);
  // What is left of a failure would keep the space that it lacked.
  std::filesystem::remove_all(directory, failure);
  return status;
}

rocksdb::Status RocksEngine::IngestFrom(const std::string& directory, const Versions& versions) {
  std::vector<rocksdb::IngestExternalFileArg> args;
  for (size_t i = 0; i < kSpaces; ++i) {
    if (GoesThroughMemtable(static_cast<Space>(i))) continue;
    SortedFiles files(db_, opened_.families[i], directory + "/" + std::to_string(i) + "-");
    if (rocksdb::Status status = files.Write(versions[i]); !status.ok()) return status;
    if (!files.Empty()) args.push_back(files.Arg());
    ingested_bytes_.fetch_add(files.bytes(), std::memory_order_relaxed);
  }
  return args.empty() ? rocksdb::Status::OK() : db_->IngestExternalFiles(args);
}

base::Status RocksEngine::Taken(const rocksdb::Status& status) {
  if (status.ok()) {
    if (guard_.full()) FreeRemoved();  // with what has come
    return {};
  }
  if (status.IsCorruption()) state_->Damaged(status.ToString());
  if (status.IsNoSpace() && !state_->dead()) {
    state_->LackSpace();
    return Fail(FromRocks(status));
  }
  state_->Die(status.ToString());
  return Fail(state_->DeadError());
}

bool RocksEngine::Crowded() const {
  return Property(Space::kData, rocksdb::DB::Properties::kIsWriteStopped) > 0;
}

// --- Whose turn it is

base::Result<std::string> RocksEngine::StoreId() {
  auto id = GetBlocking(Space::kMeta, kLogStoreKey);
  if (id || id.error().code != base::Code::kNotFound) return id;
  const std::string made = db_->GetEnv()->GenerateUniqueId();
  if (auto put = PutNote(opened_, kLogStoreKey, made); !put) return Fail(put.error());
  return made;
}

base::Status RocksEngine::LogIsElsewhere() {
  // What a program without the other log has noted must not look like its note at the next open.
  if (auto renamed = NoteAsOwn(opened_); !renamed) return renamed;
  const std::lock_guard lock(mark_mutex_);
  synced_sequence_ = kLogElsewhere;
  if (!end_mark_.NoteAll(kLogElsewhere)) {
    return Fail(base::Code::kIo, "cannot write the file END in " + directory_);
  }
  return {};
}

void RocksEngine::LogIsEmpty() { synced_sequence_ = db_->GetLatestSequenceNumber(); }

}  // namespace lariat::storage::internal
