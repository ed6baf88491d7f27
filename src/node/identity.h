// SPDX-License-Identifier: Apache-2.0
// Who a data directory belongs to: the node's id, drawn once, and its name. Never an address.
#pragma once

#include <string>

#include "base/result.h"
#include "base/uuid.h"
#include "config/settings.h"
#include "env/env.h"
#include "membership/topology.h"
#include "storage/engine.h"
#include "telemetry/log.h"

namespace lariat::node {

struct Identity {
  base::Uuid id;
  std::string name;
};

// Reads it, or draws and stores it (durable with the first synced write after it) in a new
// directory. kConflict if the directory belongs to a node with another name. Blocks; for start-up.
base::Result<Identity> LoadIdentity(storage::Engine& engine, env::Entropy& entropy,
                                    const std::string& name);

// A node is asked to be somewhere else, or to take another share, than the cluster has it down for:
// its settings were changed since its last start, but its place in the cluster changes only by a
// command. kConflict with what to do; otherwise the settings are remembered (durable with the next
// sync; not if the disk is full). A topology that a command has changed is no conflict. `self`: as
// in the stored one; null: the node is in none yet. Blocks; for start-up.
base::Status CheckPlacement(storage::Engine& engine, const config::Settings& settings,
                            const membership::Member* self, telemetry::LogSink& log);

}  // namespace lariat::node
