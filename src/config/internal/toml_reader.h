// SPDX-License-Identifier: Apache-2.0
// A TOML text as a flat list of typed values with their places; the only part that knows the
// TOML library.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "config/settings.h"

namespace lariat::config::internal {

struct TomlEntry {
  const SettingInfo* info;
  Value value;        // of the setting's type, not yet checked against the table's bounds
  std::string place;  // "file:line"
};

struct TomlContent {
  std::vector<TomlEntry> entries;
  std::vector<std::string> errors;  // "file:line: key: what is wrong"
};

TomlContent ReadToml(std::string_view text, std::string_view filename);

}  // namespace lariat::config::internal
