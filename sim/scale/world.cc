// SPDX-License-Identifier: Apache-2.0
#include "sim/scale/world.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace lariat::sim::scale {
namespace {

using membership::DetectorAction;
using membership::DetectorEvent;
using membership::GossipCore;
using membership::PeerWatchCore;

// A question or an answer with its frame and envelope, as src/wire sends a heartbeat.
constexpr uint64_t kProbeBytes = 40;
constexpr base::Duration kRetransmit = base::Millis(200);

}  // namespace

std::shared_ptr<const membership::MemberList> MakeMembers(uint32_t nodes, uint32_t racks,
                                                          uint32_t dcs, base::Prng prng) {
  std::vector<membership::GossipMember> list;
  for (uint32_t i = 0; i < nodes; ++i) {
    const uint32_t rack = i % racks;
    const uint64_t high = prng.Next();
    list.push_back({base::Uuid::FromRandom(high, prng.Next()), "dc" + std::to_string(rack % dcs),
                    "rack" + std::to_string(rack)});
  }
  return membership::MemberList::Make(std::move(list));
}

World::World(const WorldOptions& options)
    : members_(options.members), prng_(options.seed), loss_(options.loss) {
  now_.instant = base::Instant(base::Seconds(1'000'000));
  now_.wall.ms = 1'800'000'000'000;
  for (uint32_t i = 0; i < members_->size(); ++i) place_of_.emplace(members_->Id(i).high, i);
  MakeNodes(options);
}

void World::MakeNodes(const WorldOptions& options) {
  std::vector<bool> observes(members_->size(), options.observers.empty());
  for (const uint32_t observer : options.observers) observes[observer] = true;
  nodes_.resize(members_->size());
  for (uint32_t i = 0; i < members_->size(); ++i) {
    membership::GossipOptions gossip;
    gossip.self = members_->Id(i);
    gossip.generation = 1'799'000'000 + prng_.Below(1'000'000);
    gossip.hierarchy = options.hierarchy;
    const base::Prng prng(prng_.Next());
    if (observes[i]) {
      auto watch = std::make_unique<PeerWatchCore>(
          gossip, membership::DetectorOptions::ForPeriod(kPeriod), prng);
      watch->SetMembers(members_, now_.instant);
      nodes_[i].core = std::move(watch);
    } else {
      auto core = std::make_unique<GossipCore>(gossip, prng);
      core->SetMembers(members_);
      nodes_[i].core = std::move(core);
    }
    const auto phase = base::Duration(prng_.Below(static_cast<uint64_t>(kPeriod.count())));
    Push(now_.instant + phase, Kind::kTick, i, i);
  }
}

const GossipCore& World::Gossip(uint32_t node) const {
  const PeerWatchCore* watch = Watch(node);
  if (watch != nullptr) return watch->gossip();
  return *std::get<std::unique_ptr<GossipCore>>(nodes_[node].core);
}

const PeerWatchCore* World::Watch(uint32_t node) const {
  const auto* watch = std::get_if<std::unique_ptr<PeerWatchCore>>(&nodes_[node].core);
  return watch == nullptr ? nullptr : watch->get();
}

Traffic World::SentBy(uint32_t node) const {
  const membership::GossipStats& stats = Gossip(node).stats();
  return {stats.frames_sent, stats.bytes_sent + nodes_[node].probe_bytes};
}

void World::SetStates(uint32_t node, const membership::NodeStates& states) {
  std::visit([&](auto& core) { core->SetStates(states); }, nodes_[node].core);
}

// --- time and network ---

void World::Push(base::Instant at, Kind kind, uint32_t from, uint32_t to, std::string bytes) {
  events_.push_back({at, order_++, kind, from, to, std::move(bytes)});
  std::push_heap(events_.begin(), events_.end(), std::greater<>());
}

base::Duration World::Latency() {
  const int64_t most = prng_.Chance(0.01) ? 500'000 : 50'000;
  return std::chrono::microseconds(prng_.Between(1000, most));
}

void World::Send(Kind kind, uint32_t from, uint32_t to, std::string bytes) {
  if (prng_.Chance(loss_)) return;
  Push(now_.instant + Latency(), kind, from, to, std::move(bytes));
}

