// SPDX-License-Identifier: Apache-2.0
#include "membership/gossip/gossip_frame.h"

#include <gtest/gtest.h>

#include "base/coding.h"
#include "base/hash.h"
#include "base/prng.h"

namespace lariat::membership {
namespace {

NodeStates SomeStates() {
  NodeStates states;
  states.topology_epoch = 7;
  states.topology_digest = 0x1122334455667788;
  states.fence = 300;
  states.draining = true;
  states.peer_address = "a:1";
  states.wall.ms = 1000;
  states.load_bytes = 1;
  states.hint_bytes = 2;
  states.convictions = {{{1, 2}, 3}, {{4, 5}, 6}};
  states.in_doubt = true;
  return states;
}

std::string Hex(std::string_view bytes) {
  std::string text;
  for (const char c : bytes) {
    text += "0123456789abcdef"[static_cast<uint8_t>(c) >> 4];
    text += "0123456789abcdef"[static_cast<uint8_t>(c) & 15];
  }
  return text;
}

std::string SomeAck(const std::string& states) {
  GossipWriter writer(GossipKind::kAck);
  writer.Own({{1, 2}, 100, 5, 3, states});
  writer.Add(GossipDelta{{3, 4}, 100, 9, 2, std::nullopt});
  writer.Add(GossipDigest{{5, 6}, 0, 0});
  return std::move(writer).Finish();
}

std::optional<GossipFrame> ReadAck(std::string_view bytes, GossipDrop* why) {
  return ReadGossipFrame(bytes, GossipKind::kAck, why);
}

TEST(GossipFrame, StatesComeBack) {
  EXPECT_EQ(DecodeStates(EncodeStates(SomeStates())), SomeStates());
  EXPECT_EQ(EncodeStates({}), "");
  EXPECT_EQ(DecodeStates(""), NodeStates());
}

TEST(GossipFrame, GoldenBytes) {
  NodeStates states;
  states.topology_epoch = 7;
  states.topology_digest = 8;
  states.draining = true;
  EXPECT_EQ(Hex(EncodeStates(states)), "0109070800000000000000030101");
  NodeStates run;
  run.run = 0x0102;
  run.progress = {3, 200, 5};
  run.twin_address = "a:1";
  EXPECT_EQ(Hex(EncodeStates(run)), "140c020100000000000003c801051503613a31");
  EXPECT_EQ(DecodeStates(EncodeStates(run)), run);
  GossipWriter writer(GossipKind::kSyn);
  writer.Own({{1, 2}, 100, 5, 3, "\x03\x01\x01"});
  writer.Add(GossipDigest{{3, 4}, 300, 9});
  EXPECT_EQ(Hex(std::move(writer).Finish()),
            "0101"
            "01000000000000000200000000000000"
            "64050201"
            "03030101"
            "01"
            "03000000000000000400000000000000"
            "ac0209"
            "a56a98b5");
}

TEST(GossipFrame, UnknownStatesAreSkippedAndBrokenOnesRefused) {
  std::string bytes = EncodeStates(SomeStates());
  base::ByteWriter(&bytes).Varint(99);
  base::ByteWriter(&bytes).Sized("of a later version");
  EXPECT_EQ(DecodeStates(bytes), SomeStates());
  EXPECT_EQ(DecodeStates(bytes.substr(0, bytes.size() - 1)), std::nullopt);
  EXPECT_EQ(DecodeStates(std::string_view("\x02\x00", 2)), std::nullopt) << "a fence of no bytes";
  EXPECT_EQ(DecodeStates(std::string_view("\x02\x01\x05\x02\x01\x05", 6)), std::nullopt) << "twice";
  EXPECT_EQ(DecodeStates(std::string(kGossipStateBytesMax + 1, 'x')), std::nullopt);
}

TEST(GossipFrame, FramesComeBack) {
  GossipDrop why;
  const std::string states = EncodeStates(SomeStates());
  const std::string bytes = SomeAck(states);
  const auto frame = ReadAck(bytes, &why);
  ASSERT_TRUE(frame);
  EXPECT_EQ(frame->own->states, states);
  EXPECT_EQ(frame->own->state_version, 3U);
  ASSERT_EQ(frame->deltas.size(), 1U);
  EXPECT_EQ(frame->deltas[0].version, 9U);
  EXPECT_EQ(frame->deltas[0].state_version, 2U);
  EXPECT_EQ(frame->deltas[0].states, std::nullopt);
  ASSERT_EQ(frame->digests.size(), 1U);
  EXPECT_EQ(frame->digests[0].id, (base::Uuid{5, 6}));
  EXPECT_FALSE(ReadGossipFrame(bytes, GossipKind::kSyn, &why));
  EXPECT_EQ(why, GossipDrop::kMalformed);
}

TEST(GossipFrameMustHold, M25_AnyFlippedBitRefusesTheFrame) {
  const std::string bytes = SomeAck(EncodeStates(SomeStates()));
  for (size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    std::string flipped = bytes;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    GossipDrop why = GossipDrop::kCount;
    EXPECT_FALSE(ReadAck(flipped, &why)) << "bit " << bit;
    EXPECT_EQ(why, GossipDrop::kBadChecksum);
  }
}

TEST(GossipFrame, CutAndPaddedFramesAreRefused) {
  const std::string bytes = SomeAck(EncodeStates(SomeStates()));
  GossipDrop why;
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(ReadAck(bytes.substr(0, size), &why));
  }
  EXPECT_FALSE(ReadAck(bytes + "x", &why));
  EXPECT_FALSE(ReadAck(std::string(kGossipFrameBytesMax + 1, 'x'), &why));
  EXPECT_EQ(why, GossipDrop::kTooLarge);
}

// Whatever stands before a right checksum: no crash, no large allocation by a claimed count.
// Guards M41: 20,000 bodies.
TEST(GossipFrame, RandomBodiesAreRefusedOrRead) {
  base::Prng prng(7);
  const std::string good = SomeAck(EncodeStates(SomeStates()));
  for (int i = 0; i < 20000; ++i) {
    std::string body = good.substr(0, good.size() - 4);
    for (uint64_t n = prng.Below(4); n > 0; --n) {
      body[2 + prng.Below(body.size() - 2)] = static_cast<char>(prng.Next());
    }
    body.resize(2 + prng.Below(body.size()));
    base::ByteWriter(&body).U32(base::Crc32c(body));
    GossipDrop why;
    const auto frame = ReadAck(body, &why);
    EXPECT_TRUE(frame || why == GossipDrop::kMalformed);
  }
}

}  // namespace
}  // namespace lariat::membership
