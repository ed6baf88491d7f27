// SPDX-License-Identifier: Apache-2.0
#include "node/past/twin.h"

#include <algorithm>
#include <utility>

namespace lariat::node {

using telemetry::LogLevel;
using wire::RunPhase;

namespace {

// In gossip periods.
constexpr int kSilent = 10;  // that long without a sign, and the other one is gone
// A run that has ended is repeated once, or twice where others knew different ones of it; every
// jump above it silences it. So many jumps within kSilent periods have a living cause.
constexpr size_t kClaimsMin = 3;
constexpr size_t kSuspectsMax = 8;

}  // namespace

Twin::Twin(peers::Home& home, telemetry::LogSink& log, std::string here, std::string before,
           Ports ports)
    : home_(home),
      log_(log),
      here_(std::move(here)),
      before_(std::move(before)),
      ports_(std::move(ports)),
      period_(base::Millis(home.settings().membership_gossip_period_ms)),
      started_(home.env().clock.Now()) {}

void Twin::Start() {
  started_ = home_.env().clock.Now();
  if (!before_.empty() && before_ != here_) {
    // Whoever is there answers within this time, or is not there.
    const auto limit = started_ + base::Millis(home_.settings().membership_confirm_ms);
    held_up_until_ = limit;
    suspects_[before_] = limit;
  }
  Tick();
}

void Twin::OnServing() {
  if (phase_ == RunPhase::kStarting) phase_ = RunPhase::kServing;
}

void Twin::Tick() {
  if (refused_) return;
  home_.env().timers.After(period_, [this] { Tick(); });
  const base::Instant now = home_.env().clock.Now();
  std::erase_if(suspects_, [now](const auto& suspect) { return suspect.second <= now; });
  // The handshake tells who is there. A connection that the shard has closed is made again.
  for (const auto& [address, until] : suspects_) home_.peers().PeerAt(address);
  if (phase_ != RunPhase::kAside) return;
  if (!where_.empty() && where_ != here_) home_.peers().PeerAt(where_);
  if (now - *heard_ < Silence()) return;
  log_.Log(LogLevel::kInfo, "identity",
           "the other process with this node's identity is silent: this one starts anew");
  refused_ = true;  // nothing more is decided by this run
  ports_.go_on();
}

// It is asked again after a pause that grows to the longest between two attempts.
base::Duration Twin::Silence() const {
  return kSilent * period_ + 2 * base::Millis(home_.settings().peer_backoff_max_ms);
}

void Twin::OnContact(uint64_t run, const std::string& address, RunPhase phase) {
  if (refused_) return;
  if (phase_ != RunPhase::kStarting && phase == RunPhase::kStarting) {
    // It has served nobody, and will not: it learns of this one just now.
    log_.Log(LogLevel::kWarn, "identity",
             "a copy of this node's data directory was started at {} (run {:x}), and is refused",
             address, run);
    return;
  }
  Meet(address, home_.env().clock.Now());
}

void Twin::OnTold(const std::string& address, base::Duration age) {
  if (refused_) return;
  const base::Instant now = home_.env().clock.Now();
  // Heard late of a run that has ended: once, or in a few rounds. A living one goes on and on.
  const base::Instant alive = now - age;
  if (!told_ || alive - told_->last > Silence()) told_ = {std::max(alive, started_), alive};
  told_->last = std::max(told_->last, alive);
  if (told_->last - told_->first > kSilent * period_) return Meet(address, alive);
  if (suspects_.size() < kSuspectsMax) suspects_[address] = now + kSilent * period_;
  if (phase_ != RunPhase::kStarting) return;
  where_ = address;
  // The member lets this run in when that has grown old.
  const base::Instant old = now + std::max(kHeardLately * period_ - age, base::Duration{});
  held_up_until_ = std::max(held_up_until_.value_or(now), old + period_);
}

void Twin::OnClaims(const std::vector<membership::GossipClaim>& claims) {
  const base::Instant now = home_.env().clock.Now();
  for (const membership::GossipClaim& claim : claims) {
    std::erase_if(claims_, [&](base::Instant at) { return now - at > kSilent * period_; });
    claims_.push_back(now);
    if (!claim.address.empty()) {
      where_ = claim.address;
      const bool asks = claim.address != here_ && suspects_.size() < kSuspectsMax;
      if (asks) suspects_[claim.address] = now + kSilent * period_;
    }
    if (phase_ == RunPhase::kAside) heard_ = now;
  }
  if (claims_.size() >= kClaimsMin && phase_ == RunPhase::kServing) Meet(where_, now);
}

void Twin::Meet(const std::string& address, base::Instant alive) {
  heard_ = std::max(heard_.value_or(alive), alive);
  if (!address.empty()) where_ = address;
  if (phase_ == RunPhase::kAside) return;
  if (phase_ == RunPhase::kStarting) {
    refused_ = true;
    return ports_.refuse(Text());
  }
  phase_ = RunPhase::kAside;
  ports_.stand_aside(Text());
}

bool Twin::HoldsUp() const { return held_up_until_ && home_.env().clock.Now() < *held_up_until_; }

std::string Twin::Text() const {
  const std::string where = where_.empty() ? "an address that is not known" : where_;
  if (phase_ == RunPhase::kAside) {
    return "two processes run with this node's identity, at " + here_ + " and at " + where +
           ": its data directory was copied. Neither serves until one of them is stopped; the "
           "other one then compares its data with the other members and goes on";
  }
  if (refused_) {
    return "a process with this node's identity runs already, at " + where + " (this one is at " +
           here_ +
           "): its data directory was copied. Stop that one first, or give this one an empty data "
           "directory and a name of its own";
  }
  if (!HoldsUp()) return "";
  return "making sure that the node does not run at " + (where_.empty() ? before_ : where_) +
         " any more (this one is at " + here_ + ")";
}

std::string Twin::Where() const { return phase_ == RunPhase::kAside ? where_ : ""; }

}  // namespace lariat::node