void World::Round() {
  const base::Instant end = now_.instant + kPeriod;
  while (!events_.empty() && events_.front().at < end) {
    std::pop_heap(events_.begin(), events_.end(), std::greater<>());
    Event event = std::move(events_.back());
    events_.pop_back();
    now_.wall.ms += (event.at - now_.instant) / base::Millis(1);
    now_.instant = event.at;
    Handle(std::move(event));
  }
  now_.instant = end;
}

void World::Handle(Event event) {
  // A tick and the result of a probe belong to `from`, a frame arrives at `to`.
  switch (event.kind) {
    case Kind::kTick:
      if (nodes_[event.from].alive) Tick(event.from);
      break;
    case Kind::kSyn:
    case Kind::kAck:
    case Kind::kAck2:
      if (nodes_[event.to].alive) Deliver(event);
      break;
    case Kind::kProbeOk:
    case Kind::kProbeFailed: {
      if (!nodes_[event.from].alive) break;
      auto& watch = *std::get<std::unique_ptr<PeerWatchCore>>(nodes_[event.from].core);
      watch.OnProbe(members_->Id(event.to).high, event.kind == Kind::kProbeOk, now_.instant);
      Obey(event.from, watch.TakeActions());
      break;
    }
  }
}

// --- nodes ---

void World::Tick(uint32_t node) {
  const auto jitter = std::chrono::milliseconds(prng_.Between(-50, 50));
  Push(now_.instant + kPeriod + jitter, Kind::kTick, node, node);
  std::vector<membership::GossipSend> syns;
  if (auto* watch = std::get_if<std::unique_ptr<PeerWatchCore>>(&nodes_[node].core)) {
    membership::WatchActions actions = (*watch)->OnTick(now_.instant);
    syns = std::move(actions.syns);
    Obey(node, actions.detector);
  } else {
    syns = std::get<std::unique_ptr<GossipCore>>(nodes_[node].core)->OnTick();
  }
  for (membership::GossipSend& syn : syns) {
    const auto to = members_->Find(syn.to);
    LARIAT_CHECK(to.has_value(), "gossip asked one who is no member");
    Send(Kind::kSyn, node, *to, std::move(syn.frame));
  }
}

void World::Deliver(const Event& event) {
  const base::Uuid& from = members_->Id(event.from);
  std::optional<std::string> reply;
  const auto hear = [&](auto& core, auto now) {
    if (event.kind == Kind::kSyn) {
      reply = core.OnSyn(from, event.bytes, now);
    } else if (event.kind == Kind::kAck) {
      reply = core.OnAck(from, event.bytes, now);
    } else {
      core.OnAck2(from, event.bytes, now);
    }
  };
  if (auto* watch = std::get_if<std::unique_ptr<PeerWatchCore>>(&nodes_[event.to].core)) {
    hear(**watch, now_);
    Obey(event.to, (*watch)->TakeActions());
  } else {
    auto& core = *std::get<std::unique_ptr<GossipCore>>(nodes_[event.to].core);
    hear(core, now_.wall);
    core.TakeNews();
  }
  if (!reply) return;
  Send(event.kind == Kind::kSyn ? Kind::kAck : Kind::kAck2, event.to, event.from,
       std::move(*reply));
}

void World::Obey(uint32_t node, const std::vector<DetectorAction>& actions) {
  for (const DetectorAction& action : actions) {
    if (action.event == DetectorEvent::kProbe) {
      Probe(node, action.node);
    } else if (on_verdict_) {
      on_verdict_(node, action);
    }
  }
}

void World::Probe(uint32_t node, uint64_t target) {
  const uint32_t to = place_of_.at(target);
  base::Duration took{0};
  nodes_[node].probe_bytes += kProbeBytes;
  if (nodes_[to].alive) nodes_[to].probe_bytes += kProbeBytes;
  for (int direction = 0; direction < 2; ++direction) {
    base::Duration again = kRetransmit;
    while (took < kPeriod && prng_.Chance(loss_)) {
      took += again;
      again *= 2;
    }
    took += Latency();
  }
  const bool ok = nodes_[to].alive && took < kPeriod;
  Push(now_.instant + (ok ? took : kPeriod), ok ? Kind::kProbeOk : Kind::kProbeFailed, node, to);
}

}  // namespace lariat::sim::scale
