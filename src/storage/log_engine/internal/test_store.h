// SPDX-License-Identifier: Apache-2.0
// For the tests of this folder: a store that is opened by either engine, killed, loses its power.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "storage/engine_test_calls.h"
#include "storage/log_engine/internal/test_world.h"
#include "storage/rocksdb/engine_test_util.h"

namespace lariat::storage::log_engine {

// A disk that keeps what was not synced in memory: what lies in the directory is what a loss of
// power leaves. One that lies says "durable" of what it only keeps.
class ForgetfulDisk final : public log::Disk {
 public:
  ForgetfulDisk(std::unique_ptr<log::Disk> disk, const bool* lies)
      : disk_(std::move(disk)), lies_(lies) {}
  base::Result<uint64_t> Size(log::FileNumber file) override { return disk_->Size(file); }
  base::Status Make(log::FileNumber file, uint64_t bytes) override {
    return disk_->Make(file, bytes);
  }
  base::Status Read(log::FileNumber file, uint64_t offset, size_t size, char* out) override {
    const std::lock_guard lock(mutex_);
    LARIAT_CHECK(kept_.empty(), "a log reads when it is opened");
    return disk_->Read(file, offset, size, out);
  }
  base::Status Write(log::FileNumber file, uint64_t offset, std::string_view bytes) override {
    const std::lock_guard lock(mutex_);
    kept_[file].emplace_back(offset, bytes);
    return {};
  }
  base::Status WriteDurably(log::FileNumber file, uint64_t offset,
                            std::string_view bytes) override {
    return *lies_ ? Write(file, offset, bytes) : disk_->WriteDurably(file, offset, bytes);
  }
  base::Status Sync(log::FileNumber file) override {
    const std::lock_guard lock(mutex_);
    if (*lies_) return {};
    for (const auto& [offset, bytes] : kept_[file]) {
      if (auto written = disk_->Write(file, offset, bytes); !written) return written;
    }
    kept_.erase(file);
    return disk_->Sync(file);
  }

 private:
  const std::unique_ptr<log::Disk> disk_;
  const bool* const lies_;
  std::mutex mutex_;
  std::map<log::FileNumber, std::vector<std::pair<uint64_t, std::string>>> kept_;
};

class StoreTest : public testing::Test {
 protected:
  void SetUp() override {
    options_ = SmallEngine(internal::SmallOptions(directory_.path() + "/0"));
  }
  void TearDown() override { engine_.reset(); }

  base::Status Open(EngineKind kind) {
    engine_.reset();
    auto opened = forgets_ && kind == EngineKind::kLog ? OpenLogEngineIn(options_, Forgetful())
                                                       : OpenEngine(kind, options_, TestClock());
    if (!opened) return base::Fail(opened.error());
    engine_ = *std::move(opened);
    return {};
  }
  // As a program that does not know of the other log.
  void OpenAsOthers() {
    engine_.reset();
    engine_ = OpenRocksEngine(options_.files).value();
  }
  // The store as the process leaves it when it is killed now; with a forgetful disk, as the machine
  // does. Nothing is open then.
  void Kill() {
    const std::string copy = directory_.path() + "/" + std::to_string(++copies_);
    // No file may change while it is copied: all of them are to be of one moment.
    EXPECT_TRUE(internal::Eventually([&] {
      std::error_code vanished;
      std::filesystem::remove_all(copy, vanished);
      const auto before = FilesNow();
      std::filesystem::copy(options_.files.directory, copy,
                            std::filesystem::copy_options::recursive, vanished);
      return !vanished && FilesNow() == before;
    }));
    engine_.reset();
    options_.files.directory = copy;
  }
  void Put(const std::string& key, const std::string& value, Space space = Space::kData) {
    ASSERT_TRUE(contract::PutOne(engine_.get(), space, key, value));
  }
  // Asks again while the engine says that it is behind.
  void PutPatiently(const std::string& key, const std::string& value) {
    ASSERT_TRUE(internal::Eventually(
        [&] { return contract::PutOne(engine_.get(), Space::kData, key, value).has_value(); }));
  }
  void Sync() { ASSERT_TRUE(contract::SyncAndWait(engine_.get(), &queue_)); }
  void Flush() { ASSERT_TRUE(contract::FlushAndWait(engine_.get(), &queue_, Space::kData)); }
  // "value", or the code's name.
  std::string Get(const std::string& key, Space space = Space::kData) {
    const auto value = engine_->GetBlocking(space, key);
    return value ? *value : std::string(base::CodeName(value.error().code));
  }
  std::string log() const { return options_.files.directory + "/log"; }

  internal::TempDirectory directory_;
  internal::SharedQueue queue_;
  LogEngineOptions options_;
  bool forgets_ = false;
  bool lies_ = false;
  std::unique_ptr<Engine> engine_;

 private:
  std::map<std::string, std::filesystem::file_time_type> FilesNow() const {
    std::map<std::string, std::filesystem::file_time_type> files;
    std::error_code vanished;
    const std::filesystem::recursive_directory_iterator all(options_.files.directory, vanished);
    for (const auto& entry : all) {
      const std::string name = entry.path().filename().string();
      if (name == "LOG" || name == "END") continue;  // any state of them goes with any other
      files[entry.path().string()] = entry.last_write_time(vanished);
    }
    return files;
  }
  World Forgetful() {
    World world = TestWorld();
    world.make_disk = [this](const std::string& directory) {
      return std::make_unique<ForgetfulDisk>(log::MakePosixDisk(directory), &lies_);
    };
    return world;
  }
  int copies_ = 0;
};

}  // namespace lariat::storage::log_engine
