// SPDX-License-Identifier: Apache-2.0
// Every kind of file of a store that was closed, damaged in every region of it: the store comes
// back with all that it had, or says that something may be missing, or is refused in words that say
// what to do. Never a wrong value, never a silent loss, and what the node knows about itself is
// whole.
#include <gtest/gtest.h>
#include <rocksdb/db.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <map>

#include "base/prng.h"
#include "storage/rocksdb/internal/end_mark.h"
#include "storage/rocksdb/rocksdb_engine.h"
#include "storage/rocksdb/test_world.h"

namespace lariat::storage {
namespace {

using base::Code;
using contract::PutOne;
using contract::ScanAndWait;
using contract::SyncAndWait;
using internal::OpenUnderTest;
using internal::SharedQueue;
using internal::TempDirectory;
namespace fs = std::filesystem;

constexpr int kOld = 200;  // keys in tables
constexpr int kNew = 80;   // keys in the log

std::string Key(int i) { return "key" + std::to_string(1000 + i); }

// Does not compress.
std::string Value(int i) {
  base::Prng random(static_cast<uint64_t>(i) + 1);
  std::string value(1000, '\0');
  for (char& c : value) c = static_cast<char>(random.Next());
  return value;
}

RocksOptions SmallOptions(const std::string& directory) {
  RocksOptions options;
  options.directory = directory;
  options.block_cache_bytes = 1 << 20;
  options.memtable_bytes = 1 << 20;
  options.io_threads = 1;
  options.compression = "none";
  options.disk_reserve_bytes = 0;
  return options;
}

// What damage does to a file of this size at this place.
using Damage = std::function<void(const std::string& file, uint64_t at)>;

void Overwrite(const std::string& file, uint64_t at, size_t count, const char* mask) {
  std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
  std::string bytes(std::min<uint64_t>(count, fs::file_size(file) - at), '\0');
  stream.seekg(static_cast<std::streamoff>(at));
  stream.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  for (char& c : bytes) c = mask == nullptr ? '\0' : static_cast<char>(c ^ *mask);
  stream.seekp(static_cast<std::streamoff>(at));
  stream.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

const std::map<std::string, Damage>& Damages() {
  static const std::map<std::string, Damage> damages = {
      {"flip", [](const auto& file, uint64_t at) { Overwrite(file, at, 1, "\x55"); }},
      {"bit", [](const auto& file, uint64_t at) { Overwrite(file, at, 1, "\x04"); }},
      {"zero", [](const auto& file, uint64_t at) { Overwrite(file, at, 512, nullptr); }},
      {"truncate", [](const auto& file, uint64_t at) { fs::resize_file(file, at); }},
      {"delete", [](const auto& file, uint64_t) { fs::remove(file); }},
  };
  return damages;
}

class StoreDamageTest : public testing::Test {
 protected:
  void SetUp() override {
    auto engine = OpenUnderTest(SmallOptions(whole())).value();
    for (int i = 0; i < kOld; ++i) Put(engine.get(), Space::kData, Key(i), Value(i));
    for (int i = 0; i < 40; ++i) Put(engine.get(), Space::kMeta, Key(i), Value(i).substr(0, 200));
    Put(engine.get(), Space::kHints, "hint", "h");
    engine = nullptr;
    engine = OpenUnderTest(SmallOptions(whole())).value();  // recovery writes the tables
    for (int i = kOld; i < kOld + kNew; ++i) Put(engine.get(), Space::kData, Key(i), Value(i));
    ASSERT_TRUE(SyncAndWait(engine.get(), &queue_).has_value());
  }
  static void Put(Engine* engine, Space space, const std::string& key, const std::string& value) {
    ASSERT_TRUE(PutOne(engine, space, key, value).has_value());
  }
  std::string whole() const { return directory_.path() + "/whole"; }
  std::string broken() const { return directory_.path() + "/broken"; }
  std::vector<std::string> Files() const {
    std::vector<std::string> files;
    for (const auto& entry : fs::directory_iterator(whole())) {
      if (entry.is_regular_file()) files.push_back(entry.path().filename().string());
    }
    std::sort(files.begin(), files.end());
    return files;
  }
  void CopyWhole() {
    fs::remove_all(broken());
    fs::copy(whole(), broken());
  }
  // Opens twice, with all read in between, as a node would. Gives how it ended.
  std::string Outcome();
  // Each damage at some places of the files of which `of` is true, most of them near the end, where
  // a table has its index, filter, properties and footer. What came of it -> how often.
  std::map<std::string, int> Try(const std::function<bool(const std::string&)>& of, int places);
  void CheckData(Engine* engine, bool may_lack);

  TempDirectory directory_;
  SharedQueue queue_;
};

void StoreDamageTest::CheckData(Engine* engine, bool may_lack) {
  for (int i = 0; i < kOld + kNew; ++i) {
    const auto value = engine->GetBlocking(Space::kData, Key(i));
    if (value) {
      EXPECT_EQ(*value, Value(i));
    } else {
      EXPECT_TRUE(value.error().code == Code::kCorruption ||
                  (may_lack && value.error().code == Code::kNotFound))
          << Key(i) << " " << value.error().message;
    }
  }
}

std::string StoreDamageTest::Outcome() {
  bool doubt = false;
  for (int round = 0; round < 2; ++round) {
    auto engine = OpenUnderTest(SmallOptions(broken()));
    if (!engine) {
      const std::string& words = engine.error().message;
      EXPECT_EQ(engine.error().code, Code::kCorruption) << words;
      EXPECT_NE(words.find("damaged beyond repair"), std::string::npos) << words;
      EXPECT_NE(words.find("--replace"), std::string::npos) << words;
      EXPECT_EQ(OpenUnderTest(SmallOptions(broken())).error().message, words);
      return "refused";
    }
    doubt = (*engine)->Stats().salvaged || (*engine)->Stats().log_truncated;
    for (int i = 0; i < 40; ++i) {
      EXPECT_EQ((*engine)->GetBlocking(Space::kMeta, Key(i)).value_or("?"),
                Value(i).substr(0, 200));
    }
    CheckData(engine->get(), doubt);
    const auto scanned = ScanAndWait(engine->get(), &queue_, "", "");
    if (round == 0) continue;
    EXPECT_TRUE(scanned.has_value()) << "the damage was met, and the open did not mend it";
  }
  return doubt ? "doubt" : "whole";
}

std::map<std::string, int> StoreDamageTest::Try(const std::function<bool(const std::string&)>& of,
                                                int places) {
  std::map<std::string, int> outcomes;
  for (const std::string& name : Files()) {
    if (!of(name)) continue;
    const uint64_t size = fs::file_size(whole() + "/" + name);
    for (const auto& [kind, damage] : Damages()) {
      const int count = kind == "delete" ? 1 : places;
      for (int place = 0; place < count; ++place) {
        const uint64_t back = place % 2 == 0 ? size : std::min<uint64_t>(size, 2000);
        const uint64_t at = size - 1 - back * static_cast<uint64_t>(place) / (places + 1);
        SCOPED_TRACE(name + " " + kind + " at " + std::to_string(at) + " of " +
                     std::to_string(size));
        CopyWhole();
        if (size == 0 && kind != "delete") continue;
        damage(broken() + "/" + name, at);
        const std::string outcome = Outcome();
        ++outcomes[outcome];
        if (HasFailure()) return outcomes;
      }
    }
  }
  return outcomes;
}

// Guards M39.
TEST_F(StoreDamageTest, TablesComeBack) {
  // Those of the data, of kMeta and of its copy.
  const auto is_large = [this](const std::string& name) {
    return name.ends_with(".sst") && fs::file_size(whole() + "/" + name) > 5000;
  };
  const auto outcomes = Try(is_large, 4);
  EXPECT_EQ(outcomes.count("refused"), 0U);
  EXPECT_GT(outcomes.at("doubt"), 10);
}

// Guards M39.
TEST_F(StoreDamageTest, ALogIsCutAndSaysSo) {
  if (fs::exists(whole() + "/log")) GTEST_SKIP() << "the engine has a log of its own";
  const auto outcomes = Try([](const auto& name) { return name.ends_with(".log"); }, 6);
  EXPECT_EQ(outcomes.count("refused"), 0U);
  EXPECT_EQ(outcomes.count("whole"), 0U) << "what was synced is missing";
}

// Guards M39.
TEST_F(StoreDamageTest, AListOfFilesThatIsNotWhatItWasIsNotBelieved) {
  const auto outcomes = Try([](const auto& name) { return name.starts_with("MANIFEST"); }, 10);
  EXPECT_EQ(outcomes.size(), 1U);
  EXPECT_GT(outcomes.at("refused"), 0);
}

// Guards M39.
TEST_F(StoreDamageTest, OfTheOthersNothingIsNeeded) {
  const auto outcomes = Try(
      [](const auto& name) {
        return !name.ends_with(".sst") && !name.ends_with(".log") && !name.starts_with("MANIFEST");
      },
      2);
  EXPECT_EQ(outcomes.size(), 1U);
  EXPECT_GT(outcomes.at("whole"), 0);
}

// Guards M39.
TEST_F(StoreDamageTest, BothOfItsOwnRecordsAreNeverTakenForNone) {
  CopyWhole();
  int damaged = 0;
  for (const std::string& name : Files()) {
    const std::string file = broken() + "/" + name;
    const bool of_meta =
        name.ends_with(".sst") && fs::file_size(file) > 5000 && fs::file_size(file) < 50'000;
    if (!of_meta) continue;
    Overwrite(file, 100, 1, "\x55");
    ++damaged;
  }
  ASSERT_EQ(damaged, 2) << "a table of kMeta, and one of its copy";
  EXPECT_EQ(Outcome(), "refused");
}

TEST_F(StoreDamageTest, AStoreOfAnEarlierVersionGetsItsCopy) {
  CopyWhole();
  std::vector<std::string> names;
  rocksdb::DB* db = nullptr;
  ASSERT_TRUE(rocksdb::DB::ListColumnFamilies({}, broken(), &names).ok());
  std::vector<rocksdb::ColumnFamilyDescriptor> families;
  for (const std::string& name : names) families.emplace_back(name, rocksdb::ColumnFamilyOptions());
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  ASSERT_TRUE(rocksdb::DB::Open({}, broken(), families, &handles, &db).ok());
  std::unique_ptr<rocksdb::DB> opened(db);
  ASSERT_TRUE(db->DropColumnFamily(handles.back()).ok());
  for (auto* handle : handles) ASSERT_TRUE(db->DestroyColumnFamilyHandle(handle).ok());
  opened.reset();
  EXPECT_EQ(names.back(), "meta_copy");
  EXPECT_EQ(Outcome(), "whole");
  names.clear();
  ASSERT_TRUE(rocksdb::DB::ListColumnFamilies({}, broken(), &names).ok());
  EXPECT_EQ(names.back(), "meta_copy");
}

TEST(EndMarkTest, ItsBytes) {
  const internal::Reached reached{1, 2, 3, 4};
  const std::string bytes = internal::EncodeReached(reached);
  const std::string head("\x01\x01\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\x03\0\0\0\0\0\0\0\x04\0\0\0",
                         29);
  EXPECT_EQ(bytes.substr(0, 29), head);
  EXPECT_EQ(bytes.size(), 33U);
  EXPECT_EQ(internal::DecodeReached(bytes), reached);
  for (size_t i = 0; i < bytes.size(); ++i) {
    std::string other = bytes;
    other[i] = static_cast<char>(other[i] ^ 1);
    EXPECT_FALSE(internal::DecodeReached(other)) << i;
  }
  EXPECT_FALSE(internal::DecodeReached(bytes + "x"));
  EXPECT_FALSE(internal::DecodeReached(""));
}

}  // namespace
}  // namespace lariat::storage
