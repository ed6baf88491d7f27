// SPDX-License-Identifier: Apache-2.0
#include "frontend/http/internal/flat_json.h"

#include <boost/json/basic_parser_impl.hpp>
#include <cmath>
#include <optional>
#include <utility>

#include "base/base64.h"

namespace lariat::frontend::http {
namespace {

using boost::json::error_code;
using boost::json::string_view;

constexpr size_t kMembersMax = 32;

// Boost.JSON's events; `problem` says in words why it was stopped.
struct FlatHandler {
  static constexpr std::size_t max_array_size = 0;
  static constexpr std::size_t max_object_size = kMembersMax;
  static constexpr std::size_t max_string_size = static_cast<std::size_t>(-1);
  static constexpr std::size_t max_key_size = 256;

  bool on_document_begin(error_code&) { return true; }
  bool on_document_end(error_code& ec) { return was_object || Stop(ec, "it is not an object"); }
  bool on_array_begin(error_code& ec) { return Stop(ec, "arrays have no meaning here"); }
  bool on_array_end(std::size_t, error_code&) { return true; }
  bool on_object_begin(error_code& ec) {
    if (bytes_of || (was_object && name.empty())) return Stop(ec, kNested);
    if (was_object) bytes_of = std::exchange(name, {});
    was_object = true;
    return true;
  }
  bool on_object_end(std::size_t, error_code& ec) {
    if (!bytes_of) return true;
    if (!has_bytes) return Stop(ec, kNested);
    members.push_back({std::move(*bytes_of), JsonBytes{std::exchange(bytes, {})}});
    bytes_of.reset();
    has_bytes = false;
    return true;
  }
  bool on_key_part(string_view s, std::size_t, error_code&) {
    name.append(s.data(), s.size());
    return true;
  }
  bool on_key(string_view s, std::size_t, error_code& ec) {
    name.append(s.data(), s.size());
    for (const JsonMember& member : members) {
      if (member.name == name) return Stop(ec, "member '" + name + "' is given twice");
    }
    return true;
  }
  bool on_string_part(string_view s, std::size_t, error_code&) {
    text.append(s.data(), s.size());
    return true;
  }
  bool on_string(string_view s, std::size_t, error_code& ec) {
    text.append(s.data(), s.size());
    if (bytes_of && name == "base64" && !has_bytes) {
      has_bytes = true;
      name.clear();
      bytes = std::exchange(text, {});
      return true;
    }
    return Add(ec, std::exchange(text, {}));
  }
  bool on_number_part(string_view, error_code&) { return true; }
  bool on_int64(int64_t i, string_view, error_code& ec) { return Add(ec, i); }
  bool on_uint64(uint64_t u, string_view, error_code& ec) {
    return Add(ec, static_cast<double>(u));
  }
  bool on_double(double d, string_view, error_code& ec) { return Add(ec, d); }
  bool on_bool(bool b, error_code& ec) { return Add(ec, b); }
  bool on_null(error_code& ec) { return Add(ec, nullptr); }
  bool on_comment_part(string_view, error_code&) { return true; }
  bool on_comment(string_view, error_code&) { return true; }

  template <typename T>
  bool Add(error_code& ec, T value) {
    if (!was_object) return Stop(ec, "it is not an object");
    if (bytes_of) return Stop(ec, kNested);
    members.push_back({std::exchange(name, {}), std::move(value)});
    return true;
  }
  bool Stop(error_code& ec, std::string why) {
    problem = std::move(why);
    ec = boost::json::error::syntax;
    return false;
  }

  static constexpr const char* kNested = "nested objects have no meaning here";
  bool was_object = false;
  // While {"base64": "..."} is read: the member that it is of.
  std::optional<std::string> bytes_of;
  bool has_bytes = false;
  std::string bytes;
  std::string name, text, problem;
  std::vector<JsonMember> members;
};

}  // namespace

base::Result<std::vector<JsonMember>> ParseFlatJson(std::string_view text) {
  boost::json::basic_parser<FlatHandler> parser{boost::json::parse_options{}};
  error_code ec;
  size_t used = 0;
  try {  // Boost.JSON does not throw here, but allocation may
    used = parser.write_some(false, text.data(), text.size(), ec);
  } catch (const std::exception& e) {
    return base::Fail(base::Code::kInvalidArgument, std::string("bad JSON body: ") + e.what());
  }
  FlatHandler& handler = parser.handler();
  if (!ec && text.find_first_not_of(" \t\r\n", used) != std::string_view::npos) {
    ec = boost::json::error::extra_data;
  }
  if (ec) {
    return base::Fail(
        base::Code::kInvalidArgument,
        "bad JSON body: " + (handler.problem.empty() ? ec.message() : handler.problem));
  }
  return std::move(handler.members);
}

base::Result<std::string> TakeText(JsonMember& member) {
  if (auto* text = std::get_if<std::string>(&member.value)) return std::move(*text);
  return base::Fail(base::Code::kInvalidArgument, "'" + member.name + "' must be a string");
}

base::Result<std::string> TakeBytes(JsonMember& member) {
  const auto* encoded = std::get_if<JsonBytes>(&member.value);
  if (encoded == nullptr) return TakeText(member);
  auto bytes = base::Base64Decode(encoded->base64);
  if (bytes) return std::move(*bytes);
  return base::Fail(base::Code::kInvalidArgument, "'" + member.name + "' is not base64");
}

base::Result<int64_t> TakeCount(const JsonMember& member) {
  const auto* number = std::get_if<int64_t>(&member.value);
  if (number != nullptr && *number >= 0) return *number;
  return base::Fail(base::Code::kInvalidArgument,
                    "'" + member.name + "' must be a whole number from 0 to 9223372036854775807");
}

base::Result<double> TakeNumber(const JsonMember& member) {
  if (const auto* whole = std::get_if<int64_t>(&member.value)) return static_cast<double>(*whole);
  const auto* number = std::get_if<double>(&member.value);
  if (number != nullptr && std::isfinite(*number)) return *number;
  return base::Fail(base::Code::kInvalidArgument, "'" + member.name + "' must be a number");
}

base::Result<bool> TakeBool(const JsonMember& member) {
  if (const auto* flag = std::get_if<bool>(&member.value)) return *flag;
  return base::Fail(base::Code::kInvalidArgument, "'" + member.name + "' must be true or false");
}

}  // namespace lariat::frontend::http
