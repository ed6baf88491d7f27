// SPDX-License-Identifier: Apache-2.0
#include "config/internal/toml_reader.h"

#include <fmt/format.h>

// Compiled in, without exceptions and without what only writing needs. The library asserts (or, as
// NDEBUG has it, assumes) what a file can violate: "[[[" is one such text. Without its assertions
// the checks behind them report the error.
#undef NDEBUG
#define TOML_ASSERT(expr) static_assert(true)
#define TOML_HEADER_ONLY 1
#define TOML_EXCEPTIONS 0
#define TOML_ENABLE_FORMATTERS 0
#define TOML_ENABLE_UNRELEASED_FEATURES 0
#include <toml++/toml.h>

#include "config/internal/nearest.h"
#include "config/value.h"

namespace lariat::config::internal {
namespace {

using base::Code;
using base::Fail;
using base::Result;

std::string_view FoundType(const toml::node& node) {
  switch (node.type()) {
    case toml::node_type::table:
      return "a table";
    case toml::node_type::array:
      return "an array";
    case toml::node_type::string:
      return "a string";
    case toml::node_type::integer:
      return "an integer";
    case toml::node_type::floating_point:
      return "a float";
    case toml::node_type::boolean:
      return "a boolean";
    default:
      return "a date or time";
  }
}

std::string_view ExpectedType(const SettingInfo& info) {
  switch (info.type()) {
    case Type::kBool:
      return "true or false";
    case Type::kInt:
      return info.is_bytes() ? "an integer or a size such as \"64MiB\"" : "an integer";
    case Type::kDouble:
      return "a number";
    case Type::kText:
      return "a string";
    case Type::kList:
      return "an array of strings";
  }
  return "";
}

auto WrongType(const SettingInfo& info, const toml::node& node) {
  return Fail(Code::kInvalidArgument,
              fmt::format("expected {}, found {}", ExpectedType(info), FoundType(node)));
}

Result<Value> ReadList(const SettingInfo& info, const toml::array& array) {
  List list;
  for (const toml::node& item : array) {
    const auto* text = item.as_string();
    if (text == nullptr) {
      return Fail(Code::kInvalidArgument, fmt::format("expected {}, found {} in the array",
                                                      ExpectedType(info), FoundType(item)));
    }
    list.push_back(text->get());
  }
  return Value(std::move(list));
}

Result<Value> ReadValue(const SettingInfo& info, const toml::node& node) {
  switch (info.type()) {
    case Type::kBool:
      if (const auto* value = node.as_boolean()) return Value(value->get());
      break;
    case Type::kInt:
      if (const auto* value = node.as_integer()) return Value(Int{value->get()});
      if (const auto* value = node.as_string(); value != nullptr && info.is_bytes()) {
        return ParseByteSize(value->get()).map([](int64_t n) { return Value(n); });
      }
      break;
    case Type::kDouble:
      if (const auto* value = node.as_floating_point()) return Value(value->get());
      if (const auto* value = node.as_integer()) return Value(static_cast<Double>(value->get()));
      break;
    case Type::kText:
      if (const auto* value = node.as_string()) return Value(value->get());
      if (const auto* value = node.as_boolean()) {
        const std::string_view meant = SwitchText(info, value->get());
        if (!meant.empty()) return Value(Text(meant));
      }
      break;
    case Type::kList:
      if (const auto* value = node.as_array()) return ReadList(info, *value);
      break;
  }
  return WrongType(info, node);
}

std::string Place(std::string_view filename, const toml::source_region& source) {
  return fmt::format("{}:{}", filename, source.begin.line);
}

// One pass over the two levels that settings have.
class Reader {
 public:
  explicit Reader(std::string_view filename) : filename_(filename) {}

  void ReadRoot(const toml::table& root) {
    for (auto&& [key, node] : root) ReadSection(key, node);
  }
  TomlContent Take() && { return std::move(content_); }

 private:
  void ReadSection(const toml::key& key, const toml::node& node) {
    bool known = false;
    for (const std::string_view section : Sections()) known = known || section == key.str();
    const toml::table* table = node.as_table();
    if (known && table == nullptr) {
      Refuse(key, fmt::format("{}: is a section, [{}], found {}", key.str(), key.str(),
                              FoundType(node)));
    } else if (known) {
      for (auto&& [name, value] : *table) ReadSetting(key.str(), name, value);
    } else if (table == nullptr) {
      Refuse(key, UnknownKey(key.str()));
    } else {
      const std::string_view nearest = NearestSection(key.str());
      Refuse(key, fmt::format("{}: unknown section{}", key.str(),
                              nearest.empty() ? std::string()
                                              : fmt::format(" (did you mean {}?)", nearest)));
    }
  }

  void ReadSetting(std::string_view section, const toml::key& name, const toml::node& node) {
    const std::string key = fmt::format("{}.{}", section, name.str());
    const SettingInfo* info = FindSetting(key);
    if (info == nullptr) return Refuse(name, UnknownKey(key));
    Result<Value> value = ReadValue(*info, node);
    if (!value) return Refuse(name, fmt::format("{}: {}", key, value.error().message));
    content_.entries.push_back({info, std::move(*value), Place(filename_, name.source())});
  }

  void Refuse(const toml::key& key, std::string_view message) {
    content_.errors.push_back(fmt::format("{}: {}", Place(filename_, key.source()), message));
  }

  std::string_view filename_;
  TomlContent content_;
};

}  // namespace

TomlContent ReadToml(std::string_view text, std::string_view filename) {
  const toml::parse_result parsed = toml::parse(text);
  if (!parsed) {
    const toml::parse_error& error = parsed.error();
    return {{}, {fmt::format("{}: {}", Place(filename, error.source()), error.description())}};
  }
  Reader reader(filename);
  reader.ReadRoot(parsed.table());
  return std::move(reader).Take();
}

}  // namespace lariat::config::internal
