// SPDX-License-Identifier: Apache-2.0
// What a shard says of its node when it meets another one, and what it thinks of who calls: nodes
// of one cluster talk, whose data directories are what they say (past/). The shard's thread.
#pragma once

#include <cstdint>

#include "base/uuid.h"
#include "node/shard/shard_host.h"
#include "peers/peers.h"
#include "telemetry/metrics.h"

namespace lariat::node {

class Handshake {
 public:
  // `stored_cluster`: of an earlier run; nil: none.
  Handshake(uint32_t shard, base::Uuid stored_cluster, peers::Peers& peers,
            telemetry::Metrics& metrics, ShardHost& host)
      : shard_(shard),
        stored_cluster_(stored_cluster),
        peers_(peers),
        metrics_(metrics),
        host_(host) {}

  // As in peers::PeerEvents.
  wire::Hello MakeHello() const;
  wire::HelloReply OnHello(const wire::Hello& hello);
  base::Status OnHelloReply(peers::PeerHandle peer, const wire::HelloReply& reply);
  void OnRefused(peers::PeerHandle peer, const wire::HelloReply& answer);

 private:
  base::Uuid ClusterId() const;

  const uint32_t shard_;
  const base::Uuid stored_cluster_;
  peers::Peers& peers_;
  telemetry::Metrics& metrics_;
  ShardHost& host_;
};

}  // namespace lariat::node
