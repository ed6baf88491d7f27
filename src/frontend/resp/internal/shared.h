// SPDX-License-Identifier: Apache-2.0
// What all connections of one frontend use beside what every protocol's have. The shard's thread.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <vector>

#include "access/access_service.h"
#include "config/settings.h"
#include "coordinator/admin_service.h"
#include "coordinator/kv_service.h"
#include "frontend/connection/clients.h"
#include "frontend/resp/internal/databases.h"
#include "telemetry/metrics.h"

namespace lariat::frontend::resp {

// A command that took long.
struct SlowCommand {
  uint64_t id;
  base::WallTime at;
  int64_t micros;
  std::vector<std::string> args;  // name and first argument, both cut; how many more
  std::string from, client_name;
};

struct Shared : connection::Clients {
  Shared(const connection::Clients& clients, coordinator::KvService& k,
         coordinator::AdminService& a, access::AccessService& who, const config::Settings& s,
         telemetry::Metrics& m)
      : Clients(clients), kv(k), admin(a), access(who), settings(s), metrics(m) {}

  coordinator::KvService& kv;
  coordinator::AdminService& admin;
  access::AccessService& access;
  const config::Settings& settings;
  telemetry::Metrics& metrics;

  Databases databases;
  // Updates that wait for one of the same key under way on this shard, by bucket and key.
  std::map<std::string, std::deque<base::UniqueFunction<void()>>> updates;
  std::deque<SlowCommand> slow;  // newest first
  uint64_t next_slow = 0;
  uint64_t next_client = 0;
  uint64_t commands = 0;           // ever
  uint64_t connections_taken = 0;  // ever
};

}  // namespace lariat::frontend::resp
