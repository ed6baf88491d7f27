// SPDX-License-Identifier: Apache-2.0
// What this server says that it is.
#pragma once

#include <string_view>

#include "frontend/resp/internal/shared.h"

namespace lariat::frontend::resp {

// Clients choose by it what they may send: what this version of Redis can do is here, or is refused
// with the reason.
inline constexpr std::string_view kRedisVersion = "7.2.0";

inline std::string_view ModeOf(const Shared& shared) {
  return shared.settings.resp_cluster_mode ? "cluster" : "standalone";
}

}  // namespace lariat::frontend::resp
