// SPDX-License-Identifier: Apache-2.0
// The node's part in the cluster: forming it, keeping the topology document, bucket definitions.
// The shell of membership::FormationCore. Lives on shard 0 and is called on its thread only.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "membership/formation_core.h"
#include "node/shard.h"

namespace lariat::node {

class Cluster {
 public:
  // `publish`: gives a new view to all shards.
  using Publish = std::function<void(std::shared_ptr<const membership::View>)>;
  Cluster(Shard& home, membership::FormationCore::Options options,
          std::optional<membership::Topology> stored, storage::Engine& engine,
          telemetry::LogSink& log, Publish publish);

  void Start();
  using BodyDone = base::UniqueFunction<void(wire::Body)>;
  using StatusDone = base::UniqueFunction<void(base::Status)>;
  void OnRequest(wire::Body request, BodyDone done);
  // Done when a majority of the members has stored it.
  void SetBucket(membership::BucketProperties bucket, StatusDone done);
  void Seal(StatusDone done);
  void PushDocument(PeerHandle peer);

  // Empty once the cluster is formed and this node is in it.
  std::string WaitingFor() const;

 private:
  void AskToJoin();
  void OnJoinReply(const base::Result<wire::Body>& reply);
  void TryFound();
  // Stores the document, publishes the view, then calls done.
  void Adopt(StatusDone done);
  void AdoptLater(StatusDone done, const base::Error& error);
  void Spread();
  void OnJoin(const wire::JoinRequest& request, BodyDone done);
  void OnPush(const wire::DocumentPush& push, BodyDone done);
  void OnSeal(BodyDone done);
  void SpreadBucket(StatusDone done);

  Shard& home_;
  membership::FormationCore core_;
  storage::Engine& engine_;
  telemetry::LogSink& log_;
  Publish publish_;
  // Whether the topology in memory is the one on the disk. Nobody is told of one that is not: after
  // a loss of power this node could take another way.
  bool Durable() const;

  std::string refusal_;  // why nobody takes this node, as last heard
  uint64_t adoptions_ = 0;
  uint64_t adopted_ = 0;  // the newest of them that is durable
  std::string durable_;   // its document
  bool was_formed_ = false;
};

// Reads the stored document. kCorruption if it is damaged; blocks; for start-up.
base::Result<std::optional<membership::Topology>> LoadTopology(storage::Engine& engine);

}  // namespace lariat::node
