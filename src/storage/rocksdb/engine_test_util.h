// SPDX-License-Identifier: Apache-2.0
// An engine on disks that fail as they are told, for the tests of this folder.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/prng.h"
#include "storage/engine_test_calls.h"
#include "storage/rocksdb/rocksdb_engine.h"
#include "storage/rocksdb/test_world.h"

namespace lariat::storage::internal {
inline RocksOptions SmallOptions(const std::string& directory) {
  RocksOptions options;
  options.directory = directory;
  options.block_cache_bytes = 8 << 20;
  options.memtable_bytes = 1 << 20;
  options.io_threads = 2;
  options.disk_reserve_bytes = 1 << 20;
  return options;
}

inline std::string Key(int i) { return "key" + std::to_string(1000000 + i); }

// Differs for each key and does not compress, so that damage meets data.
inline std::string Value(int i, size_t size = 1000) {
  base::Prng random(static_cast<uint64_t>(i) + 1);
  std::string value(size, '\0');
  for (char& c : value) c = static_cast<char>(random.Next());
  return value;
}

inline void FlipByteOf(const std::string& file, uint64_t offset) {
  std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
  stream.seekg(static_cast<std::streamoff>(offset));
  const int byte = stream.get();
  stream.seekp(static_cast<std::streamoff>(offset));
  stream.put(static_cast<char>(byte ^ 0x55));
}

class RocksEngineTest : public testing::Test {
 protected:
  void SetUp() override { options_ = SmallOptions(directory_.path()); }
  void TearDown() override { engine_.reset(); }  // before the environment it runs in

  base::Code Open() {
    engine_.reset();
    auto opened = OpenUnderTest(options_, env_.get(), &faults_);
    if (!opened.has_value()) return opened.error().code;
    engine_ = *std::move(opened);
    return base::Code::kOk;
  }
  base::Code Put(int i, size_t size = 1000) {
    const auto status = contract::PutOne(engine_.get(), Space::kData, Key(i), Value(i, size));
    return status.has_value() ? base::Code::kOk : status.error().code;
  }
  base::Code Sync() {
    const auto status = contract::SyncAndWait(engine_.get(), &queue_);
    return status.has_value() ? base::Code::kOk : status.error().code;
  }
  bool Has(int i) { return engine_->GetBlocking(Space::kData, Key(i)).has_value(); }
  // Writes until the engine refuses with something else than "wait a little".
  base::Code PutUntilRefused(int from, int count) {
    for (int i = from; i < from + count;) {
      const base::Code code = Put(i, 4000);
      if (code == base::Code::kOk) ++i;
      if (code != base::Code::kOk && code != base::Code::kStalled) return code;
      if (code == base::Code::kStalled) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return base::Code::kOk;
  }
  std::vector<std::string> Files(const std::string& extension) const {
    std::vector<std::string> files;
    for (const auto& entry : std::filesystem::directory_iterator(directory_.path())) {
      if (entry.path().extension() == extension) files.push_back(entry.path().string());
    }
    return files;
  }
  static void FlipByte(const std::string& file, uint64_t offset) { FlipByteOf(file, offset); }

  TempDirectory directory_;
  SharedQueue queue_;
  DiskFaults faults_;
  std::unique_ptr<rocksdb::Env> env_ =
      rocksdb::NewCompositeEnv(std::make_shared<FaultyFileSystem>(&faults_));
  RocksOptions options_;
  std::unique_ptr<Engine> engine_;
};

}  // namespace lariat::storage::internal
