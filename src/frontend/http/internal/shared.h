// SPDX-License-Identifier: Apache-2.0
// What all connections of one frontend use: the services, the settings, the scratch space of the
// shard's thread.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>

#include "base/time.h"
#include "config/settings.h"
#include "coordinator/admin_service.h"
#include "coordinator/kv_service.h"
#include "env/env.h"
#include "telemetry/metrics.h"

namespace lariat::frontend::http {

class HttpConnection;
struct Link;

// Bytes that all connections hold for their clients, as each of them told last.
struct Totals {
  uint64_t waiting = 0;   // replies that clients have not taken yet
  uint64_t fetching = 0;  // expected of those that are being fetched
  uint64_t bodies = 0;    // of requests that are half received
  // What the reply of a read may have: the largest of late, which fades.
  uint64_t expected = 0;
  // Connections that wait for others to make room: those that hold nothing, then the others.
  std::array<std::deque<std::shared_ptr<Link>>, 2> queues;
  bool wake_posted = false;
};

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
  // By a time since when each may have been idle: never later than it really was, brought up to
  // date when room is made (HttpFrontend::MakeRoom), so that requests do not pay for the order.
  std::multimap<base::Instant, HttpConnection*> connections;
  Totals totals;
  std::string scratch;    // bodies of small replies are built here; used within one call only
  std::string date_line;  // "Date: ...\r\n" of `date_second`
  int64_t date_second = -1;
};

}  // namespace lariat::frontend::http
