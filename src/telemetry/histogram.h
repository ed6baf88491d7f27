// SPDX-License-Identifier: Apache-2.0
// Durations in fixed memory: log-linear buckets, 90 to a decade (two leading digits), from 1 us to
// 100 s. One thread records; any thread may read at the same time (relaxed atomics, so a reader may
// miss the newest records but never sees a torn one).
//
// Decimal rather than binary, because then the bounds that people and Prometheus want (1 ms, 2.5
// ms, 10 ms) are bucket bounds too, and CountUpTo is exact. A bucket takes (low, high], as `le`
// means it: 1 ms falls in the bucket that ends at 1 ms.
//
//   bucket 0     1 .. 90               91 .. 180             ...  631 .. 720         721
//   <= 1 us   | 1.1 us, 1.2 .. 10 us | 11 us, 12 .. 100 us | ... | 11 s .. 100 s | > 100 s
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "base/time.h"

namespace lariat::telemetry {

class Histogram {
 public:
  static constexpr size_t kDecades = 8;
  static constexpr size_t kBucketsPerDecade = 90;
  static constexpr size_t kBuckets = 1 + kDecades * kBucketsPerDecade + 1;
  static constexpr base::Duration kLow = std::chrono::microseconds(1);
  static constexpr base::Duration kHigh = std::chrono::seconds(100);

  Histogram() = default;
  Histogram(const Histogram&) = delete;
  Histogram& operator=(const Histogram&) = delete;

  // Only the owner's thread. A negative duration counts as 0.
  void Record(base::Duration duration);

  // Adds the records of `other`, which another thread may be writing. Only the owner's thread.
  void Merge(const Histogram& other);

  uint64_t Count() const;
  base::Duration Sum() const { return base::Duration(Load(sum_ns_)); }
  base::Duration Max() const { return base::Duration(Load(max_ns_)); }

  // The least bucket bound that a share q of the records does not exceed (at most 10 % above the
  // true value, and never above Max); 0 when there are none. REQUIRES: 0 <= q <= 1.
  base::Duration Quantile(double q) const;

  // Records that took `bound` or less. Exact when bound is a bucket bound, otherwise those up to
  // the bucket bound below it.
  uint64_t CountUpTo(base::Duration bound) const;

  static size_t BucketOf(base::Duration duration);
  // The greatest duration of a bucket. REQUIRES: bucket < kBuckets - 1.
  static base::Duration UpperBound(size_t bucket);

 private:
  using Cell = std::atomic<uint64_t>;
  static int64_t Load(const std::atomic<int64_t>& cell) {
    return cell.load(std::memory_order_relaxed);
  }

  std::array<Cell, kBuckets> buckets_{};
  std::atomic<int64_t> sum_ns_{0};
  std::atomic<int64_t> max_ns_{0};
};

}  // namespace lariat::telemetry
