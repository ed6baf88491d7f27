// SPDX-License-Identifier: Apache-2.0
// For the tests of this folder: the time, and a world with a real disk.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "storage/log/posix_disk.h"
#include "storage/log_engine/internal/engine.h"
#include "storage/rocksdb/test_world.h"

namespace lariat::storage::log_engine {

class RealClock final : public env::Clock {
 public:
  base::Instant Now() const override {
    return base::Instant(std::chrono::steady_clock::now().time_since_epoch());
  }
  base::WallTime Wall() const override {
    return {std::chrono::duration_cast<std::chrono::milliseconds>(
                std::chrono::system_clock::now().time_since_epoch())
                .count()};
  }
};

inline const env::Clock& TestClock() {
  static const RealClock clock;
  return clock;
}

// The log's disk, which fails as it is told.
class FaultyDisk final : public log::Disk {
 public:
  FaultyDisk(std::unique_ptr<log::Disk> disk, internal::DiskFaults* faults)
      : disk_(std::move(disk)), faults_(faults) {}
  base::Result<uint64_t> Size(log::FileNumber file) override { return disk_->Size(file); }
  base::Status Make(log::FileNumber file, uint64_t bytes) override {
    return disk_->Make(file, bytes);
  }
  base::Status Read(log::FileNumber file, uint64_t offset, size_t size, char* out) override {
    return disk_->Read(file, offset, size, out);
  }
  base::Status Write(log::FileNumber file, uint64_t offset, std::string_view bytes) override {
    if (!faults_->fail_log_append) return disk_->Write(file, offset, bytes);
    // As a full disk does: the first half arrives.
    (void)disk_->Write(file, offset, bytes.substr(0, bytes.size() / 2));
    return base::Fail(faults_->append_lacks_space ? base::Code::kDiskFull : base::Code::kIo,
                      "injected append error");
  }
  base::Status WriteDurably(log::FileNumber file, uint64_t offset,
                            std::string_view bytes) override {
    ++faults_->log_syncs;
    if (faults_->fail_log_sync) return base::Fail(base::Code::kIo, "injected sync error");
    return disk_->WriteDurably(file, offset, bytes);
  }
  base::Status Sync(log::FileNumber file) override {
    ++faults_->log_syncs;
    if (faults_->fail_log_sync) return base::Fail(base::Code::kIo, "injected sync error");
    return disk_->Sync(file);
  }

 private:
  const std::unique_ptr<log::Disk> disk_;
  internal::DiskFaults* const faults_;
};

inline World TestWorld(internal::DiskFaults* faults = nullptr) {
  World world;
  world.clock = &TestClock();
  world.make_disk = [faults](const std::string& directory) -> std::unique_ptr<log::Disk> {
    auto disk = log::MakePosixDisk(directory);
    if (faults == nullptr) return disk;
    return std::make_unique<FaultyDisk>(std::move(disk), faults);
  };
  return world;
}

inline LogEngineOptions SmallEngine(const RocksOptions& files) {
  LogEngineOptions options;
  options.files = files;
  options.table_bytes = 32 << 20;
  options.log_bytes = 8 << 20;
  return options;
}

}  // namespace lariat::storage::log_engine
