// SPDX-License-Identifier: Apache-2.0
#include "storage/table/internal/index.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <vector>

#include "storage/table/table_test_util.h"

namespace lariat::storage::table {
namespace {

constexpr uint64_t kKeys = 3000;

void Insert(Index& index, const std::string& key) {
  index.Insert(PlaceOf(key), Version::Record(key, ""));
}

void Erase(Index& index, const std::string& key) {
  const Index::Spot spot = index.Find(PlaceOf(key));
  ASSERT_TRUE(spot.found);
  index.Erase(spot.leaf, spot.slot);
  index.Tidy(spot.leaf);
}

std::vector<std::string> KeysIn(const Index& index) {
  std::vector<std::string> keys;
  for (const Leaf* leaf = index.head(); leaf != nullptr; leaf = leaf->next) {
    for (uint32_t slot = 0; slot < leaf->size; ++slot) {
      keys.emplace_back(leaf->versions[slot]->key());
    }
  }
  return keys;
}

enum class Order : uint8_t { kUp, kDown, kMixed };

std::vector<std::string> KeysOf(Shape shape, Order order) {
  std::vector<std::string> keys;
  for (uint64_t i = 0; i < kKeys; ++i) keys.push_back(KeyOf(shape, i));
  if (order != Order::kMixed) std::sort(keys.begin(), keys.end());
  if (order == Order::kDown) std::reverse(keys.begin(), keys.end());
  return keys;
}

class IndexOfShape : public testing::TestWithParam<std::tuple<Shape, Order>> {};

TEST_P(IndexOfShape, HasAllKeysInOrderAndNothingAtTheEnd) {
  const auto [shape, order] = GetParam();
  const std::vector<std::string> keys = KeysOf(shape, order);
  Index index({});
  for (size_t i = 0; i < keys.size(); ++i) {
    Insert(index, keys[i]);
    if (i % 100 == 0) {
      ASSERT_EQ(Audit(index).Run(), "") << i;
    }
  }
  ASSERT_EQ(Audit(index).Run(), "");
  std::vector<std::string> sorted = keys;
  std::sort(sorted.begin(), sorted.end());
  EXPECT_EQ(KeysIn(index), sorted);
  for (const auto& [id, bucket] : index.buckets()) {
    EXPECT_LE(bucket.directory.size(), std::max<size_t>(16, 8 * bucket.leaves));
  }
  // Erased in another order than they came.
  for (size_t i = 0; i < keys.size(); ++i) {
    Erase(index, keys[i * 1009 % keys.size()]);
    if (i % 100 == 0) {
      ASSERT_EQ(Audit(index).Run(), "") << i;
    }
  }
  EXPECT_EQ(index.size(), 0U);
  EXPECT_EQ(index.bytes(), 0U);
  EXPECT_EQ(index.head(), nullptr);
  EXPECT_EQ(index.hand().leaf, nullptr);
}

TEST_P(IndexOfShape, SeeksWhatIsNotThere) {
  const auto [shape, order] = GetParam();
  const std::vector<std::string> keys = KeysOf(shape, order);
  Index index({});
  std::set<std::string> present;
  for (size_t i = 0; i < keys.size(); i += 2) {
    Insert(index, keys[i]);
    present.insert(keys[i]);
  }
  std::vector<std::string> sought = keys;
  sought.insert(sought.end(), {"", std::string(20, '\xff'), std::string(5, '\0'), "\x01"});
  for (const std::string& key : sought) {
    const auto expected = present.lower_bound(key);
    Index::Spot spot = index.Seek(PlaceOf(key));
    EXPECT_EQ(spot.found, present.contains(key));
    while (spot.leaf != nullptr && spot.slot == spot.leaf->size) {
      spot = {spot.leaf->next, 0, false};
    }
    ASSERT_EQ(spot.leaf == nullptr, expected == present.end());
    if (spot.leaf != nullptr) {
      EXPECT_EQ(spot.leaf->versions[spot.slot]->key(), *expected);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, IndexOfShape,
                         testing::Combine(testing::ValuesIn(kShapes),
                                          testing::Values(Order::kUp, Order::kDown,
                                                          Order::kMixed)));

TEST(Index, SpansTheSliceOfItsShardAlone) {
  // A third of the token space, which is no power of two.
  const TokenSlice slice{UINT64_MAX / 3 + 1, UINT64_MAX / 3 * 2};
  Index index(slice);
  for (uint64_t i = 0; i < 20'000; ++i) {
    const uint64_t token = slice.first + Scatter(i) % (slice.last - slice.first);
    Insert(index, DataKey(1, token, std::to_string(i)));
  }
  // Tokens of other shards do no harm.
  for (uint64_t i = 0; i < 200; ++i) Insert(index, DataKey(1, i << 56, std::to_string(i)));
  EXPECT_EQ(Audit(index).Run(), "");
  const Bucket& bucket = index.buckets().begin()->second;
  EXPECT_LE(bucket.directory.size(), 8192U);
  EXPECT_LT(index.bytes() / index.size(), 35U);
}

// A write is remembered for its key, whatever leaves come and go around it.
void ExpectWritesRemembered(Shape shape, uint64_t keys, int steps) {
  Index index({});
  uint64_t writes = 0;
  std::map<std::string, uint64_t> written;
  base::Prng random(keys);
  for (int step = 0; step < steps; ++step) {
    const std::string key = KeyOf(shape, random.Below(keys));
    if (index.Find(PlaceOf(key)).found) {
      Erase(index, key);
    } else {
      Leaf* leaf = index.Insert(PlaceOf(key), Version::Record(key, ""));
      if (random.Chance(0.5)) leaf->written = written[key] = ++writes;
    }
    for (int i = 0; i < 5; ++i) {
      const std::string other = KeyOf(shape, random.Below(keys));
      ASSERT_GE(index.LastWrite(PlaceOf(other)), written[other]) << static_cast<int>(shape);
      ASSERT_LE(index.LastWrite(PlaceOf(other)), writes);
    }
  }
  ASSERT_EQ(Audit(index).Run(), "");
}

TEST(Index, RemembersTheLastWriteWhereAKeyBelongs) {
  for (const Shape shape : kShapes) {
    ExpectWritesRemembered(shape, 1000, 5'000);
    for (uint64_t keys = 50; keys < 450; keys += 20) ExpectWritesRemembered(shape, keys, 400);
  }
}

// A run that becomes two cells between two of its leaves, where a key was written and is gone.
TEST(Index, RemembersAWriteBetweenTheLeavesOfARunThatIsCut) {
  constexpr uint64_t kLow = uint64_t{0x10} << 56;
  constexpr uint64_t kHigh = uint64_t{0x18} << 56;  // differs in the fifth bit
  Index index({});
  Insert(index, DataKey(1, uint64_t{0x80} << 56, "far"));
  for (uint64_t i = 1; i <= 14; ++i) Insert(index, DataKey(1, kLow + i, "low"));
  for (uint64_t i = 1; i <= 15; ++i) Insert(index, DataKey(1, kHigh + i * 100, "high"));
  const std::string key = DataKey(1, kHigh, "written");
  Leaf* leaf = index.Insert(PlaceOf(key), Version::Record(key, ""));
  ASSERT_NE(leaf->run, nullptr);
  ASSERT_EQ(leaf->size, 15U);  // all of the low ones, and it
  leaf->written = 7;
  Erase(index, key);
  for (uint64_t i = 16; i <= 60; ++i) Insert(index, DataKey(1, kHigh + i * 100, "high"));
  ASSERT_EQ(index.Find(PlaceOf(DataKey(1, kLow + 1, "low"))).leaf->depth, 5U);
  ASSERT_EQ(index.LastWrite(PlaceOf(key)), 7U);
  EXPECT_EQ(Audit(index).Run(), "");
}

}  // namespace
}  // namespace lariat::storage::table
