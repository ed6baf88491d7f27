// SPDX-License-Identifier: Apache-2.0
// HTTP/1.1 in front of a shard's services: docs/http.md, docs/openapi.json. One frontend per shard,
// on the shard's thread; the network owns the connections that it makes.
#pragma once

#include <memory>

#include "access/access_service.h"
#include "config/settings.h"
#include "coordinator/admin_service.h"
#include "coordinator/kv_service.h"
#include "env/env.h"
#include "env/stream.h"
#include "frontend/connection/frontend.h"
#include "telemetry/metrics.h"

namespace lariat::frontend::http {

struct Shared;

// While it drains, /readyz says so.
class HttpFrontend final : public connection::Frontend {
 public:
  // All must outlive the frontend.
  HttpFrontend(coordinator::KvService& kv, coordinator::AdminService& admin,
               const config::Settings& settings, telemetry::Metrics& metrics, env::Env& env,
               access::AccessService& access = access::NoAccess());

 private:
  explicit HttpFrontend(std::shared_ptr<Shared> shared);
  std::unique_ptr<env::StreamHandler> Make(env::Stream& stream) override;

  const std::shared_ptr<Shared> shared_;  // co-owners: see connection::Clients
};

}  // namespace lariat::frontend::http
