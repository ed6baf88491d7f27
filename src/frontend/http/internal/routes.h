// SPDX-License-Identifier: Apache-2.0
// What can be asked, from the one table of routes.def.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <variant>

#include "access/access_service.h"
#include "frontend/http/internal/errors.h"
#include "frontend/http/internal/exchange.h"
#include "frontend/http/internal/request.h"
#include "telemetry/labels.h"

namespace lariat::frontend::http {

enum class BodyRule : uint8_t {
  kNone,          // a body is refused
  kValue,         // the bytes of a value; length or chunks required
  kValueJson,     // a JSON envelope with a value; length or chunks required
  kBatchJson,     // a JSON envelope of operations; length or chunks required
  kSmallJson,     // a JSON object without values; length or chunks required
  kOptionalJson,  // as kSmallJson, or nothing
};

// Must answer through the exchange, now or later. May move parts out of the request.
using Handler = void (*)(Request& request, Exchange exchange);

// A row of routes.def, which says what each part means.
struct Route {
  std::string_view pattern;
  Method method;
  BodyRule body;
  telemetry::Op op;
  access::Door door;
  Handler handler;
  std::string_view name;  // of the handler
  std::string_view summary, parameters, takes, answers;
  // What every path of the pattern begins with: most rows are passed over by it.
  std::string_view literal = pattern.substr(0, pattern.find('{'));
};

std::span<const Route> RouteTable();

// Splits request.target, finds the route and sets the request's views; or says why there is none
// (404, 405 with the methods that the path has).
std::variant<const Route*, Refusal> FindRoute(Request& request);

}  // namespace lariat::frontend::http
