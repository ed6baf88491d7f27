// SPDX-License-Identifier: Apache-2.0
#include "frontend/resp/resp_frontend.h"

#include <utility>

#include "frontend/resp/internal/connection.h"
#include "frontend/resp/internal/shared.h"

namespace lariat::frontend::resp {
namespace {

using telemetry::RespRefusal;

connection::Limits ConnectionLimits(const config::Settings& settings) {
  connection::Limits limits;
  limits.pipeline_max = static_cast<size_t>(settings.resp_pipeline_max);
  limits.output_bytes_max = static_cast<uint64_t>(settings.resp_output_bytes_max);
  limits.output_total_bytes_max = static_cast<uint64_t>(settings.resp_output_total_bytes_max);
  limits.partial_total_bytes_max = static_cast<uint64_t>(settings.limits_in_flight_bytes);
  limits.idle_timeout = base::Millis(settings.resp_idle_timeout_ms);
  limits.head_timeout = limits.body_timeout = base::Millis(settings.resp_request_timeout_ms);
  limits.write_stall_max = base::Millis(settings.resp_write_stall_ms);
  return limits;
}

connection::Counters ConnectionCounters(telemetry::Metrics& metrics) {
  return {metrics.resp_connections,
          metrics.resp_output_bytes,
          metrics.resp_output_waits,
          metrics.resp_stalled,
          metrics.resp_shed,
          metrics.resp_refused[RespRefusal::kOverloaded],
          metrics.resp_refused[RespRefusal::kTooManyConnections]};
}

}  // namespace

RespFrontend::RespFrontend(coordinator::KvService& kv, coordinator::AdminService& admin,
                           const config::Settings& settings, telemetry::Metrics& metrics,
                           env::Env& env, access::AccessService& access)
    : RespFrontend(std::make_shared<Shared>(
          connection::Clients(ConnectionLimits(settings), ConnectionCounters(metrics), env,
                              kv.ValueBytesMax()),
          kv, admin, access, settings, metrics)) {}

RespFrontend::RespFrontend(std::shared_ptr<Shared> shared)
    : Frontend(shared, "-ERR max number of clients reached\r\n"), shared_(std::move(shared)) {}

std::unique_ptr<env::StreamHandler> RespFrontend::Make(env::Stream& stream) {
  return std::make_unique<RespConnection>(shared_, stream);
}

}  // namespace lariat::frontend::resp
