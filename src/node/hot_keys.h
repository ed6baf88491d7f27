// SPDX-License-Identifier: Apache-2.0
// The keys that clients ask for most: of this node's shards, and of all nodes. On shard 0's thread;
// `done` comes on it, once, possibly before the call returns.
#pragma once

#include <memory>
#include <vector>

#include "base/unique_function.h"
#include "coordinator/admin_service.h"
#include "node/shard/shard.h"
#include "wire/messages.h"

namespace lariat::node {

class ClusterHotKeys {
 public:
  // Complete before anything is called, and outlives this.
  explicit ClusterHotKeys(const std::vector<std::unique_ptr<Shard>>& shards) : shards_(shards) {}

  // What this node's shards have counted.
  void Serve(const wire::HotRequest& request, base::UniqueFunction<void(wire::Body)> done);
  // Asks every other member that is alive.
  void Gather(const coordinator::HotRequest& request, coordinator::AdminService::HotDone done);

 private:
  using OwnDone = base::UniqueFunction<void(std::vector<telemetry::HotKey>)>;
  void Own(telemetry::HotBy by, size_t limit, OwnDone done);
  void AskOthers(const coordinator::HotRequest& request, std::vector<telemetry::HotKey> own,
                 coordinator::AdminService::HotDone done);

  const std::vector<std::unique_ptr<Shard>>& shards_;
};

}  // namespace lariat::node
