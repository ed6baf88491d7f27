// SPDX-License-Identifier: Apache-2.0
#include "config/parser.h"

#include <fmt/format.h>

#include <algorithm>

#include "config/internal/nearest.h"
#include "config/internal/toml_reader.h"
#include "config/value.h"

namespace lariat::config {
namespace {

using base::Code;
using base::Fail;
using base::Result;
using base::Status;

constexpr std::string_view kPrefix = "LARIAT_";

Status Refuse(std::string_view place, std::string_view message) {
  return Fail(Code::kInvalidArgument, fmt::format("{}: {}", place, message));
}

void AddLine(std::string* errors, std::string_view line) {
  if (!errors->empty()) *errors += '\n';
  *errors += line;
}

Status FromLines(std::string errors) {
  if (errors.empty()) return {};
  return Fail(Code::kInvalidArgument, std::move(errors));
}

Result<Value> ParseAndCheck(const SettingInfo& info, std::string_view text) {
  Result<Value> value = ParseValue(info, text);
  if (!value) return value;
  if (Status status = CheckValue(info, *value); !status) return Fail(std::move(status.error()));
  return value;
}

const SettingInfo* FindVariable(std::string_view name) {
  const auto table = SettingTable();
  const auto found = std::ranges::find(table, name, &SettingInfo::environment_variable);
  return found == table.end() ? nullptr : &*found;
}

// "LARIAT_STORAGE__IO_THREADS" -> "storage.io_threads", to find what was meant.
std::string KeyOfVariable(std::string_view name) {
  const size_t split = name.find("__", kPrefix.size());
  const std::string_view section = name.substr(kPrefix.size(), split - kPrefix.size());
  std::string key = fmt::format("{}.{}", section, name.substr(split + 2));
  for (char& c : key) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return key;
}

std::string UnknownVariable(std::string_view name) {
  const SettingInfo* nearest = internal::NearestSetting(KeyOfVariable(name));
  if (nearest == nullptr) return fmt::format("{}: no such setting", name);
  return fmt::format("{}: no such setting (did you mean {}?)", name,
                     nearest->environment_variable());
}

}  // namespace

Status SettingsBuilder::LoadToml(std::string_view text, std::string_view filename) {
  internal::TomlContent content = internal::ReadToml(text, filename);
  std::string errors;
  for (const std::string& error : content.errors) AddLine(&errors, error);
  for (internal::TomlEntry& entry : content.entries) {
    if (const Status status = CheckValue(*entry.info, entry.value); !status) {
      AddLine(&errors,
              fmt::format("{}: {}: {}", entry.place, entry.info->key(), status.error().message));
      continue;
    }
    Take(*entry.info, {std::move(entry.value), Source::kFile, std::move(entry.place)});
  }
  return Remember(FromLines(std::move(errors)));
}

Status SettingsBuilder::LoadEnvironment(std::span<const std::string> entries) {
  std::string errors;
  for (const std::string& entry : entries) {
    const size_t equals = entry.find('=');
    if (equals == std::string::npos) continue;
    const std::string_view name = std::string_view(entry).substr(0, equals);
    if (!name.starts_with(kPrefix)) continue;
    if (name.find("__", kPrefix.size()) == std::string_view::npos) continue;
    const Status status = LoadVariable(name, std::string_view(entry).substr(equals + 1));
    if (!status) AddLine(&errors, status.error().message);
  }
  return Remember(FromLines(std::move(errors)));
}

Status SettingsBuilder::LoadVariable(std::string_view name, std::string_view value) {
  const SettingInfo* info = FindVariable(name);
  if (info == nullptr) return Refuse("environment", UnknownVariable(name));
  Result<Value> parsed = ParseAndCheck(*info, value);
  if (!parsed) {
    return Refuse("environment",
                  fmt::format("{}: {}: {}", name, info->key(), parsed.error().message));
  }
  Take(*info, {std::move(*parsed), Source::kEnvironment, "environment"});
  return {};
}

Status SettingsBuilder::Set(std::string_view assignment, std::string_view flag) {
  const size_t equals = assignment.find('=');
  if (equals == std::string_view::npos) {
    return Remember(Refuse(flag, fmt::format("'{}' is not section.key=value", assignment)));
  }
  return Set(assignment.substr(0, equals), assignment.substr(equals + 1), flag);
}

Status SettingsBuilder::Set(std::string_view key, std::string_view value, std::string_view flag) {
  return Remember(SetFlag(key, value, flag));
}

Status SettingsBuilder::SetFlag(std::string_view key, std::string_view value,
                                std::string_view flag) {
  const SettingInfo* info = FindSetting(key);
  if (info == nullptr) return Refuse(flag, internal::UnknownKey(key));
  Result<Value> parsed = ParseAndCheck(*info, value);
  if (!parsed) return Refuse(flag, fmt::format("{}: {}", key, parsed.error().message));
  Take(*info, {std::move(*parsed), Source::kFlag, fmt::format("flag {}", flag)});
  return {};
}

Result<Settings> SettingsBuilder::Build() const {
  if (!first_error_) return Fail(first_error_.error());
  Settings settings;
  for (const auto& [info, entry] : entries_) Put(&settings, *info, entry.value);
  return settings;
}

SettingsBuilder::Entry SettingsBuilder::Lookup(const SettingInfo& info) const {
  const auto found = entries_.find(&info);
  if (found != entries_.end()) return found->second;
  return {DefaultValue(info), Source::kDefault, "default"};
}

void SettingsBuilder::Take(const SettingInfo& info, Entry entry) {
  const auto found = entries_.find(&info);
  if (found != entries_.end() && found->second.source > entry.source) return;
  entries_.insert_or_assign(&info, std::move(entry));
}

Status SettingsBuilder::Remember(Status status) {
  if (first_error_ && !status) first_error_ = status;
  return status;
}

}  // namespace lariat::config
