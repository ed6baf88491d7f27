// SPDX-License-Identifier: Apache-2.0
#include "base/result.h"

namespace lariat::base {

std::string_view CodeName(Code code) {
  switch (code) {
    case Code::kOk:
      return "ok";
    case Code::kInvalidArgument:
      return "invalid_argument";
    case Code::kNotFound:
      return "not_found";
    case Code::kPreconditionFailed:
      return "precondition_failed";
    case Code::kTooLarge:
      return "too_large";
    case Code::kTooManySiblings:
      return "too_many_siblings";
    case Code::kInsufficientReplicas:
      return "insufficient_replicas";
    case Code::kUnavailable:
      return "unavailable";
    case Code::kOverloaded:
      return "overloaded";
    case Code::kTimeout:
      return "timeout";
    case Code::kUnknown:
      return "outcome_unknown";
    case Code::kCorruption:
      return "corruption";
    case Code::kIo:
      return "io_error";
    case Code::kStalled:
      return "stalled";
    case Code::kDiskFull:
      return "disk_full";
    case Code::kUnsupported:
      return "unsupported";
    case Code::kStaleEpoch:
      return "stale_epoch";
    case Code::kConflict:
      return "conflict";
    case Code::kInternal:
      return "internal";
    case Code::kNotCovered:
      return "not_covered";
    case Code::kClockOff:
      return "clock_off";
    case Code::kUnauthenticated:
      return "unauthenticated";
    case Code::kForbidden:
      return "forbidden";
    case Code::kRateLimited:
      return "rate_limited";
    case Code::kObjectTooLarge:
      return "object_too_large";
    case Code::kWrongType:
      return "wrong_type";
    case Code::kElementTooLarge:
      return "element_too_large";
    case Code::kOperationTooLarge:
      return "operation_too_large";
    case Code::kTooManyElements:
      return "too_many_elements";
  }
  return "internal";
}

}  // namespace lariat::base
