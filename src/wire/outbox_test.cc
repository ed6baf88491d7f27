// SPDX-License-Identifier: Apache-2.0
// Messages that are gathered into frames of many. Parts are in parts_test.cc.
#include "wire/outbox.h"

#include <gtest/gtest.h>

#include "base/prng.h"
#include "wire/codec.h"

namespace lariat::wire {
namespace {

using Added = Outbox::Added;

constexpr Limits kLimits{16 << 20, 64 << 20, kFrameMessagesMax};

WriteRequest Sized(size_t bytes) {
  WriteRequest write;
  write.object = std::string(bytes, 'x');
  return write;
}

// The ids of the messages of each frame.
std::vector<std::vector<uint64_t>> IdsIn(std::string_view bytes, size_t payload_max) {
  std::vector<std::vector<uint64_t>> frames;
  while (!bytes.empty()) {
    const ParsedFrame frame = ParseFrame(bytes, payload_max);
    EXPECT_EQ(frame.status, FrameStatus::kFrame);
    EXPECT_EQ(frame.kind, FrameKind::kMessages);
    if (frame.status != FrameStatus::kFrame) return frames;
    frames.emplace_back();
    for (std::string_view rest = frame.payload; !rest.empty();) {
      const auto message = TakeMessage(&rest);
      const auto envelope = message ? DecodeEnvelope(*message) : std::nullopt;
      if (!envelope) {
        ADD_FAILURE() << "a message does not come through";
        return frames;
      }
      frames.back().push_back(envelope->id);
    }
    bytes.remove_prefix(frame.size);
  }
  return frames;
}

TEST(Outbox, GoldenBytesOfAFrameOfMany) {
  Outbox outbox;
  outbox.SetLimits(kLimits);
  std::string frame;
  EXPECT_EQ(outbox.Add({1, 0, SealRequest{}}, &frame), Added::kGathered);
  EXPECT_EQ(outbox.Add({2, 0, SealRequest{}}, &frame), Added::kGathered);
  EXPECT_EQ(frame, "");
  const Outbox::Frames frames = outbox.TakeGathered();
  EXPECT_EQ(frames.count, 1U);
  EXPECT_EQ(frames.bytes.substr(0, 12), std::string("LRT1\1\2\0\0\x20\0\0\0", 12));
  EXPECT_EQ(frames.bytes.substr(16), std::string("\x0c\0\0\0\x09\1\0\0\0\0\0\0\0\x8a\1\0"
                                                 "\x0c\0\0\0\x09\2\0\0\0\0\0\0\0\x8a\1\0",
                                                 32));
  EXPECT_EQ(outbox.TakeGathered().bytes, "");
  EXPECT_EQ(outbox.GatheredBytes(), 0U);
}

TEST(Outbox, WhatIsGatheredIsWholeAndInOrder) {
  base::Prng prng(5);
  for (const uint32_t frame_bytes : {64U, 1000U, 1U << 20, 16U << 20}) {
    Outbox outbox;
    outbox.SetLimits({frame_bytes, 64 << 20, 7});
    std::vector<uint64_t> sent;
    std::vector<uint64_t> came;
    for (uint64_t id = 1; id <= 3000; ++id) {
      std::string frame;
      const Added added = outbox.Add({id, 1, Sized(prng.Below(60))}, &frame);
      if (added == Added::kGathered) sent.push_back(id);
      EXPECT_TRUE(added == Added::kGathered || frame_bytes < 1000);
      if (prng.Below(20) > 0) continue;
      const Outbox::Frames frames = outbox.TakeGathered();
      const auto ids = IdsIn(frames.bytes, frame_bytes);
      EXPECT_EQ(ids.size(), frames.count);
      for (const auto& of_frame : ids) {
        EXPECT_GE(of_frame.size(), 1U);
        EXPECT_LE(of_frame.size(), 7U);
        came.insert(came.end(), of_frame.begin(), of_frame.end());
      }
    }
    for (const auto& of_frame : IdsIn(outbox.TakeGathered().bytes, frame_bytes)) {
      came.insert(came.end(), of_frame.begin(), of_frame.end());
    }
    EXPECT_EQ(came, sent);
  }
}

TEST(Outbox, AFrameThatHasEnoughIsEnded) {
  Outbox outbox;
  outbox.SetLimits(kLimits);
  std::string frame;
  for (uint64_t id = 1; id <= 4; ++id) outbox.Add({id, 1, Sized(kGatherBytes / 2)}, &frame);
  EXPECT_EQ(IdsIn(outbox.TakeGathered().bytes, 16 << 20),
            (std::vector<std::vector<uint64_t>>{{1, 2}, {3, 4}}));
}

TEST(Outbox, ALargeMessageLeavesTheGatheredOnesAlone) {
  Outbox outbox;
  outbox.SetLimits({16 << 20, 8 << 20, kFrameMessagesMax});
  std::string frame;
  EXPECT_EQ(outbox.Add({1, 1, Sized(3 << 20)}, &frame), Added::kWaits);
  EXPECT_EQ(outbox.GatheredBytes(), 0U);
  outbox.Add({2, 1, Sized(10)}, &frame);
  frame.clear();
  EXPECT_EQ(outbox.Add({3, 1, Sized(3 << 20)}, &frame), Added::kWaits);
  frame.clear();
  EXPECT_EQ(outbox.Add({4, 1, Sized(9 << 20)}, &frame), Added::kTooLarge);
  const auto refused = DecodeEnvelope(std::string_view(frame).substr(kFrameHeaderBytes));
  ASSERT_TRUE(refused.has_value());
  EXPECT_EQ(refused->id, 4U);
  outbox.Add({5, 1, Sized(10)}, &frame);
  EXPECT_EQ(IdsIn(outbox.TakeGathered().bytes, 16 << 20),
            (std::vector<std::vector<uint64_t>>{{2, 5}}));
  EXPECT_GT(outbox.WaitingBytes(), size_t{6} << 20);
}

TEST(Outbox, ANodeThatTakesNoFramesOfManyGetsNone) {
  Outbox outbox;
  outbox.SetLimits({16 << 20, 64 << 20, 0});
  for (uint64_t id = 1; id <= 3; ++id) {
    std::string frame;
    EXPECT_EQ(outbox.Add({id, 1, Sized(10)}, &frame), Added::kFrame);
    EXPECT_EQ(ParseFrame(frame, 1000).kind, FrameKind::kEnvelope);
  }
  EXPECT_EQ(outbox.GatheredBytes(), 0U);
}

TEST(Frame, AMessageThatIsCutIsNone) {
  std::string_view rest = "";
  EXPECT_FALSE(TakeMessage(&rest).has_value());
  for (const size_t size : {1U, 3U, 4U, 7U}) {
    const std::string bytes = std::string("\4\0\0\0abcd", 8).substr(0, size);
    std::string_view cut = bytes;
    EXPECT_FALSE(TakeMessage(&cut).has_value()) << size;
  }
  const std::string two("\2\0\0\0ab\0\0\0\0", 10);
  rest = two;
  EXPECT_EQ(TakeMessage(&rest), "ab");
  EXPECT_EQ(TakeMessage(&rest), "");
  EXPECT_TRUE(rest.empty());
}

}  // namespace
}  // namespace lariat::wire
