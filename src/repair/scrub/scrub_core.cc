// SPDX-License-Identifier: Apache-2.0
#include "repair/scrub/scrub_core.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/coding.h"
#include "merkle/grid.h"

namespace lariat::repair {

namespace {

constexpr uint8_t kVersion = 1;

}  // namespace

std::string EncodeScrubPosition(const ScrubPosition& position) {
  std::string bytes;
  base::ByteWriter writer(&bytes);
  writer.U8(kVersion);
  writer.U64(static_cast<uint64_t>(position.last_ms));
  writer.U8(position.resting ? 1 : 0);
  writer.U8(position.whole ? 1 : 0);
  writer.U64(uint64_t{position.bucket} << 32 | position.leaf);
  return bytes;
}

std::optional<ScrubPosition> DecodeScrubPosition(std::string_view bytes) {
  base::ByteReader reader(bytes);
  if (reader.U8() != kVersion) return std::nullopt;
  ScrubPosition position;
  position.last_ms = static_cast<int64_t>(reader.U64());
  position.resting = reader.U8() != 0;
  position.whole = reader.U8() != 0;
  const uint64_t place = reader.U64();
  position.bucket = static_cast<uint32_t>(place >> 32);
  position.leaf = static_cast<uint32_t>(place);
  if (!reader.AtEnd() || position.leaf > merkle::kLeaves) return std::nullopt;
  return position;
}

ScrubCore::Step ScrubCore::Next(base::Instant now) const {
  const base::Duration rest = position_.whole ? pause_ : std::min(pause_, kRest);
  if (position_.resting && ended_ && now < *ended_ + rest) return {};
  if (!knows_buckets_) return {Kind::kBuckets};
  if (!leaves_.empty()) return {Kind::kCheck, position_.bucket, leaves_.front(), leaves_.front()};
  const uint32_t last = std::min(position_.leaf + kStretch, merkle::kLeaves) - 1;
  return {Kind::kLeaves, position_.bucket, position_.leaf, last};
}

void ScrubCore::OnBuckets(std::vector<uint32_t> buckets, base::Instant now, base::WallTime wall) {
  std::sort(buckets.begin(), buckets.end());
  buckets_ = std::move(buckets);
  knows_buckets_ = true;
  if (std::exchange(position_.resting, false)) {
    position_.whole = true;
    position_.bucket = position_.leaf = 0;
  }
  Skip();
  EndIfDone(now, wall);
}

void ScrubCore::OnLeaves(const std::vector<bool>& worth_reading, base::Instant now,
                         base::WallTime wall) {
  LARIAT_CHECK(leaves_.empty(), "one stretch after the other");
  for (size_t i = 0; i < worth_reading.size(); ++i) {
    if (worth_reading[i]) leaves_.push_back(position_.leaf + static_cast<uint32_t>(i));
  }
  stretch_end_ = position_.leaf + static_cast<uint32_t>(worth_reading.size());
  position_.leaf = leaves_.empty() ? *stretch_end_ : leaves_.front();
  Skip();
  EndIfDone(now, wall);
}

bool ScrubCore::OnChecked(bool was_read, base::Instant now, base::WallTime wall) {
  LARIAT_CHECK(!leaves_.empty(), "a leaf was to be checked");
  leaves_.pop_front();
  position_.whole = position_.whole && was_read;
  position_.leaf = leaves_.empty() ? *stretch_end_ : leaves_.front();
  Skip();
  return EndIfDone(now, wall);
}

// To the next bucket that there is, if this one is done or is none.
void ScrubCore::Skip() {
  if (!leaves_.empty()) return;
  if (position_.leaf >= merkle::kLeaves) {
    if (position_.bucket == UINT32_MAX) return buckets_.clear();
    ++position_.bucket;
    position_.leaf = 0;
  }
  const auto next = std::lower_bound(buckets_.begin(), buckets_.end(), position_.bucket);
  if (next == buckets_.end()) return buckets_.clear();
  if (*next != position_.bucket) position_.leaf = 0;
  position_.bucket = *next;
}

bool ScrubCore::EndIfDone(base::Instant now, base::WallTime wall) {
  if (!buckets_.empty()) return false;
  if (position_.whole) position_.last_ms = wall.ms;
  position_.resting = true;
  position_.bucket = position_.leaf = 0;
  knows_buckets_ = false;
  ended_ = now;
  return true;
}

double ScrubCore::Fraction() const {
  if (position_.resting || buckets_.empty()) return 0;
  const auto at = std::lower_bound(buckets_.begin(), buckets_.end(), position_.bucket);
  const auto done = static_cast<double>(at - buckets_.begin());
  const double part = static_cast<double>(position_.leaf) / merkle::kLeaves;
  return (done + part) / static_cast<double>(buckets_.size());
}

}  // namespace lariat::repair
