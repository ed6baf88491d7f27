// SPDX-License-Identifier: Apache-2.0
// What a POST on a key and an item of a batch share: an operation on a value that merges.
#pragma once

#include <string_view>

#include "base/result.h"
#include "coordinator/kv_service.h"
#include "frontend/http/internal/shared.h"

namespace lariat::frontend::http {

// Fills the request in, whose key, bucket and caller are there; its limits are checked by the
// service. kInvalidArgument, kWrongType; kNotFound: there is no such bucket; kForbidden: the caller
// may not know what it holds.
base::Status ReadUpdateBody(std::string_view body, Shared& shared, coordinator::WriteRequest* to);

}  // namespace lariat::frontend::http
