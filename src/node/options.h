// SPDX-License-Identifier: Apache-2.0
// What a node is built from: who it is, where it is reached, and what its earlier runs have left.
#pragma once

#include <cstdint>
#include <string>

#include "access/audit.h"
#include "config/settings.h"
#include "env/workers.h"
#include "node/identity.h"
#include "node/past/past.h"
#include "topology/cluster.h"

namespace lariat::node {

struct Addresses {
  std::string http, resp, peer;  // as others reach them
};

struct NodeOptions {
  Identity identity;
  Addresses addresses;
  config::Settings settings;
  topology::Cluster::Stored stored;  // topology::LoadCluster
  Past::Stored past;                 // LoadPast
  uint64_t generation = 1;           // peers::DrawGeneration
  std::string version;               // of the program, for people
  // Lower: tests speak for an older build.
  uint32_t feature_level = membership::kFeatureLevel;
  // Where clients log in. `workers` and `audit` outlive the node; nullptr: none of its own.
  std::string first_password;  // as of access::FirstBook
  env::Workers* workers = nullptr;
  access::AuditSink* audit = nullptr;
};

}  // namespace lariat::node
