// SPDX-License-Identifier: Apache-2.0
#include "config/value.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>

#include "base/check.h"

namespace lariat::config {
namespace {

using base::Code;
using base::Fail;
using base::Result;
using base::Status;

struct ByteUnit {
  std::string_view name;
  int64_t bytes;
};
constexpr std::array<ByteUnit, 9> kByteUnits = {{{"B", 1},
                                                 {"KB", 1'000},
                                                 {"MB", 1'000'000},
                                                 {"GB", 1'000'000'000},
                                                 {"TB", 1'000'000'000'000},
                                                 {"KiB", int64_t{1} << 10},
                                                 {"MiB", int64_t{1} << 20},
                                                 {"GiB", int64_t{1} << 30},
                                                 {"TiB", int64_t{1} << 40}}};

auto Bad(std::string message) { return Fail(Code::kInvalidArgument, std::move(message)); }

std::string_view Trim(std::string_view text) {
  const size_t first = text.find_first_not_of(' ');
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(' ') - first + 1);
}

List Split(std::string_view text, char separator) {
  List parts;
  if (Trim(text).empty()) return parts;
  for (size_t from = 0;;) {
    const size_t to = text.find(separator, from);
    parts.emplace_back(Trim(text.substr(from, to - from)));
    if (to == std::string_view::npos) return parts;
    from = to + 1;
  }
}

// The whole text must be the number.
template <typename T>
bool ReadNumber(std::string_view text, T* number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *number);
  return error == std::errc() && end == text.data() + text.size();
}

// Length of the well-formed UTF-8 sequence at the front, 0 if there is none.
size_t Utf8Length(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  const uint8_t first = byte(0);
  if (first < 0x80) return 1;
  const size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || text.size() < length) return 0;
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
  }
  const bool too_long = (first == 0xe0 && byte(1) < 0xa0) || (first == 0xf0 && byte(1) < 0x90);
  const bool surrogate = first == 0xed && byte(1) > 0x9f;
  const bool too_great = first == 0xf4 && byte(1) > 0x8f;
  return too_long || surrogate || too_great ? 0 : length;
}

// Texts end up in log lines and in `--print-config`, so they are one line of UTF-8.
Status CheckText(std::string_view text) {
  if (text.size() > kTextBytesMax) {
    return Bad(fmt::format("longer than {} bytes", kTextBytesMax));
  }
  for (size_t at = 0; at < text.size();) {
    const size_t length = Utf8Length(text.substr(at));
    if (length == 0) return Bad("not UTF-8");
    const auto first = static_cast<uint8_t>(text[at]);
    if (first < 0x20 || first == 0x7f) return Bad("control characters are not allowed");
    at += length;
  }
  return {};
}

bool IsHost(std::string_view host) {
  const auto made_of = [](std::string_view text, std::string_view others) {
    return !text.empty() && std::ranges::all_of(text, [others](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
             others.find(c) != std::string_view::npos;
    });
  };
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    return host.find(':') != std::string_view::npos &&
           made_of(host.substr(1, host.size() - 2), ":.%_-");
  }
  return made_of(host, ".-_");
}

Status CheckHostPort(std::string_view text) {
  const size_t colon = text.rfind(':');
  uint16_t port = 0;
  if (colon == std::string_view::npos || !IsHost(text.substr(0, colon)) ||
      !ReadNumber(text.substr(colon + 1), &port)) {
    return Bad(fmt::format("'{}' is not host:port with a port from 0 to 65535", text));
  }
  return {};
}

Status CheckTextValue(const SettingInfo& info, const Text& text) {
  if (Status status = CheckText(text); !status) return status;
  if (info.is_choice()) {
    const List choices = Split(info.unit, '|');
    if (std::ranges::find(choices, text) != choices.end()) return {};
    return Bad(fmt::format("'{}' is not one of {}", text, info.unit));
  }
  if (text.empty()) {
    // Empty means "not given", which makes sense only where that is the default.
    return info.default_text.empty() ? Status() : Bad("must not be empty");
  }
  return info.unit == "host:port" ? CheckHostPort(text) : Status();
}

Status CheckListValue(const SettingInfo& info, const List& list) {
  if (list.size() > kListItemsMax) return Bad(fmt::format("more than {} items", kListItemsMax));
  for (const std::string& item : list) {
    if (item.empty()) return Bad("an item is empty");
    // A comma would not survive the way through a flag or an environment variable.
    if (item.find(',') != std::string::npos) return Bad("an item contains a comma");
    if (Status status = CheckText(item); !status) return status;
    if (info.unit != "host:port list") continue;
    if (Status status = CheckHostPort(item); !status) return status;
  }
  return {};
}

