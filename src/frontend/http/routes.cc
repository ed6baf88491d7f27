// SPDX-License-Identifier: Apache-2.0
#include "frontend/http/internal/routes.h"

#include <algorithm>
#include <string>
#include <utility>

#include "frontend/http/internal/handlers.h"

namespace lariat::frontend::http {
namespace {

using telemetry::Op;
using Body = BodyRule;

// Rows of one pattern stand together. Fixed paths stand before patterns that they match; the keys
// "range" and "batch" of the JSON dialect are written %72ange and %62atch.
constexpr Route kRoutes[] = {
    {"/kv/{key}", Method::kGet, Body::kNone, Op::kGet, GetRaw},
    {"/kv/{key}", Method::kPut, Body::kValue, Op::kPut, PutRaw},
    {"/kv/{key}", Method::kDelete, Body::kNone, Op::kDelete, DeleteRaw},
    {"/buckets/{bucket}/kv/{key}", Method::kGet, Body::kNone, Op::kGet, GetRaw},
    {"/buckets/{bucket}/kv/{key}", Method::kPut, Body::kValue, Op::kPut, PutRaw},
    {"/buckets/{bucket}/kv/{key}", Method::kDelete, Body::kNone, Op::kDelete, DeleteRaw},
    {"/v1/kv/range", Method::kGet, Body::kNone, Op::kGet, RefuseUnsupported},
    {"/v1/kv/batch", Method::kPost, Body::kValueJson, Op::kPut, RefuseUnsupported},
    {"/v1/kv/{key}", Method::kGet, Body::kNone, Op::kGet, GetJson},
    {"/v1/kv/{key}", Method::kPut, Body::kValueJson, Op::kPut, PutJson},
    {"/v1/kv/{key}", Method::kDelete, Body::kOptionalJson, Op::kDelete, DeleteJson},
    {"/v1/buckets/{bucket}/kv/range", Method::kGet, Body::kNone, Op::kGet, RefuseUnsupported},
    {"/v1/buckets/{bucket}/kv/batch", Method::kPost, Body::kValueJson, Op::kPut, RefuseUnsupported},
    {"/v1/buckets/{bucket}/kv/{key}", Method::kGet, Body::kNone, Op::kGet, GetJson},
    {"/v1/buckets/{bucket}/kv/{key}", Method::kPut, Body::kValueJson, Op::kPut, PutJson},
    {"/v1/buckets/{bucket}/kv/{key}", Method::kDelete, Body::kOptionalJson, Op::kDelete,
     DeleteJson},
    {"/kv", Method::kGet, Body::kNone, Op::kGet, RefuseUnsupported},
    {"/buckets/{bucket}/kv", Method::kGet, Body::kNone, Op::kGet, RefuseUnsupported},
    {"/v1/buckets", Method::kGet, Body::kNone, Op::kBucket, ListBuckets},
    {"/v1/buckets/{bucket}", Method::kGet, Body::kNone, Op::kBucket, GetBucket},
    {"/v1/buckets/{bucket}", Method::kPut, Body::kSmallJson, Op::kBucket, PutBucket},
    {"/v1/cluster/status", Method::kGet, Body::kNone, Op::kCount, GetClusterStatus},
    {"/v1/cluster/ring", Method::kGet, Body::kNone, Op::kCount, GetClusterRing},
    {"/v1/debug/explain", Method::kGet, Body::kNone, Op::kCount, GetExplain},
    {"/v1/admin/decommission", Method::kPost, Body::kSmallJson, Op::kCount, PostDecommission},
    {"/v1/admin/remove", Method::kPost, Body::kSmallJson, Op::kCount, PostRemove},
    {"/v1/admin/reweight", Method::kPost, Body::kSmallJson, Op::kCount, PostReweight},
    {"/v1/admin/commit", Method::kPost, Body::kOptionalJson, Op::kCount, PostCommit},
    {"/v1/admin/cancel", Method::kPost, Body::kOptionalJson, Op::kCount, PostCancel},
    {"/v1/admin/drain", Method::kPost, Body::kSmallJson, Op::kCount, PostDrain},
    {"/v1/admin/repair", Method::kGet, Body::kNone, Op::kCount, GetRepair},
    {"/v1/admin/repair", Method::kPost, Body::kOptionalJson, Op::kCount, PostRepair},
    {"/v1/admin/plan", Method::kGet, Body::kNone, Op::kCount, GetPlan},
    {"/v1/admin/tasks", Method::kGet, Body::kNone, Op::kCount, ListTasks},
    {"/v1/admin/tasks/{task}", Method::kGet, Body::kNone, Op::kCount, GetTask},
    {"/livez", Method::kGet, Body::kNone, Op::kCount, GetLive},
    {"/readyz", Method::kGet, Body::kNone, Op::kCount, GetReady},
    {"/healthz", Method::kGet, Body::kNone, Op::kCount, GetHealth},
    {"/metrics", Method::kGet, Body::kNone, Op::kCount, GetMetrics},
    {"/openapi.json", Method::kGet, Body::kNone, Op::kCount, GetOpenApi},
};

std::string_view MethodNames(Method method) {
  switch (method) {
    case Method::kGet:
      return "GET, HEAD";
    case Method::kPut:
      return "PUT";
    case Method::kDelete:
      return "DELETE";
    case Method::kPost:
      return "POST";
    default:
      return "";
  }
}

// Removes up to and including the next '/' (or all) and returns what was before it.
std::string_view TakeSegment(std::string_view* rest) {
  const std::string_view segment = rest->substr(0, rest->find('/'));
  rest->remove_prefix(segment.size() < rest->size() ? segment.size() + 1 : rest->size());
  return segment;
}

bool Matches(std::string_view pattern, std::string_view path, Request& request) {
  request.bucket_segment.reset();
  request.key_segment.reset();
  request.task_segment.reset();
  for (;;) {
    const std::string_view wanted = TakeSegment(&pattern);
    const bool path_ends = path.find('/') == std::string_view::npos;
    const std::string_view given = TakeSegment(&path);
    if (wanted == "{bucket}") {
      request.bucket_segment = given;
    } else if (wanted == "{key}") {
      request.key_segment = given;
    } else if (wanted == "{task}") {
      request.task_segment = given;
    } else if (wanted != given) {
      return false;
    }
    if (pattern.empty() || path_ends) return pattern.empty() && path_ends;
  }
}

// "http://host/path", which proxies send, means "/path".
std::string_view WithoutOrigin(std::string_view target) {
  const size_t scheme_end = target.find("://");
  if (target.starts_with('/') || scheme_end == std::string_view::npos) return target;
  const size_t path = target.find('/', scheme_end + 3);
  return path == std::string_view::npos ? std::string_view("/") : target.substr(path);
}

// For who meant a key where a request of that name stands; empty for other paths.
std::string_view KeyHint(std::string_view path) {
  if (path.ends_with("/kv/range")) return "; a key of that name is written %72ange";
  if (path.ends_with("/kv/batch")) return "; a key of that name is written %62atch";
  return "";
}

bool Serves(const Route& route, Method method) {
  return route.method == method || (method == Method::kHead && route.method == Method::kGet);
}

}  // namespace

std::span<const Route> RouteTable() { return kRoutes; }

std::variant<const Route*, Refusal> FindRoute(Request& request) {
  const std::string_view target = WithoutOrigin(request.target);
  const size_t question = std::min(target.find('?'), target.size());
  request.path = target.substr(0, question);
  request.query = target.substr(std::min(question + 1, target.size()));
  std::string_view found;
  std::string allow;
  for (const Route& route : kRoutes) {
    const bool same_pattern = route.pattern == found;
    if (!found.empty() && !same_pattern) break;
    if (!same_pattern && !Matches(route.pattern, request.path, request)) continue;
    found = route.pattern;
    if (Serves(route, request.method)) return &route;
    allow += allow.empty() ? "" : ", ";
    allow += MethodNames(route.method);
  }
  if (found.empty()) {
    return Refusal{404, "not_found", "no such path; a '/' in a key or bucket is written %2F"};
  }
  Refusal refusal{405, "method_not_allowed", "this path takes " + allow};
  refusal.message += KeyHint(request.path);
  refusal.allow = std::move(allow);
  return refusal;
}

void RefuseUnsupported(Request& request, Exchange exchange) {
  Refusal refusal = NotInThisVersion("'" + std::string(request.path) + "'");
  refusal.message += KeyHint(request.path);
  exchange.Refuse(refusal);
}

}  // namespace lariat::frontend::http
