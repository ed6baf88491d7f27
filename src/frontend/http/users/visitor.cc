// SPDX-License-Identifier: Apache-2.0
#include "frontend/http/internal/visitor.h"

#include <utility>

#include "base/base64.h"
#include "frontend/http/internal/kv_request.h"
#include "security/password.h"

namespace lariat::frontend::http {

using base::Code;
using coordinator::Caller;

namespace {

constexpr const char* kHttp = "http";

base::Error BadHeader(const char* why) { return {Code::kUnauthenticated, why}; }

// "Basic x": the scheme in any case, and what stands behind it.
std::string_view AfterScheme(std::string_view header, std::string_view scheme) {
  const bool is_it = header.size() > scheme.size() && header[scheme.size()] == ' ' &&
                     EqualsIgnoringCase(header.substr(0, scheme.size()), scheme);
  return is_it ? TrimBlanks(header.substr(scheme.size())) : std::string_view();
}

}  // namespace

Visitor::Visitor(Shared& shared, const env::Stream& stream)
    : shared_(shared),
      certified_(stream.PeerIdentity()),
      nobody_("", stream.PeerAddress(), kHttp),
      caller_(nobody_) {}

Visitor::Seen Visitor::Look(const Request& request) {
  const auto header = request.Get(Header::kAuthorization);
  if (!header) return LookAtNoHeader();
  if (!header_.empty() && *header == header_ &&
      (!good_until_ || shared_.env.clock.Wall() < *good_until_)) {
    caller_ = remembered_;
    return Seen::kKnown;
  }
  if (const std::string_view token = AfterScheme(*header, "bearer"); !token.empty()) {
    return LookAtToken(*header, token);
  }
  if (const std::string_view encoded = AfterScheme(*header, "basic"); !encoded.empty()) {
    return LookAtPassword(encoded);
  }
  return Refuse(
      BadHeader("Authorization is 'Basic' with user and password, or 'Bearer' with a "
                "token"));
}

Visitor::Seen Visitor::Refuse(base::Error error) {
  caller_ = nobody_;
  if (shared_.access.mode() == access::Mode::kPermissive) return Seen::kKnown;
  error_ = std::move(error);
  return Seen::kRefused;
}

Visitor::Seen Visitor::LookAtNoHeader() {
  caller_ = nobody_;
  if (certified_.empty()) return Seen::kKnown;
  auto named = shared_.access.ByCertificate(certified_, nobody_.from(), kHttp);
  if (!named) return Refuse(std::move(named.error()));
  caller_ = std::move(*named);
  return Seen::kKnown;
}

Visitor::Seen Visitor::LookAtToken(std::string_view header, std::string_view token) {
  auto visit = shared_.access.ByToken(token, nobody_.from(), kHttp);
  if (!visit) return Refuse(std::move(visit.error()));
  header_ = header;
  caller_ = remembered_ = std::move(visit->caller);
  good_until_ = visit->expires;
  return Seen::kKnown;
}

Visitor::Seen Visitor::LookAtPassword(std::string_view encoded) {
  const auto pair = base::Base64Decode(encoded);
  const size_t colon = pair ? pair->find(':') : std::string::npos;
  if (colon == std::string::npos || pair->size() - colon - 1 > security::kPasswordBytesMax) {
    return Refuse(BadHeader("'Basic' is followed by base64 of user:password"));
  }
  attempt_ = {pair->substr(0, colon), pair->substr(colon + 1), std::string(nobody_.from()), kHttp};
  caller_ = nobody_;
  return Seen::kPassword;
}

access::Attempt Visitor::TakeAttempt() { return std::exchange(attempt_, {}); }

bool Visitor::Settle(const Request& request, base::Result<Caller> caller) {
  if (!caller) return Refuse(std::move(caller.error())) == Seen::kKnown;
  header_ = *request.Get(Header::kAuthorization);
  caller_ = remembered_ = std::move(*caller);
  good_until_.reset();  // until the password changes
  return true;
}

base::Status MayEnter(Shared& shared, const Route& route, const Request& request,
                      const Caller& caller) {
  if (route.door != access::Door::kBucket) return shared.access.Check(route.door, caller, "");
  auto bucket = BucketOf(request);
  if (!bucket) return base::Fail(std::move(bucket.error()));
  return shared.access.Check(route.door, caller, *bucket);
}

}  // namespace lariat::frontend::http
