// SPDX-License-Identifier: Apache-2.0
// The phi-accrual failure detector of Hayashibara, Defago, Yared and Katayama ("The phi accrual
// failure detector", SRDS 2004) for one peer. Pure; time is an argument.
//
// The intervals between heartbeats are taken for normally distributed. phi after a silence of t is
// -log10 of the chance that a living peer is silent for longer:
//
//   phi(t) = -log10( Q((t - mean) / deviation) )      Q: upper tail of the normal distribution
//
// phi 1 is wrong one time in 10, phi 8 one time in 10^8. Heartbeats each second, a deviation at its
// floor of 0.5 s:  t = 1 s: 0.3   2 s: 1.6   3 s: 4.5   3.8 s: 8   5 s: 15.
//
// The plain form fails twice. A network that is quiet for long drives the deviation to zero, and
// the first hiccup is a conviction: hence its floor. And a heartbeat that comes by several ways
// counted several times would shrink the mean until an ordinary silence looks deadly: hence the
// caller reports a (generation, version) once, and hence the floor of the mean.
#pragma once

#include <cstdint>
#include <vector>

#include "base/time.h"

namespace lariat::membership {

struct PhiOptions {
  double threshold = 8;
  uint32_t window = 64;  // intervals that count
  base::Duration interval_floor = base::Seconds(1);
  base::Duration deviation_floor = base::Millis(500);
};

double PhiOf(double deviations);            // of a silence so many deviations above the mean
double DeviationsForPhi(double threshold);  // its inverse

class PhiWindow {
 public:
  // `expected` is what the interval is taken for until some were measured.
  explicit PhiWindow(base::Duration expected) : expected_(expected) {}

  void Add(base::Duration interval, const PhiOptions& options);
  base::Duration Mean(const PhiOptions& options) const;
  base::Duration Deviation(const PhiOptions& options) const;
  double Phi(base::Duration silence, const PhiOptions& options) const;
  // The silence at which phi passes the threshold that `deviations` stands for.
  base::Duration Limit(double deviations, const PhiOptions& options) const;
  size_t count() const { return intervals_us_.size(); }

 private:
  base::Duration expected_;
  std::vector<uint32_t> intervals_us_;  // a ring once it is full
  uint32_t next_ = 0;
  // Exact sums, so that what leaves the window leaves nothing behind.
  uint64_t sum_us_ = 0;
  uint64_t sum_of_squares_ = 0;
};

}  // namespace lariat::membership
