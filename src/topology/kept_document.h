// SPDX-License-Identifier: Apache-2.0
// The topology document as this node keeps it: first in memory (membership::FormationCore), then on
// the disk, then in the views that its shards work by. Nobody is told of one that is not on the
// disk: after a loss of power this node could take another way.
//
// Lives on shard 0 and is called on its thread only.
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "membership/formation_core.h"
#include "peers/home.h"
#include "topology/topology_record.h"

namespace lariat::topology {

inline constexpr base::Duration kClusterTimeout = base::Seconds(2);  // of a question to a member

class KeptDocument {
 public:
  using StatusDone = base::UniqueFunction<void(base::Status)>;
  struct Ports {
    // Gives a new view to all shards; done when all of them work by it.
    std::function<void(std::shared_ptr<const membership::View>, StatusDone)> publish;
    // While this says so the shards are given none: the node may be out of the cluster.
    std::function<bool()> unconfirmed;
  };
  struct World {
    peers::Home& home;
    storage::Engine& engine;
    telemetry::LogSink& log;
  };
  // `stored`: of an earlier run.
  KeptDocument(World world, const membership::FormationCore& core, TopologyRecord& record,
               Ports ports, std::optional<membership::Topology> stored);

  // Brings the document in memory to the disk and the shards, then calls done. An error: it goes on
  // trying, unless the engine is dead. REQUIRES: the core has a document.
  void Adopt(StatusDone done);
  // Tells the members too, who are not waited for.
  void AdoptAndSpread(StatusDone done = [](const base::Status&) {});
  // Done when every member that answers in time has it.
  void Spread(StatusDone done);

  // The newest one that is durable here; null before there is one.
  const membership::Topology* Decided() const { return durable_ ? &*durable_ : nullptr; }
  // Whether that is the one in memory.
  bool Durable() const;
  // Of the one that every shard works by.
  uint64_t fence() const { return fence_; }

 private:
  void Publish(membership::Topology topology, StatusDone done);
  void AdoptLater(StatusDone done, const base::Error& error);

  World world_;
  const membership::FormationCore& core_;
  TopologyRecord& record_;
  Ports ports_;
  uint64_t adoptions_ = 0;
  uint64_t adopted_ = 0;  // the newest of them that is durable
  std::optional<membership::Topology> durable_;
  uint64_t fence_ = 0;
  bool was_formed_ = false;
};

}  // namespace lariat::topology
