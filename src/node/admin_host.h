// SPDX-License-Identifier: Apache-2.0
// What the operators' side of a node (admin.h) asks of it. Everything is thread-safe, except where
// said.
#pragma once

#include <memory>
#include <string>

#include "base/unique_function.h"
#include "healing/healing.h"
#include "node/hot_keys.h"
#include "node/notices.h"
#include "node/options.h"
#include "storage/engine.h"
#include "topology/changes.h"

namespace lariat::node {

class AdminHost {
 public:
  virtual ~AdminHost() = default;
  virtual const NodeOptions& options() const = 0;
  virtual storage::Engine& engine() const = 0;
  virtual std::string MetricsText() const = 0;
  virtual Notices& notices() = 0;
  virtual void WatchChanges() = 0;
  virtual membership::Asked Asked() const = 0;  // on shard 0's thread
  // A change of the topology; the edit runs on shard 0, and `done` comes through `back`.
  virtual void Propose(topology::Changes::Edit edit, storage::CompletionQueue& back,
                       topology::Changes::Done done) = 0;
  // On shard 0's thread.
  virtual healing::Healing& healing() = 0;
  virtual ClusterHotKeys& hot_keys() = 0;
  virtual void PostHome(base::UniqueFunction<void()> task) = 0;
};

}  // namespace lariat::node
