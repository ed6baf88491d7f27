// SPDX-License-Identifier: Apache-2.0
#include "frontend/http/openapi/paths.h"

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "frontend/http/internal/reply.h"
#include "frontend/http/internal/routes.h"
#include "frontend/http/openapi/schemas.h"

namespace lariat::frontend::http {
namespace {

namespace json = boost::json;

json::array Refs(const char* kind, std::string_view names) {
  json::array refs;
  for (const std::string& name : Split(names, ' ')) refs.push_back(Ref(kind, name));
  return refs;
}

constexpr std::string_view kLevelParameters =
    " Consistency XConsistencyLevel XConsistency r w pr pw timeout_ms sloppy";

// The responses that go with a status wherever it comes.
const char* ErrorOf(std::string_view status) {
  constexpr std::pair<std::string_view, const char*> kErrors[] = {
      {"304", "NotModified"}, {"400", "BadRequest"},
      {"404", "NotFound"},    {"406", "NotAcceptable"},
      {"409", "Conflict"},    {"411", "LengthRequired"},
      {"413", "TooLarge"},    {"415", "UnsupportedMediaType"},
      {"503", "NotDone"},     {"504", "NoAnswer"},
      {"401", "WhoAreYou"},   {"403", "Forbidden"},
      {"429", "RateLimited"},
  };
  for (const auto& [code, name] : kErrors) {
    if (code == status) return name;
  }
  return "";
}

std::string_view BodyErrors(BodyRule body) {
  if (body == BodyRule::kNone) return "";
  return body == BodyRule::kOptionalJson ? " 413 415" : " 411 413 415";
}

// Where clients log in.
std::string_view DoorErrors(access::Door door) {
  return door == access::Door::kOpen ? "" : " 401 403";
}

bool IsClientRequest(const Route& route) {
  return route.op != telemetry::Op::kCount && route.op != telemetry::Op::kBucket;
}

std::string TagOf(const Route& route) {
  if (route.op == telemetry::Op::kCount) return "operations";
  if (route.op == telemetry::Op::kBucket) return "buckets";
  return route.pattern.starts_with("/v1/") ? "json" : "raw";
}

std::string OperationId(const Route& route) {
  std::string id(route.name);
  id[0] = static_cast<char>(id[0] - 'A' + 'a');
  const bool both = route.pattern.find("{bucket}") != std::string_view::npos &&
                    route.pattern.find("{key}") != std::string_view::npos;
  return both ? id + "InBucket" : id;
}

json::object JsonContent(std::string_view schema) {
  return {{kJsonType.data(), json::object{{"schema", Ref("schemas", schema)}}}};
}

json::object Responses(const Route& route, const json::object& known) {
  std::map<std::string, json::object> by_status;
  const std::string answers = std::string(route.answers) + " 400" +
                              std::string(BodyErrors(route.body)) +
                              std::string(DoorErrors(route.door));
  for (const std::string& answer : Split(answers, ' ')) {
    const std::vector<std::string> parts = Split(answer, ':');
    const std::string name = parts.size() > 1 ? parts[1] : ErrorOf(parts[0]);
    if (known.contains(name)) {
      by_status[parts[0]] = Ref("responses", name);
    } else {
      by_status[parts[0]] = {{"description", std::string(route.summary) + "."},
                             {"content", JsonContent(name)}};
    }
  }
  json::object responses;
  for (auto& [status, response] : by_status) responses[status] = std::move(response);
  return responses;
}

json::object Operation(const Route& route, const json::object& components) {
  json::object operation = {{"operationId", OperationId(route)},
                            {"tags", json::array{TagOf(route)}},
                            {"summary", std::string(route.summary)}};
  const std::string parameters =
      std::string(route.parameters) + std::string(IsClientRequest(route) ? kLevelParameters : "");
  if (!parameters.empty()) operation["parameters"] = Refs("parameters", parameters);
  if (route.body == BodyRule::kValue) {
    operation["requestBody"] = Ref("requestBodies", "Value");
  } else if (route.body != BodyRule::kNone) {
    operation["requestBody"] = {{"required", route.body != BodyRule::kOptionalJson},
                                {"content", JsonContent(route.takes)}};
  }
  operation["responses"] = Responses(route, components.at("responses").as_object());
  return operation;
}

const char* MethodName(Method method) {
  if (method == Method::kGet) return "get";
  if (method == Method::kPut) return "put";
  return method == Method::kPost ? "post" : "delete";
}

// "bucket key" of a pattern with both.
std::string PathParameters(std::string_view pattern) {
  std::string names;
  for (const std::string& segment : Split(pattern, '/')) {
    if (segment[0] == '{') names += segment.substr(1, segment.size() - 2) + " ";
  }
  return names;
}

}  // namespace

json::object Paths(const json::object& components) {
  json::object paths;
  for (const Route& route : RouteTable()) {
    if (route.summary.empty()) continue;
    json::value& path = paths[std::string(route.pattern)];
    if (path.is_null()) {
      path.emplace_object();
      json::array parameters = Refs("parameters", PathParameters(route.pattern));
      if (!parameters.empty()) path.as_object()["parameters"] = std::move(parameters);
    }
    path.as_object()[MethodName(route.method)] = Operation(route, components);
  }
  return paths;
}

}  // namespace lariat::frontend::http
