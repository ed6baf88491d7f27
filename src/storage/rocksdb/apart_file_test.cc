// SPDX-License-Identifier: Apache-2.0
#include "storage/rocksdb/internal/apart_file.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "storage/rocksdb/internal/open.h"
#include "storage/rocksdb/test_world.h"

namespace lariat::storage {
namespace {

using base::Code;
using contract::PutOne;
using contract::SyncAndWait;
using contract::WriteApartAndWait;

class ApartFileTest : public testing::Test {
 protected:
  void TearDown() override { engine_.reset(); }  // before the environment it runs in

  void Open() {
    engine_.reset();
    RocksOptions options;
    options.directory = directory_.path();
    options.block_cache_bytes = 1 << 20;
    options.disk_reserve_bytes = 1 << 20;
    engine_ = internal::OpenRocksEngineIn(options, env_.get()).value();
  }
  Code Write(const std::string& bytes) {
    const auto status = WriteApartAndWait(engine_.get(), &queue_, bytes);
    return status ? Code::kOk : status.error().code;
  }
  std::string Path(const std::string& name) const { return directory_.path() + "/" + name; }
  std::string Bytes(const std::string& name) const {
    std::ifstream file(Path(name), std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  void SetBytes(const std::string& name, const std::string& bytes) const {
    std::ofstream(Path(name), std::ios::binary | std::ios::trunc) << bytes;
  }

  internal::TempDirectory directory_;
  internal::DiskFaults faults_;
  std::unique_ptr<rocksdb::Env> env_ =
      rocksdb::NewCompositeEnv(std::make_shared<internal::FaultyFileSystem>(&faults_));
  internal::SharedQueue queue_;
  std::unique_ptr<Engine> engine_;
};

TEST_F(ApartFileTest, DamageOfTheLogDoesNotReachIt) {
  Open();
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(PutOne(engine_.get(), Space::kMeta, std::to_string(i), std::string(100, 'v')));
  }
  ASSERT_TRUE(SyncAndWait(engine_.get(), &queue_).has_value());
  ASSERT_EQ(Write("votes"), Code::kOk);
  engine_.reset();
  for (const auto& entry : std::filesystem::directory_iterator(directory_.path())) {
    const std::string name = entry.path().filename().string();
    if (!name.ends_with(".log")) continue;
    std::string bytes = Bytes(name);
    bytes[bytes.size() / 2] ^= 0x55;
    SetBytes(name, bytes);
  }
  Open();
  EXPECT_TRUE(engine_->Stats().log_truncated);
  EXPECT_EQ(engine_->ReadApart().value(), "votes");
  Open();  // the next one too
  EXPECT_EQ(engine_->ReadApart().value(), "votes");
}

TEST_F(ApartFileTest, SalvageLeavesIt) {
  Open();
  ASSERT_EQ(Write("votes"), Code::kOk);
  engine_.reset();
  SetBytes("SALVAGE", "damaged - for a test\n");
  Open();
  EXPECT_TRUE(engine_->Stats().salvaged);
  EXPECT_EQ(engine_->ReadApart().value(), "votes");
}

// An earlier program opens the store, which begins another manifest, and leaves both files as they
// were: what it wrote is not in them.
TEST_F(ApartFileTest, WhatAnotherProgramHasPassedByIsOutOfDate) {
  Open();
  ASSERT_EQ(Write("votes"), Code::kOk);
  engine_.reset();
  const std::string opened = Bytes("OPENED");
  EXPECT_EQ(opened, Bytes("CURRENT"));
  Open();
  EXPECT_NE(Bytes("OPENED"), opened);
  EXPECT_EQ(engine_->ReadApart().value(), "votes");
  engine_.reset();
  SetBytes("OPENED", opened);
  Open();
  EXPECT_EQ(engine_->ReadApart().error().code, Code::kNotFound);
  Open();
  EXPECT_EQ(engine_->ReadApart().error().code, Code::kNotFound) << "it does not come back";
  ASSERT_EQ(Write("again"), Code::kOk);
  Open();
  EXPECT_EQ(engine_->ReadApart().value(), "again");
  engine_.reset();
  std::filesystem::remove(Path("OPENED"));
  Open();
  EXPECT_EQ(engine_->ReadApart().error().code, Code::kNotFound) << "nobody knows who it was";
}

TEST_F(ApartFileTest, WithoutRoomTheOneBeforeStays) {
  Open();
  ASSERT_EQ(Write("before"), Code::kOk);
  faults_.append_lacks_space = true;
  faults_.fail_table_append = true;
  EXPECT_EQ(Write("too much"), Code::kDiskFull);
  EXPECT_NE(engine_->health(), Health::kDead);
  faults_.fail_table_append = false;
  EXPECT_EQ(engine_->ReadApart().value(), "before");
  EXPECT_EQ(Write("after"), Code::kOk);
  EXPECT_EQ(engine_->ReadApart().value(), "after");
}

// Guards M37.
TEST_F(ApartFileTest, AFailedWriteIsFinal) {
  Open();
  ASSERT_EQ(Write("before"), Code::kOk);
  faults_.fail_table_append = true;
  EXPECT_EQ(Write("lost"), Code::kIo);
  EXPECT_EQ(engine_->health(), Health::kDead);
  faults_.fail_table_append = false;
  EXPECT_EQ(Write("not any more"), Code::kIo);
  EXPECT_EQ(engine_->ReadApart().value(), "before");
}

}  // namespace
}  // namespace lariat::storage
