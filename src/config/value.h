// SPDX-License-Identifier: Apache-2.0
// One value of one setting: from text, to text, and the check of what the table allows. Errors say
// what is allowed and leave the key to the caller, who knows where the value came from.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "config/settings.h"

namespace lariat::config {

inline constexpr size_t kTextBytesMax = 4096;
inline constexpr size_t kListItemsMax = 1024;

// Reads a value as flags and environment variables write it: true or false, a number (byte sizes
// also as 256MiB), the text itself, or a comma separated list.
base::Result<Value> ParseValue(const SettingInfo& info, std::string_view text);

// What true or false means to a choice that has "on" or "off"; empty where it has not.
std::string_view SwitchText(const SettingInfo& info, bool on);

// "256MiB" -> 268435456. Powers of 1024 are KiB, MiB, GiB, TiB; of 1000 KB, MB, GB, TB; B is bytes.
base::Result<int64_t> ParseByteSize(std::string_view text);

// The value, if the table allows it.
base::Status CheckValue(const SettingInfo& info, const Value& value);

// What a value must look like, for error messages and documents: "1 to 64", "sync|periodic|none".
std::string Allowed(const SettingInfo& info);

std::string_view TypeName(Type type);

// As TOML writes it.
std::string FormatToml(const Value& value);

// REQUIRES: the table's default is valid (a test walks the table).
Value DefaultValue(const SettingInfo& info);

}  // namespace lariat::config
