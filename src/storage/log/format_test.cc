// SPDX-License-Identifier: Apache-2.0
#include "storage/log/format.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "base/hash.h"

namespace lariat::storage::log {
namespace {

constexpr Shape kShape{{0x0102030405060708, 0x1112131415161718}, 64ULL << 20, 16};

std::string Hex(std::string_view bytes) {
  std::string text;
  for (const char c : bytes) {
    constexpr char kDigits[] = "0123456789abcdef";
    text += kDigits[static_cast<unsigned char>(c) >> 4];
    text += kDigits[c & 15];
  }
  return text;
}

std::string Encoded(const Frame& frame, uint32_t salt) {
  std::string bytes(FrameBytes(frame.body.size()), 'x');
  EncodeFrame(salt, frame, bytes.data());
  return bytes;
}

TEST(LogFormatTest, GoldenBytes) {
  const std::string header = EncodeHeader(kShape, {5, 0x10000040, 0x10000030, 0x0c000020});
  EXPECT_EQ(header.size(), kBlock);
  EXPECT_EQ(Hex(header.substr(0, 80)),
            "4c415247534547310100000008070605040302011817161514131211000000040000000010000000"
            "200000000500000000000000400000100000000030000010000000002000000c00000000e9eb7faa");
  EXPECT_EQ(header.find_first_not_of('\0', 80), std::string::npos);
  const std::string control = EncodeControl(kShape, {7, 0x0c000020, 0x10000030});
  EXPECT_EQ(control.size(), kBlock);
  EXPECT_EQ(Hex(control.substr(0, 72)),
            "4c415247435452310100000008070605040302011817161514131211000000040000000010000000"
            "1800000007000000000000002000000c000000003000001000000000a04e8568");

  const uint32_t salt = FrameSalt(kShape.store);
  WriteBatch batch;
  batch.Put(Space::kData, "key", "value");
  batch.Remove(Space::kHints, "h");
  std::string body;
  EncodeBatch(batch, &body);
  EXPECT_EQ(Hex(body), "00036b65790576616c7565830168");
  Frame frame{0x14001000, 0x10000030, 0, static_cast<uint8_t>(FrameKind::kBatch), body};
  EXPECT_EQ(Hex(Encoded(frame, salt)),
            "6b3c5f3b0e00000000100014000000003000001000000000000000000100000000036b6579057661"
            "6c75658301680000");
  std::string mark;
  EncodeMark({0x0102030405, true}, &mark);
  EXPECT_EQ(Hex(mark), "050403020100000001");
  frame = {0x14002000, 0x14001030, 0xfd0, static_cast<uint8_t>(FrameKind::kMark), mark};
  EXPECT_EQ(Hex(Encoded(frame, salt)),
            "5f1d55c50900000000200014000000003010001400000000d00f0000020000000504030201000000"
            "0100000000000000");
}

TEST(LogFormatTest, RoundTrip) {
  EXPECT_TRUE(rc::check([](uint32_t salt, uint32_t place, uint32_t durable, uint32_t gap,
                           uint8_t kind, const std::string& body) {
    const Lsn lsn = (uint64_t{place} + (1ULL << 32)) * 8;
    const std::string bytes = Encoded({lsn, durable, gap % 4096, kind, body}, salt);
    const std::string more = bytes + "behind";
    const auto frame = DecodeFrame(salt, lsn, more);
    RC_ASSERT(frame.has_value());
    RC_ASSERT(frame->durable == durable);
    RC_ASSERT(frame->gap == gap % 4096);
    RC_ASSERT(frame->kind == kind);
    RC_ASSERT(frame->body == body);
    RC_ASSERT(frame->end() == lsn + bytes.size());
    RC_ASSERT(!DecodeFrame(salt, lsn + 8, bytes));
    RC_ASSERT(!DecodeFrame(salt + 1, lsn, bytes));
    RC_ASSERT(!DecodeFrame(salt, lsn, std::string_view(bytes).substr(0, bytes.size() - 1)));
  }));
  EXPECT_TRUE(rc::check([](const std::vector<std::tuple<uint8_t, bool, std::string>>& operations) {
    WriteBatch batch;
    for (const auto& [space, remove, key] : operations) {
      const auto where = static_cast<Space>(space % kSpaces);
      if (remove) batch.Remove(where, key);
      if (!remove) batch.Put(where, key, key + key);
    }
    std::string body;
    EncodeBatch(batch, &body);
    const auto decoded = DecodeBatch(body);
    RC_ASSERT(decoded.has_value());
    RC_ASSERT(decoded->bytes == batch.bytes);
    RC_ASSERT(decoded->operations.size() == batch.operations.size());
    for (size_t i = 0; i < batch.operations.size(); ++i) {
      RC_ASSERT(decoded->operations[i].space == batch.operations[i].space);
      RC_ASSERT(decoded->operations[i].remove == batch.operations[i].remove);
      RC_ASSERT(decoded->operations[i].key == batch.operations[i].key);
      RC_ASSERT(decoded->operations[i].value == batch.operations[i].value);
    }
  }));
}

TEST(LogFormatTest, AnyFlippedBitIsNoticed) {
  const uint32_t salt = FrameSalt(kShape.store);
  std::string body;
  EncodeMark({12345, false}, &body);
  const Frame frame{0x14001000, 0x14000000, 0, static_cast<uint8_t>(FrameKind::kMark), body};
  const std::string frame_bytes = Encoded(frame, salt);
  const std::string header = EncodeHeader(kShape, {5, 64, 32, 0});
  const std::string control = EncodeControl(kShape, {5, 64, 64});
  Shape shape;
  for (size_t bit = 0; bit < 80 * 8; ++bit) {
    const auto flipped = [&](std::string bytes) {
      bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << bit % 8));
      return bytes;
    };
    if (bit < (kFrameHead + body.size()) * 8) {
      EXPECT_FALSE(DecodeFrame(salt, frame.lsn, flipped(frame_bytes)));
    }
    EXPECT_FALSE(DecodeHeader(kShape, flipped(header)));
    if (bit < 72 * 8) {
      EXPECT_FALSE(DecodeControl(flipped(control), &shape));
    }
  }
}

