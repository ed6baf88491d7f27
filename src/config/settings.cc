// SPDX-License-Identifier: Apache-2.0
#include "config/settings.h"

#include <algorithm>
#include <array>

#include "base/check.h"

namespace lariat::config {
namespace {

constexpr double kExactMax = 9007199254740992.0;  // 2^53

constexpr std::string_view DefaultText(const char* text, const char* /*source*/) { return text; }
template <typename T>
constexpr std::string_view DefaultText(T /*value*/, const char* source) {
  return source;
}

constexpr std::array kTable = {
#define LARIAT_SETTING(section, name, type, default_value, min, max, unit, live, doc) \
  SettingInfo{#section,                                                               \
              #name,                                                                  \
              &Settings::section##_##name,                                            \
              DefaultText(default_value, #default_value),                             \
              static_cast<double>(min),                                               \
              static_cast<double>(max),                                               \
              unit,                                                                   \
              Live::live,                                                             \
              doc},
#include "config/settings.def"
#undef LARIAT_SETTING
};

static_assert(std::ranges::all_of(kTable, [](const SettingInfo& info) {
  return info.min <= info.max && info.min > -kExactMax && info.max < kExactMax;
}));

std::string UpperCase(std::string_view text) {
  std::string upper(text);
  for (char& c : upper) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  return upper;
}

}  // namespace

std::string SettingInfo::key() const { return std::string(section) + "." + std::string(name); }

std::string SettingInfo::environment_variable() const {
  return "LARIAT_" + UpperCase(section) + "__" + UpperCase(name);
}

std::span<const SettingInfo> SettingTable() { return kTable; }

std::vector<std::string_view> Sections() {
  std::vector<std::string_view> sections;
  for (const SettingInfo& info : kTable) {
    if (std::ranges::find(sections, info.section) == sections.end()) {
      sections.push_back(info.section);
    }
  }
  return sections;
}

const SettingInfo* FindSetting(std::string_view key) {
  const auto found = std::ranges::find(kTable, key, &SettingInfo::key);
  return found == kTable.end() ? nullptr : &*found;
}

Value Get(const Settings& settings, const SettingInfo& info) {
  return std::visit([&](auto member) { return Value(settings.*member); }, info.field);
}

void Put(Settings* settings, const SettingInfo& info, Value value) {
  LARIAT_CHECK(value.index() == info.field.index(), "a setting keeps its type");
  std::visit(
      [&](auto member) {
        using T = std::remove_reference_t<decltype(settings->*member)>;
        settings->*member = std::get<T>(std::move(value));
      },
      info.field);
}

SettingsDiff DiffLive(const Settings& running, const Settings& wanted) {
  SettingsDiff diff;
  for (const SettingInfo& info : kTable) {
    if (Get(running, info) == Get(wanted, info)) continue;
    (info.live == Live::kLive ? diff.live : diff.restart).push_back(&info);
  }
  return diff;
}

Settings WithLiveChanges(const Settings& running, const Settings& wanted) {
  Settings result = running;
  for (const SettingInfo* info : DiffLive(running, wanted).live) {
    Put(&result, *info, Get(wanted, *info));
  }
  return result;
}

}  // namespace lariat::config
