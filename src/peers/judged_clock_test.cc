// SPDX-License-Identifier: Apache-2.0
#include "peers/judged_clock.h"

#include <gtest/gtest.h>

#include "replica/clock.h"

namespace lariat::peers {
namespace {

class OwnClock final : public env::Clock {
 public:
  base::Instant Now() const override { return base::Instant(base::Millis(monotonic_ms)); }
  base::WallTime Wall() const override { return {kStartMs + monotonic_ms + off_ms}; }
  static constexpr int64_t kStartMs = 1'700'000'000'000;
  int64_t monotonic_ms = 5000;
  int64_t off_ms = 0;
};

class JudgedClockTest : public ::testing::Test {
 protected:
  int64_t Right() const { return OwnClock::kStartMs + own.monotonic_ms; }

  OwnClock own;
  PeerTime peers{1000};
  JudgedClock clock{own, peers};
};

TEST_F(JudgedClockTest, WithoutPeersItIsBelieved) {
  own.off_ms = 86'400'000;
  EXPECT_EQ(clock.Wall(), own.Wall());
  EXPECT_TRUE(clock.Check());
  peers.SetWaiting(true);
  EXPECT_EQ(clock.Check().error().code, base::Code::kClockOff) << "somebody could tell";
}

// Guards M36.
TEST_F(JudgedClockTest, AJumpIsNoticedAtTheFirstLook) {
  peers.Set(OwnClock::kStartMs * 1000);
  EXPECT_EQ(clock.Wall().ms, Right());
  EXPECT_TRUE(clock.Check());
  for (const int64_t off_ms : {int64_t{30'000}, int64_t{-30'000}, int64_t{86'400'000}}) {
    own.off_ms = off_ms;
    own.monotonic_ms += 3;
    EXPECT_EQ(clock.Wall().ms, Right()) << "the members' time";
    EXPECT_EQ(clock.OwnMicros() / 1000, Right() + off_ms);
    const base::Status wrong = clock.Check();
    ASSERT_FALSE(wrong);
    EXPECT_EQ(wrong.error().code, base::Code::kClockOff);
    EXPECT_NE(wrong.error().message.find(std::to_string(std::abs(off_ms)) + " ms"),
              std::string::npos);
    own.monotonic_ms += 50;
    EXPECT_EQ(clock.Wall().ms, Right());
    own.off_ms = 0;
    EXPECT_EQ(clock.Wall().ms, Right());
    EXPECT_TRUE(clock.Check()) << "right again at once";
  }
}

TEST_F(JudgedClockTest, WithinTheDriftTheOwnClockCounts) {
  peers.Set(OwnClock::kStartMs * 1000);
  own.off_ms = 900;
  clock.Judge();
  EXPECT_EQ(clock.Wall().ms, Right() + 900);
  EXPECT_EQ(clock.offset_us(), 900'000);
  EXPECT_TRUE(clock.Check());
  EXPECT_EQ(clock.Latest().ms, Right() + 900);
  own.off_ms = -900;
  EXPECT_EQ(clock.Wall().ms, Right() - 900);
  EXPECT_EQ(clock.Latest().ms, Right()) << "what others stamp is judged by the members' time";
  own.off_ms = -9000;
  EXPECT_EQ(clock.Latest().ms, Right());
}

// A limit of the future keeps no stamp of the present from being given out.
TEST(TakenBack, StampsGoOnFromNow) {
  const auto at = [](int64_t ms) { return causal::HlcStamp::FromWallMs(ms); };
  replica::Clock clock(at(90'000'000), 1000);
  clock.TakeBack(at(5000));
  EXPECT_FALSE(clock.Next({4990})) << "before a limit is durable";
  clock.SetLimit(at(6000));
  const auto next = clock.Next({4990});
  ASSERT_TRUE(next);
  EXPECT_GT(*next, at(5000));
  EXPECT_LT(*next, at(5001));
}

}  // namespace
}  // namespace lariat::peers
