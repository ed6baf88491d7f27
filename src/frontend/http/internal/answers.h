// SPDX-License-Identifier: Apache-2.0
// What the handlers of operations share: answers in JSON, and paths that take no query.
#pragma once

#include <string>

#include "frontend/http/internal/exchange.h"
#include "frontend/http/internal/json_writer.h"
#include "frontend/http/internal/reply.h"
#include "frontend/http/internal/request.h"

namespace lariat::frontend::http {

// Ends the request with `status` and the JSON that `write(JsonWriter&)` makes.
template <typename Write>
void AnswerJson(Exchange& exchange, int status, Write write) {
  exchange.Answer(telemetry::Outcome::kOk, [&](Shared& shared, const Pending& waiting) {
    std::string body;
    JsonWriter json(&body);
    write(json);
    return JsonReply(shared, waiting.form, status, body);
  });
}

// True if there was a query, which then was refused.
inline bool RefuseQuery(const Request& request, Exchange& exchange) {
  if (request.query.empty()) return false;
  exchange.Refuse(BadRequest("this path takes no query"));
  return true;
}

}  // namespace lariat::frontend::http
