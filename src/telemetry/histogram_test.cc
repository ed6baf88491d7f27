// SPDX-License-Identifier: Apache-2.0
#include "telemetry/histogram.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <thread>
#include <vector>

#include "base/prng.h"

namespace lariat::telemetry {
namespace {

using base::Duration;
using base::Millis;
using base::Seconds;

constexpr Duration kNano{1};

TEST(Histogram, BucketsJoinWithoutGapOrOverlap) {
  for (size_t i = 0; i + 1 < Histogram::kBuckets; ++i) {
    const Duration bound = Histogram::UpperBound(i);
    EXPECT_EQ(Histogram::BucketOf(bound), i);
    EXPECT_EQ(Histogram::BucketOf(bound + kNano), i + 1);
  }
  EXPECT_EQ(Histogram::UpperBound(Histogram::kBuckets - 2), Histogram::kHigh);
  EXPECT_EQ(Histogram::BucketOf(Duration::zero()), 0U);
  EXPECT_EQ(Histogram::BucketOf(Duration::max()), Histogram::kBuckets - 1);
}

TEST(Histogram, BucketsAreNoWiderThanATenthOfTheirValue) {
  for (size_t i = 1; i + 1 < Histogram::kBuckets; ++i) {
    const Duration low = Histogram::UpperBound(i - 1);
    EXPECT_LE((Histogram::UpperBound(i) - low) * 10, low);
  }
}

TEST(Histogram, StartsEmpty) {
  const Histogram histogram;
  EXPECT_EQ(histogram.Count(), 0U);
  EXPECT_EQ(histogram.Sum(), Duration::zero());
  EXPECT_EQ(histogram.Quantile(0.99), Duration::zero());
}

TEST(Histogram, CountsUpToABoundExactly) {
  Histogram histogram;
  histogram.Record(Millis(1) - kNano);
  histogram.Record(Millis(1));
  histogram.Record(Millis(1) + kNano);
  EXPECT_EQ(histogram.CountUpTo(Millis(1)), 2U);
  EXPECT_EQ(histogram.CountUpTo(Millis(1) - kNano), 0U) << "not a bound: the one below counts";
  EXPECT_EQ(histogram.CountUpTo(Millis(2)), 3U);
}

TEST(Histogram, TakesExtremes) {
  Histogram histogram;
  histogram.Record(Seconds(-5));
  histogram.Record(Seconds(1000));
  EXPECT_EQ(histogram.Count(), 2U);
  EXPECT_EQ(histogram.Sum(), Seconds(1000));
  EXPECT_EQ(histogram.Max(), Seconds(1000));
  EXPECT_EQ(histogram.CountUpTo(Histogram::kHigh), 1U);
  EXPECT_EQ(histogram.Quantile(0), Histogram::kLow);
  EXPECT_EQ(histogram.Quantile(1), Seconds(1000));
}

// Against the sorted list of all records.
TEST(Histogram, QuantilesAreWithinATenthAndNeverBelow) {
  base::Prng prng(3);
  Histogram histogram;
  std::vector<Duration> all;
  for (int i = 0; i < 20000; ++i) {
    const double exponent = 3 + 7.9 * prng.Unit();  // 1 us to 80 s
    all.emplace_back(static_cast<int64_t>(std::pow(10.0, exponent)));
    histogram.Record(all.back());
  }
  std::ranges::sort(all);
  for (const double q : {0.0, 0.01, 0.25, 0.5, 0.9, 0.99, 0.999, 1.0}) {
    const auto rank = static_cast<size_t>(std::ceil(q * static_cast<double>(all.size())));
    const Duration exact = all[rank == 0 ? 0 : rank - 1];
    EXPECT_GE(histogram.Quantile(q), exact) << q;
    EXPECT_LE(histogram.Quantile(q), exact + exact / 10 + kNano) << q;
  }
}

TEST(Histogram, MergeAddsUp) {
  Histogram one, two, both;
  one.Record(Millis(1));
  two.Record(Millis(30));
  two.Record(Millis(2));
  both.Merge(one);
  both.Merge(two);
  EXPECT_EQ(both.Count(), 3U);
  EXPECT_EQ(both.Sum(), Millis(33));
  EXPECT_EQ(both.Max(), Millis(30));
  EXPECT_EQ(both.CountUpTo(Millis(2)), 2U);
}

TEST(Histogram, OtherThreadsMayReadWhileOneRecords) {
  constexpr uint64_t kRecords = 100000;
  Histogram histogram;
  std::thread writer([&] {
    for (uint64_t i = 0; i < kRecords; ++i) histogram.Record(Millis(1));
  });
  uint64_t before = 0;
  while (before < kRecords) {
    Histogram copy;
    copy.Merge(histogram);
    EXPECT_GE(copy.Count(), before);
    before = copy.Count();
  }
  writer.join();
  EXPECT_EQ(histogram.Sum(), Millis(kRecords));
}

}  // namespace
}  // namespace lariat::telemetry
