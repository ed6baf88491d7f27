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

constexpr Route kRoutes[] = {
#define LARIAT_ROUTE(pattern, method, body, op, door, handler, ...) \
  {pattern, Method::method, Body::body, Op::op, access::Door::door, handler, #handler, __VA_ARGS__},
#include "frontend/http/routes.def"
#undef LARIAT_ROUTE
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
  if (pattern == "/") return path == pattern;
  request.name_segment.reset();
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
    } else if (wanted == "{user}" || wanted == "{role}") {
      request.name_segment = given;
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
    if (!same_pattern && !request.path.starts_with(route.literal)) continue;
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
