// SPDX-License-Identifier: Apache-2.0
// The right to answer one request, moved into the callback that will. It may outlive the
// connection: answering then only counts. It fits into a UniqueFunction without allocation.
#pragma once

#include <cstdint>
#include <memory>

#include "base/time.h"
#include "frontend/http/internal/errors.h"
#include "frontend/http/internal/pipeline.h"
#include "frontend/http/internal/shared.h"
#include "telemetry/labels.h"

namespace lariat::frontend::http {

class HttpConnection;

// Co-owned by the connection and by its requests in work; `connection` is nullptr once it is gone.
struct Link {
  HttpConnection* connection;
  std::shared_ptr<Shared> shared;  // co-owners: see Shared
  coordinator::Caller caller;      // of all requests of the connection
};

class Exchange {
 public:
  // `op` kCount: not counted as a client request.
  Exchange(std::shared_ptr<Link> link, uint64_t number, base::Instant start, telemetry::Op op);
  Exchange(Exchange&&) = default;
  Exchange& operator=(Exchange&&) = default;

  Shared& shared() const { return *link_->shared; }
  const coordinator::Caller& caller() const { return link_->caller; }
  // nullptr when nobody waits any more.
  Pending* pending() const;
  // Ends the request; `outcome` and its time are counted. The reply is built from the service's
  // result with `build(Shared&, const Pending&) -> Reply`, only if somebody still waits.
  template <typename Build>
  void Answer(telemetry::Outcome outcome, Build build) {
    if (!shared().alive) return;
    Count(outcome);
    if (const Pending* waiting = pending()) Send(build(shared(), *waiting));
  }
  void Refuse(base::Error error);
  void Refuse(const Refusal& refusal);

 private:
  void Count(telemetry::Outcome outcome);
  void Send(Reply reply);

  std::shared_ptr<Link> link_;
  uint64_t number_;
  base::Instant start_;
  telemetry::Op op_;
};

}  // namespace lariat::frontend::http
