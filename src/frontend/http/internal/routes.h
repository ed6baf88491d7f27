// SPDX-License-Identifier: Apache-2.0
// The one table of what can be asked: pattern, method, what body is taken, what does it.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <variant>

#include "frontend/http/internal/errors.h"
#include "frontend/http/internal/exchange.h"
#include "frontend/http/internal/request.h"
#include "telemetry/labels.h"

namespace lariat::frontend::http {

enum class BodyRule : uint8_t {
  kNone,          // a body is refused
  kValue,         // the bytes of a value; length or chunks required
  kValueJson,     // a JSON envelope with a value; length or chunks required
  kSmallJson,     // a JSON object without values; length or chunks required
  kOptionalJson,  // as kSmallJson, or nothing
};

// Must answer through the exchange, now or later. May move parts out of the request.
using Handler = void (*)(Request& request, Exchange exchange);

struct Route {
  std::string_view pattern;  // {bucket}, {key} and {task} stand for one segment
  Method method;             // kGet serves HEAD too
  BodyRule body;
  telemetry::Op op;  // kCount: no client request
  Handler handler;
};

std::span<const Route> RouteTable();

// Splits request.target, finds the route and sets the request's views; or says why there is none
// (404, 405 with the methods that the path has).
std::variant<const Route*, Refusal> FindRoute(Request& request);

}  // namespace lariat::frontend::http
