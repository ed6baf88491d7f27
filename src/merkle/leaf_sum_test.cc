// SPDX-License-Identifier: Apache-2.0
#include "merkle/leaf_sum.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <vector>

#include "merkle/tree.h"

namespace lariat::merkle {
namespace {

struct Record {
  std::string key;
  uint64_t state = 0;
};

base::Hash128 Entry(const Record& record) {
  return EntryHash(record.key, base::HashOf128(std::to_string(record.state)));
}

LeafSum SumOf(const std::vector<Record>& records) {
  LeafSum sum;
  for (const Record& record : records) sum.Add(Entry(record), {});
  return sum;
}

std::vector<Record> Keys(size_t n) {
  std::vector<Record> records;
  for (size_t i = 0; i < n; ++i) records.push_back({"key" + std::to_string(i), 1});
  return records;
}

std::string Hex(const std::string& bytes) {
  std::string hex;
  for (const char byte : bytes) {
    hex += "0123456789abcdef"[static_cast<uint8_t>(byte) >> 4];
    hex += "0123456789abcdef"[static_cast<uint8_t>(byte) & 15];
  }
  return hex;
}

TEST(LeafSum, GoldenBytes) {
  LeafSum sum;
  sum.sum = {0x0102030405060708, 0x1112131415161718};
  sum.keys = 0x21;
  sum.tombstones = 0x22;
  sum.expiring = 0x23;
  sum.foldable = 0x24;
  std::string bytes;
  sum.AppendTo(&bytes);
  EXPECT_EQ(Hex(bytes),
            "18171615141312110807060504030201"
            "21000000220000002300000024000000");
  EXPECT_EQ(LeafSum::Decode(bytes), sum);
  EXPECT_FALSE(LeafSum::Decode(bytes + "x"));
  EXPECT_FALSE(LeafSum::Decode(std::string_view(bytes).substr(1)));
}

TEST(EntryHash, IsTheHashOfKeyAndDigest) {
  const base::Hash128 digest{2, 1};
  const std::string bytes("\3abc\1\0\0\0\0\0\0\0\2\0\0\0\0\0\0\0", 20);
  EXPECT_EQ(EntryHash("abc", digest), base::HashOf128(bytes));
}

TEST(LeafSum, CarriesBetweenItsHalves) {
  LeafSum sum;
  sum.Add({0, UINT64_MAX}, {});
  sum.Add({0, 1}, {});
  EXPECT_EQ(sum.sum, (base::Hash128{1, 0}));
  sum.Remove({0, 1}, {});
  EXPECT_EQ(sum.sum, (base::Hash128{0, UINT64_MAX}));
  sum.Remove({0, UINT64_MAX}, {});
  EXPECT_TRUE(sum.Empty());
}

RC_GTEST_PROP(LeafSum, AddingAndRemovingIsNeutral, ()) {
  LeafSum sum = SumOf(Keys(*rc::gen::inRange(0, 20)));
  const LeafSum before = sum;
  const base::Hash128 entry{*rc::gen::arbitrary<uint64_t>(), *rc::gen::arbitrary<uint64_t>()};
  const Traits traits{*rc::gen::arbitrary<bool>(), *rc::gen::arbitrary<bool>(),
                      *rc::gen::arbitrary<bool>()};
  sum.Add(entry, traits);
  RC_ASSERT(sum.keys == before.keys + 1);
  RC_ASSERT(sum.tombstones == before.tombstones + (traits.tombstone ? 1 : 0));
  RC_ASSERT(!(sum.sum == before.sum) || entry == base::Hash128{});
  sum.Remove(entry, traits);
  RC_ASSERT(sum == before);
}

RC_GTEST_PROP(LeafSum, DependsOnTheRecordsAndNotOnWhatHappened, ()) {
  std::vector<Record> records = Keys(*rc::gen::inRange(1, 30));
  const LeafSum sum = SumOf(records);
  // Overwritten, shuffled, in parts that are added up.
  LeafSum other;
  LeafSum part;
  for (size_t i = records.size(); i-- > 0;) {
    Record older = records[i];
    older.state = *rc::gen::arbitrary<uint64_t>();
    LeafSum& into = *rc::gen::arbitrary<bool>() ? other : part;
    into.Add(Entry(older), {});
    into.Remove(Entry(older), {});
    into.Add(Entry(records[i]), {});
  }
  RC_ASSERT(other + part == sum);
  RC_ASSERT(sum - part == other);
}

// Guards M28.
RC_GTEST_PROP(LeafSum, AnySingleDifferenceShows, ()) {
  const std::vector<Record> records = Keys(*rc::gen::inRange<size_t>(2, 200));
  const LeafSum sum = SumOf(records);
  const size_t at = *rc::gen::inRange<size_t>(0, records.size());
  std::vector<Record> changed = records;
  changed[at].state = 2;  // a value difference alone: the digest covers more than clocks
  RC_ASSERT(!(SumOf(changed).sum == sum.sum));
  std::vector<Record> missing = records;
  missing.erase(missing.begin() + static_cast<std::ptrdiff_t>(at));
  RC_ASSERT(!(SumOf(missing).sum == sum.sum));
  std::vector<Record> extra = records;
  extra.push_back({"another", 1});
  RC_ASSERT(!(SumOf(extra).sum == sum.sum));
  // Two records that have swapped their states, or that differ in the same way: as XOR of separate
  // hashes of key and state they would cancel each other.
  const size_t with = (at + 1) % records.size();
  std::vector<Record> swapped = changed;
  swapped[with].state = 3;
  std::vector<Record> back = swapped;
  std::swap(back[at].state, back[with].state);
  RC_ASSERT(!(SumOf(swapped).sum == SumOf(back).sum));
  std::vector<Record> both = changed;
  both[with].state = 2;
  RC_ASSERT(!(SumOf(both).sum == sum.sum));
}

TEST(LeafSum, EqualEntriesDoNotCancel) {
  LeafSum sum;
  sum.Add(Entry({"k", 1}), {});
  sum.Add(Entry({"k", 1}), {});
  EXPECT_NE(sum.sum, base::Hash128{});
}

TEST(RunHash, IsZeroForNothingAndTellsLeavesApart) {
  EXPECT_EQ(RunHash().hash(), base::Hash128{});
  const LeafSum sum = SumOf(Keys(3));
  RunHash empty;
  empty.Add(7, {});
  EXPECT_EQ(empty.hash(), base::Hash128{});
  RunHash a, b, c, d;
  a.Add(1, sum);
  b.Add(2, sum);
  EXPECT_NE(a.hash(), b.hash());
  EXPECT_EQ(a.keys(), 3U);
  c.Add(1, sum), c.Add(2, SumOf(Keys(2)));
  d.Add(2, SumOf(Keys(2))), d.Add(1, sum);
  EXPECT_EQ(c.hash(), d.hash());
  RunHash swapped;
  swapped.Add(2, sum), swapped.Add(1, SumOf(Keys(2)));
  EXPECT_NE(c.hash(), swapped.hash());
}

TEST(Tree, TakesMemoryForWhatIsUsedOnly) {
  Tree tree;
  const size_t empty = tree.MemoryBytes();
  EXPECT_TRUE(tree.At(65535).Empty());
  EXPECT_EQ(tree.MemoryBytes(), empty);
  tree.Use(65535) = SumOf(Keys(5));
  tree.Use(65534);
  EXPECT_EQ(tree.MemoryBytes(), empty + 256 * kLeafSumBytes);
  for (uint32_t leaf = 0; leaf < kLeaves; ++leaf) tree.Use(leaf);
  EXPECT_LE(tree.MemoryBytes(), (2U << 20) + 4096);
  RunHash all, one;
  tree.AddTo(0, kLeaves - 1, &all);
  one.Add(65535, SumOf(Keys(5)));
  EXPECT_EQ(all.hash(), one.hash());
}

}  // namespace
}  // namespace lariat::merkle
