// SPDX-License-Identifier: Apache-2.0
#include "storage/record.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <string>

#include "base/hash.h"

namespace lariat::storage {
namespace {

using base::Code;

std::string Hex(std::string_view bytes) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  for (const unsigned char c : bytes) {
    out.push_back(kDigits[c >> 4]);
    out.push_back(kDigits[c & 15]);
  }
  return out;
}

// A record with a right checksum, whatever its other bytes say.
std::string Sealed(uint8_t version, uint8_t flags, const std::string& body) {
  std::string out{static_cast<char>(version), static_cast<char>(flags)};
  const uint32_t checksum = base::Crc32c(body, base::Crc32c(out));
  for (int shift = 0; shift < 32; shift += 8) out.push_back(static_cast<char>(checksum >> shift));
  return out + body;
}

Code CodeOf(std::string_view record) {
  const auto parsed = ParseRecord(record);
  return parsed.has_value() ? Code::kOk : parsed.error().code;
}

TEST(DataKeyTest, GoldenBytes) {
  EXPECT_EQ(Hex(DataKey(0x01020304, 0x1112131415161718, "key")), "0102030411121314151617186b6579");
  EXPECT_EQ(Hex(DataKey(0, 0, "")), "000000000000000000000000");
}

TEST(DataKeyTest, TooShortIsNothing) {
  EXPECT_FALSE(ParseDataKey("").has_value());
  EXPECT_FALSE(ParseDataKey("01234567890").has_value());
  EXPECT_TRUE(ParseDataKey("012345678901").has_value());
}

TEST(DataKeyTest, SortsByBucketThenTokenThenKey) {
  rc::check([](uint32_t bucket_a, uint32_t bucket_b, uint64_t token_a, uint64_t token_b,
               const std::string& key_a, const std::string& key_b) {
    const auto order = [](auto& bucket, auto& token, auto& key) {
      return std::make_tuple(bucket, token, std::string_view(key));
    };
    RC_ASSERT((DataKey(bucket_a, token_a, key_a) < DataKey(bucket_b, token_b, key_b)) ==
              (order(bucket_a, token_a, key_a) < order(bucket_b, token_b, key_b)));
  });
}

TEST(DataKeyTest, RoundTrip) {
  rc::check([](uint32_t bucket, uint64_t token, const std::string& key) {
    const std::string bytes = DataKey(bucket, token, key);
    const auto parts = ParseDataKey(bytes);
    RC_ASSERT(parts.has_value());
    RC_ASSERT(parts->bucket == bucket);
    RC_ASSERT(parts->token == token);
    RC_ASSERT(parts->key == key);
  });
}

TEST(RecordTest, GoldenBytes) {
  EXPECT_EQ(Hex(EncodeRecord(std::nullopt, "abc")), "010054854c2b616263");
  const causal::Actor actor{
      .node = 0x0102030405060708, .incarnation = 0x1112131415161718, .mint = 300};
  EXPECT_EQ(Hex(EncodeRecord(actor, "abc")),
            "010153a24dbe08070605040302011817161514131211ac02616263");
}

TEST(RecordTest, RoundTrip) {
  rc::check([](bool has_actor, uint64_t node, uint64_t incarnation, uint64_t mint,
               const std::string& object) {
    std::optional<causal::Actor> actor;
    if (has_actor) actor = causal::Actor{node, incarnation, mint};
    const std::string bytes = EncodeRecord(actor, object);
    const auto record = ParseRecord(bytes);
    RC_ASSERT(record.has_value());
    RC_ASSERT(record->own_actor == actor);
    RC_ASSERT(record->object == object);
  });
}

// Guards M6, M39.
TEST(RecordTest, EveryFlippedBitIsSeen) {
  const std::string bytes = EncodeRecord(causal::Actor{1, 2, 3}, "some object");
  for (size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    std::string damaged = bytes;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_EQ(CodeOf(damaged), Code::kCorruption) << "bit " << bit;
  }
}

TEST(RecordTest, EveryTruncationIsSeen) {
  const std::string bytes = EncodeRecord(causal::Actor{1, 2, 3}, "some object");
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_EQ(CodeOf(bytes.substr(0, size)), Code::kCorruption) << size << " bytes";
  }
}

TEST(RecordTest, AWrongFormIsCorruptionEvenWithARightChecksum) {
  EXPECT_EQ(CodeOf(Sealed(1, 0, "object")), Code::kOk);
  EXPECT_EQ(CodeOf(Sealed(0, 0, "object")), Code::kCorruption);
  EXPECT_EQ(CodeOf(Sealed(2, 0, "object")), Code::kCorruption);
  EXPECT_EQ(CodeOf(Sealed(1, 2, "object")), Code::kCorruption);
  EXPECT_EQ(CodeOf(Sealed(1, 1, "no actor")), Code::kCorruption);
  EXPECT_EQ(CodeOf(Sealed(1, 1, "node....incarna.\x80")), Code::kCorruption) << "cut varint";
}

}  // namespace
}  // namespace lariat::storage
