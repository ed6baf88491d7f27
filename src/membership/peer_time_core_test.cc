// SPDX-License-Identifier: Apache-2.0
#include "membership/peer_time_core.h"

#include <gtest/gtest.h>

namespace lariat::membership {
namespace {

using base::Millis;
using base::Seconds;

constexpr int64_t kDayUs = int64_t{86'400'000'000};
constexpr int64_t kStartMs = 1'700'000'000'000;

class PeerTimeTest : public ::testing::Test {
 protected:
  PeerTimeTest() { core.SetPeers({2, 3}); }

  // An answer that took 10 ms, of a clock that is off.
  void Hear(uint64_t peer, int64_t off_ms) {
    const base::Instant asked = now;
    now += Millis(10);
    core.OnAnswer(peer, {RightMs(now - Millis(5)) + off_ms}, asked, now);
  }
  static int64_t RightMs(base::Instant at) { return kStartMs + at.time_since_epoch() / Millis(1); }
  // By how much the own clock is judged to be ahead if it is ahead by that.
  std::optional<int64_t> JudgedMs(int64_t own_off_ms) {
    const int64_t own = (kStartMs + own_off_ms) * 1000;
    const auto difference = core.Difference(own, now);
    if (!difference) return std::nullopt;
    return (own - *difference) / 1000;
  }

  PeerTimeCore core{Seconds(1)};
  base::Instant now{Seconds(1000)};
};

// The worked example of the header.
TEST_F(PeerTimeTest, MostOfTheMembersAreRight) {
  EXPECT_EQ(JudgedMs(0), std::nullopt) << "nobody was heard";
  Hear(2, -100);
  Hear(3, 200);
  EXPECT_EQ(JudgedMs(0), 0);
  EXPECT_NEAR(static_cast<double>(*JudgedMs(kDayUs / 1000)), kDayUs / 1000.0 - 200, 2);
  EXPECT_NEAR(static_cast<double>(*JudgedMs(-30'000)), -29'900, 2);
  EXPECT_NEAR(static_cast<double>(*core.AheadMs(3)), 300, 2) << "by the last judgement";
  // Another member's clock that is wrong makes nobody else wrong.
  Hear(2, kDayUs / 1000);
  EXPECT_NEAR(static_cast<double>(*JudgedMs(0)), -200, 2);
}

TEST_F(PeerTimeTest, OfTwoStrangersWhoIsAheadIsWrong) {
  core.SetPeers({2});
  Hear(2, 30'000);
  EXPECT_EQ(JudgedMs(0), 0);
}

TEST_F(PeerTimeTest, OfTwoWhoIsBehindIsRight) {
  core.SetPeers({2});
  Hear(2, -30'000);
  EXPECT_NEAR(static_cast<double>(*JudgedMs(0)), 30'000, 2);
}

TEST_F(PeerTimeTest, OfTwoThatAgreedWhoJumpsIsWrong) {
  core.SetPeers({2});
  Hear(2, 0);
  for (const int64_t off_ms : {int64_t{30'000}, int64_t{-30'000}}) {
    EXPECT_NEAR(static_cast<double>(*JudgedMs(off_ms)), static_cast<double>(off_ms), 2);
    Hear(2, off_ms);
    EXPECT_NEAR(static_cast<double>(*JudgedMs(0)), 0, 2) << "it is the other one";
    Hear(2, 0);
  }
}

TEST_F(PeerTimeTest, WhatWasHeardIsGoodForAWhile) {
  Hear(2, 0);
  Hear(3, 0);
  EXPECT_EQ(JudgedMs(0), 0);
  now += PeerTimeCore::kFreshFor * 2;
  EXPECT_NEAR(static_cast<double>(*JudgedMs(5000)), 5000, 2) << "the difference does not age";
  now += PeerTimeCore::kHeardFor;
  EXPECT_EQ(JudgedMs(5000), std::nullopt);
}

TEST_F(PeerTimeTest, SlowAnswersAndStrangersSayNothing) {
  core.OnAnswer(2, {kStartMs}, now, now + Seconds(2));
  core.OnAnswer(9, {kStartMs}, now, now + Millis(1));
  core.OnAnswer(3, {0}, now, now + Millis(1));
  EXPECT_EQ(JudgedMs(0), std::nullopt);
  Hear(2, 700);
  Hear(3, 700);
  EXPECT_NEAR(static_cast<double>(*JudgedMs(0)), -700, 2);
  core.SetPeers({4});
  EXPECT_EQ(core.AheadMs(2), std::nullopt) << "no member any more";
}

TEST_F(PeerTimeTest, AsksAFewByTurns) {
  EXPECT_EQ(core.Next(), 2U);
  EXPECT_EQ(core.Next(), 3U);
  EXPECT_EQ(core.Next(), 2U);
  std::vector<uint64_t> many(100);
  for (size_t i = 0; i < many.size(); ++i) many[i] = i + 1;
  core.SetPeers(many);
  for (int i = 0; i < 100; ++i) EXPECT_LE(core.Next().value(), PeerTimeCore::kAskedMax);
  core.SetPeers({});
  EXPECT_EQ(core.Next(), std::nullopt);
}

}  // namespace
}  // namespace lariat::membership
