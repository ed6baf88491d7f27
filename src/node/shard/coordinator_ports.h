// SPDX-License-Identifier: Apache-2.0
// What a shard's coordinator asks of its node: replicas by messages to their nodes, this node's own
// by shard_records.h, and the cluster through the host. The shard's thread.
#pragma once

#include <map>
#include <memory>

#include "coordinator/ports.h"
#include "node/shard/shard_host.h"
#include "node/shard/shard_records.h"
#include "peers/peers.h"

namespace lariat::node {

class CoordinatorPorts final : public coordinator::ReplicaPort, public coordinator::ClusterPort {
 public:
  // All outlive this.
  struct World {
    const env::Clock& clock;
    const peers::JudgedClock& judged;
    peers::Peers& peers;
    ShardRecords& records;
    storage::CompletionQueue& queue;
    ShardHost& host;
  };
  CoordinatorPorts(uint32_t shard, const World& world) : shard_(shard), world_(world) {}

  // coordinator::ReplicaPort
  void Read(const coordinator::Destination& to, wire::ReadRequest&& request,
            ReadDone done) override;
  void Write(const coordinator::Destination& to, wire::WriteRequest&& request,
             WriteDone done) override;
  void Scan(const coordinator::Destination& to, wire::ScanRequest&& request,
            ScanDone done) override;
  void Forward(const coordinator::Destination& to, wire::ForwardedWrite request,
               ForwardDone done) override;
  void Update(coordinator::UpdateRequest&& request, UpdateDone updated,
              DurableDone durable) override;
  void Owe(const membership::View& view, ring::NodeIndex node, coordinator::OwedKey key) override;
  bool IsAlive(const membership::View& view, ring::NodeIndex node) const override;
  bool IsPreferred(const membership::View& view, ring::NodeIndex node) const override;

  // coordinator::ClusterPort
  void SetBucket(membership::BucketProperties bucket, ShardHost::StatusDone done) override;
  void Seal(ShardHost::StatusDone done) override;
  void Reconcile(std::shared_ptr<const membership::View> view, ring::NodeIndex node) override;
  base::Status CheckClock() const override { return world_.judged.CheckNow(); }

 private:
  template <typename Reply, typename Request, typename Done>
  void Ask(const coordinator::Destination& to, Request&& request, Done&& done);

  const uint32_t shard_;
  World world_;
  // When documents were last exchanged because of a stale request, by member number.
  std::map<uint64_t, base::Instant> reconciled_;
};

}  // namespace lariat::node
