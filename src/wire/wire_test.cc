// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "base/prng.h"
#include "wire/codec.h"
#include "wire/frame.h"

namespace lariat::wire {
namespace {

TEST(Frame, GoldenBytes) {
  std::string out;
  AppendFrame("abc", &out);
  EXPECT_EQ(out.size(), kFrameHeaderBytes + 3);
  EXPECT_EQ(out.substr(0, 12), std::string("LRT1\x01\0\0\0\x03\0\0\0", 12));
  EXPECT_EQ(out.substr(16), "abc");
  const std::string stream = out + "next";
  const ParsedFrame parsed = ParseFrame(stream, 100);
  EXPECT_EQ(parsed.status, FrameStatus::kFrame);
  EXPECT_EQ(parsed.payload, "abc");
  EXPECT_EQ(parsed.size, out.size());
}

// Guards M25, M41.
TEST(Frame, EveryFlippedBitIsFound) {
  std::string good;
  AppendFrame("some payload of a message", &good);
  for (size_t bit = 0; bit < good.size() * 8; ++bit) {
    std::string bad = good;
    bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << (bit % 8)));
    // A flip that makes the length larger waits for bytes that never come, unless it is too large.
    const FrameStatus status = ParseFrame(bad + std::string(300, 'x'), 200).status;
    EXPECT_NE(status, FrameStatus::kFrame) << "bit " << bit;
    EXPECT_NE(status, FrameStatus::kNeedMore) << "bit " << bit;
  }
}

TEST(Frame, RefusesBeforeThePayloadArrives) {
  EXPECT_EQ(ParseFrame("GET / HTTP/1.1\r\n", 100).status, FrameStatus::kBadMagic);
  EXPECT_EQ(ParseFrame("L", 100).status, FrameStatus::kNeedMore);
  EXPECT_EQ(ParseFrame("LX", 100).status, FrameStatus::kBadMagic);
  std::string large;
  AppendFrame(std::string(101, 'x'), &large);
  EXPECT_EQ(ParseFrame(large.substr(0, 16), 100).status, FrameStatus::kTooLarge);
}

TEST(Codec, RoundTripsHotMessages) {
  WriteRequest write{7,       0x1122334455667788, std::string("k\0y", 3), "object", 2, true, "idem",
                     "answer"};
  auto envelope = DecodeEnvelope(EncodeEnvelope({42, 3, write}));
  ASSERT_TRUE(envelope.has_value());
  EXPECT_EQ(envelope->id, 42U);
  EXPECT_EQ(envelope->epoch, 3U);
  const auto& got = std::get<WriteRequest>(envelope->body);
  EXPECT_EQ(got.key, write.key);
  EXPECT_EQ(got.token, write.token);
  EXPECT_EQ(got.object, "object");
  EXPECT_EQ(got.durability, 2);
  EXPECT_TRUE(got.repair);
  EXPECT_EQ(got.idempotency_answer, "answer");

  ReadReply reply{{base::Code::kCorruption, "block", 1, 2}, true, "o", {5, 6}, ""};
  envelope = DecodeEnvelope(EncodeEnvelope({1, 1, reply}));
  ASSERT_TRUE(envelope.has_value());
  const auto& read = std::get<ReadReply>(envelope->body);
  EXPECT_EQ(read.outcome.code, base::Code::kCorruption);
  EXPECT_EQ(read.outcome.error, "block");
  EXPECT_EQ(read.digest, (base::Hash128{5, 6}));
}

TEST(Codec, WriteRepliesSayHowARegisterStands) {
  const std::string held = EncodeEnvelope({1, 1, WriteReply{}});
  const WriteReply overtaken{{}, causal::Standing::kNeverHeld, {0x1122}};
  const std::string bytes = EncodeEnvelope({1, 1, overtaken});
  EXPECT_EQ(bytes, std::string("\x09\x01\0\0\0\0\0\0\0\x10\x01\x42\x0b\x10\x01\x19"
                               "\x22\x11\0\0\0\0\0\0",
                               24));
  const auto got = std::get<WriteReply>(DecodeEnvelope(bytes)->body);
  EXPECT_EQ(got.standing, causal::Standing::kNeverHeld);
  EXPECT_EQ(got.greater.packed, 0x1122U);
  // As a node of the version before says it, and hears it.
  EXPECT_EQ(held, std::string("\x09\x01\0\0\0\0\0\0\0\x10\x01\x42\0", 13));
  std::string later = bytes;
  later[14] = 9;
  EXPECT_EQ(std::get<WriteReply>(DecodeEnvelope(later)->body).standing, causal::Standing::kUnsure);
}

TEST(Codec, ForwardedWriteKeepsWhatWasAbsent) {
  ForwardedWrite write;
  write.bucket = "b";
  write.write.context = "";
  auto envelope = DecodeEnvelope(EncodeEnvelope({1, 1, write}));
  ASSERT_TRUE(envelope.has_value());
  const auto& got = std::get<ForwardedWrite>(envelope->body);
  EXPECT_EQ(got.write.context, "");
  EXPECT_FALSE(got.write.ttl_s);
  EXPECT_FALSE(got.write.if_match);
}

