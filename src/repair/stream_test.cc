// SPDX-License-Identifier: Apache-2.0
#include "repair/stream.h"

#include <gtest/gtest.h>

#include "storage/record.h"

namespace lariat::repair {
namespace {

TEST(RecordKey, IsWhatStorageMakes) {
  const std::string bytes = storage::DataKey(0x01020304, 0x05060708090a0b0cULL, "key");
  const auto key = ParseRecordKey(bytes);
  ASSERT_TRUE(key);
  EXPECT_EQ(key->bucket, 0x01020304U);
  EXPECT_EQ(key->token.value, 0x05060708090a0b0cULL);
  EXPECT_EQ(key->key, "key");
  EXPECT_FALSE(ParseRecordKey(bytes.substr(0, 11)));
  EXPECT_TRUE(ParseRecordKey(bytes.substr(0, 12)));
}

TEST(ShareRead, GrowsFromNothingToAll) {
  constexpr uint64_t kMax = UINT64_MAX;
  constexpr uint64_t kHalf = uint64_t{1} << 63;
  const std::vector<ring::TokenRange> ranges = {{{kHalf / 2}, {kHalf}},
                                                {{kMax}, {kHalf}},
                                                {{kHalf}, {kHalf}},
                                                {{kMax}, {kMax}},
                                                {{kHalf}, {kHalf / 2}}};
  for (const ring::TokenRange& range : ranges) {
    double before = -1;
    for (uint64_t step = 0; step <= 64; ++step) {
      const ring::Token token = {step == 64 ? kMax : step << 58};
      const double share = ShareRead(range, token);
      EXPECT_GE(share, before);
      before = share;
    }
    EXPECT_NEAR(before, 1, 1e-9);
    EXPECT_NEAR(ShareRead(range, {0}), 0, 1e-9);
  }
  EXPECT_NEAR(ShareRead({{kHalf / 2}, {kHalf}}, {kHalf / 4 * 3}), 0.5, 1e-9);
}

TEST(Cursor, SurvivesStoring) {
  for (const bool redo : {false, true}) {
    Cursor cursor;
    cursor.finished = !redo;
    cursor.last_key = std::string("a\0b", 3);
    if (redo) cursor.redo_from = "";
    cursor.keys = 300;
    cursor.bytes = 1ULL << 40;
    const auto decoded = DecodeCursor(EncodeCursor(cursor));
    ASSERT_TRUE(decoded);
    EXPECT_EQ(*decoded, cursor);
  }
}

TEST(Cursor, AFlippedBitOrAMissingByteIsFound) {
  const std::string good = EncodeCursor({.last_key = "last", .redo_from = "redo", .keys = 7});
  for (size_t bit = 0; bit < good.size() * 8; ++bit) {
    std::string bad = good;
    bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_FALSE(DecodeCursor(bad)) << bit;
  }
  for (size_t size = 0; size < good.size(); ++size) {
    EXPECT_FALSE(DecodeCursor(good.substr(0, size)));
  }
}

TEST(Cursor, NamesTellStreamsAndChangesApart) {
  const Stream a = {1, {{1}, {2}}, 3};
  for (const Stream& b : {Stream{2, {{1}, {2}}, 3}, Stream{1, {{0}, {2}}, 3},
                          Stream{1, {{1}, {3}}, 3}, Stream{1, {{1}, {2}}, 4}}) {
    EXPECT_NE(CursorName(9, a), CursorName(9, b));
  }
  EXPECT_NE(CursorName(9, a), CursorName(8, a));
  EXPECT_TRUE(CursorName(9, a).starts_with(CursorPrefix(9)));
  EXPECT_TRUE(CursorPrefix(9).starts_with(kCursorPrefix));
}

}  // namespace
}  // namespace lariat::repair
