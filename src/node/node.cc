// SPDX-License-Identifier: Apache-2.0
#include "node/node.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/coding.h"
#include "node/admin.h"

namespace lariat::node {

std::string ClockKey(uint32_t shard) { return "clock/" + std::to_string(shard); }

namespace {

constexpr uint32_t kShardsMax = 1024;
constexpr base::Duration kSayWaiting = base::Seconds(10);

// The greatest durable limit of any shard of the last run: their number may have changed.
causal::HlcStamp ClockFloor(storage::Engine& engine) {
  causal::HlcStamp floor;
  for (uint32_t i = 0; i < kShardsMax; ++i) {
    auto stored = engine.GetBlocking(storage::Space::kMeta, ClockKey(i));
    if (!stored) continue;
    base::ByteReader r(*stored);
    const causal::HlcStamp limit{r.U64()};
    if (r.AtEnd()) floor = std::max(floor, limit);
  }
  return floor;
}

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

Node::Node(NodeOptions options, std::vector<Shard::World> worlds, storage::Engine& engine,
           telemetry::LogSink& log)
    : options_(std::move(options)),
      engine_(engine),
      shard_count_(static_cast<uint32_t>(worlds.size())),
      hint_budget_(std::make_shared<replica::HintBudget>()),
      peer_time_(options_.settings.limits_clock_drift_ms),
      log_(log) {
  LARIAT_CHECK(!worlds.empty(), "a node has at least one shard");
  LARIAT_CHECK(worlds.size() <= kShardsMax, "too many shards");
  const causal::HlcStamp floor = ClockFloor(engine);
  for (uint32_t i = 0; i < worlds.size(); ++i) {
    // From here on nobody sees the clock but as it is judged.
    const env::Env& env = worlds[i].env;
    clocks_.push_back(std::make_unique<JudgedClock>(env.clock, peer_time_));
    const Shard::World world{{*clocks_[i], env.entropy, env.executor, env.timers},
                             worlds[i].transport};
    metrics_.push_back(std::make_unique<telemetry::Metrics>());
    shards_.push_back(std::make_unique<Shard>(*this, i, world, options_.settings, engine,
                                              *metrics_[i], log, floor));
    admins_.push_back(std::make_unique<NodeAdmin>(*this, *shards_[i]));
  }
  past_ = std::make_unique<Past>(*shards_[0], engine, log, PastOptions(&options_), PastPorts());
  streams_ = std::make_unique<Streams>(*this, *shards_[0], engine, log);
  healing_ = std::make_unique<Healing>(*this, *shards_[0], engine, log);
  watch_ = std::make_unique<Watch>(*shards_[0], options_.generation, engine, WatchPorts());
  cluster_ = std::make_unique<Cluster>(*shards_[0], FormationOptions(options_),
                                       std::move(options_.stored), engine, log, ClusterPorts());
}

Node::~Node() = default;

void Node::Start() {
  for (auto& shard : shards_) shard->Post([s = shard.get()] { s->Start(); });
  shards_[0]->Post([this] {
    past_->Start();
    streams_->Start();
    healing_->Start();
    watch_->Start();
    cluster_->Start();
    NoteWaitingFor();
  });
}

coordinator::AdminService& Node::admin(uint32_t shard_index) { return *admins_[shard_index]; }

Cluster::Ports Node::ClusterPorts() {
  Shard& home = *shards_[0];
  Cluster::Ports ports;
  ports.publish = [this](const std::shared_ptr<const membership::View>& view,
                         Cluster::StatusDone done) { Publish(view, std::move(done)); };
  ports.alive = [&home](const base::Uuid& id) { return home.IsAlive(id); };
  ports.in_doubt = [this](const base::Uuid& id) {
    return id == options_.identity.id ? healing_->InDoubt() : watch_->SaysInDoubt(id);
  };
  ports.streams = [this] { return streams_->Progress(); };
  ports.held_up = [this] { return past_->twin().Text(); };
  ports.publish_changes = [this](std::shared_ptr<const ChangesSeen> seen) {
    std::atomic_store(&changes_seen_, std::move(seen));
  };
  ports.expelled = [this](const std::string& why) {
    std::atomic_store(&waiting_for_, std::make_shared<const std::string>(why));
    streams_->Stop();
    healing_->Stop();
    watch_->Stop();
    for (auto& shard : shards_) shard->Post([s = shard.get()] { s->Expel(); });
  };
  return ports;
}

Past::Ports Node::PastPorts() {
  Past::Ports ports;
  ports.peers_seen = [this] { return peers_seen(); };
  ports.records = [this] {
    uint64_t records = 0;
    for (const auto& metrics : metrics_) records += metrics->batched_writes.value();
    return records;
  };
  ports.doubt = [this](const std::string& why) {
    healing_->RaiseDoubt(why, [](const base::Status&) {});
  };
  ports.lose_votes = [this](uint64_t above) { cluster_->LoseVotes(above); };
  ports.twin.refuse = [this](const std::string& why) {
    StandAside(why);
    watch_->Stop();
    std::atomic_store(&refused_, std::make_shared<const std::string>(why));
  };
  ports.twin.stand_aside = [this](const std::string& why) {
    // What the other one acknowledges is not here, and the other way round.
    cluster_->LoseVotes(0);
    healing_->RaiseDoubt("another process ran with its identity", [](const base::Status&) {});
    StandAside(why);
  };
  ports.twin.go_on = [this] { wants_restart_ = true; };
  return ports;
}

void Node::StandAside(const std::string& why) {
  log_.Log(telemetry::LogLevel::kError, "identity", "{}", why);
  std::atomic_store(&waiting_for_, std::make_shared<const std::string>(why));
  cluster_->StandAside(why);
  streams_->Stop();
  healing_->Stop();
  for (auto& shard : shards_) shard->Post([s = shard.get(), why] { s->StandAside(why); });
  shards_[0]->metrics().identity_conflict.Set(1);
}

// Done when every shard works by the view and nothing that an earlier one let in is in work: from
// then on what is read from the engine has all of it.
void Node::Publish(const std::shared_ptr<const membership::View>& view, Cluster::StatusDone done) {
  Shard& home = *shards_[0];
  struct Count {
    size_t waiting;
    Cluster::StatusDone done;
  };
  // Co-owned by the tasks below; touched on shard 0's thread only.
  auto count = std::make_shared<Count>(Count{shards_.size(), std::move(done)});
  const auto settled = [this, view, count] {
    if (--count->waiting > 0) return;
    count->done({});
    // A later view may have been faster.
    if (shards_[0]->view() != view) return;
    if (refused() || past_->twin().phase() == wire::RunPhase::kAside) return;
    streams_->OnView(view);
    healing_->OnView(view);
  };
  for (auto& shard : shards_) {
    auto adopt = [s = shard.get(), view, &home, settled] {
      s->SetView(view);
      s->WhenSettled([&home, settled] { home.Post(settled); });
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
}

membership::NodeStates Node::States() const {
  constexpr uint64_t kStep = 1 << 20;  // so that it does not change with every write
  membership::NodeStates states;
  if (const membership::Topology* topology = cluster_->Decided()) {
    states.topology_epoch = topology->epoch;
    states.topology_digest = shards_[0]->view() ? shards_[0]->view()->digest : 0;
  }
  states.fence = cluster_->adopted_fence();
  states.draining = draining() || past_->twin().phase() == wire::RunPhase::kAside;
  states.in_doubt = healing_->InDoubt();
  states.run = past_->progress().run();
  past_->progress().OnVotes(cluster_->VotesStored());
  states.progress = past_->progress().told();
  states.twin_address = past_->twin().Where();
  states.peer_address = options_.addresses.peer;
  states.load_bytes = engine_.Stats().disk_bytes / kStep * kStep;
  // Rounded up: what there is shows.
  constexpr uint64_t kHintStep = 4096;
  const auto hint_bytes = static_cast<uint64_t>(std::max<int64_t>(hint_budget_->bytes(), 0));
  states.hint_bytes = (hint_bytes + kHintStep - 1) / kHintStep * kHintStep;
  return states;
}

Watch::Ports Node::WatchPorts() {
  Watch::Ports ports;
  ports.publish_unusable = [this](const std::shared_ptr<const std::set<uint64_t>>& nodes) {
    for (auto& shard : shards_) shard->Post([s = shard.get(), nodes] { s->SetUnusable(nodes); });
    shards_[0]->Post([this] { healing_->OnLiveness(); });
  };
  ports.publish_draining = [this](const std::shared_ptr<const std::set<uint64_t>>& nodes) {
    for (auto& shard : shards_) shard->Post([s = shard.get(), nodes] { s->SetDraining(nodes); });
  };
  ports.publish = [this](std::shared_ptr<const PeersSeen> seen) {
    past_->OnPeersSeen(*seen);
    std::atomic_store(&peers_seen_, std::move(seen));
  };
  ports.claims = [this](const std::vector<membership::GossipClaim>& claims) {
    past_->twin().OnClaims(claims);
  };
  ports.exchange = [this](PeerHandle peer) { cluster_->PushDocument(peer); };
  ports.states = [this] { return States(); };
  return ports;
}

void Node::Dispatch(const base::Uuid& from, uint64_t fence, wire::Body request,
                    Cluster::BodyDone done) {
  if (Healing::Takes(request)) return healing_->Serve(fence, std::move(request), std::move(done));
  if (auto* gossip = std::get_if<wire::Gossip>(&request)) {
    return done(watch_->OnGossip(from, *gossip));
  }
  if (auto* pull = std::get_if<wire::RangePull>(&request)) {
    return streams_->Serve(
        from, std::move(*pull),
        [done = std::move(done)](wire::RangePage p) mutable { done(std::move(p)); });
  }
  cluster_->OnRequest(std::move(request), std::move(done));
}

void Node::OnPeerDown(uint64_t number) {
  if (number == 0) return;
  shards_[0]->Post([this, number] { watch_->OnDown(number); });
}

std::pair<uint64_t, base::Duration> Node::RequestsSoFar() const {
  uint64_t count = 0;
  base::Duration sum{};
  for (const auto& metrics : metrics_) {
    for (const telemetry::Op op : {telemetry::Op::kGet, telemetry::Op::kPut}) {
      count += metrics->request_seconds[op].Count();
      sum += metrics->request_seconds[op].Sum();
    }
  }
  return {count, sum};
}

std::shared_ptr<const PeersSeen> Node::peers_seen() const { return std::atomic_load(&peers_seen_); }

void Node::ApplySettings(const config::Settings& settings) {
  for (auto& shard : shards_) {
    shard->Post([s = shard.get(), settings] { s->ApplySettings(settings); });
  }
  shards_[0]->Post([this, settings] {
    streams_->ApplySettings(settings);
    healing_->ApplySettings(settings);
  });
}

void Node::SetBucket(membership::BucketProperties bucket, Shard& from, Cluster::StatusDone done) {
  shards_[0]->Post([this, &from, bucket = std::move(bucket), done = std::move(done)]() mutable {
    cluster_->SetBucket(std::move(bucket),
                        [&from, done = std::move(done)](base::Status status) mutable {
                          from.Post([done = std::move(done), status = std::move(status)]() mutable {
                            done(std::move(status));
                          });
                        });
  });
}

void Node::Seal(Shard& from, Cluster::StatusDone done) {
  shards_[0]->Post([this, &from, done = std::move(done)]() mutable {
    cluster_->Seal([&from, done = std::move(done)](base::Status status) mutable {
      from.Post([done = std::move(done), status = std::move(status)]() mutable {
        done(std::move(status));
      });
    });
  });
}

void Node::Propose(Changes::Edit edit, Shard& from, Changes::Done done) {
  shards_[0]->Post([this, &from, edit = std::move(edit), done = std::move(done)]() mutable {
    cluster_->Propose(std::move(edit), [&from, done = std::move(done)](
                                           base::Result<membership::Topology> result) mutable {
      from.Post([done = std::move(done), result = std::move(result)]() mutable {
        done(std::move(result));
      });
    });
  });
}

void Node::WatchChanges() {
  shards_[0]->Post([this] { cluster_->WatchChanges(); });
}

std::shared_ptr<const ChangesSeen> Node::changes_seen() const {
  return std::atomic_load(&changes_seen_);
}

std::string Node::WaitingFor() const {
  const auto text = std::atomic_load(&waiting_for_);
  return text ? *text : "starting";
}

void Node::StoreWaitingFor() {
  // StandAside has said why; the cluster's document may still change.
  if (refused() || past_->twin().phase() == wire::RunPhase::kAside) return;
  std::atomic_store(&waiting_for_, std::make_shared<const std::string>(cluster_->WaitingFor()));
}

void Node::NoteWaitingFor() {
  const Shard& home = *shards_[0];
  StoreWaitingFor();
  std::string why = WaitingFor();
  const auto& view = home.view();
  if (why.empty()) why = home.WhyNotServing();
  const bool joining =
      view && view->MemberAt(view->self).state == membership::MemberState::kJoining;
  if (why.empty() && joining) {
    cluster_->WatchChanges();
    const auto seen = changes_seen();
    why = "joining: " + (seen && !seen->waiting_for.empty() ? seen->waiting_for : "data moves");
  }
  if (why.empty() && view) return;
  const base::Instant now = home.env().clock.Now();
  if (!said_waiting_ || now - *said_waiting_ >= kSayWaiting) {
    said_waiting_ = now;
    log_.Log(telemetry::LogLevel::kInfo, "cluster", "waiting: {}", why);
  }
  home.env().timers.After(base::Millis(50), [this] { NoteWaitingFor(); });
}

std::string Node::MetricsText() const {
  std::vector<const telemetry::Metrics*> shards;
  for (const auto& metrics : metrics_) shards.push_back(metrics.get());
  const storage::EngineStats s = engine_.Stats();
  const auto number = [](uint64_t n) { return static_cast<double>(n); };
  using telemetry::Figure;
  using telemetry::SampleOf;
  std::vector<telemetry::Sample> extra = {
      SampleOf(Figure::kDiskBytes, number(s.disk_bytes)),
      SampleOf(Figure::kEngineMemoryBytes, number(s.memory_bytes)),
      SampleOf(Figure::kKeysEstimate, number(s.keys_estimate)),
      SampleOf(Figure::kSyncs, number(s.syncs)),
      SampleOf(Figure::kSyncSeconds, number(s.sync_nanoseconds) / 1e9),
      SampleOf(Figure::kWritesStalled, number(s.writes_stalled)),
      SampleOf(Figure::kEngineDiskReads, number(s.reads_from_disk)),
      SampleOf(Figure::kEngineReadErrors, number(s.read_errors)),
      SampleOf(Figure::kBlockCacheHits, number(s.block_cache_hits)),
      SampleOf(Figure::kBlockCacheMisses, number(s.block_cache_misses)),
      SampleOf(Figure::kCompactionPendingBytes, number(s.compaction_bytes_pending)),
      SampleOf(Figure::kCompactionBytes, number(s.compaction_bytes)),
      SampleOf(Figure::kLogTruncated, s.log_truncated ? 1.0 : 0.0),
      SampleOf(Figure::kStoreDamaged, engine_.damaged() ? 1.0 : 0.0),
      SampleOf(Figure::kStoreSalvaged, s.salvaged ? 1.0 : 0.0),
      SampleOf(Figure::kQuarantineBytes, number(s.quarantine_bytes)),
      SampleOf(Figure::kDiskFreeBytes, number(s.disk_free_bytes)),
      SampleOf(Figure::kDiskReserveBytes, number(s.disk_reserve_bytes)),
      SampleOf(Figure::kDiskDeleteReserveBytes, number(s.disk_delete_reserve_bytes)),
      SampleOf(Figure::kStorageHealth, static_cast<double>(engine_.health())),
  };
  if (const auto seen = peers_seen()) {
    extra.push_back(
        SampleOf(Figure::kClockOffset, static_cast<double>(seen->clock_offset_ms) / 1000));
    for (const auto& [member_number, peer] : seen->peers) {
      if (peer.name.empty()) continue;
      extra.push_back(SampleOf(Figure::kPhi, peer.status.phi, peer.name));
    }
  }
  return telemetry::RenderPrometheus(shards, extra);
}

}  // namespace lariat::node