TEST(Codec, MapsAreSorted) {
  WriteAnswer answer;
  ForwardedWriteReply reply;
  for (uint64_t i = 0; i < 40; ++i) {
    answer.version[i * 7919] = i;
    reply.version["node" + std::to_string(i)] = i;
  }
  const std::string answer_bytes = EncodeWriteAnswer(answer);
  const std::string reply_bytes = EncodeEnvelope({1, 1, reply});
  for (int i = 0; i < 50; ++i) {
    EXPECT_EQ(EncodeWriteAnswer(answer), answer_bytes);
    EXPECT_EQ(EncodeEnvelope({1, 1, reply}), reply_bytes);
  }
  EXPECT_EQ(DecodeWriteAnswer(answer_bytes)->version, answer.version);
}

// Guards M41.
TEST(Codec, SurvivesNoise) {
  base::Prng prng(3);
  const std::string good =
      EncodeEnvelope({1, 1, WriteRequest{1, 2, "key", "object", 1, false, "", ""}});
  for (int i = 0; i < 20000; ++i) {
    std::string bytes = good;
    for (uint64_t flips = prng.Below(4) + 1; flips > 0; --flips) {
      bytes[prng.Below(bytes.size())] = static_cast<char>(prng.Next());
    }
    bytes.resize(prng.Below(bytes.size() + 1));
    (void)DecodeEnvelope(bytes);
  }
  EXPECT_FALSE(DecodeEnvelope("").has_value());
}

}  // namespace
// Of every message by which replicas heal: what comes out encodes to the same bytes again.
TEST(Wire, RepairMessagesComeThroughWhole) {
  const KeyDigest digest = {"key", {1, 2}};
  const std::vector<Body> bodies = {
      TreeRequest{7, {{1, 2}, {9, 3}}},
      TreeReply{{}, {{{1, 2}, 3, true}, {{4, 5}, 6, false}}},
      LeafRequest{7, {1, 2}, "after"},
      LeafReply{{}, {digest, {"other", {3, 4}}}, "last", true},
      FetchRequest{{"a", "b"}},
      FetchRequest{{"c"}, true},
      FetchReply{{}, {{"a", "object"}}, false},
      RecordPush{PushKind::kHint, {{"a", "object"}}},
      RecordPushReply{{base::Code::kStaleEpoch, "stale", 0, 0}},
      HintsRequest{{"a"}},
      HintsReply{{}, {"a"}, "still cleaning up"},
      SweepRequest{SweepStep::kFold, {digest}},
      SweepRequest{SweepStep::kConfirm, {digest}, SweepStep::kFold},
      SweepRequest{SweepStep::kPurge, {digest}, SweepStep::kPurge, {{1, 2, 3}, {4, 5, 6}}},
      SweepReply{{}, {SweepState::kSame, SweepState::kBusy}},
      SweepReply{{}, {SweepState::kSame}, 7, 8},
      HotRequest{1, 10},
      HotReply{{}, {{"bucket", "key", 1.5}}},
  };
  for (const Body& body : bodies) {
    const std::string bytes = EncodeEnvelope({1, 2, body});
    const auto decoded = DecodeEnvelope(bytes);
    ASSERT_TRUE(decoded.has_value()) << body.index();
    EXPECT_EQ(decoded->body.index(), body.index());
    EXPECT_EQ(EncodeEnvelope(*decoded), bytes) << body.index();
  }
  const auto hash = DecodeEnvelope(EncodeEnvelope({1, 2, bodies[1]}));
  EXPECT_FALSE(std::get<TreeReply>(hash->body).hashes[1].known);
  EXPECT_EQ(std::get<TreeReply>(hash->body).hashes[1].keys, 6U);
}

TEST(Wire, ScansComeThroughWhole) {
  const std::vector<Body> bodies = {
      ScanRequest{7, "from", "to", 100, 1 << 20, ScanForm::kObjects},
      ScanReply{{}, {{"a", {1, 2}, true, ""}, {"b", {}, false, "object"}}, "next"},
      ScanReply{{base::Code::kStaleEpoch, "stale", 0, 0}, {}, ""},
  };
  for (const Body& body : bodies) {
    const std::string bytes = EncodeEnvelope({1, 2, body});
    const auto decoded = DecodeEnvelope(bytes);
    ASSERT_TRUE(decoded.has_value()) << body.index();
    EXPECT_EQ(EncodeEnvelope(*decoded), bytes) << body.index();
  }
  ScanRequest later;
  later.form = static_cast<ScanForm>(3);
  EXPECT_FALSE(DecodeEnvelope(EncodeEnvelope({1, 1, later})).has_value());
}

TEST(Wire, RepairMessagesAreBounded) {
  TreeRequest many;
  many.spans.resize(kSpansMax + 1);
  EXPECT_FALSE(DecodeEnvelope(EncodeEnvelope({1, 1, many})).has_value());
  FetchRequest keys;
  keys.keys.resize(kRecordsMax + 1);
  EXPECT_FALSE(DecodeEnvelope(EncodeEnvelope({1, 1, keys})).has_value());
  SweepReply states;
  states.states = {static_cast<SweepState>(9)};
  EXPECT_FALSE(DecodeEnvelope(EncodeEnvelope({1, 1, states})).has_value());
}

}  // namespace lariat::wire
