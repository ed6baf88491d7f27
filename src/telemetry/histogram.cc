// SPDX-License-Identifier: Apache-2.0
#include "telemetry/histogram.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"

namespace lariat::telemetry {
namespace {

// kWidth[d] is the width of the buckets of decade d, in ns: 100 ns from 1 us on.
constexpr std::array<int64_t, Histogram::kDecades> kWidth = {
    100, 1'000, 10'000, 100'000, 1'000'000, 10'000'000, 100'000'000, 1'000'000'000};

// A decade holds the multiples of its width from 10 (exclusive) to 100 (inclusive).
constexpr int64_t kFirstMultiple = 10;

static_assert(Histogram::kLow.count() == kFirstMultiple * kWidth.front());
static_assert(Histogram::kHigh.count() == 10 * kFirstMultiple * kWidth.back());

template <typename T>
void AddRelaxed(std::atomic<T>* cell, T n) {
  cell->store(cell->load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
}

void RaiseRelaxed(std::atomic<int64_t>* cell, int64_t value) {
  if (value > cell->load(std::memory_order_relaxed)) cell->store(value, std::memory_order_relaxed);
}

}  // namespace

size_t Histogram::BucketOf(base::Duration duration) {
  if (duration <= kLow) return 0;
  if (duration > kHigh) return kBuckets - 1;
  // One less, so that a bound belongs to the bucket it ends.
  const int64_t ns = duration.count() - 1;
  size_t decade = 0;
  while (ns >= 10 * kFirstMultiple * kWidth[decade]) ++decade;
  return 1 + decade * kBucketsPerDecade + static_cast<size_t>(ns / kWidth[decade] - kFirstMultiple);
}

base::Duration Histogram::UpperBound(size_t bucket) {
  LARIAT_CHECK(bucket < kBuckets - 1, "the last bucket has no bound");
  if (bucket == 0) return kLow;
  const size_t decade = (bucket - 1) / kBucketsPerDecade;
  const auto step = static_cast<int64_t>((bucket - 1) % kBucketsPerDecade);
  return base::Duration((kFirstMultiple + step + 1) * kWidth[decade]);
}

void Histogram::Record(base::Duration duration) {
  duration = std::max(duration, base::Duration::zero());
  AddRelaxed<uint64_t>(&buckets_[BucketOf(duration)], 1);
  AddRelaxed<int64_t>(&sum_ns_, duration.count());
  RaiseRelaxed(&max_ns_, duration.count());
}

void Histogram::Merge(const Histogram& other) {
  for (size_t i = 0; i < kBuckets; ++i) {
    AddRelaxed(&buckets_[i], other.buckets_[i].load(std::memory_order_relaxed));
  }
  AddRelaxed(&sum_ns_, Load(other.sum_ns_));
  RaiseRelaxed(&max_ns_, Load(other.max_ns_));
}

uint64_t Histogram::Count() const {
  uint64_t count = 0;
  for (const Cell& bucket : buckets_) count += bucket.load(std::memory_order_relaxed);
  return count;
}

base::Duration Histogram::Quantile(double q) const {
  LARIAT_CHECK(q >= 0 && q <= 1, "a quantile is a share");
  const uint64_t count = Count();
  if (count == 0) return base::Duration::zero();
  const auto rank =
      std::max<uint64_t>(1, static_cast<uint64_t>(std::ceil(q * static_cast<double>(count))));
  uint64_t seen = 0;
  for (size_t i = 0; i < kBuckets - 1; ++i) {
    seen += buckets_[i].load(std::memory_order_relaxed);
    if (seen >= rank) return std::min(UpperBound(i), Max());
  }
  return Max();
}

uint64_t Histogram::CountUpTo(base::Duration bound) const {
  // The bucket of the next nanosecond is the first that may hold a longer one.
  const size_t end = bound >= kHigh ? kBuckets - 1 : BucketOf(bound + base::Duration(1));
  uint64_t count = 0;
  for (size_t i = 0; i < end; ++i) {
    count += buckets_[i].load(std::memory_order_relaxed);
  }
  return count;
}

}  // namespace lariat::telemetry
