// SPDX-License-Identifier: Apache-2.0
#include "membership/peer_time_core.h"

#include <algorithm>
#include <cstdlib>
#include <set>
#include <utility>

namespace lariat::membership {
namespace {

int64_t Micros(base::Duration duration) {
  return std::chrono::duration_cast<std::chrono::microseconds>(duration).count();
}

// Of the two in the middle the one that is nearer to what was known before, else the lower.
int64_t Middle(std::vector<int64_t> all, std::optional<int64_t> before) {
  std::sort(all.begin(), all.end());
  const int64_t lower = all[(all.size() - 1) / 2];
  const int64_t upper = all[all.size() / 2];
  const bool upper_is_nearer = before && std::abs(upper - *before) < std::abs(lower - *before);
  return upper_is_nearer ? upper : lower;
}

}  // namespace

void PeerTimeCore::SetPeers(std::vector<uint64_t> peers) {
  peers_ = std::move(peers);
  if (peers_.size() > kAskedMax) peers_.resize(kAskedMax);
  const std::set<uint64_t> known(peers_.begin(), peers_.end());
  std::erase_if(heard_, [&known](const auto& heard) { return !known.contains(heard.first); });
}

std::optional<uint64_t> PeerTimeCore::Next() {
  if (peers_.empty()) return std::nullopt;
  return peers_[turn_++ % peers_.size()];
}

void PeerTimeCore::OnAnswer(uint64_t peer, base::WallTime theirs, base::Instant asked,
                            base::Instant now) {
  const base::Duration round_trip = now - asked;
  if (theirs.ms <= 0 || round_trip > round_trip_max_) return;
  if (std::find(peers_.begin(), peers_.end(), peer) == peers_.end()) return;
  // Its clock was read half way, and cut to its millisecond.
  const int64_t middle = Micros(asked.time_since_epoch()) + Micros(round_trip) / 2;
  heard_[peer] = {theirs.ms * 1000 + 500 - middle, round_trip, now};
  last_heard_ = now;
}

std::optional<int64_t> PeerTimeCore::Difference(int64_t own, base::Instant now) {
  std::vector<int64_t> all = {own};
  for (const auto& [peer, heard] : heard_) {
    if (now - heard.at <= kFreshFor) all.push_back(heard.difference);
  }
  if (all.size() > 1) {
    difference_ = Middle(std::move(all), difference_);
  } else if (now - last_heard_ > kHeardFor) {
    difference_.reset();
  }
  return difference_;
}

std::optional<int64_t> PeerTimeCore::AheadMs(uint64_t peer) const {
  const auto heard = heard_.find(peer);
  if (heard == heard_.end() || !difference_) return std::nullopt;
  return (heard->second.difference - *difference_) / 1000;
}

}  // namespace lariat::membership
