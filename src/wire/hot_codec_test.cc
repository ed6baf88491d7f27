// SPDX-License-Identifier: Apache-2.0
#include "wire/hot_codec.h"

#include <gtest/gtest.h>

#include <cstdio>

#include "base/prng.h"
#include "wire/codec.h"

namespace lariat::wire {
namespace {

std::string HexOf(std::string_view bytes) {
  std::string hex;
  for (const char c : bytes) {
    char digits[3];
    std::snprintf(digits, sizeof(digits), "%02x", static_cast<uint8_t>(c));
    hex += digits;
  }
  return hex;
}

class Draw {
 public:
  explicit Draw(uint64_t seed) : prng_(seed) {}
  bool Flag() { return prng_.Below(2) == 0; }
  // Of every size that a varint can have, and zero.
  uint64_t Number(unsigned bits = 64) {
    const uint64_t value = prng_.Next() >> prng_.Below(64);
    return prng_.Below(4) == 0 ? 0 : value & (~uint64_t{0} >> (64 - bits));
  }
  std::string Bytes() {
    std::string bytes(prng_.Below(8) == 0 ? prng_.Below(20000) : prng_.Below(20), '\0');
    for (char& c : bytes) c = static_cast<char>(prng_.Next());
    return prng_.Below(3) == 0 ? "" : bytes;
  }
  Body Message() {
    switch (prng_.Below(5)) {
      case 0:
        return ReadRequest{
            static_cast<uint32_t>(Number(32)), Number(), Bytes(), Flag(), Bytes(), Number()};
      case 1:
        return ReadReply{{}, Flag(), Bytes(), {Number(), Number()}, Bytes()};
      case 2:
        return WriteRequest{static_cast<uint32_t>(Number(32)),
                            Number(),
                            Bytes(),
                            Bytes(),
                            static_cast<uint8_t>(prng_.Below(4)),
                            Flag(),
                            Bytes(),
                            Bytes(),
                            Number()};
      case 3:
        return WriteReply{{}, static_cast<causal::Standing>(prng_.Below(3)), {Number()}};
      default:
        return ReadReply{{base::Code::kIo, "an outcome is for the library"}};
    }
  }
  base::Prng& prng() { return prng_; }

 private:
  base::Prng prng_;
};

// The same, as far as anybody can tell.
void ExpectSame(const std::optional<Envelope>& a, const std::optional<Envelope>& b) {
  ASSERT_EQ(a.has_value(), b.has_value());
  if (!a) return;
  EXPECT_EQ(HexOf(EncodeBySchema(*a)), HexOf(EncodeBySchema(*b)));
}

TEST(HotCodec, GoldenBytes) {
  const WriteRequest write{300, 0x1112131415161718, "k", "object", 1, true, "", "", 5};
  EXPECT_EQ(HexOf(EncodeEnvelope({7, 2, write})),
            "090700000000000000"  // id
            "1002"                // epoch
            "3a24"                // a WriteRequest of 36 bytes
            "08ac02"              // bucket
            "111817161514131211"  // token
            "1a016b"              // key
            "22066f626a656374"    // object
            "28013001"            // durability, repair
            "490500000000000000");
}

TEST(HotCodec, WritesTheBytesOfTheSchema) {
  Draw draw(1);
  int by_hand = 0;
  for (int i = 0; i < 20000; ++i) {
    const Envelope envelope{draw.Number(), draw.Number(), draw.Message()};
    std::string bytes = "before ";
    const bool hot = AppendHot(envelope, &bytes);
    by_hand += hot ? 1 : 0;
    ASSERT_EQ(bytes.substr(7), hot ? EncodeBySchema(envelope) : "");
    ASSERT_EQ(EncodeEnvelope(envelope), EncodeBySchema(envelope));
    ExpectSame(DecodeEnvelope(EncodeBySchema(envelope)), DecodeBySchema(EncodeBySchema(envelope)));
  }
  EXPECT_GT(by_hand, 12000);
}

TEST(HotCodec, ReadsItsOwnBytesWithoutTheLibrary) {
  Draw draw(2);
  for (int i = 0; i < 20000; ++i) {
    Envelope envelope{draw.Number(), draw.Number(62), draw.Message()};
    if (auto* write = std::get_if<WriteRequest>(&envelope.body)) {
      write->durability = std::max<uint8_t>(write->durability, 1);
    }
    std::string bytes;
    if (!AppendHot(envelope, &bytes)) continue;
    const auto decoded = DecodeHot(bytes);
    ASSERT_TRUE(decoded.has_value()) << HexOf(bytes);
    ASSERT_EQ(EncodeBySchema(*decoded), bytes);
  }
}

// What is cut, flipped, doubled or out of order is judged as the library judges it.
// Guards M41.
TEST(HotCodec, SaysOfAnyBytesWhatTheLibrarySays) {
  Draw draw(3);
  for (int i = 0; i < 60000; ++i) {
    std::string bytes = EncodeBySchema({draw.Number(8), draw.Number(8), draw.Message()});
    if (bytes.size() > 200) continue;
    base::Prng& prng = draw.prng();
    for (uint64_t flips = prng.Below(3); flips > 0; --flips) {
      bytes[prng.Below(bytes.size())] = static_cast<char>(prng.Next());
    }
    if (prng.Below(3) == 0) bytes.resize(prng.Below(bytes.size() + 1));
    if (prng.Below(5) == 0) bytes += bytes;
    ExpectSame(DecodeEnvelope(bytes), DecodeBySchema(bytes));
  }
}

}  // namespace
}  // namespace lariat::wire
