// SPDX-License-Identifier: Apache-2.0
// "did you mean": the known name that is fewest edits away from a mistyped one.
#pragma once

#include <string>
#include <string_view>

#include "config/settings.h"

namespace lariat::config::internal {

// Insertions, deletions, replacements and swaps of neighbours that turn a into b.
size_t EditDistance(std::string_view a, std::string_view b);

// The setting whose key is nearest, or whose bare name is what was written; nullptr when none is
// near enough to be worth a hint.
const SettingInfo* NearestSetting(std::string_view key);

// Empty when none is near.
std::string_view NearestSection(std::string_view section);

// "key: unknown key (did you mean known.key?)"
std::string UnknownKey(std::string_view key);

}  // namespace lariat::config::internal
