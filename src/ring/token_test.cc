// SPDX-License-Identifier: Apache-2.0
#include "ring/token.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace lariat::ring {
namespace {

TEST(PartitionKey, IsTheFirstTagOrTheWholeKey) {
  const struct {
    const char* key;
    const char* partition;
  } cases[] = {
      {"", ""},
      {"plain", "plain"},
      {"{user:123}:profile", "user:123"},
      {"profile:{user:123}", "user:123"},
      {"a{b}c{d}e", "b"},  // only the first tag counts
      {"{}", "{}"},        // an empty tag is none
      {"{}{a}", "{}{a}"},  // and hides a later one
      {"x{}y", "x{}y"},
      {"{open", "{open"},
      {"close}", "close}"},
      {"}a{", "}a{"},
      {"}{a}", "a"},
      {"{{a}}", "{a"},  // no nesting: up to the first '}'
      {"{a{b}c}", "a{b"},
      {"{ }", " "},
  };
  for (const auto& c : cases) EXPECT_EQ(PartitionKey(c.key), c.partition) << c.key;
  const std::string binary("\0{\xff\0}\0", 6);
  EXPECT_EQ(PartitionKey(binary), std::string("\xff\0", 2));
}

TEST(TokenOf, IsMurmur3OfThePartitionKey) {
  EXPECT_EQ(TokenOf("hello").value, 0xcbd8a7b341bd9b02ULL);
  EXPECT_EQ(TokenOf("{hello}:a"), TokenOf("hello"));
  EXPECT_EQ(TokenOf("{hello}:a"), TokenOf("b:{hello}"));
  EXPECT_NE(TokenOf("{}a"), TokenOf("{}b"));
}

TEST(ShardOf, CutsTheRingIntoEqualSlices) {
  for (const uint32_t shards : {1U, 2U, 3U, 7U, 64U, 1000U, UINT32_MAX}) {
    EXPECT_EQ(ShardOf({0}, shards), 0U);
    EXPECT_EQ(ShardOf({UINT64_MAX}, shards), shards - 1);
  }
  EXPECT_EQ(ShardOf({UINT64_MAX / 2}, 2), 0U);
  EXPECT_EQ(ShardOf({UINT64_MAX / 2 + 1}, 2), 1U);
  EXPECT_EQ(ShardOf({UINT64_MAX / 3}, 3), 0U);
  EXPECT_EQ(ShardOf({UINT64_MAX / 3 + 1}, 3), 1U);
}

TEST(SliceOf, IsTheTokensOfTheShard) {
  for (const uint32_t shards : {1U, 2U, 3U, 7U, 64U, 1000U, 65537U}) {
    uint64_t next = 0;
    for (uint32_t shard = 0; shard < shards; ++shard) {
      const TokenSlice slice = SliceOf(shard, shards);
      EXPECT_EQ(slice.first.value, next) << shard << " of " << shards;
      EXPECT_EQ(ShardOf(slice.first, shards), shard);
      EXPECT_EQ(ShardOf(slice.last, shards), shard);
      next = slice.last.value + 1;
    }
    EXPECT_EQ(next, 0U);
  }
}

TEST(ShardOf, SpreadsKeysEvenly) {
  constexpr int kKeys = 70'000;
  for (const uint32_t shards : {2U, 3U, 7U}) {
    std::vector<int> count(shards, 0);
    for (int i = 0; i < kKeys; ++i) ++count[ShardOf(TokenOf("key" + std::to_string(i)), shards)];
    const double even = static_cast<double>(kKeys) / shards;
    for (const int keys : count) EXPECT_NEAR(keys, even, 0.03 * even) << shards << " shards";
  }
}

}  // namespace
}  // namespace lariat::ring
