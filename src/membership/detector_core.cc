// SPDX-License-Identifier: Apache-2.0
#include "membership/detector_core.h"

#include <algorithm>

#include "base/check.h"

namespace lariat::membership {
namespace {

constexpr uint8_t kFlapsMax = 16;
constexpr uint8_t kFailedProbesMax = 200;
// A report about a peer that answered us so lately is older than what we know.
constexpr int kReportIgnoredPeriods = 1;

}  // namespace

DetectorOptions DetectorOptions::ForPeriod(base::Duration period) {
  DetectorOptions options;
  options.period = period;
  options.phi.interval_floor = period;
  options.phi.deviation_floor = period / 2;
  options.probe_timeout = period;
  options.direct_check_after = period * 3;
  options.retry = period * 5;
  options.pause_after = std::max<base::Duration>(period * 2, base::Seconds(1));
  options.flap_hold = period * 2;
  options.flap_hold_max = period * 60;
  options.flap_forget = period * 60;
  return options;
}

std::string_view PeerStateText(PeerState state) {
  switch (state) {
    case PeerState::kAlive:
      return "alive";
    case PeerState::kSuspect:
      return "suspect";
    case PeerState::kUnreachable:
      return "unreachable";
    case PeerState::kDead:
      return "dead";
  }
  return "";
}

DetectorCore::DetectorCore(DetectorOptions options)
    : options_(options),
      limit_deviations_(DeviationsForPhi(options.phi.threshold)),
      probes_left_(options.probes_per_tick) {
  LARIAT_CHECK(options.probes_to_convict > 0, "nobody is convicted without a probe");
}

size_t DetectorCore::PlaceOf(uint64_t node) const {
  const auto found =
      std::lower_bound(peers_.begin(), peers_.end(), node,
                       [](const Peer& peer, uint64_t number) { return peer.node < number; });
  if (found == peers_.end() || found->node != node) return peers_.size();
  return static_cast<size_t>(found - peers_.begin());
}

DetectorCore::Peer* DetectorCore::Find(uint64_t node) {
  const size_t place = PlaceOf(node);
  return place < peers_.size() ? &peers_[place] : nullptr;
}

const DetectorCore::Peer* DetectorCore::Find(uint64_t node) const {
  const size_t place = PlaceOf(node);
  return place < peers_.size() ? &peers_[place] : nullptr;
}

void DetectorCore::SetPeers(const std::vector<DetectorPeer>& peers, base::Instant now) {
  NoticePause(now);
  std::vector<Peer> next;
  next.reserve(peers.size());
  for (const DetectorPeer& given : peers) {
    LARIAT_CHECK(next.empty() || next.back().node < given.node, "peers are sorted and distinct");
    if (Peer* known = Find(given.node)) {
      next.push_back(std::move(*known));
      continue;
    }
    Peer& peer = next.emplace_back();
    peer.node = given.node;
    peer.window = PhiWindow(given.expected > base::Duration{0} ? given.expected : options_.period);
    peer.since = now;
    Grace(&peer, now);
  }
  peers_ = std::move(next);
}

// --- time ---

void DetectorCore::Grace(Peer* peer, base::Instant now) const {
  peer->last_heartbeat = peer->last_direct = now;
  peer->limit = LimitOf(*peer);
  peer->failed_probes = 0;
  peer->probing = peer->reported = peer->look = peer->interval_counts = false;
}

// Each call looks, not only the tick: after a stop the timers of failed probes may come first.
void DetectorCore::NoticePause(base::Instant now) {
  const bool paused = last_call_ && now - *last_call_ > options_.pause_after;
  last_call_ = last_call_ ? std::max(*last_call_, now) : now;
  if (!paused) return;
  ++stats_.local_pauses;
  for (Peer& peer : peers_) {
    Grace(&peer, now);
    if (peer.state == PeerState::kSuspect) BelieveAlive(&peer, now);
  }
}

void DetectorCore::BelieveAlive(Peer* peer, base::Instant now) {
  peer->state = PeerState::kAlive;
  peer->since = now;
}

base::Instant DetectorCore::LimitOf(const Peer& peer) const {
  return std::max(peer.last_heartbeat, peer.last_direct) +
         peer.window.Limit(limit_deviations_, options_.phi);
}

// --- evidence ---

void DetectorCore::OnHeartbeat(uint64_t node, uint64_t generation, uint64_t version,
                               base::Instant now) {
  NoticePause(now);
  Peer* peer = Find(node);
  if (peer == nullptr) return;
  if (std::pair(generation, version) <= std::pair(peer->generation, peer->version)) return;
  const bool convicted = IsConvicted(*peer);
  const bool same_run = peer->generation == generation;
  // The silence before a restart or a conviction says nothing about the rhythm of a living peer.
  if (same_run && peer->interval_counts && !convicted) {
    peer->window.Add(now - peer->last_heartbeat, options_.phi);
  }
  peer->generation = generation;
  peer->version = version;
  peer->last_heartbeat = now;
  peer->interval_counts = true;
  if (!same_run) peer->reported = false;
  peer->limit = LimitOf(*peer);
  if (peer->state == PeerState::kDead) peer->look = true;
  if (peer->state == PeerState::kSuspect && !peer->reported) BelieveAlive(peer, now);
}

void DetectorCore::OnDirectReply(uint64_t node, base::Instant now) {
  NoticePause(now);
  if (Peer* peer = Find(node)) OnEvidence(peer, now);
}

void DetectorCore::OnEvidence(Peer* peer, base::Instant now) {
  peer->last_direct = now;
  peer->limit = LimitOf(*peer);
  peer->failed_probes = 0;
  peer->reported = false;
  peer->look = false;
  if (peer->state == PeerState::kAlive) return;
  if (peer->state == PeerState::kSuspect) {
    BelieveAlive(peer, now);
  } else if (now >= peer->hold_until) {
    Revive(peer, now);
  }
}

void DetectorCore::OnDirectFailure(uint64_t node, base::Instant now) {
  NoticePause(now);
  if (Peer* peer = Find(node)) peer->look = true;
}

void DetectorCore::OnReport(uint64_t node, uint64_t generation, base::Instant now) {
  NoticePause(now);
  Peer* peer = Find(node);
  if (peer == nullptr || generation < peer->generation) return;
  if (peer->state != PeerState::kAlive) return;
  if (now - peer->last_direct < options_.period * kReportIgnoredPeriods) return;
  peer->reported = true;
  Suspect(peer, now);
}

// --- probes ---

void DetectorCore::Probe(Peer* peer, base::Instant now) {
  if (peer->probing) return;
  if (probes_left_ == 0) {
    peer->look = true;
    return;
  }
  --probes_left_;
  peer->probing = true;
  peer->look = false;
  peer->probe_sent = now;
  actions_.push_back({DetectorEvent::kProbe, peer->node});
}

void DetectorCore::OnProbe(uint64_t node, bool ok, base::Instant now) {
  NoticePause(now);
  Peer* peer = Find(node);
  if (peer == nullptr) return;
  ok ? ++stats_.probes_ok : ++stats_.probes_failed;
  const bool asked = std::exchange(peer->probing, false);
  if (ok) {
    OnEvidence(peer, now);
  } else if (asked) {
    OnProbeFailed(peer, now);
  }
}

void DetectorCore::OnProbeFailed(Peer* peer, base::Instant now) {
  if (peer->failed_probes == 0) peer->first_failure = now;
  peer->failed_probes = std::min<uint8_t>(peer->failed_probes + 1, kFailedProbesMax);
  // Those that came after the first failure: a dead peer's last ones are still on their way.
  const bool beats = peer->last_heartbeat > peer->first_failure;
  if (IsConvicted(*peer)) {
    peer->next_probe = now + options_.retry;
  } else if (peer->state == PeerState::kSuspect) {
    if (peer->failed_probes >= options_.probes_to_convict) {
      Convict(peer, PeerState::kDead, now);
    } else {
      Probe(peer, now);
    }
  } else if (beats && peer->failed_probes >= options_.probes_to_unreachable) {
    Convict(peer, PeerState::kUnreachable, now);
  } else {
    peer->look = true;  // once in each tick: a short trouble of the network is no verdict
  }
}

// --- verdicts ---

void DetectorCore::Suspect(Peer* peer, base::Instant now) {
  ++stats_.suspicions;
  peer->state = PeerState::kSuspect;
  peer->since = now;
  Probe(peer, now);
}

void DetectorCore::Convict(Peer* peer, PeerState state, base::Instant now) {
  const bool fresh = peer->state != PeerState::kUnreachable;
  peer->state = state;
  peer->since = now;
  peer->next_probe = now + options_.retry;
  peer->interval_counts = false;
  if (fresh) {
    // The first conviction holds nobody back; each further one twice as long as the one before.
    const int doublings = peer->flaps - 1;
    base::Duration hold{0};
    if (doublings >= 0) {
      hold = std::min(options_.flap_hold * (int64_t{1} << doublings), options_.flap_hold_max);
    }
    peer->hold_until = now + hold;
    peer->flaps = std::min<uint8_t>(peer->flaps + 1, kFlapsMax);
  }
  ++stats_.convictions;
  actions_.push_back(
      {state == PeerState::kDead ? DetectorEvent::kConvicted : DetectorEvent::kUnreachable,
       peer->node});
}

void DetectorCore::Revive(Peer* peer, base::Instant now) {
  ++stats_.revivals;
  BelieveAlive(peer, now);
  peer->flap_forgotten = now;
  actions_.push_back({DetectorEvent::kRevived, peer->node});
}

void DetectorCore::Watch(Peer* peer, base::Instant now) {
  if (peer->probing && now - peer->probe_sent >= options_.probe_timeout) {
    peer->probing = false;
    ++stats_.probes_failed;
    OnProbeFailed(peer, now);
  }
  switch (peer->state) {
    case PeerState::kAlive:
      if (now >= peer->limit) Suspect(peer, now);
      if (peer->flaps > 0 && now - peer->flap_forgotten >= options_.flap_forget) {
        --peer->flaps;
        peer->flap_forgotten = now;
      }
      break;
    case PeerState::kSuspect:
      Probe(peer, now);
      break;
    case PeerState::kUnreachable:
      if (now >= peer->limit) Convict(peer, PeerState::kDead, now);
      break;
    case PeerState::kDead:
      break;
  }
}

// Links that nobody suspects, in turn, and those out of turn first. The number is bounded: in a
// large cluster a link without traffic is checked seldom, one with traffic shows by itself.
void DetectorCore::Check(base::Instant now) {
  uint32_t room = options_.checks_per_tick;
  for (const bool out_of_turn : {true, false}) {
    const size_t start = check_cursor_;
    for (size_t n = 0; n < peers_.size() && room > 0; ++n) {
      const size_t at = (start + n) % peers_.size();
      Peer& peer = peers_[at];
      if (peer.probing || (out_of_turn && !peer.look)) continue;
      const bool due = IsConvicted(peer) ? now >= peer.next_probe && now >= peer.hold_until
                                         : now - peer.last_direct >= options_.direct_check_after;
      // A heartbeat of a convicted peer shortens the wait, not the time of a flapping one.
      const bool allowed = !IsConvicted(peer) || now >= peer.hold_until;
      if (!(out_of_turn ? allowed : due)) continue;
      Probe(&peer, now);
      if (!out_of_turn) check_cursor_ = at + 1;
      --room;
    }
  }
}

std::vector<DetectorAction> DetectorCore::Tick(base::Instant now) {
  NoticePause(now);
  probes_left_ = options_.probes_per_tick;
  for (Peer& peer : peers_) Watch(&peer, now);
  if (!peers_.empty()) Check(now);
  return TakeActions();
}

// --- questions ---

bool DetectorCore::IsUsable(uint64_t node) const {
  const Peer* peer = Find(node);
  return peer != nullptr &&
         (peer->state == PeerState::kAlive || peer->state == PeerState::kSuspect);
}

std::optional<PeerStatus> DetectorCore::Status(uint64_t node, base::Instant now) const {
  const Peer* peer = Find(node);
  if (peer == nullptr) return std::nullopt;
  const base::Duration silence = now - std::max(peer->last_heartbeat, peer->last_direct);
  return PeerStatus{peer->state,       peer->window.Phi(silence, options_.phi),
                    peer->since,       peer->last_heartbeat,
                    peer->last_direct, peer->generation,
                    peer->version};
}

}  // namespace lariat::membership
