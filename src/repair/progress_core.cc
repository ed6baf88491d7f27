// SPDX-License-Identifier: Apache-2.0
#include "repair/progress_core.h"

#include <algorithm>

namespace lariat::repair {
namespace {

constexpr base::Duration kSpacing = base::Millis(250);
constexpr base::Duration kWindow = base::Seconds(10);

}  // namespace

void TransferProgress::FillReply(wire::ProgressReply* reply) const {
  reply->change = change;
  reply->ranges_done = ranges_done;
  reply->ranges_total = ranges_total;
  reply->bytes_done = bytes;
  reply->keys_done = keys;
  reply->trouble = trouble;
}

void ProgressMeter::Note(uint64_t bytes, double fraction, base::Instant now) {
  if (!samples_.empty() && now - samples_.back().at < kSpacing) return;
  samples_.push_back({now, bytes, fraction});
  // One sample at the window's edge is kept: rates are over the whole window.
  while (samples_.size() > 2 && now - samples_[1].at >= kWindow) samples_.pop_front();
}

double ProgressMeter::BytesPerSecond(base::Instant now) const {
  if (samples_.empty() || now <= samples_.front().at) return 0;
  const uint64_t moved = samples_.back().bytes - samples_.front().bytes;
  return static_cast<double>(moved) / base::ToSeconds(now - samples_.front().at);
}

std::optional<double> ProgressMeter::SecondsLeft(double fraction, base::Instant now) const {
  if (fraction >= 1) return 0;
  if (samples_.empty() || now <= samples_.front().at) return std::nullopt;
  const double gained = fraction - samples_.front().fraction;
  if (gained <= 0) return std::nullopt;
  return (1 - fraction) / gained * base::ToSeconds(now - samples_.front().at);
}

}  // namespace lariat::repair
