// SPDX-License-Identifier: Apache-2.0
// Just enough of HTTP/1.1 replies for a load generator: status, length, one header. Pure.
#pragma once

#include <string_view>

#include "apps/lariat/load/driver.h"

namespace lariat::cli::load {

// Looks at the reply at the front of `text`.
Scan ScanReply(std::string_view text);

}  // namespace lariat::cli::load
