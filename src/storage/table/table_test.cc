// SPDX-License-Identifier: Apache-2.0
#include "storage/table/table.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <thread>
#include <vector>

#include "storage/table/table_test_util.h"

namespace lariat::storage::table {
namespace {

constexpr size_t kRoomy = 64 << 20;

std::string KeyOf(uint64_t number) { return KeyOf(Shape::kRandom, number); }

// What the table says of a key: its bytes, or one of these words.
std::string Look(Table& table, std::string_view key) {
  const Found found = table.Find(key);
  switch (found.known) {
    case Known::kRecord:
      return std::string(found.version->bytes());
    case Known::kAbsent:
      return "absent";
    case Known::kUnknown:
      return "unknown";
    case Known::kLost:
      return "lost";
  }
  return "";
}

// Reads the key as if the files had these bytes.
bool Fill(Table& table, std::string_view key, std::string_view bytes) {
  const Found found = table.Find(key);
  return table.Fill(Version::Record(key, bytes), found.token);
}

std::vector<VersionRef> Flush(Table& table, uint64_t upto, bool ok = true) {
  std::vector<VersionRef> flushed;
  table.BeginFlush(upto);
  while (table.NextToFlush(100, &flushed)) {
  }
  table.EndFlush(ok);
  return flushed;
}

std::vector<std::string> KeysOf(const std::vector<VersionRef>& versions) {
  std::vector<std::string> keys;
  for (const VersionRef& version : versions) keys.emplace_back(version->key());
  return keys;
}

TEST(Charge, IsTheSizeClassOfJemalloc) {
  EXPECT_EQ(Charge(0), 16U);
  EXPECT_EQ(Charge(1), 16U);
  EXPECT_EQ(Charge(16), 16U);
  EXPECT_EQ(Charge(17), 32U);
  EXPECT_EQ(Charge(128), 128U);
  EXPECT_EQ(Charge(129), 160U);
  EXPECT_EQ(Charge(257), 320U);
  EXPECT_EQ(Charge(512), 512U);
  EXPECT_EQ(Charge(513), 640U);
  EXPECT_EQ(Charge((1 << 20) + 40), size_t{5} << 18);
}

TEST(Version, IsReadAndDroppedOnOtherThreads) {
  VersionRef version = Version::Record("key", "value", 7);
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([version] {
      for (int j = 0; j < 10'000; ++j) {
        const VersionRef copy = version;
        ASSERT_EQ(copy->bytes(), "value");
      }
    });
  }
  version = VersionRef();
  for (std::thread& thread : threads) thread.join();
}

TEST(Table, KeepsValuesOfAllSizes) {
  Table table({{}, kRoomy, kRoomy / 2});
  uint64_t lsn = 0;
  for (size_t size = 0; size <= 1 << 20; size = size * 3 + 1) {
    table.Put(KeyOf(size), std::string(size, 'v'), ++lsn);
  }
  table.Put(KeyOf(1 << 20), std::string(1 << 20, 'w'), ++lsn);
  for (size_t size = 0; size <= 1 << 20; size = size * 3 + 1) {
    EXPECT_EQ(Look(table, KeyOf(size)), std::string(size, 'v'));
  }
  EXPECT_EQ(Look(table, KeyOf(1 << 20)), std::string(1 << 20, 'w'));
  EXPECT_EQ(Look(table, KeyOf(2)), "unknown");
}

TEST(Table, SaysWhetherAVersionIsDurable) {
  Table table({});
  table.Put("key", "value", 5);
  EXPECT_FALSE(table.Find("key").version->DurableAt(4));
  EXPECT_TRUE(table.Find("key").version->DurableAt(5));
  table.Remove("key", 6);
  EXPECT_FALSE(table.Find("key").version->DurableAt(5));
  EXPECT_EQ(Look(table, "key"), "absent");
  EXPECT_TRUE(Fill(table, "other", "value"));
  EXPECT_TRUE(table.Find("other").version->DurableAt(0));
}

TEST(Table, AVersionOutlivesWhatReplacesIt) {
  Table table({});
  table.Put("key", "old", 1);
  const VersionRef held(table.Find("key").version);
  held->SetDigest({1, 2});
  table.Put("key", "new", 2);
  EXPECT_EQ(held->bytes(), "old");
  EXPECT_EQ(*held->digest(), (base::Hash128{1, 2}));
  EXPECT_EQ(table.Find("key").version->digest(), nullptr);
}

// --- fills -------------------------------------------------------------------------------------

TEST(Fill, LosesAgainstAWriteThatIsGoneAgain) {
  // One leaf, a run, and a bucket that comes and goes; the write is flushed and evicted.
  for (const Shape shape : {Shape::kRandom, Shape::kEqual, Shape::kBuckets}) {
    for (const bool removed : {false, true}) {
      Table table({{}, kRoomy, kRoomy / 2});
      for (uint64_t i = 1; i < 100; ++i) table.Put(KeyOf(shape, i), "value", 1);
      const std::string key = KeyOf(shape, 0);
      const Found before = table.Find(key);
      ASSERT_EQ(before.known, Known::kUnknown);
      removed ? table.Remove(key, 2) : table.Put(key, "new", 2);
      Flush(table, 2);
      table.SetBudget(0, 0);
      table.SetBudget(kRoomy, kRoomy / 2);
      ASSERT_EQ(Look(table, key), "unknown");
      EXPECT_FALSE(table.Fill(Version::Record(key, "old"), before.token));
      EXPECT_EQ(Look(table, key), "unknown");
      EXPECT_TRUE(Fill(table, key, "new"));
      EXPECT_EQ(Look(table, key), "new");
    }
  }
}

TEST(Fill, KeepsWhatIsKnown) {
  Table table({});
  const Found before = table.Find("key");
  EXPECT_TRUE(table.Fill(Version::Record("key", "one"), before.token));
  EXPECT_FALSE(table.Fill(Version::Record("key", "two"), before.token));
  EXPECT_EQ(Look(table, "key"), "one");
  EXPECT_EQ(table.Stats().unflushed_bytes, 0U);
}

TEST(Fill, AnotherKeysWriteElsewhereDoesNoHarm) {
  Table table({{}, kRoomy, kRoomy / 2});
  for (uint64_t i = 0; i < 1000; ++i) table.Put(KeyOf(i), "value", 1);
  const std::string key = KeyOf(5000);
  const Found before = table.Find(key);
  table.Put(DataKey(1, Scatter(5000) + (uint64_t{1} << 63), "far"), "value", 2);
  EXPECT_TRUE(table.Fill(Version::Record(key, "old"), before.token));
}

TEST(Fill, AbsentKeysHaveAnEighthOfTheBudget) {
  Table table({{}, 80'000, 40'000});
  for (uint64_t i = 0; i < 2000; ++i) {
    const Found found = table.Find(KeyOf(i));
    table.Fill(Version::Absent(KeyOf(i)), found.token);
    ASSERT_LE(table.Stats().absent_bytes, 10'000U);
  }
  EXPECT_GT(table.Stats().absent_bytes, 9'000U);
  EXPECT_EQ(Look(table, KeyOf(0)), "absent");
  EXPECT_EQ(Look(table, KeyOf(1999)), "unknown");
}

// --- the budget --------------------------------------------------------------------------------

TEST(Budget, HoldsUnderAnyLoad) {
  constexpr size_t kBudget = 400'000;
  for (const Shape shape : kShapes) {
    Table table({{}, kBudget, kBudget / 2});
    base::Prng random(static_cast<uint64_t>(shape) + 1);
    uint64_t lsn = 0;
    std::vector<VersionRef> out;
    for (int step = 0; step < 20'000; ++step) {
      const std::string key = KeyOf(shape, random.Below(3000));
      const size_t size = random.Below(random.Chance(0.02) ? 20'000 : 300);
      const Found found = table.Find(key);
      if (found.known == Known::kUnknown && random.Chance(0.7)) {
        table.Fill(Version::Record(key, std::string(size, 'f')), found.token);
      } else if (table.HasRoom({1, key.size() + size})) {
        table.Put(key, std::string(size, 'v'), ++lsn);
      } else if (!table.flushing()) {
        table.BeginFlush(lsn);
      } else if (!table.NextToFlush(200, &out)) {
        table.EndFlush(random.Chance(0.8));
        out.clear();
      }
      const TableStats stats = table.Stats();
      ASSERT_LE(stats.unflushed_bytes, kBudget / 2) << static_cast<int>(shape);
      // A bucket for every three keys takes more than the budget for its directory alone.
      const size_t excused = shape == Shape::kBuckets ? stats.index_bytes : 0;
      ASSERT_LE(stats.bytes, std::max(kBudget, stats.unflushed_bytes + excused));
    }
    EXPECT_GT(table.Stats().evicted, 100U);
    EXPECT_EQ(Audit(table.index()).Run(), "");
  }
}

TEST(Budget, UnflushedRecordsStayWhateverItIs) {
  Table table({{}, 10'000, 5'000});
  for (uint64_t i = 0; i < 1000; ++i) table.Put(KeyOf(i), "value", i + 1);
  EXPECT_FALSE(table.HasRoom({}));
  for (uint64_t i = 0; i < 1000; ++i) ASSERT_EQ(Look(table, KeyOf(i)), "value");
  EXPECT_FALSE(Fill(table, KeyOf(1000), "value"));
  EXPECT_EQ(Flush(table, 1000).size(), 1000U);
  EXPECT_LE(table.Stats().bytes, 10'000U);
  EXPECT_TRUE(table.HasRoom({}));
}

TEST(Budget, OfNothingLeavesNothing) {
  Table table({{}, kRoomy, kRoomy / 2});
  for (uint64_t i = 0; i < 20'000; ++i) Fill(table, KeyOf(i), "value");
  EXPECT_EQ(table.Stats().entries, 20'000U);
  table.SetBudget(500'000, 250'000);
  EXPECT_LE(table.Stats().bytes, 500'000U);
  EXPECT_GT(table.Stats().bytes, 450'000U);
  table.SetBudget(0, 0);
  EXPECT_EQ(table.Stats().bytes, 0U);
}

TEST(Budget, WhatIsUsedGetsASecondChance) {
  Table table({{}, 200'000, 100'000});
  for (uint64_t i = 0; i < 100; ++i) Fill(table, KeyOf(i), "hot");
  size_t kept = 0;
  for (uint64_t i = 1000; i < 20'000; ++i) {
    Fill(table, KeyOf(i), "read once");
    const bool hot = Look(table, KeyOf(i % 100)) != "unknown";
    if (i > 10'000) kept += hot ? 1 : 0;
  }
  EXPECT_GT(table.Stats().evicted, 15'000U);
  EXPECT_EQ(kept, 9'999U);
}

// --- flushing ----------------------------------------------------------------------------------

TEST(Flush, HasTheVersionsOfItsBeginning) {
  Table table({});
  table.Put("a", "a1", 1);
  table.Put("b", "b1", 2);
  table.Put("c", "c1", 3);
  table.Put("c", "c2", 4);  // two writes, one version
  table.Remove("d", 5);
  EXPECT_TRUE(Fill(table, "e", "clean"));
  table.BeginFlush(5);
  table.Put("a", "a2", 6);
  table.Put("a", "a3", 7);
  table.Remove("b", 8);
  table.Put("bb", "new", 9);
  EXPECT_GT(table.Stats().replaced_bytes, 0U);
  std::vector<VersionRef> flushed;
  while (table.NextToFlush(1, &flushed)) {
  }
  EXPECT_EQ(KeysOf(flushed), (std::vector<std::string>{"a", "b", "c", "d"}));
  EXPECT_EQ(flushed[0]->bytes(), "a1");
  EXPECT_EQ(flushed[1]->bytes(), "b1");
  EXPECT_EQ(flushed[2]->bytes(), "c2");
  EXPECT_TRUE(flushed[3]->absent());
  table.EndFlush(true);
  EXPECT_EQ(table.Stats().replaced_bytes, 0U);

  EXPECT_EQ(Look(table, "a"), "a3");
  EXPECT_EQ(Look(table, "b"), "absent");
  EXPECT_EQ(Look(table, "d"), "absent");
  EXPECT_EQ(KeysOf(Flush(table, 9)), (std::vector<std::string>{"a", "b", "bb"}));
  EXPECT_EQ(Flush(table, 9).size(), 0U);
}

TEST(Flush, ThatFailsIsDoneAgainByTheNext) {
  Table table({});
  table.Put("a", "a1", 1);
  table.Put("b", "b1", 2);
  EXPECT_EQ(Flush(table, 2, false).size(), 2U);
  table.BeginFlush(2);
  table.EndFlush(false);  // half-way
  table.Put("b", "b2", 3);
  const std::vector<VersionRef> flushed = Flush(table, 3);
  EXPECT_EQ(KeysOf(flushed), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(flushed[1]->bytes(), "b2");
  EXPECT_EQ(table.Stats().unflushed_bytes, 0U);
}

// --- ranges, and a log that fails --------------------------------------------------------------

TEST(Scan, GoesOnByKeyWhileEverythingChanges) {
  Table table({{}, kRoomy, kRoomy / 2});
  std::vector<std::string> even;
  for (uint64_t i = 0; i < 2000; i += 2) {
    even.push_back(KeyOf(Shape::kEqual, i));
    table.Put(even.back(), "even", 1);
  }
  std::sort(even.begin(), even.end());
  std::vector<std::string> seen;
  uint64_t odd = 1;
  for (std::optional<std::string> from = ""; from;) {
    Table::Part part = table.Scan(*from, "", Table::Which::kAll, {10, 1 << 20});
    for (const VersionRef& version : part.versions) {
      if (version->bytes() == "even") seen.emplace_back(version->key());
    }
    for (int i = 0; i < 10; ++i, odd += 2) table.Put(KeyOf(Shape::kEqual, odd), "odd", 2);
    from = std::move(part.next);
    if (odd > 4000) break;
  }
  EXPECT_EQ(seen, even);
}

TEST(Scan, KeepsToItsLimits) {
  Table table({{}, kRoomy, kRoomy / 2});
  for (uint64_t i = 0; i < 100; ++i) table.Put(KeyOf(i), std::string(1000, 'v'), 1);
  EXPECT_EQ(table.Scan("", "", Table::Which::kAll, {7, 1 << 20}).versions.size(), 7U);
  EXPECT_EQ(table.Scan("", "", Table::Which::kAll, {50, 2500}).versions.size(), 3U);
  EXPECT_EQ(table.Scan("", "", Table::Which::kAll, {50, 0}).versions.size(), 1U);
  const Table::Part all = table.Scan("", "", Table::Which::kAll, {100, 1 << 20});
  EXPECT_EQ(all.versions.size(), 100U);
  EXPECT_FALSE(all.next);
  EXPECT_EQ(table.Scan("", all.versions[4]->key(), Table::Which::kAll, {}).versions.size(), 4U);
}

TEST(Fail, TakesBackWhatTheLogDidNotKeep) {
  Table table({});
  table.Put("a", "a1", 1);
  table.Put("b", "b1", 2);
  table.BeginFlush(2);
  table.Put("a", "a2", 3);
  std::vector<VersionRef> flushed;
  EXPECT_FALSE(table.NextToFlush(10, &flushed));
  table.Fail(1);
  EXPECT_EQ(Look(table, "a"), "lost");  // a1 was acknowledged; the files may have it or not
  EXPECT_EQ(Look(table, "b"), "lost");
  EXPECT_EQ(Look(table, "c"), "unknown");
  EXPECT_TRUE(table.Scan("a", "b", Table::Which::kAll, {}).lost);
  EXPECT_FALSE(table.Scan("c", "", Table::Which::kAll, {}).lost);
  table.EndFlush(true);  // counts as failed: what it has never happened
  table.SetBudget(0, 0);
  EXPECT_EQ(Look(table, "b"), "lost");
}

TEST(Fail, LeavesWhatTheFilesHave) {
  Table table({});
  table.Put("a", "a1", 5);
  Flush(table, 5);
  table.Fail(3);
  EXPECT_EQ(Look(table, "a"), "a1");
}

// --- what it costs -----------------------------------------------------------------------------

size_t Overhead(const Table& table, size_t payload) {
  const TableStats stats = table.Stats();
  return (stats.bytes - payload) / stats.entries;
}

// Key of 24 bytes (12 of them bucket and token) and value of 20: as in README.md.
TEST(Cost, OfAnEntryIsAsWrittenSlow) {
  for (const uint64_t entries : {10'000U, 100'000U, 1'000'000U}) {
    Table table({{}, size_t{1} << 30, size_t{1} << 30});
    for (uint64_t i = 0; i < entries; ++i) {
      std::string name = std::to_string(i);
      name.resize(12, '.');
      table.Put(DataKey(1, Scatter(i), name), "twenty bytes of value", i + 1);
    }
    EXPECT_EQ(table.Stats().entries, entries);
    EXPECT_LE(Overhead(table, entries * (24 + 21)), 90U) << entries;
    EXPECT_LE(table.Stats().index_bytes / entries, 35U) << entries;
  }
}

TEST(Cost, ManyKeysOfOneTokenSlow) {
  Table table({{}, size_t{1} << 30, size_t{1} << 30});
  constexpr uint64_t kKeys = 300'000;
  for (uint64_t i = 0; i < kKeys; ++i) {
    table.Put(DataKey(1, 42, std::to_string(Scatter(i))), "value", i + 1);
  }
  for (uint64_t i = 0; i < kKeys; i += 7) {
    ASSERT_EQ(table.Find(DataKey(1, 42, std::to_string(Scatter(i)))).known, Known::kRecord);
  }
  EXPECT_EQ(Audit(table.index()).Run(), "");
  EXPECT_EQ(Flush(table, kKeys).size(), kKeys);
  table.SetBudget(1 << 20, 1 << 19);
  EXPECT_LE(table.Stats().bytes, size_t{1} << 20);
  EXPECT_EQ(Audit(table.index()).Run(), "");
}

}  // namespace
}  // namespace lariat::storage::table
