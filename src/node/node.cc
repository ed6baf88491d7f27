// SPDX-License-Identifier: Apache-2.0
#include "node/node.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "node/admin.h"

namespace lariat::node {

Node::Node(NodeOptions options, std::vector<Shard::World> worlds, storage::Engine& engine,
           telemetry::LogSink& log)
    : options_(std::move(options)),
      engine_(engine),
      hint_budget_(std::make_shared<replica::HintBudget>()),
      peer_time_(options_.settings.limits_clock_drift_ms),
      parts_({options_, shards_, metrics_, peer_time_, engine, *hint_budget_, notices_, log}) {
  LARIAT_CHECK(!worlds.empty(), "a node has at least one shard");
  LARIAT_CHECK(worlds.size() <= kShardsMax, "too many shards");
  records_.count = static_cast<uint32_t>(worlds.size());
  Shard::Options shard;
  shard.self = {options_.identity.id, options_.identity.name, options_.addresses.peer};
  if (options_.stored.topology) shard.stored_cluster = options_.stored.topology->cluster;
  shard.hints = hint_budget_;
  shard.clock_floor = ClockFloor(engine);
  for (uint32_t i = 0; i < worlds.size(); ++i) {
    // From here on nobody sees the clock but as it is judged.
    const env::Env& env = worlds[i].env;
    clocks_.push_back(std::make_unique<peers::JudgedClock>(env.clock, peer_time_));
    const Shard::World world{{*clocks_[i], env.entropy, env.executor, env.timers},
                             worlds[i].transport};
    metrics_.push_back(std::make_unique<telemetry::Metrics>());
    shard.index = i;
    const Shard::NodeParts parts{parts_, records_, *clocks_[i], engine, log};
    shards_.push_back(
        std::make_unique<Shard>(shard, world, parts, options_.settings, *metrics_[i]));
    records_.shards.push_back(&shards_[i]->records());
    admins_.push_back(std::make_unique<NodeAdmin>(*this, *shards_[i]));
  }
  parts_.Build();
  if (access::ParseMode(options_.settings.security_auth) == access::Mode::kOff) return;
  env::Workers& workers = options_.workers != nullptr ? *options_.workers : no_workers_;
  guards_ = std::make_unique<Guards>(
      Guards::World{options_.settings, options_.identity.name, std::move(options_.first_password),
                    shards_, admins_, [this]() -> topology::Cluster& { return parts_.cluster(); },
                    workers, options_.audit, log});
}

Node::~Node() = default;

void Node::Start() {
  for (auto& shard : shards_) shard->Post([s = shard.get()] { s->Start(); });
  PostHome([this] {
    parts_.Start();
    if (guards_) guards_->Start();
  });
}

coordinator::KvService& Node::kv(uint32_t shard_index) {
  return guards_ ? guards_->kv(shard_index) : shards_[shard_index]->coordinator();
}

coordinator::AdminService& Node::admin(uint32_t shard_index) {
  return guards_ ? guards_->admin(shard_index) : *admins_[shard_index];
}

access::AccessService& Node::access(uint32_t shard_index) {
  return guards_ ? guards_->access(shard_index) : access::NoAccess();
}

void Node::ApplySettings(const config::Settings& settings) {
  for (auto& shard : shards_) {
    shard->Post([s = shard.get(), settings] { s->ApplySettings(settings); });
  }
  PostHome([this, settings] { parts_.ApplySettings(settings); });
}

void Node::Propose(topology::Changes::Edit edit, storage::CompletionQueue& back,
                   topology::Changes::Done done) {
  PostHome([this, &back, edit = std::move(edit), done = std::move(done)]() mutable {
    parts_.cluster().Propose(
        std::move(edit),
        [&back, done = std::move(done)](base::Result<membership::Topology> result) mutable {
          back.Post([done = std::move(done), result = std::move(result)]() mutable {
            done(std::move(result));
          });
        });
  });
}

void Node::WatchChanges() {
  PostHome([this] { parts_.cluster().WatchChanges(); });
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
      SampleOf(Figure::kTableBytes, number(s.table_bytes)),
      SampleOf(Figure::kTableUnflushedBytes, number(s.table_unflushed_bytes)),
      SampleOf(Figure::kTableEvicted, number(s.table_evicted)),
      SampleOf(Figure::kTableHits, number(s.table_hits)),
      SampleOf(Figure::kTableMisses, number(s.table_misses)),
      SampleOf(Figure::kLogSlots, number(s.log_slots)),
      SampleOf(Figure::kLogLiveSlots, number(s.log_live_slots)),
      SampleOf(Figure::kLogDurable, number(s.log_durable)),
      SampleOf(Figure::kLogBytes, number(s.log_bytes)),
      SampleOf(Figure::kFlushes, number(s.flushes)),
      SampleOf(Figure::kFlushBytes, number(s.flush_bytes)),
      SampleOf(Figure::kFlushSeconds, number(s.flush_nanoseconds) / 1e9),
      SampleOf(Figure::kLogTruncated, s.log_truncated ? 1.0 : 0.0),
      SampleOf(Figure::kStoreDamaged, engine_.damaged() ? 1.0 : 0.0),
      SampleOf(Figure::kStoreSalvaged, s.salvaged ? 1.0 : 0.0),
      SampleOf(Figure::kQuarantineBytes, number(s.quarantine_bytes)),
      SampleOf(Figure::kDiskFreeBytes, number(s.disk_free_bytes)),
      SampleOf(Figure::kDiskReserveBytes, number(s.disk_reserve_bytes)),
      SampleOf(Figure::kDiskDeleteReserveBytes, number(s.disk_delete_reserve_bytes)),
      SampleOf(Figure::kStorageHealth, static_cast<double>(engine_.health())),
  };
  if (const auto seen = notices_.peers_seen()) {
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
