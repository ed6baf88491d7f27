// SPDX-License-Identifier: Apache-2.0
#include "coordinator/internal/admission.h"

#include "base/check.h"

namespace lariat::coordinator {

using base::Code;
using base::Fail;

base::Status Admission::Admit(size_t bytes) {
  const config::Settings& settings = context_.settings();
  if (requests_ >= static_cast<size_t>(settings.limits_in_flight_requests)) {
    return Fail(Code::kOverloaded, "too many requests are in work (limits.in_flight_requests)");
  }
  if (bytes_ + bytes > static_cast<size_t>(settings.limits_in_flight_bytes)) {
    return Fail(Code::kOverloaded, "too many bytes are in work (limits.in_flight_bytes)");
  }
  ++requests_;
  bytes_ += bytes;
  context_.metrics().requests_in_flight.Set(static_cast<int64_t>(requests_));
  return {};
}

void Admission::Leave(size_t bytes) {
  LARIAT_CHECK(requests_ > 0, "a request leaves once");
  LARIAT_CHECK(bytes_ >= bytes, "with what it came with");
  --requests_;
  bytes_ -= bytes;
  context_.metrics().requests_in_flight.Set(static_cast<int64_t>(requests_));
}

}  // namespace lariat::coordinator