template <typename T>
Status CheckRange(const SettingInfo& info, T number) {
  // Written so that NaN is outside, and compared as T so that no Int is rounded into the range.
  if (number >= static_cast<T>(info.min) && number <= static_cast<T>(info.max)) return {};
  return Bad(fmt::format("{} is outside {}", number, Allowed(info)));
}

std::string QuoteToml(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return quoted + '"';
}

std::string FormatDouble(double number) {
  std::string text = fmt::format("{}", number);
  // TOML tells floats from integers by the point or the exponent.
  return text.find_first_of(".e") == std::string::npos ? text + ".0" : text;
}

struct Formatter {
  std::string operator()(Bool value) const { return value ? "true" : "false"; }
  std::string operator()(Int value) const { return fmt::format("{}", value); }
  std::string operator()(Double value) const { return FormatDouble(value); }
  std::string operator()(const Text& value) const { return QuoteToml(value); }
  std::string operator()(const List& value) const {
    std::string text = "[";
    for (const std::string& item : value) {
      if (text.size() > 1) text += ", ";
      text += QuoteToml(item);
    }
    return text + "]";
  }
};

}  // namespace

Result<int64_t> ParseByteSize(std::string_view text) {
  const size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  const std::string_view unit = Trim(text.substr(digits));
  const auto found = std::ranges::find(kByteUnits, unit, &ByteUnit::name);
  int64_t count = 0;
  if ((!unit.empty() && found == kByteUnits.end()) || !ReadNumber(text.substr(0, digits), &count)) {
    return Bad(
        fmt::format("'{}' is not a size: bytes, or a whole number with "
                    "B, KiB, MiB, GiB, TiB, KB, MB, GB or TB",
                    text));
  }
  const int64_t factor = unit.empty() ? 1 : found->bytes;
  if (count > std::numeric_limits<int64_t>::max() / factor) {
    return Bad(fmt::format("'{}' is too large", text));
  }
  return count * factor;
}

std::string_view SwitchText(const SettingInfo& info, bool on) {
  const List choices = info.is_choice() ? Split(info.unit, '|') : List();
  const std::string_view text = on ? "on" : "off";
  return std::ranges::find(choices, text) == choices.end() ? std::string_view() : text;
}

Result<Value> ParseValue(const SettingInfo& info, std::string_view text) {
  Value value;
  switch (info.type()) {
    case Type::kBool:
      value = text == "true";
      if (text == "true" || text == "false") return value;
      return Bad(fmt::format("'{}' is not true or false", text));
    case Type::kInt:
      if (ReadNumber(text, &value.emplace<Int>())) return value;
      if (info.is_bytes()) return ParseByteSize(text);
      return Bad(fmt::format("'{}' is not a whole number, {}", text, Allowed(info)));
    case Type::kDouble:
      if (ReadNumber(text, &value.emplace<Double>())) return value;
      return Bad(fmt::format("'{}' is not a number, {}", text, Allowed(info)));
    case Type::kText:
      if (text == "true" || text == "false") {
        if (const auto meant = SwitchText(info, text == "true"); !meant.empty()) text = meant;
      }
      value.emplace<Text>(text);
      break;
    case Type::kList:
      value.emplace<List>(Split(text, ','));
      break;
  }
  return value;
}

Status CheckValue(const SettingInfo& info, const Value& value) {
  LARIAT_CHECK(value.index() == info.field.index(), "a setting keeps its type");
  switch (info.type()) {
    case Type::kBool:
      return {};
    case Type::kInt:
      return CheckRange(info, std::get<Int>(value));
    case Type::kDouble:
      return CheckRange(info, std::get<Double>(value));
    case Type::kText:
      return CheckTextValue(info, std::get<Text>(value));
    case Type::kList:
      return CheckListValue(info, std::get<List>(value));
  }
  return {};
}

std::string Allowed(const SettingInfo& info) {
  switch (info.type()) {
    case Type::kBool:
      return "true or false";
    case Type::kInt:
      return fmt::format("{:.0f} to {:.0f}", info.min, info.max);
    case Type::kDouble:
      return fmt::format("{} to {}", info.min, info.max);
    case Type::kText:
    case Type::kList:
      return info.is_choice() ? std::string(info.unit) : std::string();
  }
  return {};
}

std::string_view TypeName(Type type) {
  switch (type) {
    case Type::kBool:
      return "true or false";
    case Type::kInt:
      return "whole number";
    case Type::kDouble:
      return "number";
    case Type::kText:
      return "text";
    case Type::kList:
      return "list of texts";
  }
  return "";
}

std::string FormatToml(const Value& value) { return std::visit(Formatter(), value); }

Value DefaultValue(const SettingInfo& info) { return Get(Settings(), info); }

}  // namespace lariat::config
