// SPDX-License-Identifier: Apache-2.0
#include "frontend/http/internal/exchange.h"

#include <utility>

#include "frontend/http/internal/connection.h"

namespace lariat::frontend::http {

Exchange::Exchange(connection::Turn turn, base::Instant start, telemetry::Op op)
    : turn_(std::move(turn)), start_(start), op_(op) {}

HttpConnection* Exchange::connection() const {
  return static_cast<HttpConnection*>(turn_.connection());
}

const coordinator::Caller& Exchange::caller() const { return connection()->caller(); }

Pending* Exchange::pending() const {
  auto* connection = static_cast<HttpConnection*>(turn_.connection());
  return connection == nullptr ? nullptr : connection->Waiting(turn_.number());
}

void Exchange::Count(telemetry::Outcome outcome) {
  if (op_ == telemetry::Op::kCount) return;
  telemetry::Metrics& metrics = shared().metrics;
  metrics.requests.At(op_, outcome).Add();
  metrics.request_seconds[op_].Record(shared().env.clock.Now() - start_);
}

void Exchange::Refuse(base::Error error) {
  const telemetry::Outcome outcome = OutcomeOf(error.code);
  Answer(outcome, [&](Shared& shared, const Pending& waiting) {
    return RefusalReply(shared, waiting.form, ToRefusal(std::move(error)));
  });
}

void Exchange::Refuse(const Refusal& refusal) {
  Answer(telemetry::Outcome::kRefused, [&](Shared& shared, const Pending& waiting) {
    return RefusalReply(shared, waiting.form, refusal);
  });
}

}  // namespace lariat::frontend::http
