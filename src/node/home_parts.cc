// SPDX-License-Identifier: Apache-2.0
#include "node/home_parts.h"

#include <utility>

#include "base/gather.h"

namespace lariat::node {

namespace {

constexpr base::Duration kSayWaiting = base::Seconds(10);

membership::FormationCore::Options FormationOptions(const NodeOptions& options) {
  const config::Settings& s = options.settings;
  membership::Member self;
  self.id = options.identity.id;
  self.name = options.identity.name;
  self.http = options.addresses.http;
  self.resp = options.addresses.resp;
  self.peer = options.addresses.peer;
  self.dc = s.node_dc;
  self.rack = s.node_rack;
  self.weight = s.node_weight;
  membership::FormationCore::Options formation;
  formation.self = std::move(self);
  formation.join = s.cluster_join;
  formation.replaces = s.cluster_replace;
  formation.feature_level = options.feature_level;
  formation.vnodes = static_cast<uint32_t>(s.node_vnodes);
  formation.default_n = static_cast<uint32_t>(s.cluster_default_n);
  formation.default_durability =
      membership::ParseDurability(s.storage_durability).value_or(membership::Durability::kSync);
  return formation;
}

// Takes what was stored out of the options.
Past::Options PastOptions(NodeOptions* options) {
  Past::Options past;
  past.id = options->identity.id;
  past.name = options->identity.name;
  past.here = options->addresses.peer;
  const auto& topology = options->stored.topology;
  const membership::Member* self = topology ? topology->Find(past.id) : nullptr;
  if (self != nullptr) past.before = self->peer;
  past.stored = std::move(options->past);
  past.stored.progress.votes = options->stored.stores;
  return past;
}

}  // namespace

HomeParts::HomeParts(const World& world)
    : world_(world), local_({world.shards, world.metrics, world.hints}), hot_keys_(world.shards) {}

HomeParts::~HomeParts() = default;

void HomeParts::Build() {
  peers::Home& home = world_.shards[0]->home();
  NodeOptions& options = world_.options;
  telemetry::LogSink& log = world_.log;
  past_ = std::make_unique<Past>(home, world_.engine, log, PastOptions(&options), PastPorts());
  streams_ = std::make_unique<healing::Streams>(local_, home, world_.engine, log,
                                                [this] { return healing_->InDoubt(); });
  healing_ = std::make_unique<healing::Healing>(local_, home, world_.engine, log, HealingPorts());
  watch_ = std::make_unique<peers::Watch>(
      home, peers::Watch::Clocks{world_.shards[0]->clock(), world_.peer_time}, options.generation,
      world_.engine, WatchPorts());
  cluster_ = std::make_unique<topology::Cluster>(home, FormationOptions(options),
                                                 std::move(options.stored), world_.engine, log,
                                                 ClusterPorts());
}

void HomeParts::Start() {
  past_->Start();
  streams_->Start();
  healing_->Start();
  watch_->Start();
  cluster_->Start();
  NoteWaitingFor();
}

void HomeParts::ApplySettings(const config::Settings& settings) {
  world_.peer_time.SetLimit(settings.limits_clock_drift_ms);
  streams_->ApplySettings(settings);
  healing_->ApplySettings(settings);
}

topology::Cluster::Ports HomeParts::ClusterPorts() {
  topology::Cluster::Ports ports;
  ports.publish = [this](const std::shared_ptr<const membership::View>& view, StatusDone done) {
    Publish(view, std::move(done));
  };
  ports.alive = [this](const base::Uuid& id) { return world_.shards[0]->peers().IsAlive(id); };
  ports.in_doubt = [this](const base::Uuid& id) {
    return id == world_.options.identity.id ? healing_->InDoubt() : watch_->SaysInDoubt(id);
  };
  ports.level = [this](const base::Uuid& id) {
    const bool self = id == world_.options.identity.id;
    return self ? world_.options.feature_level : watch_->FeatureLevelOf(id);
  };
  ports.streams = [this] { return streams_->Progress(); };
  ports.held_up = [this] { return past_->twin().Text(); };
  ports.publish_changes = [this](std::shared_ptr<const topology::ChangesSeen> seen) {
    world_.notices.Publish(std::move(seen));
  };
  ports.expelled = [this](const std::string& why) {
    world_.notices.SetWaitingFor(why);
    streams_->Stop();
    healing_->Stop();
    watch_->Stop();
    for (auto& shard : world_.shards) shard->Post([s = shard.get()] { s->Expel(); });
  };
  return ports;
}

Past::Ports HomeParts::PastPorts() {
  Past::Ports ports;
  ports.peers_seen = [this] { return world_.notices.peers_seen(); };
  ports.records = [this] {
    uint64_t records = 0;
    for (const auto& metrics : world_.metrics) records += metrics->batched_writes.value();
    return records;
  };
  ports.doubt = [this](const std::string& why) {
    healing_->RaiseDoubt(why, [](const base::Status&) {});
  };
  ports.lose_votes = [this](uint64_t above) { cluster_->LoseVotes(above); };
  ports.twin.refuse = [this](const std::string& why) {
    StandAside(why);
    watch_->Stop();
    world_.notices.Refuse(why);
  };
  ports.twin.stand_aside = [this](const std::string& why) {
    // What the other one acknowledges is not here, and the other way round.
    cluster_->LoseVotes(0);
    healing_->RaiseDoubt("another process ran with its identity", [](const base::Status&) {});
    StandAside(why);
  };
  ports.twin.go_on = [this] { world_.notices.WantRestart(); };
  return ports;
}

healing::Healing::Ports HomeParts::HealingPorts() {
  healing::Healing::Ports ports;
  ports.unclean = [this] { return streams_->Unclean(); };
  ports.reconcile = [this](std::shared_ptr<const membership::View> view, ring::NodeIndex node) {
    world_.shards[0]->ports().Reconcile(std::move(view), node);
  };
  ports.past.learn = [this](const std::vector<wire::SweepRequest::Confirmed>& confirmed,
                            StatusDone done) {
    past_->pasts().LearnDurably(confirmed, std::move(done));
  };
  ports.past.confirm = [this](StatusDone done) { past_->progress().Confirm(std::move(done)); };
  ports.past.confirmed = [this] {
    const Progress& progress = past_->progress();
    return healing::Sweeper::PastPorts::Confirmed{progress.run(), progress.told().confirmed};
  };
  return ports;
}

peers::Watch::Ports HomeParts::WatchPorts() {
  peers::Watch::Ports ports;
  ports.publish_unusable = [this](const std::shared_ptr<const std::set<uint64_t>>& nodes) {
    for (auto& shard : world_.shards)
      shard->Post([s = shard.get(), nodes] { s->SetUnusable(nodes); });
    world_.shards[0]->Post([this] { healing_->OnLiveness(); });
  };
  ports.publish_draining = [this](const std::shared_ptr<const std::set<uint64_t>>& nodes) {
    for (auto& shard : world_.shards)
      shard->Post([s = shard.get(), nodes] { s->peers().liveness().SetDraining(nodes); });
  };
  ports.publish = [this](std::shared_ptr<const peers::PeersSeen> seen) {
    past_->OnPeersSeen(*seen);
    world_.notices.Publish(std::move(seen));
  };
  ports.claims = [this](const std::vector<membership::GossipClaim>& claims) {
    past_->twin().OnClaims(claims);
  };
  ports.exchange = [this](peers::PeerHandle peer) { cluster_->PushDocument(peer); };
  ports.states = [this] { return States(); };
  return ports;
}

void HomeParts::StandAside(const std::string& why) {
  world_.log.Log(telemetry::LogLevel::kError, "identity", "{}", why);
  world_.notices.SetWaitingFor(why);
  cluster_->StandAside(why);
  streams_->Stop();
  healing_->Stop();
  for (auto& shard : world_.shards) shard->Post([s = shard.get(), why] { s->StandAside(why); });
  world_.shards[0]->metrics().identity_conflict.Set(1);
}

// Done when every shard works by the view and nothing that an earlier one let in is in work: from
// then on what is read from the engine has all of it.
void HomeParts::Publish(const std::shared_ptr<const membership::View>& view, StatusDone done) {
  Shard& home = *world_.shards[0];
  const base::Gather<base::Status> settled(
      {}, [this, view, done = std::move(done)](base::Status all) mutable {
        done(std::move(all));
        // A later view may have been faster.
        if (world_.shards[0]->view() != view) return;
        if (world_.notices.refused() || past_->twin().phase() == wire::RunPhase::kAside) return;
        streams_->OnView(view);
        healing_->OnView(view);
      });
  settled.Expect(world_.shards.size());
  for (auto& shard : world_.shards) {
    auto adopt = [s = shard.get(), view, &home, settled] {
      s->SetView(view);
      s->replica().WhenSettled([&home, settled] { home.Post([settled] { settled.Arrive(); }); });
    };
    if (shard.get() == &home) {
      adopt();
      past_->OnView(*view);
      past_->twin().OnServing();
      watch_->OnView(view);
      StoreWaitingFor();
    } else {
      shard->Post(std::move(adopt));
    }
  }
  settled.Arrive();
}

membership::NodeStates HomeParts::States() const {
  constexpr uint64_t kStep = 1 << 20;  // so that it does not change with every write
  membership::NodeStates states;
  if (const membership::Topology* topology = cluster_->Decided()) {
    states.topology_epoch = topology->epoch;
    states.topology_digest = world_.shards[0]->view() ? world_.shards[0]->view()->digest : 0;
  }
  states.fence = cluster_->adopted_fence();
  states.draining = world_.notices.draining() || past_->twin().phase() == wire::RunPhase::kAside;
  states.in_doubt = healing_->InDoubt();
  states.run = past_->progress().run();
  past_->progress().OnVotes(cluster_->VotesStored());
  states.progress = past_->progress().told();
  states.twin_address = past_->twin().Where();
  states.feature_level = world_.options.feature_level;
  states.deleted_buckets = healing_->deleted().done();
  states.peer_address = world_.options.addresses.peer;
  states.load_bytes = world_.engine.Stats().disk_bytes / kStep * kStep;
  // Rounded up: what there is shows.
  constexpr uint64_t kHintStep = 4096;
  const auto hint_bytes = static_cast<uint64_t>(std::max<int64_t>(world_.hints.bytes(), 0));
  states.hint_bytes = (hint_bytes + kHintStep - 1) / kHintStep * kHintStep;
  return states;
}

void HomeParts::OnClusterRequest(ClusterRequest request,
                                 base::UniqueFunction<void(wire::Body)> done) {
  if (request.from_shard == 0) return Dispatch(std::move(request), std::move(done));
  world_.shards[0]->Post([this, request = std::move(request), done = std::move(done)]() mutable {
    Dispatch(std::move(request), std::move(done));
  });
}

void HomeParts::Dispatch(ClusterRequest request, base::UniqueFunction<void(wire::Body)> done) {
  wire::Body& body = request.body;
  if (healing::Healing::Takes(body)) {
    return healing_->Serve(request.fence, std::move(body), std::move(done));
  }
  if (auto* hot = std::get_if<wire::HotRequest>(&body)) {
    return hot_keys_.Serve(*hot, std::move(done));
  }
  if (auto* gossip = std::get_if<wire::Gossip>(&body)) {
    return done(watch_->OnGossip(request.from, *gossip));
  }
  if (auto* pull = std::get_if<wire::RangePull>(&body)) {
    return streams_->Serve(
        request.from, std::move(*pull),
        [done = std::move(done)](wire::RangePage p) mutable { done(std::move(p)); });
  }
  cluster_->OnRequest(std::move(body), std::move(done));
}

void HomeParts::OnPeerUp(uint64_t number, uint32_t from_shard) {
  if (from_shard == 0) watch_->OnUp(number);
}

void HomeParts::OnPeerDown(uint64_t number) {
  if (number == 0) return;
  world_.shards[0]->Post([this, number] { watch_->OnDown(number); });
}

void HomeParts::MarkDirty(std::vector<replica::DirtyMark> marks) {
  world_.shards[0]->Post(
      [this, marks = std::move(marks)]() mutable { healing_->MarkDirty(std::move(marks)); });
}

void HomeParts::ExchangeDocuments(uint64_t number, uint32_t from_shard) {
  auto exchange = [this, number] {
    if (const auto peer = world_.shards[0]->peers().PeerOf(number)) cluster_->PushDocument(*peer);
  };
  if (from_shard == 0) return exchange();
  world_.shards[0]->Post(std::move(exchange));
}

void HomeParts::SetBucket(membership::BucketProperties bucket, storage::CompletionQueue& back,
                          StatusDone done) {
  world_.shards[0]->Post(
      [this, &back, bucket = std::move(bucket), done = std::move(done)]() mutable {
        cluster_->SetBucket(
            std::move(bucket), [&back, done = std::move(done)](base::Status status) mutable {
              back.Post([done = std::move(done), status = std::move(status)]() mutable {
                done(std::move(status));
              });
            });
      });
}

void HomeParts::Seal(storage::CompletionQueue& back, StatusDone done) {
  world_.shards[0]->Post([this, &back, done = std::move(done)]() mutable {
    cluster_->Seal([&back, done = std::move(done)](base::Status status) mutable {
      back.Post([done = std::move(done), status = std::move(status)]() mutable {
        done(std::move(status));
      });
    });
  });
}

void HomeParts::StoreWaitingFor() {
  // StandAside has said why; the cluster's document may still change.
  if (world_.notices.refused() || past_->twin().phase() == wire::RunPhase::kAside) return;
  world_.notices.SetWaitingFor(cluster_->WaitingFor());
}

void HomeParts::NoteWaitingFor() {
  const Shard& home = *world_.shards[0];
  const env::Env& env = world_.shards[0]->home().env();
  StoreWaitingFor();
  std::string why = world_.notices.WaitingFor();
  const auto& view = home.view();
  if (why.empty()) why = home.WhyNotServing();
  const bool joining =
      view && view->MemberAt(view->self).state == membership::MemberState::kJoining;
  if (why.empty() && joining) {
    cluster_->WatchChanges();
    const auto seen = world_.notices.changes_seen();
    why = "joining: " + (seen && !seen->waiting_for.empty() ? seen->waiting_for : "data moves");
  }
  if (why.empty() && view) return;
  const base::Instant now = env.clock.Now();
  if (!said_waiting_ || now - *said_waiting_ >= kSayWaiting) {
    said_waiting_ = now;
    world_.log.Log(telemetry::LogLevel::kInfo, "cluster", "waiting: {}", why);
  }
  env.timers.After(base::Millis(50), [this] { NoteWaitingFor(); });
}

}  // namespace lariat::node
