// SPDX-License-Identifier: Apache-2.0
#include "node/node.h"

#include <utility>

#include "base/check.h"
#include "base/coding.h"
#include "node/admin.h"

namespace lariat::node {

std::string ClockKey(uint32_t shard) { return "clock/" + std::to_string(shard); }

namespace {

constexpr uint32_t kShardsMax = 1024;

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
  formation.vnodes = static_cast<uint32_t>(s.node_vnodes);
  formation.default_n = static_cast<uint32_t>(s.cluster_default_n);
  formation.default_durability =
      membership::ParseDurability(s.storage_durability).value_or(membership::Durability::kSync);
  return formation;
}

}  // namespace

Node::Node(NodeOptions options, std::vector<Shard::World> worlds, storage::Engine& engine,
           telemetry::LogSink& log)
    : options_(std::move(options)), engine_(engine) {
  LARIAT_CHECK(!worlds.empty(), "a node has at least one shard");
  LARIAT_CHECK(worlds.size() <= kShardsMax, "too many shards");
  const causal::HlcStamp floor = ClockFloor(engine);
  for (uint32_t i = 0; i < worlds.size(); ++i) {
    metrics_.push_back(std::make_unique<telemetry::Metrics>());
    shards_.push_back(std::make_unique<Shard>(*this, i, worlds[i], options_.settings, engine,
                                              *metrics_[i], log, floor));
    admins_.push_back(std::make_unique<NodeAdmin>(*this, *shards_[i]));
  }
  cluster_ = std::make_unique<Cluster>(
      *shards_[0], FormationOptions(options_), options_.stored, engine, log,
      [this](std::shared_ptr<const membership::View> view) { Publish(view); });
}

Node::~Node() = default;

void Node::Start() {
  for (auto& shard : shards_) shard->Post([s = shard.get()] { s->Start(); });
  shards_[0]->Post([this] {
    cluster_->Start();
    NoteWaitingFor();
  });
}

coordinator::AdminService& Node::admin(uint32_t shard_index) { return *admins_[shard_index]; }

void Node::Publish(const std::shared_ptr<const membership::View>& view) {
  shards_[0]->SetView(view);
  for (size_t i = 1; i < shards_.size(); ++i) {
    shards_[i]->Post([s = shards_[i].get(), view] { s->SetView(view); });
  }
}

void Node::ApplySettings(const config::Settings& settings) {
  for (auto& shard : shards_) {
    shard->Post([s = shard.get(), settings] { s->ApplySettings(settings); });
  }
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

std::string Node::WaitingFor() const {
  const auto text = std::atomic_load(&waiting_for_);
  return text ? *text : "starting";
}

void Node::NoteWaitingFor() {
  std::atomic_store(&waiting_for_, std::make_shared<const std::string>(cluster_->WaitingFor()));
  if (shards_[0]->view()) return;
  shards_[0]->env().timers.After(base::Millis(50), [this] { NoteWaitingFor(); });
}

std::string Node::MetricsText() const {
  std::vector<const telemetry::Metrics*> shards;
  for (const auto& metrics : metrics_) shards.push_back(metrics.get());
  const storage::EngineStats s = engine_.Stats();
  const auto number = [](uint64_t n) { return static_cast<double>(n); };
  const std::vector<telemetry::Sample> extra = {
      {"lariat_disk_bytes", "gauge", "Bytes of stored files.", number(s.disk_bytes)},
      {"lariat_engine_memory_bytes", "gauge", "Memory of block cache, memtables and table readers.",
       number(s.memory_bytes)},
      {"lariat_keys_estimate", "gauge", "Estimate of the records stored.", number(s.keys_estimate)},
      {"lariat_syncs_total", "counter", "Syncs of the write-ahead log.", number(s.syncs)},
      {"lariat_sync_seconds_total", "counter", "Time spent in those syncs.",
       number(s.sync_nanoseconds) / 1e9},
      {"lariat_writes_stalled_total", "counter", "Batches that the engine asked to wait with.",
       number(s.writes_stalled)},
      {"lariat_engine_disk_reads_total", "counter", "Reads that went to the I/O threads.",
       number(s.reads_from_disk)},
      {"lariat_engine_read_errors_total", "counter", "Reads that failed.", number(s.read_errors)},
      {"lariat_block_cache_hits_total", "counter", "Blocks found in the cache.",
       number(s.block_cache_hits)},
      {"lariat_block_cache_misses_total", "counter", "Blocks not found in the cache.",
       number(s.block_cache_misses)},
      {"lariat_compaction_pending_bytes", "gauge",
       "Estimate of bytes that compaction has to write.", number(s.compaction_bytes_pending)},
      {"lariat_log_truncated", "gauge",
       "1 if this start's recovery cut the write-ahead log at a damaged record.",
       s.log_truncated ? 1.0 : 0.0},
      {"lariat_storage_health", "gauge", "0 ok, 1 disk full (writes are refused), 2 dead.",
       static_cast<double>(engine_.health())},
  };
  return telemetry::RenderPrometheus(shards, extra);
}

}  // namespace lariat::node
