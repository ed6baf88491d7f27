// SPDX-License-Identifier: Apache-2.0
// About how many bytes a message of an exchange takes on the wire. Pure.
#pragma once

#include <cstdint>

#include "wire/messages.h"

namespace lariat::repair {

uint64_t MessageBytes(const wire::Body& body);

}  // namespace lariat::repair
