// SPDX-License-Identifier: Apache-2.0
// Every setting as a typed field, and the table that describes them. Both come from settings.def:
// the field of LARIAT_SETTING(storage, io_threads, ...) is Settings::storage_io_threads.
// Values; no threading rule.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>
#include <vector>

namespace lariat::config {

// The types that settings.def may name.
using Bool = bool;
using Int = int64_t;
using Double = double;
using Text = std::string;
using List = std::vector<std::string>;

namespace internal {
// Turns a default of settings.def into the field's type; a List's default is comma separated.
template <typename T, typename Written>
T FromTable(const Written& written) {
  if constexpr (std::is_same_v<T, List>) {
    List list;
    std::string_view rest = written;
    while (!rest.empty()) {
      const size_t comma = rest.find(',');
      list.emplace_back(rest.substr(0, comma));
      rest = comma == std::string_view::npos ? std::string_view() : rest.substr(comma + 1);
    }
    return list;
  } else {
    return T(written);
  }
}
}  // namespace internal

// A default-constructed Settings holds the defaults.
struct Settings {
#define LARIAT_SETTING(section, name, type, default_value, min, max, unit, live, doc) \
  type section##_##name = internal::FromTable<type>(default_value);
#include "config/settings.def"
#undef LARIAT_SETTING

  bool operator==(const Settings&) const = default;
};

// In the order of Value's alternatives.
enum class Type : uint8_t { kBool, kInt, kDouble, kText, kList };
using Value = std::variant<Bool, Int, Double, Text, List>;
using Field = std::variant<Bool Settings::*, Int Settings::*, Double Settings::*, Text Settings::*,
                           List Settings::*>;

enum class Live : uint8_t {
  kRestart,  // read at start
  kLive,     // SIGHUP applies it
};

struct SettingInfo {
  std::string_view section;
  std::string_view name;
  Field field;
  // As one would write it in `--set`: a List is comma separated, a Text has no quotes.
  std::string_view default_text;
  double min;  // Int and Double only. A double holds every bound in use exactly (below 2^53).
  double max;
  // As shown to people. Some have a meaning to the parser: "a|b|c" lists the allowed texts,
  // "host:port" and "host:port list" fix the shape, "bytes" and "bytes/s" allow "64MiB".
  std::string_view unit;
  Live live;
  std::string_view doc;

  Type type() const { return static_cast<Type>(field.index()); }
  std::string key() const;                   // "storage.io_threads"
  std::string environment_variable() const;  // "LARIAT_STORAGE__IO_THREADS"
  bool is_bytes() const { return unit == "bytes" || unit == "bytes/s"; }
  bool is_choice() const {
    return type() == Type::kText && unit.find('|') != std::string_view::npos;
  }
};

// All settings, in the order of settings.def.
std::span<const SettingInfo> SettingTable();

// Section names, each once, in the order of first appearance in the table.
std::vector<std::string_view> Sections();

// nullptr when there is no such setting; `key` is "section.name".
const SettingInfo* FindSetting(std::string_view key);

Value Get(const Settings& settings, const SettingInfo& info);
// REQUIRES: value holds info.type().
void Put(Settings* settings, const SettingInfo& info, Value value);

// What has changed between two configurations.
struct SettingsDiff {
  std::vector<const SettingInfo*> live;     // can be applied now
  std::vector<const SettingInfo*> restart;  // need a restart
};
SettingsDiff DiffLive(const Settings& running, const Settings& wanted);

// `running` with those changes of `wanted` that can be applied without a restart.
Settings WithLiveChanges(const Settings& running, const Settings& wanted);

}  // namespace lariat::config