// With the right sum. A later release must not be taken for damage, or a step back would cut the
// log.
TEST(LogFormatTest, ALaterVersionIsNoDamage) {
  for (std::string block : {EncodeHeader(kShape, {5, 64, 32, 0}), EncodeControl(kShape, {})}) {
    block[8] = 2;
    const size_t size = 44 + static_cast<unsigned char>(block[40]);
    const uint32_t sum = base::Crc32c({block.data(), size});
    for (size_t i = 0; i < 4; ++i) block[size + i] = static_cast<char>(sum >> (8 * i));
    Shape shape;
    const auto code = block[4] == 'S' ? DecodeHeader(kShape, block).error().code
                                      : DecodeControl(block, &shape).error().code;
    EXPECT_EQ(code, base::Code::kUnsupported);
  }
  EXPECT_EQ(DecodeBatch(std::string_view("\x1f\x01k\x01v", 5)).error().code,
            base::Code::kUnsupported);
}

TEST(LogFormatTest, RefusesWhatMakesNoSense) {
  EXPECT_FALSE(CheckShape({{}, 3 * kBlock, 4}));
  EXPECT_FALSE(CheckShape({{}, 4 * kBlock + 1, 4}));
  EXPECT_FALSE(CheckShape({{}, 4 * kBlock, 1}));
  EXPECT_TRUE(CheckShape({{}, 4 * kBlock, 2}));
  Shape other = kShape;
  other.store.low = 1;
  EXPECT_FALSE(DecodeHeader(other, EncodeHeader(kShape, {5, 64, 32, 0})));
  // Durable before it was appended, a cut that is not durable, a number that overflows.
  EXPECT_FALSE(DecodeHeader(kShape, EncodeHeader(kShape, {5, 64, 65, 0})));
  EXPECT_FALSE(DecodeHeader(kShape, EncodeHeader(kShape, {5, 64, 32, 33})));
  EXPECT_FALSE(DecodeHeader(kShape, EncodeHeader(kShape, {1ULL << 40, 64, 32, 0})));
  EXPECT_FALSE(DecodeBatch(std::string_view("\x00\x05k", 3)));
  EXPECT_FALSE(DecodeMark("12345678\2"));
}

}  // namespace
}  // namespace lariat::storage::log
