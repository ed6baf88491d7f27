// SPDX-License-Identifier: Apache-2.0
// How clients name a version of a key of a serial bucket. Pure.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/result.h"

namespace lariat::causal {

// A number as text, or a context that was given out for the key. kInvalidArgument: neither.
base::Result<uint64_t> SerialVersionOf(std::string_view text, std::string_view bucket,
                                       std::string_view key);

}  // namespace lariat::causal
