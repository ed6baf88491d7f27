// SPDX-License-Identifier: Apache-2.0
#include "node/shard/shard.h"

#include <utility>

namespace lariat::node {

namespace {

constexpr base::Duration kTick = base::Millis(5);

replica::RecordLimits RecordLimitsOf(const config::Settings& settings) {
  return {static_cast<size_t>(settings.limits_object_bytes),
          static_cast<size_t>(settings.limits_siblings_warn)};
}

uint64_t TreeRateOf(uint32_t shards, const config::Settings& settings) {
  return static_cast<uint64_t>(settings.repair_max_bytes_per_s) / shards;
}

replica::ReplicaOptions ReplicaOptionsOf(const Shard::Options& shard, uint32_t shards,
                                         const config::Settings& settings,
                                         const storage::Engine& engine, env::Entropy& entropy) {
  replica::ReplicaOptions options;
  options.node = shard.self.id.high;
  options.incarnation = entropy.Next() | 1;
  options.draw_incarnation = [&entropy] { return entropy.Next() | 1; };
  options.queue_max = static_cast<size_t>(settings.limits_replica_queue);
  options.tree = {settings.repair_keep_tree, shard.index, shards, engine.Stats().log_truncated};
  options.tree_bytes_per_s = TreeRateOf(shards, settings);
  options.hints = shard.hints;
  return options;
}

peers::Peers::Ports PeersPorts(uint32_t shard, ShardHost& host) {
  return {[shard, &host](uint64_t number) { host.OnPeerUp(number, shard); },
          [&host](uint64_t number) { host.OnPeerDown(number); }};
}

}  // namespace

Shard::Shard(Options options, World world, const NodeParts& node, const config::Settings& settings,
             telemetry::Metrics& metrics)
    : options_(std::move(options)),
      world_(world),
      settings_(settings),
      shards_(node.records.count),
      metrics_(metrics),
      prng_(world.env.entropy.Next()),
      clock_(options_.index, {node.clock, settings_, node.engine, *this, metrics, node.log},
             options_.clock_floor),
      replica_(ReplicaOptionsOf(options_, shards_, settings, node.engine, world_.env.entropy),
               node.engine, *this, clock_.hybrid(), metrics, node.log),
      peers_(options_.self, {world_.env.clock, world_.transport, node.engine, metrics},
             world.env.entropy.Next(), PeersPorts(options_.index, node.host)),
      home_({world_.env, settings_, peers_, *this, metrics, node.log}),
      records_(options_.index, node.records,
               {world_.env, settings_, peers_, clock_, replica_, metrics, node.host}),
      ports_(options_.index, {world_.env.clock, node.clock, peers_, records_, *this, node.host}),
      coordinator_(world_.env, settings, ports_, ports_, metrics),
      handshake_(options_.index, options_.stored_cluster, peers_, metrics, node.host),
      requests_(options_.index, {world_.transport, peers_, clock_, records_, coordinator_, *this,
                                 metrics, node.host}) {
  records_.SetSettle(
      [this](const ShardRecords::SerialKey& key) { coordinator_.Settle(key.bucket, key.key); });
}

void Shard::Start() {
  replica_.SetRecordLimits(RecordLimitsOf(settings_));
  const auto [first, last] = ring::SliceOf(options_.index, shards_);
  replica_.RecountHints(first, last);
  Tick();
}

void Shard::ApplySettings(const config::Settings& settings) {
  settings_ = settings;
  coordinator_.ApplySettings(settings);
  replica_.SetTreeRate(TreeRateOf(shards_, settings));
  replica_.SetRecordLimits(RecordLimitsOf(settings));
}

void Shard::Tick() {
  const base::Instant now = world_.env.clock.Now();
  peers_.calls().Expire(now);
  clock_.Mind();
  coordinator_.Tick(now);
  replica_.Tick(now);
  records_.TellDirty();
  world_.env.timers.After(kTick, [this] { Tick(); });
}

// --- what is served ----------------------------------------------------------------------------

void Shard::SetView(std::shared_ptr<const membership::View> view) {
  peers_.SetView(std::move(view));
  service_.Look(peers_);
  // An adoption may end after the node was put out of the cluster.
  coordinator_.SetView(requests_.serves() ? peers_.view() : nullptr);
}

void Shard::SetUnusable(std::shared_ptr<const std::set<uint64_t>> nodes) {
  peers_.SetUnusable(std::move(nodes));
  service_.Look(peers_);
}

void Shard::Expel() {
  requests_.Expel();
  coordinator_.SetView(nullptr);
}

void Shard::StandAside(std::string why) {
  requests_.StandAside(std::move(why));
  coordinator_.SetView(nullptr);
}

// --- peers -------------------------------------------------------------------------------------

void Shard::OnPeerUp(peers::PeerHandle peer, const base::Uuid& node) {
  if (peers_.OnUp(peer, node)) service_.Look(peers_);
}

void Shard::OnReply(peers::PeerHandle, wire::Envelope&& reply) {
  metrics_.peer_messages_received.Add();
  if (const auto* refused = std::get_if<wire::Refused>(&reply.body)) {
    return peers_.calls().Refuse(reply.id, refused->outcome.ToError());
  }
  peers_.calls().Resolve(reply.id, std::move(reply.body));
}

}  // namespace lariat::node
