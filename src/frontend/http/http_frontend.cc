// SPDX-License-Identifier: Apache-2.0
#include "frontend/http/http_frontend.h"

#include <string_view>
#include <utility>

#include "frontend/http/internal/connection.h"
#include "frontend/http/internal/shared.h"

namespace lariat::frontend::http {
namespace {

using telemetry::HttpRefusal;

constexpr std::string_view kFullReply =
    "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nRetry-After: 1\r\n"
    "Content-Length: 97\r\nConnection: close\r\n\r\n"
    R"({"error":{"code":"overloaded","message":"this node has as many connections open )"
    R"(as it may have"}})";

connection::Limits LimitsOf(const config::Settings& settings) {
  connection::Limits limits;
  limits.pipeline_max = static_cast<size_t>(settings.http_pipeline_max);
  limits.output_bytes_max = static_cast<uint64_t>(settings.http_output_bytes_max);
  limits.output_total_bytes_max = static_cast<uint64_t>(settings.http_output_total_bytes_max);
  limits.partial_total_bytes_max = static_cast<uint64_t>(settings.limits_in_flight_bytes);
  limits.idle_timeout = base::Millis(settings.http_idle_timeout_ms);
  limits.head_timeout = base::Millis(settings.http_header_timeout_ms);
  limits.body_timeout = base::Millis(settings.http_body_timeout_ms);
  limits.write_stall_max = base::Millis(settings.http_write_stall_ms);
  return limits;
}

connection::Counters CountersOf(telemetry::Metrics& metrics) {
  return {metrics.http_connections,
          metrics.http_output_bytes,
          metrics.http_output_waits,
          metrics.http_stalled,
          metrics.http_shed,
          metrics.http_refused[HttpRefusal::kOverloaded],
          metrics.http_refused[HttpRefusal::kTooManyConnections]};
}

}  // namespace

HttpFrontend::HttpFrontend(coordinator::KvService& kv, coordinator::AdminService& admin,
                           const config::Settings& settings, telemetry::Metrics& metrics,
                           env::Env& env, access::AccessService& access)
    : HttpFrontend(std::make_shared<Shared>(
          connection::Clients(LimitsOf(settings), CountersOf(metrics), env, kv.ValueBytesMax()), kv,
          admin, access, settings, metrics)) {}

HttpFrontend::HttpFrontend(std::shared_ptr<Shared> shared)
    : Frontend(shared, kFullReply), shared_(std::move(shared)) {}

std::unique_ptr<env::StreamHandler> HttpFrontend::Make(env::Stream& stream) {
  return std::make_unique<HttpConnection>(shared_, stream);
}

}  // namespace lariat::frontend::http
