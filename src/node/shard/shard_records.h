// SPDX-License-Identifier: Apache-2.0
// Requests about this node's own records. A key's read-merge-write happens on the shard that owns
// its token; requests for another shard's tokens are handed over to its executor, all of a turn as
// one task when the turn ends, and their answers come back the same way.
//
// Everything on the thread of the shard that it belongs to; callbacks come on it.
#pragma once

#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "config/settings.h"
#include "coordinator/ports.h"
#include "env/env.h"
#include "healing/shards.h"
#include "node/shard/shard_clock.h"
#include "node/shard/shard_host.h"
#include "peers/peers.h"
#include "replica/dirty_marks.h"
#include "replica/replica.h"
#include "telemetry/metrics.h"

namespace lariat::node {

class ShardRecords;

// The records of all shards of a node, by shard index. Complete before any of them runs.
struct AllRecords {
  uint32_t count = 0;  // from the beginning
  std::vector<ShardRecords*> shards;
};

class ShardRecords {
 public:
  using ReadDone = coordinator::ReplicaPort::ReadDone;
  using WriteDone = coordinator::ReplicaPort::WriteDone;
  using ScanDone = coordinator::ReplicaPort::ScanDone;
  using UpdateDone = coordinator::ReplicaPort::UpdateDone;
  using DurableDone = coordinator::ReplicaPort::DurableDone;
  // All outlive this.
  struct World {
    const env::Env& env;
    const config::Settings& settings;  // as they are at each time
    const peers::Peers& peers;
    ShardClock& clock;
    replica::Replica& replica;
    telemetry::Metrics& metrics;
    ShardHost& host;
  };
  ShardRecords(uint32_t shard, const AllRecords& all, const World& world);

  // They are refused with kStaleEpoch if the shard that owns the token works by another fence.
  void Read(wire::ReadRequest&& request, uint64_t fence, ReadDone&& done);
  // Of the node's records, whichever shard owns them; for a page of a list. The fence holds from
  // the request to the answer, so that nothing was removed meanwhile because of another topology.
  void Scan(wire::ScanRequest&& request, uint64_t fence, ScanDone done);
  // For comparisons: also while reads are refused.
  void ReadInDoubt(uint64_t fence, replica::KeyRef key, ReadDone done);
  void Write(wire::WriteRequest&& request, uint64_t fence, WriteDone&& done);
  void Update(coordinator::UpdateRequest&& request, UpdateDone&& updated, DurableDone&& durable);
  // Joins a record that another node gave, on the shard that owns its token; ok when it is durable.
  void Ingest(replica::KeyRef key, std::string object, ShardHost::StatusDone done,
              healing::IngestWhy why);
  // As coordinator::ReplicaPort.
  void Owe(const membership::View& view, ring::NodeIndex node, coordinator::OwedKey key);
  // Called with a key of a serial bucket of which a peer's state was refused, because this replica
  // has promised more: a round has to settle it, since no copy can.
  struct SerialKey {
    std::string bucket, key;
  };
  void SetSettle(std::function<void(SerialKey)> settle) { settle_ = std::move(settle); }
  // Every few milliseconds: the ranges for which hints could not be kept, to be compared.
  void TellDirty();

  // kStaleEpoch if this shard works by another fence.
  base::Status CheckFence(uint64_t fence) const;

 private:
  // Wraps a callback so that it runs on this shard, whichever calls it.
  template <typename Done>
  auto BackHere(Done done);
  // Runs `use` on the shard that owns the token.
  template <typename Use>
  void OnOwner(uint64_t token, Use use);
  void HandOver(uint32_t to, env::Task task);
  void SendHandedOver(uint32_t to);
  base::Status CheckHintFor(uint64_t member) const;
  // Whether the bucket was deleted; what came for it is counted.
  bool Dropped(storage::BucketId bucket) const;
  // On the shard that owns the token.
  void ReadHere(wire::ReadRequest&& request, uint64_t fence, ReadDone&& done);
  void WriteHere(wire::WriteRequest&& request, uint64_t fence, WriteDone&& done);
  void UpdateHere(coordinator::UpdateRequest&& request, UpdateDone&& updated,
                  DurableDone&& durable);
  void MakeEvent(coordinator::UpdateRequest&& request, UpdateDone&& updated, DurableDone&& durable);
  bool Owns(uint64_t token) const { return ring::ShardOf({token}, all_.count) == shard_; }

  const uint32_t shard_;
  const AllRecords& all_;
  World world_;
  size_t scans_ = 0;  // under way
  std::function<void(SerialKey)> settle_;
  std::set<replica::DirtyMark> dirty_;               // to be marked: hints could not be kept
  std::vector<std::vector<env::Task>> handed_over_;  // by shard: in this turn
};

}  // namespace lariat::node
