// SPDX-License-Identifier: Apache-2.0
// The right to answer one HTTP request, moved into the callback that will. It may outlive the
// connection: answering then only counts. It fits into a UniqueFunction without allocation.
#pragma once

#include <string>

#include "base/time.h"
#include "frontend/connection/turn.h"
#include "frontend/http/internal/errors.h"
#include "frontend/http/internal/reply.h"
#include "frontend/http/internal/shared.h"
#include "telemetry/labels.h"

namespace lariat::frontend::http {

// What an answer has to know of its request, kept beside the request's place among the replies.
struct Pending {
  ReplyForm form;
  std::string key;            // for replies that name it
  std::string accept;         // of a read, where it says anything
  std::string if_none_match;  // of a read
};

class HttpConnection;

class Exchange {
 public:
  // `turn` is of an HttpConnection. `op` kCount: not counted as a client request.
  Exchange(connection::Turn turn, base::Instant start, telemetry::Op op);
  Exchange(Exchange&&) = default;
  Exchange& operator=(Exchange&&) = default;

  Shared& shared() const { return static_cast<Shared&>(turn_.clients()); }
  HttpConnection* connection() const;  // nullptr: it is gone
  // Of this request. REQUIRES: its handler has not returned.
  const coordinator::Caller& caller() const;
  // nullptr when nobody waits any more.
  Pending* pending() const;
  // Ends the request; `outcome` and its time are counted. The reply is built from the service's
  // result with `build(Shared&, const Pending&) -> Reply`, only if somebody still waits.
  template <typename Build>
  void Answer(telemetry::Outcome outcome, Build build) {
    if (!shared().alive) return;
    Count(outcome);
    if (const Pending* waiting = pending()) turn_.Answer(build(shared(), *waiting));
  }
  void Refuse(base::Error error);
  void Refuse(const Refusal& refusal);

 private:
  void Count(telemetry::Outcome outcome);

  connection::Turn turn_;
  base::Instant start_;
  telemetry::Op op_;
};

}  // namespace lariat::frontend::http
