// SPDX-License-Identifier: Apache-2.0
// The keys that clients ask for most: of this node's shards, and of all nodes. On shard 0's thread.
#pragma once

#include <memory>
#include <vector>

#include "coordinator/admin_service.h"
#include "node/shard/shard.h"
#include "wire/messages.h"

namespace lariat::node {

class ClusterHotKeys {
 public:
  // Complete before anything is called, and outlives this.
  explicit ClusterHotKeys(const std::vector<std::unique_ptr<Shard>>& shards) : shards_(shards) {}

  // What this node's shards have counted.
  wire::HotReply Serve(const wire::HotRequest& request) const;
  // Asks every other member that is alive. `done` comes once, possibly before the call returns.
  void Gather(const coordinator::HotRequest& request, coordinator::AdminService::HotDone done);

 private:
  std::vector<telemetry::HotKey> Own(telemetry::HotBy by, size_t limit) const;

  const std::vector<std::unique_ptr<Shard>>& shards_;
};

}  // namespace lariat::node
