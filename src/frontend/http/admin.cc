// SPDX-License-Identifier: Apache-2.0
// Operations over HTTP: health, metrics, the ring, and where a key lies. What changes the cluster
// is in changes.cc.
#include <string>
#include <utility>

#include "frontend/http/internal/answers.h"
#include "frontend/http/internal/handlers.h"
#include "frontend/http/internal/kv_request.h"
#include "frontend/http/internal/openapi.h"

namespace lariat::frontend::http {
namespace {

using coordinator::Explanation;
using coordinator::HealthSummary;
using telemetry::Outcome;

constexpr int64_t kRingReplicasMax = 64;
constexpr int64_t kRingReplicasDefault = 3;

void WriteExplanation(JsonWriter& json, const Explanation& explanation) {
  json.BeginObject().Key("bucket").Text(explanation.bucket);
  WriteKey(json, explanation.key);
  json.Key("partition_key").Text(explanation.partition_key);
  // Tokens are texts: a JSON number does not hold 64 bits everywhere.
  json.Key("token").Text(std::to_string(explanation.token));
  json.Key("n").Uint(explanation.n).Key("r").Uint(explanation.r).Key("w").Uint(explanation.w);
  json.Key("replicas").BeginArray();
  for (const coordinator::ReplicaReport& replica : explanation.replicas) {
    json.BeginObject().Key("node").Text(replica.node).Key("alive").Bool(replica.alive);
    json.Key("state").Text(replica.state).Key("version").VersionObject(replica.version);
    json.Key("siblings").Uint(replica.siblings).Key("tombstones").Uint(replica.tombstones);
    json.Key("bytes").Uint(replica.bytes).Key("digest").Text(replica.digest).EndObject();
  }
  json.EndArray().Key("fallbacks");
  WriteTexts(json, explanation.fallbacks);
  json.Key("agree").Bool(explanation.agree);
  if (!explanation.kept_because.empty()) {
    json.Key("kept_because").Text(explanation.kept_because);
  }
  json.EndObject();
}

}  // namespace

void GetLive(Request& request, Exchange exchange) {
  if (RefuseQuery(request, exchange)) return;
  const bool live = exchange.shared().admin.Health().live;
  AnswerJson(exchange, live ? 200 : 503,
             [&](JsonWriter& json) { json.BeginObject().Key("live").Bool(live).EndObject(); });
}

// Whoever is not met may look for this node elsewhere.
void WriteAdvertised(JsonWriter& json, const HealthSummary& health) {
  if (health.peer.empty()) return;
  json.Key("advertised").BeginObject().Key("http").Text(health.http);
  json.Key("resp").Text(health.resp).Key("peer").Text(health.peer).EndObject();
}

void GetReady(Request& request, Exchange exchange) {
  if (RefuseQuery(request, exchange)) return;
  HealthSummary health = exchange.shared().admin.Health();
  if (exchange.shared().draining && health.ready) {
    health.ready = false;
    health.reasons.push_back("draining");
  }
  AnswerJson(exchange, health.ready ? 200 : 503, [&](JsonWriter& json) {
    json.BeginObject().Key("ready").Bool(health.ready).Key("reasons");
    WriteTexts(json, health.reasons);
    if (!health.ready) WriteAdvertised(json, health);
    json.EndObject();
  });
}

void GetHealth(Request& request, Exchange exchange) {
  if (RefuseQuery(request, exchange)) return;
  const HealthSummary health = exchange.shared().admin.Health();
  AnswerJson(exchange, 200, [&](JsonWriter& json) {
    const bool fine = health.live && health.ready && health.storage == "ok";
    json.BeginObject().Key("status").Text(fine ? "ok" : "degraded");
    json.Key("live").Bool(health.live).Key("ready").Bool(health.ready).Key("reasons");
    WriteTexts(json, health.reasons);
    json.Key("node").Text(health.node).Key("version").Text(health.version);
    json.Key("storage").Text(health.storage).Key("nodes_alive").Uint(health.nodes_alive);
    json.Key("nodes_total").Uint(health.nodes_total).Key("uptime_s").Uint(health.uptime_s);
    json.EndObject();
  });
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
  const auto ranges = exchange.shared().admin.Ring(static_cast<uint32_t>(n));
  AnswerJson(exchange, 200, [&](JsonWriter& json) {
    json.BeginObject().Key("n").Int(n).Key("ranges").BeginArray();
    for (const coordinator::RingRange& range : ranges) {
      json.BeginObject().Key("from").Text(std::to_string(range.from));
      json.Key("to").Text(std::to_string(range.to)).Key("owners");
      WriteTexts(json, range.owners);
      json.EndObject();
    }
    json.EndArray().EndObject();
  });
}

void GetExplain(Request& request, Exchange exchange) {
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
      [exchange = std::move(exchange)](base::Result<Explanation> result) mutable {
        if (!result) return exchange.Refuse(std::move(result.error()));
        AnswerJson(exchange, 200, [&](JsonWriter& json) { WriteExplanation(json, *result); });
      });
}

}  // namespace lariat::frontend::http
