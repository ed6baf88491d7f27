// SPDX-License-Identifier: Apache-2.0
// For the tests of this folder: a directory of their own, an executor that other threads post to,
// and a file system whose syncs and appends fail on demand and whose free space can be set.
#pragma once

#include <rocksdb/env.h>
#include <rocksdb/file_system.h>
#include <stdlib.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

#include "base/check.h"
#include "storage/engine_test_calls.h"
#include "storage/rocksdb/rocksdb_engine.h"

namespace lariat::storage::internal {

class SharedQueue final : public contract::TestQueue {
 public:
  void Post(base::UniqueFunction<void()> task) override {
    {
      const std::lock_guard lock(mutex_);
      tasks_.push_back(std::move(task));
      ++posts_;
    }
    wake_.notify_one();
  }
  bool RunUntil(const std::function<bool()>& finished) override {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    std::unique_lock lock(mutex_);
    while (!finished()) {
      if (!wake_.wait_until(lock, deadline, [this] { return !tasks_.empty(); })) return false;
      base::UniqueFunction<void()> task = std::move(tasks_.front());
      tasks_.pop_front();
      lock.unlock();
      task();
      lock.lock();
    }
    return true;
  }
  size_t posts() {
    const std::lock_guard lock(mutex_);
    return posts_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<base::UniqueFunction<void()>> tasks_;
  size_t posts_ = 0;
};

// True as soon as `condition` holds, false if it does not within a minute.
inline bool Eventually(const std::function<bool()>& condition) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return true;
}

class TempDirectory {
 public:
  TempDirectory() : path_((std::filesystem::temp_directory_path() / "lariat-XXXXXX").string()) {
    LARIAT_CHECK(mkdtemp(path_.data()) != nullptr, "no temporary directory");
  }
  ~TempDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TempDirectory(const TempDirectory&) = delete;
  TempDirectory& operator=(const TempDirectory&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// What the disk does wrong. Set from the test's thread, read by the engine's.
struct DiskFaults {
  std::atomic<bool> fail_log_sync{false};
  std::atomic<bool> fail_log_append{false};
  std::atomic<bool> fail_table_append{false};
  std::atomic<bool> append_lacks_space{false};  // the kind of the two failures above
  std::atomic<uint64_t> free_bytes{uint64_t{1} << 40};
  std::atomic<int> log_syncs{0};

  std::mutex mutex;
  std::map<std::string, uint64_t> synced;  // log file -> bytes that were synced
};

class FaultyFile final : public rocksdb::FSWritableFileOwnerWrapper {
 public:
  FaultyFile(std::unique_ptr<rocksdb::FSWritableFile> file, std::string name, DiskFaults* faults)
      : FSWritableFileOwnerWrapper(std::move(file)), name_(std::move(name)), faults_(faults) {}

  using FSWritableFileOwnerWrapper::Append;
  rocksdb::IOStatus Append(const rocksdb::Slice& data, const rocksdb::IOOptions& options,
                           rocksdb::IODebugContext* debug) override {
    const bool fails = IsLog() ? faults_->fail_log_append : faults_->fail_table_append;
    if (fails) {
      // As a full disk does: the first half arrives.
      (void)FSWritableFileOwnerWrapper::Append(rocksdb::Slice(data.data(), data.size() / 2),
                                               options, debug);
      return faults_->append_lacks_space ? rocksdb::IOStatus::NoSpace("injected")
                                         : rocksdb::IOStatus::IOError("injected append error");
    }
    return FSWritableFileOwnerWrapper::Append(data, options, debug);
  }
  rocksdb::IOStatus Sync(const rocksdb::IOOptions& options,
                         rocksdb::IODebugContext* debug) override {
    if (!IsLog()) return FSWritableFileOwnerWrapper::Sync(options, debug);
    ++faults_->log_syncs;
    if (faults_->fail_log_sync) return rocksdb::IOStatus::IOError("injected sync error");
    const uint64_t size = std::filesystem::file_size(name_);  // at least this much becomes durable
    rocksdb::IOStatus status = FSWritableFileOwnerWrapper::Sync(options, debug);
    const std::lock_guard lock(faults_->mutex);
    uint64_t& synced = faults_->synced[name_];
    if (status.ok()) synced = std::max(synced, size);
    return status;
  }
  rocksdb::IOStatus Fsync(const rocksdb::IOOptions& options,
                          rocksdb::IODebugContext* debug) override {
    return Sync(options, debug);
  }

 private:
  bool IsLog() const { return name_.ends_with(".log"); }

  const std::string name_;
  DiskFaults* faults_;
};

class FaultyFileSystem final : public rocksdb::FileSystemWrapper {
 public:
  explicit FaultyFileSystem(DiskFaults* faults)
      : FileSystemWrapper(rocksdb::FileSystem::Default()), faults_(faults) {}
  const char* Name() const override { return "FaultyFileSystem"; }

  rocksdb::IOStatus NewWritableFile(const std::string& name, const rocksdb::FileOptions& options,
                                    std::unique_ptr<rocksdb::FSWritableFile>* file,
                                    rocksdb::IODebugContext* debug) override {
    rocksdb::IOStatus status = FileSystemWrapper::NewWritableFile(name, options, file, debug);
    const bool watched =
        name.ends_with(".log") || name.ends_with(".sst") || name.ends_with("/APART.new");
    if (status.ok() && watched) {
      *file = std::make_unique<FaultyFile>(std::move(*file), name, faults_);
    }
    return status;
  }
  rocksdb::IOStatus GetFreeSpace(const std::string& /*path*/, const rocksdb::IOOptions& /*options*/,
                                 uint64_t* free, rocksdb::IODebugContext* /*debug*/) override {
    *free = faults_->free_bytes;
    return rocksdb::IOStatus::OK();
  }

 private:
  DiskFaults* faults_;
};

// Opens the engine that a test program is about; each program that has these tests defines it.
// `env` null: the usual one. `faults` are those of a log that does not go through `env`.
base::Result<std::unique_ptr<Engine>> OpenUnderTest(const RocksOptions& options,
                                                    rocksdb::Env* env = nullptr,
                                                    DiskFaults* faults = nullptr);

}  // namespace lariat::storage::internal
