// SPDX-License-Identifier: Apache-2.0
// What all connections of one frontend use: the services, the settings, the scratch space of the
// shard's thread.
#pragma once

#include <cstdint>
#include <list>
#include <string>

#include "config/settings.h"
#include "coordinator/admin_service.h"
#include "coordinator/kv_service.h"
#include "env/env.h"
#include "telemetry/metrics.h"

namespace lariat::frontend::http {

class HttpConnection;

// Co-owned by the frontend, its connections and their requests in work, so that these may be
// destroyed in any order. When the frontend is gone the references lead nowhere.
struct Shared {
  coordinator::KvService& kv;
  coordinator::AdminService& admin;
  const config::Settings& settings;
  telemetry::Metrics& metrics;
  env::Env env;

  bool alive = true;      // the frontend is there
  bool draining = false;  // no reply keeps its connection open
  std::list<HttpConnection*> connections;
  std::string scratch;    // bodies of small replies are built here; used within one call only
  std::string date_line;  // "Date: ...\r\n" of `date_second`
  int64_t date_second = -1;
};

}  // namespace lariat::frontend::http
