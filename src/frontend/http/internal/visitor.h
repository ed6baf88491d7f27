// SPDX-License-Identifier: Apache-2.0
// Who a connection's requests come from: what they say in Authorization, or whom the client's
// certificate names. What a header said is remembered, so that a request that says the same costs a
// comparison; whether it still holds is for the gate, at each request.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "access/access_service.h"
#include "base/result.h"
#include "coordinator/kv_service.h"
#include "env/stream.h"
#include "frontend/http/internal/request.h"
#include "frontend/http/internal/routes.h"
#include "frontend/http/internal/shared.h"

namespace lariat::frontend::http {

class Visitor {
 public:
  Visitor(Shared& shared, const env::Stream& stream);

  enum class Seen : uint8_t {
    kKnown,     // caller() is of this request
    kPassword,  // to be checked first: TakeAttempt, then Settle
    kRefused,   // error() says why
  };
  Seen Look(const Request& request);
  access::Attempt TakeAttempt();
  // What became of the attempt. False: error() says why it was refused.
  bool Settle(const Request& request, base::Result<coordinator::Caller> caller);

  const coordinator::Caller& caller() const { return caller_; }
  const base::Error& error() const { return error_; }

 private:
  Seen Refuse(base::Error error);
  Seen LookAtNoHeader();
  Seen LookAtToken(std::string_view header, std::string_view token);
  Seen LookAtPassword(std::string_view encoded);

  Shared& shared_;
  const std::string certified_;  // whom the certificate names; empty: there is none
  const coordinator::Caller nobody_;
  coordinator::Caller caller_;
  base::Error error_;
  access::Attempt attempt_;
  std::string header_;  // that remembered_ is of
  coordinator::Caller remembered_;
  std::optional<base::WallTime> good_until_;
};

// Whether the caller may come in at the route's door.
base::Status MayEnter(Shared& shared, const Route& route, const Request& request,
                      const coordinator::Caller& caller);

}  // namespace lariat::frontend::http
