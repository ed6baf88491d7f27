// SPDX-License-Identifier: Apache-2.0
// Who a data directory belongs to: the node's id, drawn once, and its name. Never an address.
#pragma once

#include <string>

#include "base/result.h"
#include "base/uuid.h"
#include "env/env.h"
#include "storage/engine.h"

namespace lariat::node {

struct Identity {
  base::Uuid id;
  std::string name;
};

// Reads it, or draws and stores it (durable with the first synced write after it) in a new
// directory. kConflict if the directory belongs to a node with another name. Blocks; for start-up.
base::Result<Identity> LoadIdentity(storage::Engine& engine, env::Entropy& entropy,
                                    const std::string& name);

}  // namespace lariat::node
