// SPDX-License-Identifier: Apache-2.0
#include "frontend/http/internal/replies.h"

#include <optional>
#include <string>
#include <vector>

namespace lariat::frontend::http {
namespace {

void Write(JsonWriter& json, bool value) { json.Bool(value); }
void Write(JsonWriter& json, uint32_t value) { json.Uint(value); }
void Write(JsonWriter& json, uint64_t value) { json.Uint(value); }
void Write(JsonWriter& json, int64_t value) { json.Int(value); }
void Write(JsonWriter& json, double value) { json.Double(value); }
void Write(JsonWriter& json, const std::string& value) { json.Text(value); }
// A text: a JSON number does not hold 64 bits everywhere.
void Write(JsonWriter& json, coordinator::Token value) { json.Text(std::to_string(value.value)); }
void Write(JsonWriter& json, const coordinator::Counts& value) { json.VersionObject(value); }

template <typename T>
void Write(JsonWriter& json, const std::vector<T>& list) {
  json.BeginArray();
  for (const T& value : list) Write(json, value);
  json.EndArray();
}

template <typename T>
void Write(JsonWriter& json, const std::optional<T>& value) {
  Write(json, *value);
}

template <typename T>
bool IsNothing(const T& value) {
  return value == T();
}
template <typename T>
bool IsNothing(const std::optional<T>& value) {
  return !value.has_value();
}

template <Presence presence, typename T>
void WriteField(JsonWriter& json, std::string_view name, const T& value) {
  if constexpr (presence == Presence::kAsKey) {
    WriteKey(json, value);
  } else if constexpr (presence == Presence::kAlways) {
    json.Key(name);
    Write(json, value);
  } else if constexpr (presence != Presence::kInside) {
    if (!IsNothing(value)) return WriteField<Presence::kAlways>(json, name, value);
    if (presence == Presence::kOrNull) json.Key(name).Null();
  }
}

}  // namespace

#define LARIAT_REPLY(Struct, schema, description)                  \
  void Write(JsonWriter& json, const coordinator::Struct& reply) { \
    json.BeginObject();
#define LARIAT_FIELD(type, name, presence, form, description) \
  WriteField<Presence::presence>(json, #name, reply.name);
#define LARIAT_REPLY_END() \
  json.EndObject();        \
  }
#include "coordinator/admin_replies.def"
#undef LARIAT_REPLY
#undef LARIAT_FIELD
#undef LARIAT_REPLY_END

}  // namespace lariat::frontend::http
