// SPDX-License-Identifier: Apache-2.0
#include "frontend/http/internal/access_json.h"

#include <algorithm>
#include <boost/json/parse.hpp>
#include <initializer_list>
#include <utility>

#include "base/base64.h"
#include "frontend/http/internal/bad_request.h"

namespace lariat::frontend::http {
namespace {

namespace json = boost::json;

constexpr size_t kDepthMax = 3;
constexpr size_t kListMax = 1000;

base::Result<json::object> ReadObject(std::string_view body,
                                      std::initializer_list<std::string_view> known) {
  json::parse_options options;
  options.max_depth = kDepthMax;
  json::error_code problem;
  json::value value = json::parse({body.data(), body.size()}, problem, {}, options);
  if (problem || !value.is_object()) return Bad("bad JSON body: it is not an object");
  for (const auto& member : value.as_object()) {
    const std::string_view name(member.key().data(), member.key().size());
    if (std::ranges::find(known, name) == known.end()) {
      return Bad("unknown member; known are those that docs/http.md shows");
    }
  }
  return std::move(value.as_object());
}

// Nothing if it is not there.
base::Result<std::optional<std::string>> TextAt(const json::object& object, const char* name) {
  const json::value* value = object.if_contains(name);
  if (value == nullptr) return std::optional<std::string>();
  if (value->is_string()) {
    return std::optional(std::string(value->as_string().data(), value->as_string().size()));
  }
  return Bad(std::string("'") + name + "' must be a string");
}

base::Result<std::vector<std::string>> TextsAt(const json::object& object, const char* name) {
  const json::value* value = object.if_contains(name);
  const std::string wrong = std::string("'") + name + "' must be an array of strings";
  if (value == nullptr || !value->is_array() || value->as_array().size() > kListMax) {
    return Bad(wrong);
  }
  std::vector<std::string> texts;
  for (const json::value& item : value->as_array()) {
    if (!item.is_string()) return Bad(wrong);
    texts.emplace_back(item.as_string().data(), item.as_string().size());
  }
  return texts;
}

// A prefix of keys is text, or {"base64": "..."} of bytes that are none.
base::Result<std::string> PrefixAt(const json::object& object) {
  const json::value* value = object.if_contains("prefix");
  if (value == nullptr) return std::string();
  const json::object* encoded = value->if_object();
  if (encoded == nullptr) {
    auto text = TextAt(object, "prefix");
    if (!text) return base::Fail(std::move(text.error()));
    return std::move(**text);
  }
  const json::value* bytes = encoded->size() == 1 ? encoded->if_contains("base64") : nullptr;
  const json::string* text = bytes == nullptr ? nullptr : bytes->if_string();
  auto decoded = text == nullptr ? std::nullopt : base::Base64Decode({text->data(), text->size()});
  if (!decoded) return Bad("'prefix' must be a string or {\"base64\": \"...\"}");
  return std::move(*decoded);
}

}  // namespace

base::Result<access::Attempt> ReadLogin(std::string_view body) {
  auto object = ReadObject(body, {"user", "password"});
  if (!object) return base::Fail(std::move(object.error()));
  auto user = TextAt(*object, "user");
  if (!user) return base::Fail(std::move(user.error()));
  auto password = TextAt(*object, "password");
  if (!password) return base::Fail(std::move(password.error()));
  if (!*user || !*password) return Bad("'user' and 'password' are needed");
  access::Attempt attempt;
  attempt.user = std::move(**user);
  attempt.password = std::move(**password);
  return attempt;
}

base::Result<access::AccessChange> ReadUser(std::string_view body) {
  auto object = ReadObject(body, {"password", "roles"});
  if (!object) return base::Fail(std::move(object.error()));
  access::AccessChange change;
  change.change.verb = security::BookChange::Verb::kPutUser;
  auto password = TextAt(*object, "password");
  if (!password) return base::Fail(std::move(password.error()));
  change.password = std::move(*password);
  if (!object->contains("roles")) return change;
  auto roles = TextsAt(*object, "roles");
  if (!roles) return base::Fail(std::move(roles.error()));
  change.change.roles.emplace(roles->begin(), roles->end());
  return change;
}

base::Result<security::Grant> ReadGrant(std::string_view body) {
  auto object = ReadObject(body, {"actions", "bucket", "prefix"});
  if (!object) return base::Fail(std::move(object.error()));
  auto actions = TextsAt(*object, "actions");
  if (!actions) return base::Fail(std::move(actions.error()));
  security::Grant grant;
  for (const std::string& text : *actions) {
    const auto action = security::ParseAction(text);
    if (!action) return Bad("'actions' are of read, write, delete and admin");
    grant.actions |= static_cast<uint8_t>(*action);
  }
  auto bucket = TextAt(*object, "bucket");
  if (!bucket) return base::Fail(std::move(bucket.error()));
  if (!*bucket) return Bad("'bucket' is missing: a name, or \"*\" for all");
  grant.bucket = std::move(**bucket);
  auto prefix = PrefixAt(*object);
  if (!prefix) return base::Fail(std::move(prefix.error()));
  grant.prefix = std::move(*prefix);
  return grant;
}

void WriteUser(JsonWriter& json, std::string_view name, const security::User& user) {
  json.BeginObject().Key("name").Text(name).Key("roles").BeginArray();
  for (const std::string& role : user.roles) json.Text(role);
  json.EndArray().Key("has_password").Bool(!user.password.empty()).EndObject();
}

void WriteRole(JsonWriter& json, std::string_view name, const security::Role& role) {
  json.BeginObject().Key("name").Text(name).Key("grants").BeginArray();
  for (const security::Grant& grant : role.grants) {
    json.BeginObject().Key("actions").BeginArray();
    for (const std::string_view action : security::ActionNames(grant.actions)) json.Text(action);
    json.EndArray().Key("bucket").Text(grant.bucket).Key("prefix");
    if (IsUtf8(grant.prefix)) {
      json.Text(grant.prefix);
    } else {
      json.BeginObject().Key("base64").Base64(grant.prefix).EndObject();
    }
    json.EndObject();
  }
  json.EndArray().EndObject();
}

}  // namespace lariat::frontend::http
