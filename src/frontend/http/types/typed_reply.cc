// SPDX-License-Identifier: Apache-2.0
#include "frontend/http/types/typed_reply.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "causal/types/shown.h"
#include "frontend/http/internal/bad_request.h"
#include "frontend/http/internal/reply.h"

namespace lariat::frontend::http {
namespace {

using causal::Kind;
using causal::Shape;
using causal::ShownField;

constexpr int64_t kElementsMax = 10'000;  // of one reply
constexpr std::string_view kCursorDigits = "0123456789abcdef";

// A cursor is for this interface alone: the last element, in a form that any query can carry.
std::string CursorOf(std::string_view element) {
  std::string cursor;
  for (const char c : element) {
    cursor += kCursorDigits[static_cast<unsigned char>(c) >> 4];
    cursor += kCursorDigits[static_cast<unsigned char>(c) & 15];
  }
  return cursor;
}

std::optional<std::string> ElementOfCursor(std::string_view cursor) {
  if (cursor.size() % 2 != 0) return std::nullopt;
  std::string element;
  for (size_t i = 0; i < cursor.size(); i += 2) {
    const size_t high = kCursorDigits.find(cursor[i]);
    const size_t low = kCursorDigits.find(cursor[i + 1]);
    if (high == std::string_view::npos || low == std::string_view::npos) return std::nullopt;
    element += static_cast<char>(high << 4 | low);
  }
  return element;
}

void WriteBytes(JsonWriter& json, std::string_view bytes) {
  if (IsUtf8(bytes)) {
    json.Text(bytes);
    return;
  }
  json.BeginObject().Key("base64").Base64(bytes).EndObject();
}

std::string_view NameOf(std::string_view element) { return element; }
std::string_view NameOf(const ShownField& field) { return field.name; }

// The part of a list in the order of its names that a page shows. Fields of one name stay together.
template <typename Item>
std::vector<Item> PageOf(std::vector<Item> items, const TypeQuery& query, std::string* next) {
  if (query.after) {
    const auto first = std::find_if(items.begin(), items.end(), [&](const Item& item) {
      return NameOf(item) > std::string_view(*query.after);
    });
    items.erase(items.begin(), first);
  }
  auto size = static_cast<size_t>(query.limit.value_or(kElementsMax));
  while (size > 0 && size < items.size() && NameOf(items[size]) == NameOf(items[size - 1])) ++size;
  if (size >= items.size()) return items;
  items.resize(size);
  *next = CursorOf(NameOf(items.back()));
  return items;
}

void WriteElements(JsonWriter& json, const std::vector<std::string_view>& elements) {
  json.BeginArray();
  for (const std::string_view element : elements) WriteBytes(json, element);
  json.EndArray();
}

void WriteFields(JsonWriter& json, const std::vector<ShownField>& fields) {
  json.BeginObject();
  for (size_t i = 0; i < fields.size(); ++i) {
    const bool begins = i == 0 || fields[i].name != fields[i - 1].name;
    const bool ends = i + 1 == fields.size() || fields[i].name != fields[i + 1].name;
    if (begins) json.Key(fields[i].name).BeginObject();
    json.Key(causal::RowOf(fields[i].kind).name);
    WriteTyped(json, fields[i].kind, fields[i].bytes);
    if (ends) json.EndObject();
  }
  json.EndObject();
}

// The coordinator made the bytes, of a state that was checked.
template <typename Items>
Items Whole(std::optional<Items> items) {
  LARIAT_CHECK(items.has_value(), "what is shown is of its type's form");
  return std::move(*items);
}

}  // namespace

base::Result<bool> TakeTypeParameter(const Parameter& parameter, TypeQuery* query) {
  const auto& [name, value] = parameter;
  if (name == "element") {
    query->element = value;
    return true;
  }
  if (name == "limit") {
    query->limit = ParseCount(value);
    if (query->limit && *query->limit >= 1 && *query->limit <= kElementsMax) return true;
    return Bad("limit must be 1 to " + std::to_string(kElementsMax));
  }
  if (name != "cursor") return false;
  query->after = ElementOfCursor(value);
  if (!query->after) return Bad("the cursor was not given out here");
  return true;
}

base::Status CheckTypeQuery(const TypeQuery& query, Kind kind) {
  const Shape shape = causal::RowOf(kind).shape;
  if (!query.Any() || shape == Shape::kList || shape == Shape::kFields) return {};
  return Bad("limit, cursor and element are for sets and maps only");
}

void WriteTyped(JsonWriter& json, Kind kind, std::string_view bytes) {
  switch (causal::RowOf(kind).shape) {
    case Shape::kNumber:
      json.Int(std::stoll(std::string(bytes)));
      return;
    case Shape::kBool:
      json.Bool(bytes == "1");
      return;
    case Shape::kList:
      return WriteElements(json, Whole(causal::ElementsOf(bytes)));
    case Shape::kFields:
      return WriteFields(json, Whole(causal::FieldsOf(bytes)));
    default:
      return WriteBytes(json, bytes);
  }
}

void WriteTypedMembers(JsonWriter& json, Kind kind, std::string_view bytes,
                       const TypeQuery& query) {
  json.Key("type").Text(causal::RowOf(kind).name);
  const Shape shape = causal::RowOf(kind).shape;
  if (shape != Shape::kList && shape != Shape::kFields) {
    json.Key("value");
    return WriteTyped(json, kind, bytes);
  }
  const auto write = [&](auto items, auto write_page) {
    if (query.element) {
      const bool contains = std::any_of(items.begin(), items.end(), [&](const auto& item) {
        return NameOf(item) == std::string_view(*query.element);
      });
      json.Key("contains").Bool(contains);
      return;
    }
    std::string next;
    json.Key("value");
    write_page(json, PageOf(std::move(items), query, &next));
    if (!next.empty()) json.Key("next_cursor").Text(next);
  };
  if (shape == Shape::kList) {
    write(Whole(causal::ElementsOf(bytes)), WriteElements);
  } else {
    write(Whole(causal::FieldsOf(bytes)), WriteFields);
  }
}

void MakeRaw(Kind kind, coordinator::ShownValue* value) {
  switch (causal::RowOf(kind).shape) {
    case Shape::kNumber:
    case Shape::kBool:
      value->content_type = "text/plain";
      return;
    case Shape::kList:
    case Shape::kFields: {
      std::string text;
      JsonWriter json(&text);
      WriteTyped(json, kind, value->bytes);
      value->bytes = std::move(text);
      value->content_type = kJsonType;
      return;
    }
    default:
      return;
  }
}

void WriteOperated(JsonWriter& json, const causal::Shown& shown) {
  json.Key("type").Text(causal::RowOf(shown.kind).name);
  if (!shown.bytes) return;
  json.Key("value");
  WriteTyped(json, shown.kind, *shown.bytes);
}

}  // namespace lariat::frontend::http
