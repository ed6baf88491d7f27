// SPDX-License-Identifier: Apache-2.0
// Operations over HTTP: health, metrics, the ring, and where a key lies. What changes the cluster
// is in changes.cc.
#include <algorithm>
#include <iterator>
#include <string>
#include <utility>

#include "frontend/http/internal/answers.h"
#include "frontend/http/internal/handlers.h"
#include "frontend/http/internal/kv_request.h"
#include "frontend/http/internal/replies.h"
#include "frontend/http/openapi/openapi.h"

namespace lariat::frontend::http {
namespace {

using telemetry::Outcome;

constexpr int64_t kRingReplicasMax = 64;
constexpr int64_t kRingReplicasDefault = 3;
constexpr int64_t kHotLimitMax = 100;

// In the order of telemetry::HotBy.
constexpr std::string_view kHotByNames[] = {"operations", "bytes", "conflicts", "misses", "size"};

// Why the parameter is none; empty if it is taken.
std::string TakeHot(const Parameter& parameter, coordinator::HotRequest* request) {
  if (parameter.name == "by") {
    const auto* name = std::find(std::begin(kHotByNames), std::end(kHotByNames), parameter.value);
    if (name == std::end(kHotByNames)) {
      return "'by' is operations, bytes, conflicts, misses or size";
    }
    request->by = static_cast<telemetry::HotBy>(name - std::begin(kHotByNames));
    return "";
  }
  const int64_t limit = ParseCount(parameter.value).value_or(0);
  if (limit < 1 || limit > kHotLimitMax) return "limit must be 1 to 100";
  request->limit = static_cast<uint32_t>(limit);
  return "";
}

}  // namespace

void GetLive(Request& request, Exchange exchange) {
  if (RefuseQuery(request, exchange)) return;
  const bool live = exchange.shared().admin.Health().live;
  AnswerReply(exchange, live ? 200 : 503, coordinator::Liveness{live});
}

void GetReady(Request& request, Exchange exchange) {
  if (RefuseQuery(request, exchange)) return;
  coordinator::HealthSummary health = exchange.shared().admin.Health();
  if (exchange.shared().draining && health.ready) {
    health.ready = false;
    health.reasons.push_back("draining");
  }
  coordinator::Readiness readiness{health.ready, std::move(health.reasons), {}};
  // Whoever is not met may look for this node elsewhere.
  if (!health.ready && !health.advertised.peer.empty()) readiness.advertised = health.advertised;
  AnswerReply(exchange, health.ready ? 200 : 503, readiness);
}

void GetHealth(Request& request, Exchange exchange) {
  if (RefuseQuery(request, exchange)) return;
  AnswerReply(exchange, 200, exchange.shared().admin.Health());
}

void GetMetrics(Request& request, Exchange exchange) {
  if (RefuseQuery(request, exchange)) return;
  exchange.Answer(Outcome::kOk, [](Shared& shared, const Pending& waiting) {
    return ReplyBuilder(shared, waiting.form, 200)
        .Move("text/plain; version=0.0.4; charset=utf-8", shared.admin.MetricsText());
  });
}

void GetOpenApi(Request& request, Exchange exchange) {
  if (RefuseQuery(request, exchange)) return;
  exchange.Answer(Outcome::kOk, [](Shared& shared, const Pending& waiting) {
    return JsonReply(shared, waiting.form, 200, OpenApiJson());
  });
}

void GetClusterRing(Request& request, Exchange exchange) {
  const auto parameters = ParseQuery(request.query);
  if (!parameters) return exchange.Refuse(parameters.error());
  int64_t n = kRingReplicasDefault;
  for (const Parameter& parameter : *parameters) {
    if (parameter.name != "n") return exchange.Refuse(UnknownParameter(parameter));
    n = ParseCount(parameter.value).value_or(0);
    if (n < 1 || n > kRingReplicasMax) return exchange.Refuse(BadRequest("n must be 1 to 64"));
  }
  const auto owners = static_cast<uint32_t>(n);
  AnswerReply(exchange, 200, coordinator::RingRanges{owners, exchange.shared().admin.Ring(owners)});
}

void Explain(Request& request, Exchange exchange) {
  auto parameters = ParseQuery(request.query);
  if (!parameters) return exchange.Refuse(std::move(parameters.error()));
  std::string bucket(kDefaultBucket);
  std::string key;
  for (Parameter& parameter : *parameters) {
    if (parameter.name == "bucket") {
      bucket = std::move(parameter.value);
    } else if (parameter.name == "key") {
      key = std::move(parameter.value);
    } else {
      return exchange.Refuse(UnknownParameter(parameter));
    }
  }
  if (key.empty() || key.size() > membership::kKeyBytesMax) {
    return exchange.Refuse(BadRequest("query parameter 'key' must have 1 to 256 bytes"));
  }
  const coordinator::Caller caller = exchange.caller();
  exchange.shared().admin.Explain(
      std::move(bucket), std::move(key), caller,
      [exchange = std::move(exchange)](base::Result<coordinator::Explanation> result) mutable {
        if (!result) return exchange.Refuse(std::move(result.error()));
        AnswerReply(exchange, 200, *result);
      });
}

void GetHot(Request& request, Exchange exchange) {
  auto parameters = ParseQuery(request.query);
  if (!parameters) return exchange.Refuse(std::move(parameters.error()));
  coordinator::HotRequest hot;
  for (const Parameter& parameter : *parameters) {
    if (parameter.name != "by" && parameter.name != "limit") {
      return exchange.Refuse(UnknownParameter(parameter));
    }
    const std::string problem = TakeHot(parameter, &hot);
    if (!problem.empty()) return exchange.Refuse(BadRequest(problem));
  }
  hot.caller = exchange.caller();
  exchange.shared().admin.Hot(
      std::move(hot),
      [exchange = std::move(exchange)](base::Result<coordinator::HotKeysShown> keys) mutable {
        if (!keys) return exchange.Refuse(std::move(keys.error()));
        AnswerReply(exchange, 200, *keys);
      });
}

}  // namespace lariat::frontend::http
