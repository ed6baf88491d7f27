// SPDX-License-Identifier: Apache-2.0
#include "repair/throttle_core.h"

#include <algorithm>
#include <utility>

namespace lariat::repair {
namespace {

// The bucket holds this much of its rate: what was not used earlier is not made up for later.
constexpr double kBurstSeconds = 0.25;
constexpr double kGrowth = 0.05;  // of the rate, a second, beside the floor
// Where the clients are far from slow, or silent, the limit is of a time that is over.
constexpr double kGrowthUnhindered = 1;
constexpr int kFarFromSlow = 8;
// A limit this far above what is really used does not bind and is given up.
constexpr double kSlack = 4;
constexpr double kOwnShare = 0.25;  // of the fixed limit, however much others use

}  // namespace

uint64_t Throttle::FixedRate() const {
  const auto fixed = static_cast<double>(options_.bytes_per_s);
  return static_cast<uint64_t>(std::max(fixed - others_, fixed * kOwnShare));
}

uint64_t Throttle::Rate() const {
  const auto adaptive = static_cast<uint64_t>(latency_rate_);
  const uint64_t fixed = FixedRate();
  if (fixed == 0 || adaptive == 0) return std::max(fixed, adaptive);
  return std::min(fixed, adaptive);
}

void Throttle::OnOthers(uint64_t bytes_total, base::Instant now) {
  Refill(now);
  const auto moved = static_cast<double>(bytes_total - std::exchange(others_total_, bytes_total));
  const double passed = others_asked_ ? base::ToSeconds(now - *others_asked_) : 0;
  others_asked_ = now;
  others_ = passed > 0 ? moved / passed : 0;
}

void Throttle::Refill(base::Instant now) {
  const auto rate = static_cast<double>(Rate());
  const double passed = refilled_ && now > *refilled_ ? base::ToSeconds(now - *refilled_) : 0;
  refilled_ = std::max(refilled_.value_or(now), now);
  if (rate == 0) {
    tokens_ = 0;
    return;
  }
  tokens_ = std::min(tokens_ + passed * rate, rate * kBurstSeconds);
}

bool Throttle::MayGo(base::Instant now) {
  Refill(now);
  return Rate() == 0 || tokens_ >= 0;
}

void Throttle::Take(uint64_t bytes, base::Instant now) {
  Refill(now);
  spent_ += static_cast<int64_t>(bytes);
  if (Rate() != 0) tokens_ -= static_cast<double>(bytes);
}

void Throttle::Return(uint64_t bytes, base::Instant now) {
  spent_ -= static_cast<int64_t>(bytes);
  if (Rate() != 0) tokens_ += static_cast<double>(bytes);
  Refill(now);
}

void Throttle::OnLatency(std::optional<base::Duration> latency, base::Instant now) {
  const double passed = measured_ ? base::ToSeconds(now - *measured_) : 1;
  if (passed <= 0) return;
  measured_ = now;
  const double used = static_cast<double>(std::max<int64_t>(spent_, 0)) / passed;
  spent_ = 0;
  if (options_.latency_max.count() == 0) {
    latency_rate_ = 0;
    return;
  }
  const auto floor = static_cast<double>(options_.floor_bytes_per_s);
  if (latency && *latency > options_.latency_max) {
    // Of what is really used: halving a limit that does not bind would help nobody.
    const double present = latency_rate_ == 0 ? used : std::min(latency_rate_, used * 2);
    latency_rate_ = std::max(present / 2, floor);
    return;
  }
  if (latency_rate_ == 0) return;
  const bool unhindered = !latency || *latency * kFarFromSlow < options_.latency_max;
  const double growth = unhindered ? kGrowthUnhindered : kGrowth;
  latency_rate_ += (latency_rate_ * growth + floor / 4) * std::min(passed, 10.0);
  const auto fixed = static_cast<double>(options_.bytes_per_s);
  if ((fixed > 0 && latency_rate_ > fixed) || latency_rate_ > std::max(used, floor) * kSlack) {
    latency_rate_ = 0;
  }
}

}  // namespace lariat::repair
