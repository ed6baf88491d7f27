// SPDX-License-Identifier: Apache-2.0
// What all connections of one frontend share: limits, counters, the list of them, the room for
// their replies. The shard's thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>

#include "base/time.h"
#include "env/env.h"
#include "frontend/connection/room.h"
#include "telemetry/metrics.h"

namespace lariat::frontend::connection {

class Connection;

struct Limits {
  size_t pipeline_max = 128;             // requests of one connection in work at once
  uint64_t output_bytes_max = 0;         // unread replies of one connection, promised ones included
  uint64_t output_total_bytes_max = 0;   // likewise of all, by what replies had of late: see Room
  uint64_t partial_total_bytes_max = 0;  // of half received requests; the protocol refuses others
  base::Duration idle_timeout{};         // between two requests
  base::Duration head_timeout{};         // for Awaiting::kHead
  base::Duration body_timeout{};         // for Awaiting::kBody
  base::Duration write_stall_max{};      // for a client that takes nothing of what is written
};

// Counted by the layer, named by the protocol. They outlive the frontend, not its connections.
struct Counters {
  telemetry::Gauge& connections;
  telemetry::Gauge& output_bytes;  // Room: waiting and fetching
  telemetry::Counter& output_waits;
  telemetry::Counter& stalled;
  telemetry::Counter& shed;
  telemetry::Counter& overloaded;  // no room for the reply of a read
  telemetry::Counter& too_many;    // connections over the limit
};

// Co-owned by the frontend, its connections and their requests in work, so that these may be
// destroyed in any order. When the frontend is gone the references lead nowhere. A protocol puts
// what its own requests share beside it, in a struct that inherits this one.
struct Clients {
  // `reply_max`: for reply_bytes_max.
  Clients(const Limits& l, const Counters& c, const env::Env& e, uint64_t reply_max)
      : limits(l),
        counters(c),
        env(e),
        room{l.output_total_bytes_max, l.partial_total_bytes_max, reply_max},
        reply_bytes_max(reply_max) {}

  const Limits limits;
  const Counters counters;
  const env::Env env;
  Room room;
  // Most bytes that the reply to a next request may have; the protocol keeps it up to date.
  uint64_t reply_bytes_max;

  bool alive = true;      // the frontend is there
  bool draining = false;  // connections end after the requests in work
  // By a time since when each may have been idle: never later than it really was, brought up to
  // date when room is made (Frontend::MakeRoom), so that requests do not pay for the order.
  std::multimap<base::Instant, Connection*> connections;
};

}  // namespace lariat::frontend::connection
