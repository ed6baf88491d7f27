// SPDX-License-Identifier: Apache-2.0
#include "telemetry/hot_keys.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <string>

#include "base/prng.h"

namespace lariat::telemetry {
namespace {

constexpr base::Instant kStart{base::Seconds(1000)};

base::Instant At(double seconds) {
  return kStart + base::Millis(static_cast<int64_t>(seconds * 1000));
}

TEST(HotKeys, OneInSixteenIsLookedAt) {
  HotKeys hot;
  int sampled = 0;
  for (int i = 0; i < 1600; ++i) sampled += hot.Sampled() ? 1 : 0;
  EXPECT_EQ(sampled, 100);
}

TEST(HotKeys, TellsRatesOfTheLastWholeWindow) {
  HotKeys hot;
  EXPECT_TRUE(hot.Top(At(0), HotBy::kOperations, 10).empty());
  for (int i = 0; i < 100; ++i) hot.Note(At(i * 0.1), "b", "hot", {500, 0, false, false});
  for (int i = 0; i < 10; ++i) hot.Note(At(i), "b", "lukewarm", {0, 0, i % 2 == 0, i % 2 == 1});
  hot.Note(At(10.5), "b", "new", {});
  const auto top = hot.Top(At(11), HotBy::kOperations, 10);
  ASSERT_EQ(top.size(), 2U);
  EXPECT_EQ(top[0], (HotKey{"b", "hot", 160}));
  EXPECT_EQ(top[1], (HotKey{"b", "lukewarm", 16}));
  EXPECT_EQ(hot.Top(At(11), HotBy::kBytes, 10).at(0).figure, 80'000);
  EXPECT_EQ(hot.Top(At(11), HotBy::kConflicts, 10).at(0).figure, 8);
  EXPECT_EQ(hot.Top(At(11), HotBy::kMisses, 10).at(0).figure, 8);
  EXPECT_EQ(hot.Top(At(11), HotBy::kOperations, 1).size(), 1U);
}

TEST(HotKeys, KeepsTheLastWindowOverAPause) {
  HotKeys hot;
  hot.Note(At(0), "b", "k", {});
  EXPECT_EQ(hot.Top(At(500), HotBy::kOperations, 10).size(), 1U);
  hot.Note(At(500), "b", "other", {});
  EXPECT_EQ(hot.Top(At(501), HotBy::kOperations, 10).at(0).key, "k");
}

TEST(HotKeys, TheLargestAreKeptAndShrinkWhenTheyAreSeenSmaller) {
  HotKeys hot;
  for (uint64_t i = 1; i <= 1000; ++i) {
    hot.Note(At(static_cast<double>(i) / 50), "b", std::to_string(i), {0, i, false, false});
  }
  EXPECT_EQ(hot.Top(At(21), HotBy::kSize, 1).at(0), (HotKey{"b", "1000", 1000}));
  hot.Note(At(21), "b", "1000", {0, 3, false, false});
  EXPECT_EQ(hot.Top(At(21), HotBy::kSize, 1).at(0), (HotKey{"b", "999", 999}));
}

// Guards that a place which is taken over keeps its count: with counts from zero the churn of the
// many would push the few out.
TEST(HotKeys, TheTopTenOfAZipfDistributionAreFound) {
  base::Prng random(5);
  std::vector<double> until;
  double sum = 0;
  for (int rank = 1; rank <= 10'000; ++rank) until.push_back(sum += 1 / std::pow(rank, 1.1));
  HotKeys hot;
  for (int i = 0; i < 20'000; ++i) {
    const double drawn = sum * static_cast<double>(random.Below(1 << 30)) / (1 << 30);
    const auto rank = std::lower_bound(until.begin(), until.end(), drawn) - until.begin();
    hot.Note(At(i / 2000.0), "b", std::to_string(rank), {});
  }
  const auto top = hot.Top(At(10), HotBy::kOperations, 10);
  int found = 0;
  for (const HotKey& key : top) found += std::stoi(key.key) < 10 ? 1 : 0;
  EXPECT_GE(found, 9);
  EXPECT_EQ(top.at(0).key, "0");
}

TEST(HotKeys, WhatSeveralTellIsAddedUp) {
  const std::vector<HotKey> all = {{"b", "x", 5}, {"b", "y", 7}, {"b", "x", 4}, {"a", "x", 1}};
  const auto merged = MergeHot(all, HotBy::kOperations, 2);
  EXPECT_EQ(merged, (std::vector<HotKey>{{"b", "x", 9}, {"b", "y", 7}}));
  EXPECT_EQ(MergeHot(all, HotBy::kSize, 1).at(0).figure, 7);
}

}  // namespace
}  // namespace lariat::telemetry
