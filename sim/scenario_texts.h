// SPDX-License-Identifier: Apache-2.0
// The files of sim/scenarios/ as compiled in (CMakeLists.txt writes the source).
#pragma once

#include <span>
#include <string_view>

namespace lariat::sim {

struct ScenarioText {
  std::string_view name;
  std::string_view text;
};
std::span<const ScenarioText> ScenarioTexts();

}  // namespace lariat::sim
