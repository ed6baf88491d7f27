// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "repair/progress_core.h"
#include "repair/throttle_core.h"

namespace lariat::repair {
namespace {

constexpr uint64_t kMiB = 1 << 20;

// Asks for pages as fast as it may for the time given; bytes taken.
uint64_t Use(Throttle* throttle, base::Instant* now, base::Duration time, uint64_t page) {
  uint64_t taken = 0;
  for (const base::Instant end = *now + time; *now < end; *now += base::Millis(1)) {
    while (throttle->MayGo(*now) && taken < 1000 * kMiB) {
      throttle->Take(page, *now);
      taken += page;
    }
  }
  return taken;
}

TEST(Throttle, NoLimitIsNoLimit) {
  Throttle throttle({});
  base::Instant now{};
  EXPECT_GE(Use(&throttle, &now, base::Millis(1), kMiB), 1000 * kMiB);
  EXPECT_EQ(throttle.Rate(), 0U);
}

TEST(Throttle, KeepsTheRate) {
  for (const uint64_t page : {uint64_t{1000}, kMiB / 4, 4 * kMiB}) {
    Throttle throttle({.bytes_per_s = kMiB});
    base::Instant now{};
    const uint64_t taken = Use(&throttle, &now, base::Seconds(30), page);
    EXPECT_NEAR(static_cast<double>(taken), 30.0 * kMiB, static_cast<double>(kMiB / 2 + page));
  }
}

TEST(Throttle, WhatWasNotUsedIsNotMadeUpFor) {
  Throttle throttle({.bytes_per_s = kMiB});
  base::Instant now{};
  Use(&throttle, &now, base::Seconds(1), 1000);
  now += base::Seconds(1000);
  EXPECT_LE(Use(&throttle, &now, base::Seconds(1), 1000), kMiB * 3 / 2);
}

TEST(Throttle, WhatIsGivenBackDoesNotCount) {
  Throttle throttle({.bytes_per_s = kMiB});
  base::Instant now{};
  uint64_t used = 0;
  for (const base::Instant end = now + base::Seconds(10); now < end; now += base::Millis(1)) {
    if (!throttle.MayGo(now)) continue;
    throttle.Take(kMiB / 4, now);
    throttle.Return(kMiB / 4 - 1000, now);
    used += 1000;
  }
  EXPECT_NEAR(static_cast<double>(used), 10.0 * 1000 * 1000, 1.0 * kMiB) << "one for each turn";
}

TEST(Throttle, SlowClientsHalveTheRateAndItComesBack) {
  Throttle throttle({.latency_max = base::Millis(50)});
  base::Instant now{};
  const auto second = [&](std::optional<base::Duration> latency, uint64_t wanted) {
    // As much as the machine can do is `wanted`.
    uint64_t taken = 0;
    for (int i = 0; i < 1000; ++i, now += base::Millis(1)) {
      while (taken < wanted && throttle.MayGo(now)) {
        throttle.Take(kMiB / 16, now);
        taken += kMiB / 16;
      }
    }
    throttle.OnLatency(latency, now);
    return taken;
  };
  EXPECT_EQ(second(base::Millis(10), 64 * kMiB), 64 * kMiB);
  EXPECT_EQ(throttle.Rate(), 0U) << "fast clients cost nothing";
  second(base::Millis(80), 64 * kMiB);
  EXPECT_NEAR(static_cast<double>(throttle.Rate()), 32.0 * kMiB, kMiB);
  second(base::Millis(80), 64 * kMiB);
  EXPECT_NEAR(static_cast<double>(throttle.Rate()), 16.0 * kMiB, kMiB);
  for (int i = 0; i < 20; ++i) second(base::Millis(80), 64 * kMiB);
  EXPECT_EQ(throttle.Rate(), kMiB) << "never slower than the floor";
  uint64_t before = throttle.Rate();
  int seconds = 0;
  while (throttle.Rate() != 0 && seconds < 1000) {
    second(base::Millis(10), 64 * kMiB);
    if (throttle.Rate() != 0) {
      EXPECT_GT(throttle.Rate(), before);
      EXPECT_LT(throttle.Rate(), before * 2) << "slowly";
    }
    before = throttle.Rate();
    ++seconds;
  }
  EXPECT_GT(seconds, 20);
  EXPECT_LT(seconds, 200);
  EXPECT_EQ(second(std::nullopt, 64 * kMiB), 64 * kMiB);
}

// A burst of clients just before a node joins must not hold the join back after it is over.
TEST(Throttle, ALimitOfATimeThatIsOverIsGivenUpSoon) {
  for (const auto& latency :
       {std::optional<base::Duration>(), std::optional<base::Duration>(base::Millis(2))}) {
    Throttle throttle({.latency_max = base::Millis(50)});
    base::Instant now{};
    for (int i = 0; i < 10; ++i) throttle.OnLatency(base::Millis(200), now += base::Seconds(1));
    ASSERT_EQ(throttle.Rate(), kMiB);
    int seconds = 0;
    while (throttle.Rate() != 0 && seconds < 100) {
      throttle.OnLatency(latency, now += base::Seconds(1));
      ++seconds;
    }
    EXPECT_LE(seconds, 3);
  }
}

TEST(Throttle, TheSmallerLimitCounts) {
  Throttle throttle({.bytes_per_s = 2 * kMiB, .latency_max = base::Millis(50)});
  base::Instant now{};
  Use(&throttle, &now, base::Seconds(1), kMiB / 8);
  throttle.OnLatency(base::Millis(60), now);
  EXPECT_LT(throttle.Rate(), 2 * kMiB);
  for (int i = 0; i < 100; ++i) {
    Use(&throttle, &now, base::Seconds(1), kMiB / 8);
    throttle.OnLatency(base::Millis(1), now);
  }
  EXPECT_EQ(throttle.Rate(), 2 * kMiB);
  throttle.SetOptions({.bytes_per_s = kMiB});
  EXPECT_EQ(throttle.Rate(), kMiB);
}

TEST(Throttle, WhatOthersUseIsLeftToThemButForAQuarter) {
  Throttle throttle({.bytes_per_s = 8 * kMiB});
  base::Instant now{};
  uint64_t others = 1000 * kMiB;
  throttle.OnOthers(others, now);
  EXPECT_EQ(throttle.Rate(), 8 * kMiB) << "what was before does not count";
  const auto second = [&](uint64_t moved) {
    const uint64_t taken = Use(&throttle, &now, base::Seconds(1), kMiB / 16);
    throttle.OnOthers(others += moved, now);
    return static_cast<double>(taken) / kMiB;
  };
  second(3 * kMiB);
  EXPECT_NEAR(second(3 * kMiB), 5, 1);
  second(100 * kMiB);
  EXPECT_NEAR(second(0), 2, 0.5) << "never less than a quarter";
  EXPECT_EQ(throttle.Rate(), 8 * kMiB);
  Throttle unlimited({});
  unlimited.OnOthers(1, now);
  unlimited.OnOthers(kMiB, now + base::Seconds(1));
  EXPECT_EQ(unlimited.Rate(), 0U);
}

TEST(ProgressMeter, TellsRateAndTimeLeft) {
  ProgressMeter meter;
  base::Instant now{};
  EXPECT_FALSE(meter.SecondsLeft(0, now));
  for (int i = 0; i <= 200; ++i, now += base::Millis(100)) {
    meter.Note(static_cast<uint64_t>(i) * 1000, i * 0.001, now);
  }
  EXPECT_NEAR(meter.BytesPerSecond(now), 10000, 500);
  EXPECT_NEAR(meter.SecondsLeft(0.2, now).value(), 80, 4);
  EXPECT_EQ(meter.SecondsLeft(1, now), 0);
  // Nothing moves any more: nothing can be said.
  for (int i = 0; i <= 200; ++i, now += base::Millis(100)) meter.Note(200000, 0.2, now);
  EXPECT_EQ(meter.BytesPerSecond(now), 0);
  EXPECT_FALSE(meter.SecondsLeft(0.2, now));
}

}  // namespace
}  // namespace lariat::repair
