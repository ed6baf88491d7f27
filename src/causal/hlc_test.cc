// SPDX-License-Identifier: Apache-2.0
#include "causal/hlc.h"

#include <gtest/gtest.h>

#include "base/prng.h"

namespace lariat::causal {
namespace {

using base::WallTime;

constexpr int64_t kNow = 1'700'000'000'000;
constexpr int64_t kDrift = 500;

TEST(Hlc, FollowsTheWallClockAndCountsWithinAMillisecond) {
  Hlc hlc({}, kDrift);
  EXPECT_EQ(hlc.Next(WallTime{kNow}), HlcStamp::FromWallMs(kNow, 0));
  EXPECT_EQ(hlc.Next(WallTime{kNow}), HlcStamp::FromWallMs(kNow, 1));
  EXPECT_EQ(hlc.Next(WallTime{kNow + 1}), HlcStamp::FromWallMs(kNow + 1, 0));
  EXPECT_EQ(hlc.last().WallMs(), kNow + 1);
}

// Guards M36.
TEST(Hlc, GrowsWhenTheWallClockIsSetBack) {
  Hlc hlc({}, kDrift);
  HlcStamp last = hlc.Next(WallTime{kNow});
  for (const int64_t now : {kNow - 1, kNow - 3'600'000, int64_t{0}, int64_t{-5}, kNow}) {
    const HlcStamp next = hlc.Next(WallTime{now});
    EXPECT_GT(next, last) << now;
    EXPECT_EQ(next.WallMs(), kNow) << now;
    last = next;
  }
}

TEST(Hlc, CounterOverflowMovesToTheNextMillisecond) {
  Hlc hlc(HlcStamp::FromWallMs(kNow, 0xfffe), kDrift);
  EXPECT_EQ(hlc.Next(WallTime{kNow}), HlcStamp::FromWallMs(kNow, 0xffff));
  EXPECT_EQ(hlc.Next(WallTime{kNow}), HlcStamp::FromWallMs(kNow + 1, 0));
  EXPECT_EQ(hlc.Next(WallTime{kNow + 1}), HlcStamp::FromWallMs(kNow + 1, 1));
}

TEST(Hlc, StartsAboveTheFloorEvenFarAheadOfTheWallClock) {
  const HlcStamp floor = HlcStamp::FromWallMs(kNow + 100 * kDrift, 9);
  Hlc hlc(floor, kDrift);
  const HlcStamp first = hlc.Next(WallTime{kNow});
  EXPECT_GT(first, floor);
  EXPECT_GT(hlc.Next(WallTime{kNow}), first);
}

TEST(Hlc, StampsAreAboveWhatWasObserved) {
  Hlc hlc({}, kDrift);
  const HlcStamp peer = HlcStamp::FromWallMs(kNow + kDrift, 0xffff);
  EXPECT_TRUE(hlc.Observe(peer, WallTime{kNow}));
  EXPECT_GT(hlc.Next(WallTime{kNow}), peer);
  const HlcStamp last = hlc.last();
  EXPECT_TRUE(hlc.Observe(HlcStamp::FromWallMs(kNow - 1), WallTime{kNow}));
  EXPECT_EQ(hlc.last(), last) << "an old stamp teaches nothing";
}

// Guards M36.
TEST(Hlc, RefusesAStampTooFarAheadAndStaysAsItWas) {
  Hlc hlc({}, kDrift);
  const HlcStamp before = hlc.Next(WallTime{kNow});
  for (const HlcStamp bad : {HlcStamp::FromWallMs(kNow + kDrift + 1), HlcStamp{UINT64_MAX}}) {
    const base::Status status = hlc.Observe(bad, WallTime{kNow});
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().code, base::Code::kInvalidArgument);
    EXPECT_EQ(hlc.last(), before);
  }
}

TEST(Hlc, TimesThatDoNotFitAreTheNearestThatDo) {
  Hlc hlc({}, kDrift);
  for (const int64_t far : {int64_t{1} << 48, int64_t{1} << 62, INT64_MAX}) {
    EXPECT_EQ(HlcStamp::FromWallMs(far).WallMs(), (int64_t{1} << 48) - 1);
    EXPECT_FALSE(hlc.Observe(HlcStamp::FromWallMs(far), WallTime{kNow}));
  }
  EXPECT_EQ(HlcStamp::FromWallMs(-1).WallMs(), 0);
}

// Guards M36: 100,000 steps.
TEST(Hlc, IsMonotonicOverRandomClocksAndRestarts) {
  base::Prng prng(3);
  Hlc hlc({}, kDrift);
  HlcStamp last;
  for (int step = 0; step < 100'000; ++step) {
    const WallTime now{kNow + prng.Between(-2'000, 2'000)};
    if (prng.Chance(0.01)) hlc = Hlc(hlc.last(), kDrift);
    if (prng.Chance(0.2)) {
      const HlcStamp stamp = HlcStamp::FromWallMs(kNow + prng.Between(-3'000, 3'000));
      const bool accepted = hlc.Observe(stamp, now).has_value();
      ASSERT_EQ(accepted, stamp.WallMs() <= now.ms + kDrift);
      if (accepted) last = std::max(last, stamp);
    }
    const HlcStamp next = hlc.Next(now);
    ASSERT_GT(next, last);
    last = next;
  }
}

}  // namespace
}  // namespace lariat::causal
