// SPDX-License-Identifier: Apache-2.0
// The parts of a node that live on its shard 0, one of each: its past, its streams, its healing,
// its gossip and its part in the cluster. They do not know each other: what one needs of another
// goes through their ports, which are filled in here, and what shards need of them through
// ShardHost.
//
// On shard 0's thread, except where said.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "healing/healing.h"
#include "healing/streams.h"
#include "membership/gossip_core.h"
#include "node/hot_keys.h"
#include "node/local_shards.h"
#include "node/notices.h"
#include "node/options.h"
#include "node/past/past.h"
#include "node/shard/shard.h"
#include "node/shard/shard_host.h"
#include "peers/judged_clock.h"
#include "peers/watch.h"
#include "topology/cluster.h"

namespace lariat::node {

class HomeParts final : public ShardHost {
 public:
  // All outlive this.
  struct World {
    NodeOptions& options;  // what was stored is taken out of it
    const std::vector<std::unique_ptr<Shard>>& shards;
    const std::vector<std::unique_ptr<telemetry::Metrics>>& metrics;
    peers::PeerTime& peer_time;
    storage::Engine& engine;
    replica::HintBudget& hints;
    Notices& notices;
    telemetry::LogSink& log;
  };
  explicit HomeParts(const World& world);
  ~HomeParts() override;
  // When all shards are built, and before any of them runs. Blocks.
  void Build();
  void Start();
  void ApplySettings(const config::Settings& settings);

  topology::Cluster& cluster() const { return *cluster_; }
  healing::Healing& healing() const { return *healing_; }
  ClusterHotKeys& hot_keys() { return hot_keys_; }

  // ShardHost
  void OnClusterRequest(ClusterRequest request,
                        base::UniqueFunction<void(wire::Body)> done) override;
  void SetBucket(membership::BucketProperties bucket, storage::CompletionQueue& back,
                 StatusDone done) override;
  void Seal(storage::CompletionQueue& back, StatusDone done) override;
  void ExchangeDocuments(uint64_t number, uint32_t from_shard) override;
  void MarkDirty(std::vector<replica::DirtyMark> marks) override;
  void OnPeerUp(uint64_t number, uint32_t from_shard) override;
  void OnPeerDown(uint64_t number) override;
  Past& past() override { return *past_; }

 private:
  topology::Cluster::Ports ClusterPorts();
  peers::Watch::Ports WatchPorts();
  Past::Ports PastPorts();
  healing::Healing::Ports HealingPorts();
  void StandAside(const std::string& why);
  membership::NodeStates States() const;
  void Dispatch(ClusterRequest request, base::UniqueFunction<void(wire::Body)> done);
  void Publish(const std::shared_ptr<const membership::View>& view, StatusDone done);
  void StoreWaitingFor();
  // Says what the node waits for, and from whom, until it is a full member that serves.
  void NoteWaitingFor();

  World world_;
  LocalShards local_;
  ClusterHotKeys hot_keys_;
  std::unique_ptr<Past> past_;
  std::unique_ptr<healing::Streams> streams_;
  std::unique_ptr<healing::Healing> healing_;
  std::unique_ptr<peers::Watch> watch_;
  std::unique_ptr<topology::Cluster> cluster_;
  std::optional<base::Instant> said_waiting_;
};

}  // namespace lariat::node
