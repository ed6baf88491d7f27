// SPDX-License-Identifier: Apache-2.0
#include "membership/phi_core.h"

#include <algorithm>
#include <cmath>

namespace lariat::membership {
namespace {

constexpr double kPhiMax = 300;  // beyond it doubles end
// Fewer intervals say little: the expectation stands beside them.
constexpr size_t kTrustedIntervals = 8;
// Of one interval, and of a window: their squares fit into 64 bits together.
constexpr int64_t kIntervalUsMax = 300'000'000;
constexpr uint32_t kWindowMax = 128;

base::Duration FromMicros(double us) {
  return std::chrono::nanoseconds(static_cast<int64_t>(us * 1000));
}

}  // namespace

double PhiOf(double deviations) {
  const double tail = 0.5 * std::erfc(deviations / std::sqrt(2.0));
  if (tail <= 0) return kPhiMax;
  return std::clamp(-std::log10(tail), 0.0, kPhiMax);
}

double DeviationsForPhi(double threshold) {
  double low = -10, high = 40;
  for (int i = 0; i < 60; ++i) {
    const double middle = (low + high) / 2;
    (PhiOf(middle) < threshold ? low : high) = middle;
  }
  return high;
}

void PhiWindow::Add(base::Duration interval, const PhiOptions& options) {
  const uint32_t window = std::clamp<uint32_t>(options.window, 1, kWindowMax);
  const auto us = static_cast<uint32_t>(
      std::clamp<int64_t>(interval / std::chrono::microseconds(1), 0, kIntervalUsMax));
  if (intervals_us_.size() < window) {
    intervals_us_.push_back(us);
  } else {
    const uint64_t old = intervals_us_[next_];
    sum_us_ -= old;
    sum_of_squares_ -= old * old;
    intervals_us_[next_] = us;
    next_ = (next_ + 1) % window;
  }
  sum_us_ += us;
  sum_of_squares_ += uint64_t{us} * us;
}

base::Duration PhiWindow::Mean(const PhiOptions& options) const {
  base::Duration mean{0};
  if (!intervals_us_.empty()) {
    mean = FromMicros(static_cast<double>(sum_us_) / static_cast<double>(intervals_us_.size()));
  }
  if (intervals_us_.size() < kTrustedIntervals) mean = std::max(mean, expected_);
  return std::max(mean, options.interval_floor);
}

base::Duration PhiWindow::Deviation(const PhiOptions& options) const {
  base::Duration deviation{0};
  if (intervals_us_.size() >= 2) {
    const auto n = static_cast<double>(intervals_us_.size());
    const double mean = static_cast<double>(sum_us_) / n;
    const double variance = static_cast<double>(sum_of_squares_) / n - mean * mean;
    deviation = FromMicros(std::sqrt(std::max(variance, 0.0)));
  }
  if (intervals_us_.size() < kTrustedIntervals) deviation = std::max(deviation, expected_ / 2);
  return std::max(deviation, options.deviation_floor);
}

double PhiWindow::Phi(base::Duration silence, const PhiOptions& options) const {
  const double over = base::ToSeconds(silence - Mean(options));
  return PhiOf(over / std::max(base::ToSeconds(Deviation(options)), 1e-6));
}

base::Duration PhiWindow::Limit(double deviations, const PhiOptions& options) const {
  return Mean(options) + FromMicros(deviations * base::ToSeconds(Deviation(options)) * 1e6);
}

}  // namespace lariat::membership
