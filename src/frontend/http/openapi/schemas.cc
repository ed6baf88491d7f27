// SPDX-License-Identifier: Apache-2.0
#include "frontend/http/openapi/schemas.h"

#include <algorithm>
#include <boost/json/parse.hpp>
#include <optional>
#include <utility>

#include "frontend/http/internal/buckets.h"
#include "frontend/http/internal/replies.h"

namespace lariat::frontend::http {

namespace json = boost::json;

json::object Ref(const char* kind, std::string_view name) {
  return {{"$ref", std::string("#/components/") + kind + "/" + std::string(name)}};
}

std::vector<std::string> Split(std::string_view text, char separator) {
  std::vector<std::string> words;
  while (!text.empty()) {
    const size_t end = std::min(text.find(separator), text.size());
    if (end > 0) words.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return words;
}

namespace {

// What a type of admin_replies.def is in JSON.
json::object SchemaOf(const bool*) { return {{"type", "boolean"}}; }
json::object SchemaOf(const uint32_t*) { return {{"type", "integer"}}; }
json::object SchemaOf(const uint64_t*) { return {{"type", "integer"}}; }
json::object SchemaOf(const int64_t*) { return {{"type", "integer"}}; }
json::object SchemaOf(const double*) { return {{"type", "number"}}; }
json::object SchemaOf(const std::string*) { return {{"type", "string"}}; }
json::object SchemaOf(const coordinator::Token*) { return Ref("schemas", "Token"); }
json::object SchemaOf(const coordinator::Counts*) {
  return {{"type", "object"}, {"additionalProperties", json::object{{"type", "integer"}}}};
}
#define LARIAT_REPLY(Struct, schema, description)                      \
  [[maybe_unused]] json::object SchemaOf(const coordinator::Struct*) { \
    return Ref("schemas", #schema);                                    \
  }
#define LARIAT_FIELD(type, name, presence, form, description)
#define LARIAT_REPLY_END()
#include "coordinator/admin_replies.def"
#undef LARIAT_REPLY
#undef LARIAT_FIELD
#undef LARIAT_REPLY_END
template <typename T>
json::object SchemaOf(const std::vector<T>*) {
  return {{"type", "array"}, {"items", SchemaOf(static_cast<const T*>(nullptr))}};
}
template <typename T>
json::object SchemaOf(const std::optional<T>*) {
  return SchemaOf(static_cast<const T*>(nullptr));
}

struct FieldRow {
  std::string name;
  json::object schema;  // of its type
  Presence presence;
  std::string_view form;
  std::string description;
};

json::object FieldSchema(FieldRow row) {
  json::object schema = std::move(row.schema);
  if (row.form.find('|') != std::string_view::npos) {
    json::array& texts = schema["enum"].emplace_array();
    for (std::string& text : Split(row.form, '|')) texts.emplace_back(std::move(text));
  } else if (!row.form.empty()) {
    schema = Ref("schemas", row.form);
  }
  if (row.presence == Presence::kOrNull) {
    if (json::value* type = schema.if_contains("type")) {
      *type = json::array{*type, "null"};
    } else {
      schema = {{"oneOf", json::array{std::move(schema), json::object{{"type", "null"}}}}};
    }
  }
  if (!row.description.empty()) schema["description"] = std::move(row.description);
  return schema;
}

void AddField(json::object& reply, FieldRow row) {
  if (row.presence == Presence::kInside) return;
  json::object& properties = reply["properties"].as_object();
  const std::string name = row.name;
  const Presence presence = row.presence;
  properties[name] = FieldSchema(std::move(row));
  if (presence == Presence::kAsKey) properties["key_encoding"] = {{"const", "percent"}};
  if (presence != Presence::kIfAny) reply["required"].as_array().emplace_back(name);
}

json::object& AddReply(json::object& schemas, const char* name, const std::string& description) {
  json::object& reply = schemas[name].emplace_object();
  reply["type"] = "object";
  if (!description.empty()) reply["description"] = description;
  reply["properties"].emplace_object();
  reply["required"].emplace_array();
  return reply;
}

}  // namespace

void AddReplies(json::object& schemas) {
#define LARIAT_REPLY(Struct, schema, description) \
  {                                               \
    using Described = coordinator::Struct;        \
    json::object& reply = AddReply(schemas, #schema, description);
#define LARIAT_FIELD(type, name, presence, form, description)                               \
  AddField(reply, {#name, SchemaOf(static_cast<const decltype(Described::name)*>(nullptr)), \
                   Presence::presence, form, description});
#define LARIAT_REPLY_END() }
#include "coordinator/admin_replies.def"
#undef LARIAT_REPLY
#undef LARIAT_FIELD
#undef LARIAT_REPLY_END
}

void AddBuckets(json::object& schemas) {
  json::object& shown = AddReply(schemas, "Bucket", "");
  json::object& change = schemas["BucketChange"].emplace_object();
  change = {{"type", "object"}, {"additionalProperties", false}};
  json::object& asked = change["properties"].emplace_object();
  for (const PropertyInfo& row : PropertyTable()) {
    const auto schema = [](std::string_view text) {
      return json::parse("{" + std::string(text) + "}");
    };
    const std::string name(row.name);
    asked[name] = schema(row.asked.empty() ? row.schema : row.asked);
    shown["properties"].as_object()[name] = schema(row.schema);
    shown["required"].as_array().emplace_back(name);
  }
  shown["properties"].as_object()["warning"] = {
      {"type", "string"}, {"description", "In replies to PUT: what r + w <= n costs."}};
}

}  // namespace lariat::frontend::http
