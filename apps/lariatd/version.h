// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace lariat::lariatd {

inline constexpr const char* kVersion = LARIAT_VERSION;  // from CMake's project()

}  // namespace lariat::lariatd
