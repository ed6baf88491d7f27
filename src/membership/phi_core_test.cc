// SPDX-License-Identifier: Apache-2.0
#include "membership/phi_core.h"

#include <gtest/gtest.h>

#include "base/prng.h"

namespace lariat::membership {
namespace {

const PhiOptions kOptions;

PhiWindow Regular(int count, base::Duration interval) {
  PhiWindow window(base::Seconds(1));
  for (int i = 0; i < count; ++i) window.Add(interval, kOptions);
  return window;
}

TEST(Phi, IsTheTailOfTheNormalDistribution) {
  EXPECT_NEAR(PhiOf(0), 0.30103, 1e-5);
  EXPECT_NEAR(PhiOf(1), 0.79955, 1e-4);
  EXPECT_NEAR(PhiOf(2), 1.64303, 1e-4);
  EXPECT_NEAR(PhiOf(5.612), 8, 1e-3);
  EXPECT_GT(PhiOf(-5), -1e-9);
  EXPECT_EQ(PhiOf(1000), 300);
  for (const double threshold : {1.0, 5.0, 8.0, 16.0}) {
    EXPECT_NEAR(PhiOf(DeviationsForPhi(threshold)), threshold, 1e-6);
  }
}

TEST(Phi, TheTableOfTheHeader) {
  const PhiWindow window = Regular(64, base::Seconds(1));
  EXPECT_NEAR(window.Phi(base::Seconds(1), kOptions), 0.3, 0.05);
  EXPECT_NEAR(window.Phi(base::Seconds(2), kOptions), 1.6, 0.05);
  EXPECT_NEAR(window.Phi(base::Seconds(3), kOptions), 4.5, 0.05);
  EXPECT_NEAR(window.Phi(base::Millis(3806), kOptions), 8, 0.05);
  EXPECT_NEAR(window.Phi(base::Seconds(5), kOptions), 15.2, 0.1);
}

TEST(Phi, TheLimitIsWherePhiPassesTheThreshold) {
  base::Prng prng(5);
  PhiWindow window(base::Seconds(1));
  for (int i = 0; i < 200; ++i) {
    window.Add(base::Millis(prng.Between(500, 3000)), kOptions);
    const base::Duration limit = window.Limit(DeviationsForPhi(8), kOptions);
    EXPECT_NEAR(window.Phi(limit, kOptions), 8, 0.01);
  }
}

TEST(Phi, FloorsHoldUnderAFloodOfReports) {
  const PhiWindow window = Regular(1000, base::Millis(1));
  EXPECT_EQ(window.Mean(kOptions), base::Seconds(1));
  EXPECT_EQ(window.Deviation(kOptions), base::Millis(500));
  EXPECT_GT(window.Limit(DeviationsForPhi(8), kOptions), base::Millis(3700));
}

TEST(Phi, AnIrregularPeerGetsMoreTime) {
  base::Prng prng(9);
  PhiWindow window(base::Seconds(1));
  for (int i = 0; i < 64; ++i) window.Add(base::Millis(prng.Between(200, 5800)), kOptions);
  EXPECT_GT(window.Limit(DeviationsForPhi(8), kOptions), base::Seconds(9));
}

TEST(Phi, WhatLeavesTheWindowLeavesNothingBehind) {
  PhiWindow window = Regular(100, base::Seconds(100000));
  EXPECT_EQ(window.count(), 64U);
  for (int i = 0; i < 64; ++i) window.Add(base::Seconds(2), kOptions);
  EXPECT_EQ(window.Mean(kOptions), base::Seconds(2));
  EXPECT_EQ(window.Deviation(kOptions), base::Millis(500));
}

TEST(Phi, WithoutMeasurementsTheExpectationStands) {
  PhiWindow window(base::Seconds(30));
  EXPECT_EQ(window.Mean(kOptions), base::Seconds(30));
  window.Add(base::Seconds(1), kOptions);
  EXPECT_EQ(window.Mean(kOptions), base::Seconds(30));
  for (int i = 0; i < 8; ++i) window.Add(base::Seconds(2), kOptions);
  EXPECT_LT(window.Mean(kOptions), base::Seconds(3));
}

}  // namespace
}  // namespace lariat::membership
