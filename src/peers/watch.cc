// SPDX-License-Identifier: Apache-2.0
#include "peers/watch.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "base/coding.h"

namespace lariat::peers {

using base::Code;
using base::Fail;
using membership::DetectorEvent;
using storage::Space;

namespace {

constexpr const char* kGenerationKey = "generation";

membership::GossipOptions GossipOptionsOf(Home& home, uint64_t generation) {
  const config::Settings& s = home.settings();
  membership::GossipOptions options;
  options.self = home.self().id;
  options.generation = generation;
  options.fanout = static_cast<uint32_t>(s.membership_gossip_fanout);
  options.frame_bytes = static_cast<size_t>(s.membership_gossip_frame_bytes);
  options.hierarchy = membership::HierarchyFromText(s.membership_gossip_hierarchical)
                          .value_or(membership::Hierarchy::kAuto);
  return options;
}

membership::DetectorOptions DetectorOptionsOf(const config::Settings& s) {
  const auto or_period = [](int64_t ms, base::Duration otherwise) {
    return ms == 0 ? otherwise : base::Millis(ms);
  };
  auto options =
      membership::DetectorOptions::ForPeriod(base::Millis(s.membership_gossip_period_ms));
  options.phi.threshold = s.membership_phi_threshold;
  options.phi.window = static_cast<uint32_t>(s.membership_phi_window);
  options.phi.interval_floor =
      or_period(s.membership_phi_interval_floor_ms, options.phi.interval_floor);
  options.phi.deviation_floor =
      or_period(s.membership_phi_deviation_floor_ms, options.phi.deviation_floor);
  options.probe_timeout = or_period(s.membership_probe_timeout_ms, options.probe_timeout);
  options.pause_after = or_period(s.membership_pause_ms, options.pause_after);
  return options;
}

void PutGeneration(uint64_t generation, storage::WriteBatch* batch) {
  std::string bytes;
  base::ByteWriter(&bytes).U64(generation);
  batch->Put(Space::kMeta, kGenerationKey, std::move(bytes));
}

}  // namespace

base::Result<uint64_t> DrawGeneration(storage::Engine& engine, base::WallTime now) {
  uint64_t stored = 0;
  auto bytes = engine.GetBlocking(Space::kMeta, kGenerationKey);
  if (bytes) {
    base::ByteReader r(*bytes);
    stored = r.U64();
    if (!r.AtEnd()) return Fail(Code::kCorruption, "the stored gossip generation is damaged");
  } else if (bytes.error().code != Code::kNotFound) {
    return Fail(bytes.error());
  }
  const uint64_t generation = membership::NextGeneration(stored, now);
  storage::WriteBatch batch;
  PutGeneration(generation, &batch);
  // Durable with the first sync, which comes before this node is in a cluster's gossip.
  if (auto status = engine.Write(batch); !status) return Fail(status.error());
  return generation;
}

Watch::Watch(Home& home, Clocks clocks, uint64_t generation, storage::Engine& engine, Ports ports)
    : home_(home),
      clock_(clocks.own),
      shared_time_(clocks.shared),
      engine_(engine),
      ports_(std::move(ports)),
      core_(GossipOptionsOf(home, generation), DetectorOptionsOf(home.settings()),
            base::Prng(home.env().entropy.Next())),
      stored_generation_(generation),
      period_(base::Millis(home.settings().membership_gossip_period_ms)),
      probe_timeout_(DetectorOptionsOf(home.settings()).probe_timeout),
      unusable_(std::make_shared<const std::set<uint64_t>>()),
      time_(base::Millis(std::max<int64_t>(home.settings().limits_clock_drift_ms, 100))) {}

void Watch::Start() { Tick(); }

membership::WatchNow Watch::Now() const {
  return {home_.env().clock.Now(), home_.env().clock.Wall()};
}

void Watch::OnView(const std::shared_ptr<const membership::View>& view) {
  std::vector<membership::GossipMember> members;
  for (const membership::Member& m : view->topology.members) {
    members.push_back({m.id, m.dc, m.rack});
  }
  core_.SetMembers(membership::MemberList::Make(std::move(members)), Now().instant);
  // The next ones of the list: each member is asked by as many as it asks.
  asked_.clear();
  const uint32_t count = view->ring.size();
  for (uint32_t i = 1; i < count && asked_.size() < membership::PeerTimeCore::kAskedMax; ++i) {
    asked_.push_back(view->MemberAt((view->self + i) % count).Number());
  }
  time_.SetPeers(asked_);
  JudgeTime();
  for (const uint64_t node : asked_) AskTime(node);
  core_.SetStates(ports_.states());
}

void Watch::Tick() {
  if (stopped_) return;
  home_.env().timers.After(period_, [this] { Tick(); });
  if (!home_.view()) return;
  core_.SetStates(ports_.states());
  if (clock_.CheckNow()) core_.OnClock(Now().wall);
  const membership::WatchActions actions = core_.OnTick(Now().instant);
  for (const membership::GossipSend& syn : actions.syns) Send(syn);
  Obey(actions.detector);
  if (const auto claims = core_.TakeClaims(); !claims.empty()) ports_.claims(claims);
  KeepGeneration();
  CompareDocuments();
  core_.Publish(&home_.metrics());
  LookAtClock();
}

void Watch::Send(const membership::GossipSend& syn) {
  const auto peer = home_.peers().PeerOf(syn.to);
  if (!peer) return;
  home_.peers().Call(*peer, wire::Gossip{syn.frame, false}, period_ + probe_timeout_,
                     [this, to = syn.to, peer = *peer](const base::Result<wire::Body>& body) {
                       // It does not know us as a member: one of us has an old document.
                       if (body && std::holds_alternative<wire::DocumentReply>(*body)) {
                         return ports_.exchange(peer);
                       }
                       const auto* ack = body ? std::get_if<wire::GossipReply>(&*body) : nullptr;
                       if (ack == nullptr || ack->payload.empty()) return;
                       auto ack2 = core_.OnAck(to, ack->payload, Now());
                       Obey(core_.TakeActions());
                       if (!ack2) return;
                       home_.peers().Call(peer, wire::Gossip{std::move(*ack2), true},
                                          period_ + probe_timeout_,
                                          [](const base::Result<wire::Body>&) {});
                     });
}

// --- the clock ---------------------------------------------------------------------------------

void Watch::OnUp(uint64_t node) {
  if (stopped_ || std::find(asked_.begin(), asked_.end(), node) == asked_.end()) return;
  JudgeTime();
  AskTime(node);
}

void Watch::AskTime(uint64_t node) {
  const auto peer = home_.peers().PeerOf(node);
  if (!peer) return;
  const base::Instant asked = Now().instant;
  home_.peers().Call(*peer, wire::Heartbeat{Now().wall.ms}, probe_timeout_,
                     [this, node, asked](const base::Result<wire::Body>& body) {
                       const auto* reply =
                           body ? std::get_if<wire::HeartbeatReply>(&*body) : nullptr;
                       if (reply == nullptr || stopped_) return;
                       time_.OnAnswer(node, {reply->wall_ms}, asked, Now().instant);
                       JudgeTime();
                     });
}

void Watch::JudgeTime() {
  using std::chrono::microseconds;
  const base::Instant now = Now().instant;
  const int64_t own =
      clock_.OwnMicros() - std::chrono::duration_cast<microseconds>(now.time_since_epoch()).count();
  const auto difference = time_.Difference(own, now);
  PeerTime& shared = shared_time_;
  shared.Set(difference);
  shared.SetWaiting(!difference && home_.peers().PeersAlive() > 0);
}

// Once a period; whoever is wrong asks all of them, so that it notices soon when it is right.
void Watch::LookAtClock() {
  using std::chrono::microseconds;
  const int64_t own =
      clock_.OwnMicros() -
      std::chrono::duration_cast<microseconds>(Now().instant.time_since_epoch()).count();
  const int64_t jump_us = own - wall_less_monotonic_us_.value_or(own);
  wall_less_monotonic_us_ = own;
  const int64_t limit_us = home_.settings().limits_clock_drift_ms * 1000;
  const bool jumped = std::abs(jump_us) > limit_us;
  if (jumped) {
    home_.metrics().clock_jumps.Add();
    home_.log().Log(telemetry::LogLevel::kWarn, "clock", "the wall clock jumped by {} ms",
                    jump_us / 1000);
  }
  JudgeTime();
  const base::Status right = clock_.CheckNow();
  engine_.SetClockAhead(right ? 0 : clock_.offset_us() / 1'000'000);
  if (right.has_value() != clock_was_right_) {
    clock_was_right_ = right.has_value();
    home_.log().Log(
        right ? telemetry::LogLevel::kInfo : telemetry::LogLevel::kWarn, "clock", "{}",
        right ? "the clock agrees with those of the other members" : right.error().message);
  }
  if (right && !jumped) {
    if (const auto node = time_.Next()) AskTime(*node);
    return;
  }
  for (const uint64_t node : asked_) AskTime(node);
}

// -----------------------------------------------------------------------------------------------

wire::GossipReply Watch::OnGossip(const base::Uuid& from, const wire::Gossip& gossip) {
  if (stopped_) return {};
  std::optional<std::string> ack;
  if (gossip.is_ack2) {
    core_.OnAck2(from, gossip.payload, Now());
  } else {
    ack = core_.OnSyn(from, gossip.payload, Now());
  }
  Obey(core_.TakeActions());
  return {ack.value_or("")};
}

void Watch::OnDown(uint64_t node) {
  if (!stopped_) core_.OnDirectFailure(node, Now().instant);
}

void Watch::Probe(uint64_t node) {
  const auto peer = home_.peers().PeerOf(node);
  if (!peer) {
    home_.Post([this, node] { core_.OnProbe(node, false, Now().instant); });
    return;
  }
  home_.peers().Call(*peer, wire::Heartbeat{home_.env().clock.Wall().ms}, probe_timeout_,
                     [this, node](const base::Result<wire::Body>& body) {
                       core_.OnProbe(node, body.has_value(), Now().instant);
                       // From the loop: this may run inside Obey.
                       home_.Post([this] { Obey(core_.TakeActions()); });
                     });
}

void Watch::Obey(const std::vector<membership::DetectorAction>& actions) {
  if (stopped_) return;
  bool changed = false;
  std::set<uint64_t> unusable = *unusable_;
  for (const membership::DetectorAction& action : actions) {
    switch (action.event) {
      case DetectorEvent::kProbe:
        Probe(action.node);
        break;
      case DetectorEvent::kConvicted:
      case DetectorEvent::kUnreachable:
        changed |= unusable.insert(action.node).second;
        break;
      case DetectorEvent::kRevived:
        changed |= unusable.erase(action.node) > 0;
        break;
    }
  }
  if (!changed) return;
  unusable_ = std::make_shared<const std::set<uint64_t>>(std::move(unusable));
  ports_.publish_unusable(unusable_);
}

// Whoever has another document gets ours, and we its, if that is newer.
void Watch::CompareDocuments() {
  const membership::NodeStates own = ports_.states();
  auto seen = std::make_shared<PeersSeen>();
  std::set<uint64_t> draining;
  const base::Uuid own_id = home_.self().id;
  for (const membership::Member& member : home_.view()->topology.members) {
    PeersSeen::Peer peer;
    if (member.id != own_id) peer.name = member.name;
    if (auto status = core_.Status(member.Number(), Now().instant)) peer.status = *status;
    peer.clock_offset_ms = time_.AheadMs(member.Number());
    if (member.id == own_id) {
      seen->clock_offset_ms = clock_.offset_us() / 1000;
      peer.clock_offset_ms = seen->clock_offset_ms;
    }
    if (auto view = core_.gossip().Find(member.id)) {
      peer.heard = true;
      peer.states = std::move(view->states);
      if (peer.states.draining) draining.insert(member.Number());
      const bool differs = peer.states.topology_digest != own.topology_digest;
      const auto handle = home_.peers().PeerOf(member.id);
      if (differs && handle && core_.IsUsable(member.Number())) ports_.exchange(*handle);
    }
    seen->peers.emplace(member.Number(), std::move(peer));
  }
  ports_.publish(std::move(seen));
  if (draining == draining_) return;
  draining_ = draining;
  ports_.publish_draining(std::make_shared<const std::set<uint64_t>>(std::move(draining)));
}

bool Watch::SaysInDoubt(const base::Uuid& member) const {
  const auto said = core_.gossip().Find(member);
  return said && said->states.in_doubt;
}

std::optional<uint32_t> Watch::FeatureLevelOf(const base::Uuid& member) const {
  const auto said = core_.gossip().Find(member);
  if (!said) return std::nullopt;
  return said->states.feature_level;
}

// It grows while the node runs when others remember a later run of it than its disk did.
void Watch::KeepGeneration() {
  const uint64_t generation = core_.gossip().generation();
  if (generation == stored_generation_) return;
  storage::WriteBatch batch;
  PutGeneration(generation, &batch);
  if (!engine_.Write(batch)) return;  // tried again in the next round
  stored_generation_ = generation;
  engine_.Sync(&home_.queue(), [](const base::Status&) {});
}

}  // namespace lariat::peers
