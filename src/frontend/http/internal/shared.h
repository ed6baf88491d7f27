// SPDX-License-Identifier: Apache-2.0
// What all connections of one frontend use beside what every protocol's have: the services, the
// settings, the scratch space of the shard's thread.
#pragma once

#include <cstdint>
#include <string>

#include "access/access_service.h"
#include "config/settings.h"
#include "coordinator/admin_service.h"
#include "coordinator/kv_service.h"
#include "frontend/connection/clients.h"
#include "telemetry/metrics.h"

namespace lariat::frontend::http {

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

  std::string scratch;    // bodies of small replies are built here; used within one call only
  std::string date_line;  // "Date: ...\r\n" of `date_second`
  int64_t date_second = -1;
};

}  // namespace lariat::frontend::http
