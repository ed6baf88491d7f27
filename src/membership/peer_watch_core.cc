// SPDX-License-Identifier: Apache-2.0
#include "membership/peer_watch_core.h"

#include <algorithm>
#include <utility>

namespace lariat::membership {
namespace {

telemetry::GossipRefusal LabelOf(GossipDrop why) {
  switch (why) {
    case GossipDrop::kTooLarge:
      return telemetry::GossipRefusal::kTooLarge;
    case GossipDrop::kBadChecksum:
      return telemetry::GossipRefusal::kBadChecksum;
    case GossipDrop::kMalformed:
      return telemetry::GossipRefusal::kMalformed;
    case GossipDrop::kNotMember:
      return telemetry::GossipRefusal::kNotMember;
    case GossipDrop::kFarFuture:
      return telemetry::GossipRefusal::kFarFuture;
    case GossipDrop::kBadState:
    case GossipDrop::kCount:
      break;
  }
  return telemetry::GossipRefusal::kBadState;
}

}  // namespace

PeerWatchCore::PeerWatchCore(GossipOptions gossip, DetectorOptions detector, base::Prng prng)
    : self_(gossip.self), period_(detector.period), gossip_(gossip, prng), detector_(detector) {}

void PeerWatchCore::SetMembers(std::shared_ptr<const MemberList> members, base::Instant now) {
  gossip_.SetMembers(members);
  ids_.clear();
  std::vector<DetectorPeer> peers;
  for (uint32_t i = 0; i < members->size(); ++i) {
    const base::Uuid& id = members->Id(i);
    if (id == self_) continue;
    if (!ids_.emplace(id.high, id).second) continue;  // numbers are those of random ids
    peers.push_back({id.high, period_ * gossip_.ExpectedRounds(gossip_.IsNear(id))});
  }
  detector_.SetPeers(peers, now);  // sorted: ids are in order, and numbers are their first half
  std::erase_if(states_.convictions,
                [&](const Conviction& conviction) { return !members->Find(conviction.id); });
  gossip_.SetStates(states_);
}

void PeerWatchCore::SetStates(NodeStates states) {
  states.convictions = std::move(states_.convictions);
  states_ = std::move(states);
  gossip_.SetStates(states_);
}

WatchActions PeerWatchCore::OnTick(base::Instant now) {
  WatchActions actions;
  actions.detector = detector_.Tick(now);
  Obey(actions.detector);
  actions.syns = gossip_.OnTick();
  return actions;
}

std::optional<std::string> PeerWatchCore::OnSyn(const base::Uuid& from, std::string_view bytes,
                                                WatchNow now) {
  auto reply = gossip_.OnSyn(from, bytes, now.wall);
  TakeNews(now.instant);
  return reply;
}

std::optional<std::string> PeerWatchCore::OnAck(const base::Uuid& from, std::string_view bytes,
                                                WatchNow now) {
  auto reply = gossip_.OnAck(from, bytes, now.wall);
  if (reply) detector_.OnDirectReply(from.high, now.instant);
  TakeNews(now.instant);
  return reply;
}

void PeerWatchCore::OnAck2(const base::Uuid& from, std::string_view bytes, WatchNow now) {
  gossip_.OnAck2(from, bytes, now.wall);
  TakeNews(now.instant);
}

void PeerWatchCore::OnProbe(uint64_t node, bool ok, base::Instant now) {
  detector_.OnProbe(node, ok, now);
}

std::vector<DetectorAction> PeerWatchCore::TakeActions() {
  auto actions = detector_.TakeActions();
  Obey(actions);
  return actions;
}

void PeerWatchCore::TakeNews(base::Instant now) {
  for (const GossipNews& news : gossip_.TakeNews()) {
    detector_.OnHeartbeat(news.id.high, news.generation, news.version, now);
    if (!news.states_changed) continue;
    const auto view = gossip_.Find(news.id);
    if (!view) continue;
    for (const Conviction& conviction : view->states.convictions) {
      if (conviction.id != self_ && gossip_.members().Find(conviction.id)) {
        detector_.OnReport(conviction.id.high, conviction.generation, now);
      }
    }
  }
}

void PeerWatchCore::Obey(const std::vector<DetectorAction>& actions) {
  bool changed = false;
  for (const DetectorAction& action : actions) {
    const auto found = ids_.find(action.node);
    if (found == ids_.end() || action.event == DetectorEvent::kProbe) continue;
    const base::Uuid& id = found->second;
    gossip_.SetUsable(id, action.event == DetectorEvent::kRevived);
    const auto known =
        std::find_if(states_.convictions.begin(), states_.convictions.end(),
                     [&](const Conviction& conviction) { return conviction.id == id; });
    if (known != states_.convictions.end()) {
      states_.convictions.erase(known);
      changed = true;
    }
    if (action.event != DetectorEvent::kConvicted) continue;
    const auto view = gossip_.Find(id);
    const bool tell = gossip_.hierarchical() && gossip_.IsNear(id) && view &&
                      states_.convictions.size() < kGossipConvictionsMax;
    if (!tell) continue;
    const Conviction conviction{id, view->generation};
    states_.convictions.insert(
        std::lower_bound(states_.convictions.begin(), states_.convictions.end(), conviction),
        conviction);
    changed = true;
  }
  if (changed) gossip_.SetStates(states_);
}

void PeerWatchCore::Publish(telemetry::Metrics* metrics) {
  const GossipStats& gossip = gossip_.stats();
  const DetectorStats& detector = detector_.stats();
  const auto add = [](telemetry::Counter* counter, uint64_t now, uint64_t before) {
    counter->Add(now - before);
  };
  add(&metrics->gossip_rounds, gossip.rounds, published_gossip_.rounds);
  add(&metrics->gossip_bytes_sent, gossip.bytes_sent, published_gossip_.bytes_sent);
  add(&metrics->gossip_bytes_received, gossip.bytes_received, published_gossip_.bytes_received);
  for (size_t i = 0; i < gossip.dropped.size(); ++i) {
    add(&metrics->gossip_refused[LabelOf(static_cast<GossipDrop>(i))], gossip.dropped[i],
        published_gossip_.dropped[i]);
  }
  add(&metrics->peer_suspicions, detector.suspicions, published_detector_.suspicions);
  add(&metrics->peer_convictions, detector.convictions, published_detector_.convictions);
  add(&metrics->local_pauses, detector.local_pauses, published_detector_.local_pauses);
  auto& probes = metrics->peer_probes;
  add(&probes[telemetry::ProbeOutcome::kOk], detector.probes_ok, published_detector_.probes_ok);
  add(&probes[telemetry::ProbeOutcome::kFailed], detector.probes_failed,
      published_detector_.probes_failed);
  published_gossip_ = gossip;
  published_detector_ = detector;
}

}  // namespace lariat::membership
