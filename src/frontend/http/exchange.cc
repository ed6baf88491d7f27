// SPDX-License-Identifier: Apache-2.0
#include "frontend/http/internal/exchange.h"

#include <utility>

#include "frontend/http/internal/connection.h"

namespace lariat::frontend::http {

Exchange::Exchange(std::shared_ptr<Link> link, uint64_t number, base::Instant start,
                   telemetry::Op op)
    : link_(std::move(link)), number_(number), start_(start), op_(op) {}

Pending* Exchange::pending() const {
  return link_->connection == nullptr ? nullptr : link_->connection->Waiting(number_);
}

void Exchange::Count(telemetry::Outcome outcome) {
  if (op_ == telemetry::Op::kCount) return;
  telemetry::Metrics& metrics = shared().metrics;
  metrics.requests.At(op_, outcome).Add();
  metrics.request_seconds[op_].Record(shared().env.clock.Now() - start_);
}

void Exchange::Send(Reply reply) { link_->connection->Answer(number_, std::move(reply)); }

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
