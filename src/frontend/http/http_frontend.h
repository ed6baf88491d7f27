// SPDX-License-Identifier: Apache-2.0
// HTTP/1.1 in front of a shard's services: docs/http.md, docs/openapi.json. One frontend per shard,
// on the shard's thread; the network owns the connections that it makes.
#pragma once

#include <memory>
#include <string_view>

#include "config/settings.h"
#include "coordinator/admin_service.h"
#include "coordinator/kv_service.h"
#include "env/env.h"
#include "env/stream.h"
#include "telemetry/metrics.h"

namespace lariat::frontend::http {

class HttpFrontend {
 public:
  // All must outlive the frontend. When it ends it closes the connections that are left; their
  // handlers and the callbacks given to services may be destroyed, or come, later: they do nothing.
  HttpFrontend(coordinator::KvService& kv, coordinator::AdminService& admin,
               const config::Settings& settings, telemetry::Metrics& metrics, env::Env& env);
  ~HttpFrontend();

  // The handler of a new connection; `stream` as env::MakeHandler gives it.
  std::unique_ptr<env::StreamHandler> Accept(env::Stream& stream);
  // For env::ListenOptions: closes the connection that was idle for longest; false if all are busy.
  bool MakeRoom();
  // Likewise: counts a connection that is one too many. Result: what it is told.
  std::string_view Refuse();
  // From now on connections end after the requests that are in work; idle ones end now. /readyz
  // says that the node is draining.
  void Drain();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lariat::frontend::http
