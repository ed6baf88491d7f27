// SPDX-License-Identifier: Apache-2.0
// How much a shard takes in at once: requests, and bytes of values that are written
// (limits.in_flight_requests, limits.in_flight_bytes). The shard's thread.
#pragma once

#include <cstddef>

#include "base/result.h"
#include "coordinator/internal/op_context.h"

namespace lariat::coordinator {

class Admission {
 public:
  explicit Admission(OpContext& context) : context_(context) {}

  // kOverloaded if it would be too much; otherwise the request is in until Leave with the same
  // number.
  base::Status Admit(size_t bytes);
  void Leave(size_t bytes);
  size_t InFlight() const { return requests_; }

 private:
  OpContext& context_;
  size_t requests_ = 0;
  size_t bytes_ = 0;
};

}  // namespace lariat::coordinator
