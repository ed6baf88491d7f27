// SPDX-License-Identifier: Apache-2.0
// The members of JSON bodies about keys, for whoever has them in other bodies.
#pragma once

#include "base/result.h"
#include "causal/change.h"
#include "frontend/http/internal/flat_json.h"

namespace lariat::frontend::http {

// kInvalidArgument: the member is unknown or malformed, or the write has another value of it.
base::Status ReadPutMember(JsonMember& member, causal::ClientWrite& put);
base::Status ReadDeleteMember(JsonMember& member, causal::ClientWrite& del);

}  // namespace lariat::frontend::http
