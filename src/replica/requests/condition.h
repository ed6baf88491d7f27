// SPDX-License-Identifier: Apache-2.0
// What has to be true of the local record for an update to happen. Pure.
#pragma once

#include "base/result.h"
#include "causal/object.h"
#include "replica/requests/requests.h"

namespace lariat::replica {

// kPreconditionFailed: the request's condition does not hold of the object.
base::Status CheckCondition(const UpdateRequest& request, const causal::Object& object);

}  // namespace lariat::replica
