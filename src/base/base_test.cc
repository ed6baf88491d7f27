// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "base/base64.h"
#include "base/coding.h"
#include "base/hash.h"
#include "base/lifetime.h"
#include "base/prng.h"
#include "base/unique_function.h"
#include "base/uuid.h"

namespace lariat::base {
namespace {

TEST(Hash, HasPublishedValues) {
  EXPECT_EQ(Crc32c("123456789"), 0xe3069283U);
  EXPECT_EQ(Crc32c("6789", Crc32c("12345")), 0xe3069283U);
  // First half of the reference MurmurHash3_x64_128 with seed 0.
  EXPECT_EQ(Murmur3(""), 0U);
  EXPECT_EQ(Murmur3("The quick brown fox jumps over the lazy dog"), 0xe34bbc7bbc071b6cULL);
  EXPECT_EQ(Murmur3("hello"), 0xcbd8a7b341bd9b02ULL);
}

TEST(Base64, RoundTripsAndIsStrict) {
  Prng prng(1);
  for (int size = 0; size < 100; ++size) {
    std::string bytes;
    for (int i = 0; i < size; ++i) bytes.push_back(static_cast<char>(prng.Next()));
    const std::string text = Base64Encode(bytes);
    EXPECT_EQ(Base64Decode(text), bytes);
  }
  EXPECT_EQ(Base64Encode("hello"), "aGVsbG8=");
  for (const char* bad : {"a", "aGVsbG8", "aGVs bG8=", "aGVsbG9=", "====", "aGVsbG8=\n",
                          "a===", "aGV=bG8=", "\xff\xff\xff\xff"}) {
    EXPECT_FALSE(Base64Decode(bad).has_value()) << bad;
  }
}

TEST(Coding, RoundTripsAndStopsAtTheEnd) {
  std::string bytes;
  ByteWriter w(&bytes);
  w.U8(7);
  w.U32(0xdeadbeef);
  w.Varint(300);
  w.Varint(UINT64_MAX);
  w.Sized("abc");
  w.BigEndian64(1);
  ByteReader r(bytes);
  EXPECT_EQ(r.U8(), 7);
  EXPECT_EQ(r.U32(), 0xdeadbeef);
  EXPECT_EQ(r.Varint(), 300U);
  EXPECT_EQ(r.Varint(), UINT64_MAX);
  EXPECT_EQ(r.Sized(), "abc");
  EXPECT_EQ(r.BigEndian64(), 1U);
  EXPECT_TRUE(r.AtEnd());
  EXPECT_EQ(r.U8(), 0);
  EXPECT_FALSE(r.ok());
}

TEST(Coding, RefusesOverLongVarintsAndLyingLengths) {
  ByteReader over_long(std::string_view("\x80\x00", 2));
  over_long.Varint();
  EXPECT_FALSE(over_long.ok());
  ByteReader too_big(std::string_view("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 10));
  too_big.Varint();
  EXPECT_FALSE(too_big.ok());
  ByteReader lying(
      std::string_view("\x7f"
                       "ab",
                       3));
  EXPECT_EQ(lying.Sized(), "");
  EXPECT_FALSE(lying.ok());
}

TEST(Uuid, RoundTripsAndRefusesNoise) {
  Prng prng(2);
  const Uuid uuid = Uuid::FromRandom(prng.Next(), prng.Next());
  EXPECT_EQ(uuid.ToString()[14], '4');
  EXPECT_EQ(Uuid::Parse(uuid.ToString()), uuid);
  EXPECT_FALSE(Uuid::Parse("no").has_value());
  EXPECT_FALSE(Uuid::Parse("zzzzzzzz-zzzz-zzzz-zzzz-zzzzzzzzzzzz").has_value());
}

TEST(Lifetime, GuardedCallbacksDoNothingAfterItsEnd) {
  auto lifetime = std::make_unique<Lifetime>();
  const auto watch = lifetime->GetWatch();
  std::vector<std::string> heard;
  UniqueFunction<void(std::string)> guarded = lifetime->Guard(
      [&heard, owned = std::make_unique<int>(1)](std::string word) { heard.push_back(word); });
  guarded("one");
  EXPECT_FALSE(watch.expired());
  UniqueFunction<void()> ends = lifetime->Guard([&lifetime] { lifetime.reset(); });
  ends();
  ends();
  guarded("two");
  EXPECT_TRUE(watch.expired());
  EXPECT_EQ(heard, std::vector<std::string>{"one"});
}

TEST(UniqueFunction, MovesSmallAndLargeCaptures) {
  auto owned = std::make_unique<int>(41);
  UniqueFunction<int(int)> small = [p = std::move(owned)](int x) { return *p + x; };
  UniqueFunction<int(int)> moved = std::move(small);
  EXPECT_FALSE(small);  // NOLINT(bugprone-use-after-move): the point of the test
  EXPECT_EQ(moved(1), 42);
  std::array<int, 100> big{};
  big[99] = 5;
  UniqueFunction<int(int)> large = [big](int x) { return big[99] + x; };
  moved = std::move(large);
  EXPECT_EQ(moved(2), 7);
}

TEST(Prng, IsAFunctionOfTheSeed) {
  Prng a(5), b(5), c(6);
  EXPECT_EQ(a.Next(), b.Next());
  EXPECT_NE(a.Next(), c.Next());
  for (int i = 0; i < 1000; ++i) EXPECT_LT(a.Below(7), 7U);
}

}  // namespace
}  // namespace lariat::base
