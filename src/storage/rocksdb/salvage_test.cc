// SPDX-License-Identifier: Apache-2.0
// What is left of a damaged store: opening, salvage, quarantine.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <optional>

#include "storage/rocksdb/engine_test_util.h"

namespace lariat::storage {
namespace {

using base::Code;
using contract::PutOne;
using contract::ScanAndWait;
using internal::Key;
using internal::RocksEngineTest;
using internal::Value;

class SalvageTest : public RocksEngineTest {
 protected:
  static constexpr int kKeys = 400;
  // Tables of all spaces, and nothing in the log.
  void Fill() {
    ASSERT_EQ(Open(), Code::kOk);
    for (int i = 0; i < kKeys; ++i) ASSERT_EQ(Put(i), Code::kOk);
    ASSERT_TRUE(PutOne(engine_.get(), Space::kMeta, "identity", "me").has_value());
    ASSERT_TRUE(PutOne(engine_.get(), Space::kTree, "leaf", "sum").has_value());
    ASSERT_TRUE(PutOne(engine_.get(), Space::kHints, "hint", "h").has_value());
    ASSERT_EQ(Open(), Code::kOk);  // recovery writes the tables
    engine_.reset();
  }
  std::string LargestTable() const {
    std::string largest;
    uint64_t size = 0;
    for (const std::string& table : Files(".sst")) {
      if (std::filesystem::file_size(table) <= size) continue;
      size = std::filesystem::file_size(table);
      largest = table;
    }
    return largest;
  }
  int Readable() {
    int readable = 0;
    for (int i = 0; i < kKeys; ++i) {
      const auto value = engine_->GetBlocking(Space::kData, Key(i));
      if (value.has_value()) {
        EXPECT_EQ(*value, Value(i));
        ++readable;
      } else {
        EXPECT_EQ(value.error().code, Code::kNotFound);
      }
    }
    return readable;
  }
  size_t Quarantines() const {
    size_t kept = 0;
    for (const auto& entry : std::filesystem::directory_iterator(directory_.path())) {
      kept += entry.path().filename().string().starts_with("quarantine-") ? 1 : 0;
    }
    return kept;
  }
};

TEST_F(SalvageTest, WhatIsOutsideADamagedBlockSurvives) {
  Fill();
  const std::string table = LargestTable();
  FlipByte(table, std::filesystem::file_size(table) / 3);
  FlipByte(table, std::filesystem::file_size(table) / 2);
  ASSERT_EQ(Open(), Code::kOk);
  EXPECT_FALSE(engine_->Stats().salvaged) << "nobody has met the damage yet";
  EXPECT_FALSE(ScanAndWait(engine_.get(), &queue_, "", "").has_value());
  ASSERT_EQ(Open(), Code::kOk);
  EXPECT_TRUE(engine_->Stats().salvaged);
  EXPECT_FALSE(engine_->Stats().log_truncated);
  EXPECT_GT(engine_->Stats().quarantine_bytes, 400'000U);
  EXPECT_GE(Readable(), kKeys - 2 * 8) << "a block holds four of them";
  EXPECT_LT(Readable(), kKeys);
  EXPECT_TRUE(ScanAndWait(engine_.get(), &queue_, "", "").has_value());
  EXPECT_EQ(engine_->GetBlocking(Space::kMeta, "identity").value(), "me");
  EXPECT_EQ(engine_->GetBlocking(Space::kHints, "hint").value(), "h");
  EXPECT_EQ(engine_->GetBlocking(Space::kTree, "leaf").error().code, Code::kNotFound);
  EXPECT_EQ(Quarantines(), 1U);
  // It is said until somebody has taken note.
  ASSERT_EQ(Open(), Code::kOk);
  EXPECT_TRUE(engine_->Stats().salvaged);
  WriteBatch noted;
  noted.Remove(Space::kMeta, std::string(kSalvagedKey));
  ASSERT_TRUE(engine_->Write(noted).has_value());
  ASSERT_EQ(Sync(), Code::kOk);
  ASSERT_EQ(Open(), Code::kOk);
  EXPECT_FALSE(engine_->Stats().salvaged);
  EXPECT_EQ(Quarantines(), 1U);
}

// Guards M39.
TEST_F(SalvageTest, AnOlderStateUnderADamagedBlockIsNotBelieved) {
  Fill();
  ASSERT_EQ(Open(), Code::kOk);
  for (int i = 0; i < kKeys; ++i) {
    ASSERT_TRUE(PutOne(engine_.get(), Space::kData, Key(i), Value(i + 1000)).has_value());
  }
  ASSERT_EQ(Open(), Code::kOk);
  engine_.reset();
  // Tables of the new state, which may have been merged with the old one.
  std::string newest;
  for (const std::string& table : Files(".sst")) {
    const bool is_data = std::filesystem::file_size(table) > 100'000;
    if (is_data && table > newest) newest = table;
  }
  FlipByte(newest, std::filesystem::file_size(newest) / 2);
  ASSERT_EQ(Open(), Code::kOk);
  (void)ScanAndWait(engine_.get(), &queue_, "", "");
  ASSERT_EQ(Open(), Code::kOk);
  ASSERT_TRUE(engine_->Stats().salvaged);
  for (int i = 0; i < kKeys; ++i) {
    const auto value = engine_->GetBlocking(Space::kData, Key(i));
    if (value.has_value()) {
      EXPECT_EQ(*value, Value(i + 1000));
    }
  }
}

TEST_F(SalvageTest, ATableThatCannotBeOpenedIsSalvagedAtOnce) {
  Fill();
  const std::string table = LargestTable();
  const uint64_t size = std::filesystem::file_size(table);
  for (uint64_t at = size - 40; at < size; ++at) FlipByte(table, at);  // its footer
  ASSERT_EQ(Open(), Code::kOk);
  EXPECT_TRUE(engine_->Stats().salvaged);
  EXPECT_EQ(engine_->GetBlocking(Space::kMeta, "identity").value(), "me");
  EXPECT_LT(Readable(), kKeys);
  EXPECT_EQ(Put(1), Code::kOk);
}

TEST_F(SalvageTest, WithoutItsOwnRecordsANodeDoesNotStart) {
  for (const bool manifest : {true, false}) {
    options_.directory = directory_.path() + (manifest ? "/a" : "/b");
    Fill();
    for (const auto& entry : std::filesystem::directory_iterator(options_.directory)) {
      const std::string file = entry.path().string();
      const bool is_manifest = entry.path().filename().string().starts_with("MANIFEST");
      const bool is_small_table = entry.path().extension() == ".sst" && entry.file_size() < 10'000;
      if (manifest ? !is_manifest : !is_small_table) continue;
      for (uint64_t at = 8; at < entry.file_size() / 2; at += 16) FlipByte(file, at);
    }
    auto opened = internal::OpenUnderTest(options_, env_.get());
    if (opened.has_value()) {
      EXPECT_EQ((*opened)->GetBlocking(Space::kMeta, "identity").error().code, Code::kCorruption);
      opened->reset();
      opened = internal::OpenUnderTest(options_, env_.get());
    }
    ASSERT_FALSE(opened.has_value());
    EXPECT_EQ(opened.error().code, Code::kCorruption);
    EXPECT_NE(opened.error().message.find("--replace"), std::string::npos);
  }
}

TEST_F(SalvageTest, AStoreWithoutItsAnchorIsNotTakenForANewOne) {
  const std::string anchor = directory_.path() + "/CURRENT";
  // Data in the log alone, then in tables alone.
  ASSERT_EQ(Open(), Code::kOk);
  for (int i = 0; i < kKeys; ++i) ASSERT_EQ(Put(i), Code::kOk);
  engine_.reset();
  for (const bool in_log : {true, false}) {
    std::filesystem::remove(anchor);
    ASSERT_EQ(Open(), Code::kOk) << in_log;
    EXPECT_EQ(Readable(), kKeys) << "only one manifest can have been meant";
    EXPECT_FALSE(engine_->Stats().salvaged);
    engine_.reset();
  }
  std::ofstream(directory_.path() + "/MANIFEST-000001") << "which one?";
  std::ofstream(anchor) << "MANIFEST-9";
  EXPECT_EQ(Open(), Code::kCorruption);
  std::filesystem::remove(anchor);
  EXPECT_EQ(Open(), Code::kCorruption);
  for (const auto& entry : std::filesystem::directory_iterator(directory_.path())) {
    if (entry.path().filename().string().starts_with("MANIFEST")) {
      std::filesystem::remove(entry.path());
    }
  }
  EXPECT_EQ(Open(), Code::kCorruption);
}

TEST_F(SalvageTest, NeedsRoomForTheCopy) {
  Fill();
  std::ofstream(directory_.path() + "/SALVAGE") << "damaged - told by a test\n";
  faults_.free_bytes = options_.disk_reserve_bytes + 1000;
  const auto opened = internal::OpenUnderTest(options_, env_.get());
  ASSERT_FALSE(opened.has_value());
  EXPECT_EQ(opened.error().code, Code::kDiskFull);
  EXPECT_NE(opened.error().message.find("has to be copied"), std::string::npos);
  faults_.free_bytes = uint64_t{1} << 40;
  ASSERT_EQ(Open(), Code::kOk);
  EXPECT_EQ(Readable(), kKeys);
}

TEST_F(SalvageTest, GoesOnAfterACrashInEachStep) {
  Fill();
  const std::string& directory = directory_.path();
  // While copying.
  std::ofstream(directory + "/SALVAGE") << "damaged - told by a test\n";
  std::filesystem::create_directories(directory + "/salvage-new");
  std::ofstream(directory + "/salvage-new/000001.sst") << "half";
  ASSERT_EQ(Open(), Code::kOk);
  EXPECT_EQ(Readable(), kKeys);
  engine_.reset();
  // While the old files are moved away: what is copied lies in salvage-new.
  std::filesystem::create_directories(directory + "/salvage-new");
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    const std::string name = entry.path().filename().string();
    if (!entry.is_regular_file() || name == "LOCK") continue;
    std::filesystem::rename(entry.path(), directory + "/salvage-new/" + name);
  }
  std::ofstream(directory + "/000001.sst") << "an old file";
  std::ofstream(directory + "/SALVAGE") << "copied quarantine-9999999998\n";
  ASSERT_EQ(Open(), Code::kOk);
  EXPECT_EQ(Readable(), kKeys);
  engine_.reset();
  EXPECT_TRUE(std::filesystem::exists(directory + "/quarantine-9999999998/000001.sst"));
  // While the new ones are moved in.
  std::filesystem::create_directories(directory + "/salvage-new");
  std::filesystem::rename(directory + "/CURRENT", directory + "/salvage-new/CURRENT");
  std::ofstream(directory + "/SALVAGE") << "moved quarantine-9999999998\n";
  ASSERT_EQ(Open(), Code::kOk);
  EXPECT_EQ(Readable(), kKeys);
  EXPECT_EQ(Quarantines(), 2U);
  // Two are kept.
  engine_.reset();
  std::ofstream(directory + "/SALVAGE") << "copied quarantine-9999999999\n";
  std::filesystem::create_directories(directory + "/salvage-new");
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    const std::string name = entry.path().filename().string();
    if (!entry.is_regular_file() || name == "LOCK" || name == "SALVAGE") continue;
    std::filesystem::rename(entry.path(), directory + "/salvage-new/" + name);
  }
  ASSERT_EQ(Open(), Code::kOk);
  EXPECT_EQ(Quarantines(), 2U);
}

}  // namespace
}  // namespace lariat::storage
