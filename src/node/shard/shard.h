// SPDX-License-Identifier: Apache-2.0
// One shard of a node, which is one event loop: wires its replica, its coordinator, its peers and
// its clock together, and hands on what happens. What they do for each other stands beside it:
// shard_records.h, peer_requests.h, coordinator_ports.h, handshake.h, shard_clock.h.
//
// Threads: everything on the shard's thread, except where a method says otherwise.
#pragma once

#include <memory>
#include <set>
#include <string>

#include "base/prng.h"
#include "config/settings.h"
#include "coordinator/coordinator.h"
#include "env/env.h"
#include "healing/shards.h"
#include "membership/topology.h"
#include "node/shard/coordinator_ports.h"
#include "node/shard/handshake.h"
#include "node/shard/peer_requests.h"
#include "node/shard/shard_clock.h"
#include "node/shard/shard_host.h"
#include "node/shard/shard_records.h"
#include "peers/home.h"
#include "peers/peers.h"
#include "peers/service.h"
#include "peers/transport.h"
#include "replica/replica.h"
#include "telemetry/log.h"

namespace lariat::node {

class Shard final : public peers::PeerEvents, public healing::LocalShard {
 public:
  // The clock is that of ShardOptions.
  struct World {
    env::Env env;
    peers::PeerTransport& transport;
  };
  struct Options {
    uint32_t index = 0;
    peers::Self self;
    base::Uuid stored_cluster;                   // of an earlier run; nil: none
    std::shared_ptr<replica::HintBudget> hints;  // co-owned by the shards' replicas and the node
    causal::HlcStamp clock_floor;                // from ClockFloor
  };
  // All outlive this. `clock` is that of the world.
  struct NodeParts {
    ShardHost& host;
    const AllRecords& records;  // this one's are to be added
    const peers::JudgedClock& clock;
    storage::Engine& engine;
    telemetry::LogSink& log;
  };
  Shard(Options options, World world, const NodeParts& node, const config::Settings& settings,
        telemetry::Metrics& metrics);

  // Starts timers. Afterwards views may come.
  void Start();
  void SetView(std::shared_ptr<const membership::View> view);
  // The node is out of the cluster: nothing is served any more.
  void Expel();
  // Nothing is served any more, for that reason, though the node is still a member.
  void StandAside(std::string why);
  void SetUnusable(std::shared_ptr<const std::set<uint64_t>> nodes);
  void ApplySettings(const config::Settings& settings);

  uint32_t index() const { return options_.index; }
  coordinator::Coordinator& coordinator() { return coordinator_; }
  CoordinatorPorts& ports() { return ports_; }
  ShardRecords& records() { return records_; }
  peers::Peers& peers() { return peers_; }
  const peers::Peers& peers() const { return peers_; }
  peers::Home& home() { return home_; }
  const peers::JudgedClock& clock() const { return clock_.judged(); }
  telemetry::Metrics& metrics() { return metrics_; }
  // Work whose loss somebody would notice: requests of clients and of coordinators. For draining.
  size_t Busy() const { return coordinator_.InFlight() + replica_.Waiting(); }
  // As peers::Service.
  std::string WhyNotServing() const { return service_.WhyNot(peers_); }

  // healing::LocalShard
  void Post(base::UniqueFunction<void()> task) override {
    world_.env.executor.Post(std::move(task));
  }
  replica::Replica& replica() override { return replica_; }
  const std::shared_ptr<const membership::View>& view() const override { return peers_.view(); }

  // peers::PeerEvents
  wire::Hello MakeHello() const override { return handshake_.MakeHello(); }
  wire::HelloReply OnHello(const wire::Hello& hello) override { return handshake_.OnHello(hello); }
  base::Status OnHelloReply(peers::PeerHandle peer, const wire::HelloReply& reply) override {
    return handshake_.OnHelloReply(peer, reply);
  }
  void OnPeerUp(peers::PeerHandle peer, const base::Uuid& node) override;
  void OnPeerDown(peers::PeerHandle peer, const base::Error& why) override {
    peers_.OnDown(peer, why);
  }
  void OnRefused(peers::PeerHandle peer, const wire::HelloReply& answer) override {
    handshake_.OnRefused(peer, answer);
  }
  void OnRequest(const base::Uuid& from, peers::LinkId link, wire::Envelope&& request) override {
    requests_.OnRequest(from, link, std::move(request));
  }
  void OnReply(peers::PeerHandle peer, wire::Envelope&& reply) override;

 private:
  void Tick();

  const Options options_;
  World world_;
  config::Settings settings_;
  const uint32_t shards_;
  telemetry::Metrics& metrics_;
  base::Prng prng_;
  ShardClock clock_;
  replica::Replica replica_;
  peers::Peers peers_;
  peers::Home home_;
  peers::Service service_;
  ShardRecords records_;
  CoordinatorPorts ports_;
  coordinator::Coordinator coordinator_;
  Handshake handshake_;
  PeerRequests requests_;
};

}  // namespace lariat::node
