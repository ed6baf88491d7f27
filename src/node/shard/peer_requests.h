// SPDX-License-Identifier: Apache-2.0
// Requests that other nodes send to a shard: who may ask, and who answers. The shard's thread.
#pragma once

#include <cstdint>
#include <deque>
#include <set>
#include <string>
#include <utility>

#include "coordinator/coordinator.h"
#include "node/shard/shard_clock.h"
#include "node/shard/shard_host.h"
#include "node/shard/shard_records.h"
#include "peers/peers.h"
#include "peers/transport.h"

namespace lariat::node {

class PeerRequests {
 public:
  // All outlive this.
  struct World {
    peers::PeerTransport& transport;
    const peers::Peers& peers;
    const ShardClock& clock;
    ShardRecords& records;
    coordinator::Coordinator& coordinator;
    storage::CompletionQueue& queue;
    telemetry::Metrics& metrics;
    ShardHost& host;
  };
  PeerRequests(uint32_t shard, const World& world) : shard_(shard), world_(world) {}

  void OnRequest(const base::Uuid& from, peers::LinkId link, wire::Envelope&& request);
  // Requests about keys are refused from now on: the node is out of the cluster, or, though it is
  // still a member, for that reason.
  void Expel() { expelled_ = true; }
  void StandAside(std::string why) { aside_ = std::move(why); }
  bool serves() const { return !expelled_ && aside_.empty(); }

 private:
  base::Status CheckSender(const base::Uuid& from, const wire::Envelope& request) const;
  template <typename Reply>
  void Answer(peers::LinkId link, uint64_t id, Reply&& reply);
  bool FirstForward(const base::Uuid& from, uint64_t id);
  void ServeCluster(const base::Uuid& from, peers::LinkId link, wire::Envelope&& request);

  const uint32_t shard_;
  World world_;
  // Forwarded writes seen lately: a repeated message must not make a second event.
  std::set<std::pair<uint64_t, uint64_t>> forwards_;
  std::deque<std::pair<uint64_t, uint64_t>> forwards_order_;
  bool expelled_ = false;
  std::string aside_;  // why; empty: it serves
};

}  // namespace lariat::node
