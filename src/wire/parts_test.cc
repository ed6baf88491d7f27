// SPDX-License-Identifier: Apache-2.0
#include "wire/parts.h"

#include <gtest/gtest.h>

#include <vector>

#include "base/prng.h"
#include "wire/codec.h"
#include "wire/frame.h"
#include "wire/outbox.h"

namespace lariat::wire {
namespace {

using Took = PartsReader::Took;

std::string PayloadOf(const Part& part) {
  std::string frame;
  AppendPart(part, &frame);
  return frame.substr(kFrameHeaderBytes);
}

TEST(Parts, GoldenBytes) {
  std::string frame;
  AppendPart({0x1112131415161718, 7, 10, 4, "abcd"}, &frame);
  EXPECT_EQ(frame.substr(0, 12), std::string("LRT1\x01\x01\0\0\x18\0\0\0", 12));
  EXPECT_EQ(
      frame.substr(kFrameHeaderBytes),
      std::string("\x18\x17\x16\x15\x14\x13\x12\x11\x07\0\0\0\x0a\0\0\0\x04\0\0\0", 20) + "abcd");
  const ParsedFrame parsed = ParseFrame(frame, 100);
  EXPECT_EQ(parsed.status, FrameStatus::kFrame);
  EXPECT_EQ(parsed.kind, FrameKind::kPart);
  const auto part = ParsePart(parsed.payload);
  ASSERT_TRUE(part.has_value());
  EXPECT_EQ(part->id, 0x1112131415161718U);
  EXPECT_EQ(part->number, 7U);
  EXPECT_EQ(part->total, 10U);
  EXPECT_EQ(part->offset, 4U);
  EXPECT_EQ(part->bytes, "abcd");
}

TEST(Parts, WhatCannotBeAPartIsNone) {
  const std::string good = PayloadOf({1, 1, 10, 0, "0123"});
  EXPECT_TRUE(ParsePart(good).has_value());
  for (size_t size = 0; size <= kPartHeaderBytes; ++size) {
    EXPECT_FALSE(ParsePart(good.substr(0, size)).has_value()) << size;
  }
  EXPECT_FALSE(ParsePart(PayloadOf({1, 1, 10, 10, "x"})).has_value());
  EXPECT_FALSE(ParsePart(PayloadOf({1, 1, 10, 8, "xxx"})).has_value());
  EXPECT_FALSE(ParsePart(PayloadOf({1, 1, 0, 0, "x"})).has_value());
}

// Guards M41.
TEST(Parts, ALostRepeatedOrForeignPartIsNeverTheEnd) {
  const std::vector<Part> whole = {
      {5, 1, 10, 0, "0123"}, {5, 1, 10, 4, "4567"}, {5, 1, 10, 8, "89"}};
  const std::vector<std::vector<Part>> bad = {
      {whole[1]},                                         // it begins in the middle
      {whole[0], whole[2]},                               // one is missing
      {whole[0], whole[0]},                               // one comes twice
      {whole[0], {5, 2, 10, 4, "4567"}},                  // of another message
      {whole[0], {6, 1, 10, 4, "4567"}},                  // of another envelope
      {whole[0], {5, 1, 11, 4, "4567"}},                  // it would be longer now
      {whole[0], whole[1], {7, 2, 4, 0, "next"}},         // the next one before the end
      {whole[0], whole[1], whole[2], whole[0]},           // once more
      {whole[0], whole[1], whole[2], {7, 3, 1, 0, "n"}},  // a message is missing
  };
  for (size_t i = 0; i < bad.size(); ++i) {
    PartsBudget budget(100);
    PartsReader reader(budget);
    Took took = Took::kMore;
    for (const Part& part : bad[i]) {
      EXPECT_NE(took, Took::kBad) << i;
      if (took == Took::kMessage) {
        EXPECT_EQ(reader.TakeMessage(), "0123456789");
      }
      took = reader.Take(PayloadOf(part));
    }
    EXPECT_EQ(took, Took::kBad) << i;
  }
}

TEST(Parts, TheBudgetIsSharedAndComesBack) {
  PartsBudget budget(10);
  {
    PartsReader one(budget), two(budget);
    EXPECT_EQ(one.Take(PayloadOf({1, 1, 8, 0, "0123"})), Took::kMore);
    EXPECT_EQ(budget.used(), 8U);
    // Said once; its parts are dropped, and what comes behind is taken.
    EXPECT_EQ(two.Take(PayloadOf({9, 1, 6, 0, "012"})), Took::kNoRoom);
    EXPECT_EQ(two.id(), 9U);
    EXPECT_EQ(two.Take(PayloadOf({9, 1, 6, 3, "345"})), Took::kMore);
    EXPECT_EQ(two.Take(PayloadOf({10, 2, 2, 0, "ab"})), Took::kMessage);
    EXPECT_EQ(two.TakeMessage(), "ab");
    EXPECT_EQ(one.Take(PayloadOf({1, 1, 8, 4, "4567"})), Took::kMessage);
    EXPECT_EQ(one.TakeMessage(), "01234567");
    EXPECT_EQ(budget.used(), 0U);
    EXPECT_EQ(one.Take(PayloadOf({2, 2, 8, 0, "0123"})), Took::kMore);
    EXPECT_EQ(two.Take(PayloadOf({11, 3, 11, 0, "0"})), Took::kBad) << "more than was allowed";
  }
  EXPECT_EQ(budget.used(), 0U) << "a connection that ends gives back what it had";
}

WriteRequest Large(size_t bytes, uint64_t seed) {
  WriteRequest write;
  base::Prng prng(seed);
  write.object.resize(bytes);
  for (char& c : write.object) c = static_cast<char>(prng.Next());
  return write;
}

TEST(Outbox, PartsOfAnyMessageMakeItUpAgain) {
  base::Prng prng(3);
  PartsBudget budget(64 << 20);
  PartsReader reader(budget);
  Outbox outbox;
  outbox.SetLimits({1000, 64 << 20});
  for (int i = 0; i < 200; ++i) {
    const size_t bytes = prng.Below(i < 190 ? 5000 : 3 << 20);
    const WriteRequest write = Large(bytes, static_cast<uint64_t>(i));
    std::string message;
    std::string frame;
    const auto added = outbox.Add({7, 1, write}, &frame);
    if (added == Outbox::Added::kFrame) {
      EXPECT_LE(frame.size(), 1000 + kFrameHeaderBytes);
      continue;
    }
    ASSERT_EQ(added, Outbox::Added::kWaits);
    while (!(frame = outbox.NextPart(0)).empty()) {
      const ParsedFrame parsed = ParseFrame(frame, 1000);
      ASSERT_EQ(parsed.status, FrameStatus::kFrame);
      const Took took = reader.Take(parsed.payload);
      ASSERT_TRUE(took == Took::kMore || took == Took::kMessage);
      if (took == Took::kMessage) message = reader.TakeMessage();
    }
    const auto envelope = DecodeEnvelope(message);
    ASSERT_TRUE(envelope.has_value());
    EXPECT_EQ(std::get<WriteRequest>(envelope->body).object, write.object);
    EXPECT_EQ(outbox.WaitingBytes(), 0U);
  }
}

TEST(Outbox, ANodeThatTakesNoPartsGetsNone) {
  Outbox outbox;
  outbox.SetLimits({4 << 20, 0});
  std::string frame;
  EXPECT_EQ(outbox.Add({1, 1, Large(3 << 20, 1)}, &frame), Outbox::Added::kFrame);
  frame.clear();
  EXPECT_EQ(outbox.Add({1, 1, Large(5 << 20, 1)}, &frame), Outbox::Added::kTooLarge);
  EXPECT_TRUE(outbox.NextPart(0).empty());
}

TEST(Outbox, AnAbsurdLimitOfTheOtherSideDoesNoHarmHere) {
  for (const uint32_t frame_bytes : {0U, 1U, 20U, 21U}) {
    Outbox outbox;
    outbox.SetLimits({frame_bytes, 64 << 20});
    std::string frame;
    ASSERT_EQ(outbox.Add({1, 1, Large(10000, 1)}, &frame), Outbox::Added::kWaits);
    int parts = 0;
    while (!outbox.NextPart(0).empty()) ++parts;
    EXPECT_GT(parts, 100);
    EXPECT_EQ(outbox.WaitingBytes(), 0U);
  }
}

TEST(Outbox, SmallMessagesDoNotWaitAndLargeOnesDoNotStarve) {
  Outbox outbox;
  outbox.SetLimits({16 << 20, 64 << 20});
  std::string frame;
  ASSERT_EQ(outbox.Add({1, 1, Large(8 << 20, 1)}, &frame), Outbox::Added::kWaits);
  EXPECT_GT(outbox.WaitingBytes(), size_t{8} << 20);
  // Nobody reads: no more than the window is written ahead.
  size_t unsent = 0;
  while (!(frame = outbox.NextPart(unsent)).empty()) unsent += frame.size();
  EXPECT_GE(unsent, 2 * kPartBytes);
  EXPECT_LE(unsent, 3 * kPartBytes);
  frame.clear();
  EXPECT_EQ(outbox.Add({2, 1, Heartbeat{}}, &frame), Outbox::Added::kFrame);
  EXPECT_TRUE(outbox.NextPart(unsent).empty());
  // Others keep the connection busy: from time to time it is a part's turn.
  int turns = 0;
  for (int i = 0; i < 16; ++i) {
    frame.clear();
    ASSERT_EQ(outbox.Add({3, 1, Large(kPartBytes / 2, 2)}, &frame), Outbox::Added::kFrame);
    turns += outbox.NextPart(unsent).empty() ? 0 : 1;
  }
  EXPECT_EQ(turns, 8);
}

TEST(Wire, ARefusalTakesThePlaceOfAReply) {
  const base::Error why = {base::Code::kTooLarge, "too large"};
  RangePage page;
  page.entries = {{"key", "object"}};
  page.last_key = "key";
  page.done = true;
  const Envelope refused = RefusalInPlaceOf({4, 5, page}, why);
  EXPECT_EQ(refused.id, 4U);
  const auto& rest = std::get<RangePage>(refused.body);
  EXPECT_EQ(rest.outcome.code, base::Code::kCorruption);
  EXPECT_TRUE(rest.entries.empty());
  EXPECT_EQ(rest.last_key, "key");
  EXPECT_TRUE(rest.done);
  EXPECT_EQ(rest.checksum, PageChecksum({}));
  const Envelope read = RefusalInPlaceOf({4, 5, ReadReply{{}, true, "object", {1, 2}, "a"}}, why);
  EXPECT_EQ(std::get<ReadReply>(read.body).outcome.code, base::Code::kTooLarge);
  EXPECT_FALSE(std::get<ReadReply>(read.body).found);
}

TEST(Wire, ACodeThatEarlierBuildsDoNotKnowHasOneThatTheyDo) {
  const WriteReply reply{{base::Code::kObjectTooLarge, "why"}};
  const std::string bytes = EncodeEnvelope({1, 2, reply});
  const auto decoded = DecodeEnvelope(bytes);
  ASSERT_TRUE(decoded.has_value());
  EXPECT_EQ(std::get<WriteReply>(decoded->body).outcome.code, base::Code::kObjectTooLarge);
  // id 1, epoch 2, write_reply{outcome{code 4, error "why", exact 21}}
  EXPECT_EQ(bytes, std::string("\x09\x01\0\0\0\0\0\0\0\x10\x02\x42\x0b\x0a\x09\x08\x04\x12\x03why"
                               "\x28\x15",
                               24));
}

}  // namespace
}  // namespace lariat::wire
