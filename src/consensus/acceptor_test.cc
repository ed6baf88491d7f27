// SPDX-License-Identifier: Apache-2.0
#include "consensus/acceptor.h"

#include <gtest/gtest.h>

namespace lariat::consensus {
namespace {

constexpr Ballot kLow{3, 1, 1};
constexpr Ballot kMiddle{5, 1, 1};
constexpr Ballot kHigh{7, 1, 1};

std::string Encoded(const AcceptorState& state) {
  std::string bytes;
  state.EncodeTo(&bytes);
  return bytes;
}

TEST(Ballot, CounterThenNodeThenIncarnationDecide) {
  EXPECT_LT((Ballot{1, 9, 9}), (Ballot{2, 1, 1}));
  EXPECT_LT((Ballot{2, 1, 9}), (Ballot{2, 2, 1}));
  EXPECT_LT((Ballot{2, 2, 1}), (Ballot{2, 2, 2}));
}

TEST(Ballot, BytesSortAsBallotsDo) {
  std::string low;
  std::string high;
  base::ByteWriter low_writer(&low);
  base::ByteWriter high_writer(&high);
  Ballot{255, 1, 1}.Encode(&low_writer);
  Ballot{256, 0, 0}.Encode(&high_writer);
  EXPECT_EQ(low.size(), Ballot::kBytes);
  EXPECT_LT(low, high);
}

TEST(Ballot, DecodeRefusesWhatNumbersNothing) {
  for (const Ballot& bad : {Ballot{0, 1, 0}, Ballot{Ballot::kCounterMax + 1, 1, 1}}) {
    std::string bytes;
    base::ByteWriter writer(&bytes);
    bad.Encode(&writer);
    base::ByteReader reader(bytes);
    Ballot::Decode(&reader);
    EXPECT_FALSE(reader.ok());
  }
}

// Guards M32.
TEST(BallotSource, GoesAboveWhatItSawAndNeverRepeats) {
  BallotSource source(4, 9);
  EXPECT_EQ(source.Next(), (Ballot{1, 4, 9}));
  source.Observe({10, 5, 1});
  source.Observe({2, 5, 1});
  EXPECT_EQ(source.Next(), (Ballot{11, 4, 9}));
  EXPECT_EQ(source.Next(), (Ballot{12, 4, 9}));
}

TEST(BallotSource, StopsAtTheLastCounterAndIgnoresNonsense) {
  BallotSource source(4, 9);
  source.Observe({~uint64_t{0}, 5, 1});
  EXPECT_EQ(source.Next(), (Ballot{1, 4, 9}));
  source.Observe({Ballot::kCounterMax, 5, 1});
  EXPECT_EQ(source.Next(), std::nullopt);
}

// Guards M32.
TEST(Acceptor, PromisesOnlyUpwards) {
  Acceptor acceptor;
  EXPECT_TRUE(acceptor.OnPrepare(kMiddle).ok);
  const PrepareReply refused = acceptor.OnPrepare(kLow);
  EXPECT_FALSE(refused.ok);
  EXPECT_FALSE(refused.changed);
  EXPECT_EQ(refused.seen, kMiddle);
  EXPECT_TRUE(acceptor.OnPrepare(kHigh).ok);
}

TEST(Acceptor, RepeatedPrepareGetsTheSameAnswerAndChangesNothing) {
  Acceptor acceptor;
  EXPECT_TRUE(acceptor.OnPrepare(kMiddle).changed);
  const PrepareReply again = acceptor.OnPrepare(kMiddle);
  EXPECT_TRUE(again.ok);
  EXPECT_FALSE(again.changed);
}

TEST(Acceptor, PromiseCarriesWhatWasAccepted) {
  Acceptor acceptor;
  EXPECT_TRUE(acceptor.OnAccept({kLow, "x", {}}).ok);
  const PrepareReply promise = acceptor.OnPrepare(kMiddle);
  EXPECT_EQ(promise.accepted, kLow);
  EXPECT_EQ(promise.value, "x");
}

// Guards M32.
TEST(Acceptor, RefusesToAcceptBelowItsPromise) {
  Acceptor acceptor;
  ASSERT_TRUE(acceptor.OnPrepare(kHigh).ok);
  const AcceptReply refused = acceptor.OnAccept({kMiddle, "x", {}});
  EXPECT_FALSE(refused.ok);
  EXPECT_FALSE(refused.changed);
  EXPECT_EQ(refused.seen, kHigh);
  EXPECT_TRUE(acceptor.state().accepted.IsZero());
}

TEST(Acceptor, AcceptsEmptinessAsADecision) {
  Acceptor acceptor;
  ASSERT_TRUE(acceptor.OnAccept({kLow, "x", {}}).ok);
  ASSERT_TRUE(acceptor.OnAccept({kMiddle, std::nullopt, {}}).ok);
  const PrepareReply promise = acceptor.OnPrepare(kHigh);
  EXPECT_EQ(promise.accepted, kMiddle);
  EXPECT_EQ(promise.value, std::nullopt);
}

TEST(Acceptor, AcceptAlsoPromisesTheNextBallot) {
  Acceptor acceptor;
  const AcceptReply reply = acceptor.OnAccept({kLow, "x", kHigh});
  EXPECT_TRUE(reply.ok);
  EXPECT_TRUE(reply.next_promised);
  EXPECT_FALSE(acceptor.OnPrepare(kMiddle).ok);
  EXPECT_TRUE(acceptor.OnAccept({kHigh, "y", {}}).ok);
}

TEST(Acceptor, RepeatedAcceptIsStillTrueAfterAGreaterPromise) {
  Acceptor acceptor;
  ASSERT_TRUE(acceptor.OnAccept({kLow, "x", kMiddle}).ok);
  const AcceptReply again = acceptor.OnAccept({kLow, "x", kMiddle});
  EXPECT_TRUE(again.ok);
  EXPECT_TRUE(again.next_promised);
  EXPECT_FALSE(again.changed);
  ASSERT_TRUE(acceptor.OnPrepare(kHigh).ok);
  const AcceptReply late = acceptor.OnAccept({kLow, "x", kMiddle});
  EXPECT_TRUE(late.ok);
  EXPECT_FALSE(late.next_promised);
  EXPECT_EQ(acceptor.state().promised, kHigh);
}

TEST(Acceptor, RefusesBallotsThatNumberNothing) {
  Acceptor acceptor;
  EXPECT_FALSE(acceptor.OnPrepare(Ballot{}).ok);
  EXPECT_FALSE(acceptor.OnPrepare({Ballot::kCounterMax + 1, 1, 1}).ok);
  EXPECT_FALSE(acceptor.OnAccept({Ballot{}, "x", {}}).ok);
  EXPECT_EQ(acceptor.state(), AcceptorState{});
}

TEST(AcceptorState, GoldenBytes) {
  const AcceptorState state{{0x0102, 3, 4}, {1, 5, 6}, "hi"};
  const std::string expected(
      "\x01"
      "\0\0\0\0\0\0\x01\x02\0\0\0\0\0\0\0\x03\0\0\0\0\0\0\0\x04"
      "\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x05\0\0\0\0\0\0\0\x06"
      "\x01\x02hi",
      53);
  EXPECT_EQ(Encoded(state), expected);
}

TEST(AcceptorState, ComesBackAsItWas) {
  const AcceptorState states[] = {{},
                                  {kHigh, {}, std::nullopt},
                                  {kHigh, kLow, std::nullopt},
                                  {kHigh, kHigh, ""},
                                  {kHigh, kLow, std::string(70000, 'v')}};
  for (const AcceptorState& state : states) {
    const auto decoded = AcceptorState::Decode(Encoded(state));
    ASSERT_TRUE(decoded.has_value());
    EXPECT_EQ(*decoded, state);
  }
}

TEST(AcceptorState, DecodeRefusesTheMalformed) {
  const std::string good = Encoded({kHigh, kLow, "value"});
  for (size_t size = 0; size < good.size(); ++size) {
    EXPECT_FALSE(AcceptorState::Decode(good.substr(0, size)).has_value()) << size;
  }
  std::string unknown_version = good;
  unknown_version[0] = 2;
  std::string unknown_flag = good;
  unknown_flag[49] = 2;
  const std::string bad[] = {good + "x", unknown_version, unknown_flag,
                             Encoded({kLow, kHigh, "accepted above the promise"}),
                             Encoded({kHigh, {}, "never accepted"})};
  for (const std::string& bytes : bad) {
    const auto decoded = AcceptorState::Decode(bytes);
    ASSERT_FALSE(decoded.has_value());
    EXPECT_EQ(decoded.error().code, base::Code::kCorruption);
  }
}

}  // namespace
}  // namespace lariat::consensus
