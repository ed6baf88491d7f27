// SPDX-License-Identifier: Apache-2.0
#include "frontend/http/types/operation_json.h"

#include <boost/json/basic_parser_impl.hpp>
#include <boost/json/parse.hpp>
#include <set>
#include <utility>

#include "base/base64.h"
#include "frontend/http/internal/bad_request.h"

namespace lariat::frontend::http {
namespace {

namespace json = boost::json;
using causal::Kind;
using causal::Operation;
using causal::Step;

constexpr size_t kDepthMax = 8;

// Boost's tree keeps the last of two members of one name: whoever looks first finds both.
struct NamesOnce {
  static constexpr std::size_t max_object_size = static_cast<std::size_t>(-1);
  static constexpr std::size_t max_array_size = static_cast<std::size_t>(-1);
  static constexpr std::size_t max_key_size = static_cast<std::size_t>(-1);
  static constexpr std::size_t max_string_size = static_cast<std::size_t>(-1);
  using Error = json::error_code;
  using Text = json::string_view;

  bool on_document_begin(Error&) { return true; }
  bool on_document_end(Error&) { return true; }
  bool on_array_begin(Error&) { return true; }
  bool on_array_end(std::size_t, Error&) { return true; }
  bool on_object_begin(Error&) {
    names.emplace_back();
    return true;
  }
  bool on_object_end(std::size_t, Error&) {
    names.pop_back();
    return true;
  }
  bool on_key_part(Text s, std::size_t, Error&) {
    name.append(s.data(), s.size());
    return true;
  }
  bool on_key(Text s, std::size_t, Error& ec) {
    name.append(s.data(), s.size());
    if (names.back().insert(std::exchange(name, {})).second) return true;
    ec = json::error::syntax;
    twice = true;
    return false;
  }
  bool on_string_part(Text, std::size_t, Error&) { return true; }
  bool on_string(Text, std::size_t, Error&) { return true; }
  bool on_number_part(Text, Error&) { return true; }
  bool on_int64(int64_t, Text, Error&) { return true; }
  bool on_uint64(uint64_t, Text, Error&) { return true; }
  bool on_double(double, Text, Error&) { return true; }
  bool on_bool(bool, Error&) { return true; }
  bool on_null(Error&) { return true; }
  bool on_comment_part(Text, Error&) { return true; }
  bool on_comment(Text, Error&) { return true; }

  std::vector<std::set<std::string>> names;
  std::string name;
  bool twice = false;
};

base::Result<json::object> ParseObject(std::string_view body) {
  const json::string_view text(body.data(), body.size());
  json::parse_options options;
  options.max_depth = kDepthMax;
  json::error_code ec;
  try {  // Boost.JSON does not throw here, but allocation may
    json::basic_parser<NamesOnce> names(options);
    names.write_some(false, text.data(), text.size(), ec);
    if (names.handler().twice) return Bad("bad JSON body: a member is given twice");
    json::value value = json::parse(text, ec, {}, options);
    if (ec) return Bad("bad JSON body: " + ec.message());
    if (!value.is_object()) return Bad("bad JSON body: it is not an object");
    return std::move(value.get_object());
  } catch (const std::exception& e) {
    return Bad(std::string("bad JSON body: ") + e.what());
  }
}

std::string Quoted(json::string_view name) {
  return "'" + std::string(name.data(), name.size()) + "'";
}

// A text, or {"base64": "..."} for bytes that are none.
base::Result<std::string> TakeBytes(const json::value& value, std::string_view what) {
  if (const auto* text = value.if_string()) return std::string(text->data(), text->size());
  const json::object* object = value.if_object();
  const json::value* base64 =
      object != nullptr && object->size() == 1 ? object->if_contains("base64") : nullptr;
  if (base64 != nullptr && base64->is_string()) {
    const json::string& text = base64->get_string();
    auto bytes = base::Base64Decode({text.data(), text.size()});
    if (bytes) return std::move(*bytes);
  }
  return Bad(std::string(what) + " must be a text, or {\"base64\": \"...\"}");
}

base::Status TakeList(const json::value& value, std::string_view what,
                      std::vector<std::string>* to) {
  const json::array* array = value.if_array();
  if (array == nullptr) return Bad(std::string(what) + " must be an array");
  for (const json::value& each : *array) {
    auto element = TakeBytes(each, std::string("an element of ") + std::string(what));
    if (!element) return base::Fail(std::move(element.error()));
    to->push_back(std::move(*element));
  }
  return {};
}

base::Status TakeIncrement(const json::value& value, std::string_view what, int64_t* to) {
  const int64_t* number = value.if_int64();
  if (number == nullptr) return Bad(std::string(what) + " must be a whole number of 64 bits");
  *to = *number;
  return {};
}

base::Status TakeFlag(const json::value& value, std::string_view what, bool* to) {
  const bool* flag = value.if_bool();
  if (flag == nullptr) return Bad(std::string(what) + " must be true or false");
  *to = *flag;
  return {};
}

base::Status TakeText(const json::value& value, std::string_view what, std::string* to) {
  auto text = TakeBytes(value, what);
  if (!text) return base::Fail(std::move(text.error()));
  *to = std::move(*text);
  return {};
}

base::Status TakeSet(const json::object& object, Step* step) {
  for (const auto& [name, value] : object) {
    if (name != "add" && name != "remove") return Bad("unknown member " + Quoted(name));
    auto taken = TakeList(value, Quoted(name), name == "add" ? &step->add : &step->remove);
    if (!taken) return taken;
  }
  return {};
}

// {"counter": 1}, {"register": "x"}, {"flag": true}, {"set": {"add": [...]}}
base::Status TakeField(const json::value& value, Step* step) {
  const json::object* object = value.if_object();
  if (object == nullptr || object->size() != 1) {
    return Bad("what is done to a field must be an object with the name of one type");
  }
  const auto& [key, content] = *object->begin();
  const std::string_view type(key.data(), key.size());
  const std::string what = Quoted(key);
  if (type == "counter") {
    step->kind = Kind::kCounter;
    return TakeIncrement(content, what, &step->increment);
  }
  if (type == "register") {
    step->kind = Kind::kRegister;
    return TakeText(content, what, &step->text);
  }
  if (type == "flag") {
    step->kind = Kind::kFlag;
    return TakeFlag(content, what, &step->on);
  }
  if (type != "set") return Bad("a field is a counter, register, flag or set, not " + what);
  step->kind = Kind::kSet;
  if (!content.is_object()) return Bad("'set' must be an object with 'add' and 'remove'");
  return TakeSet(content.get_object(), step);
}

base::Status TakeUpdates(const json::value& value, Operation* operation) {
  const json::object* fields = value.if_object();
  if (fields == nullptr) return Bad("'update' must be an object of fields");
  for (const auto& [name, what] : *fields) {
    causal::FieldStep field;
    field.name.assign(name.data(), name.size());
    if (auto taken = TakeField(what, &field.step); !taken) return taken;
    operation->fields.push_back(std::move(field));
  }
  return {};
}

base::Status TakeRemovals(const json::value& value, Operation* operation) {
  const json::array* array = value.if_array();
  if (array == nullptr) return Bad("'remove' must be an array");
  for (const json::value& each : *array) {
    const json::object* object = each.if_object();
    const json::value* name = object == nullptr ? nullptr : object->if_contains("field");
    const json::value* type = object == nullptr ? nullptr : object->if_contains("type");
    const bool named = name != nullptr && name->is_string() && type != nullptr &&
                       type->is_string() && object->size() == 2;
    if (!named) return Bad("a field is removed by {\"field\": \"...\", \"type\": \"...\"}");
    const json::string& text = type->get_string();
    const auto kind = causal::ParseKind({text.data(), text.size()});
    const bool is_field =
        kind && causal::Merges(*kind) && *kind != Kind::kMap && *kind != Kind::kHll;
    if (!is_field) return Bad("a field is a counter, register, flag or set");
    causal::FieldStep field;
    field.name.assign(name->get_string().data(), name->get_string().size());
    field.remove = true;
    field.step.kind = *kind;
    operation->fields.push_back(std::move(field));
  }
  return {};
}

bool RemovesFields(const json::object& object) {
  const json::value* remove = object.if_contains("remove");
  const json::array* array = remove == nullptr ? nullptr : remove->if_array();
  return array != nullptr && !array->empty() && array->front().is_object() &&
         array->front().get_object().contains("field");
}

// Which type the members speak of; that of the bucket where they may mean several.
base::Result<Kind> KindOfMembers(const json::object& object, Kind bucket) {
  if (object.contains("increment")) return Kind::kCounter;
  if (object.contains("assign")) return Kind::kRegister;
  if (object.contains("enable")) return Kind::kFlag;
  if (object.contains("update") || RemovesFields(object)) return Kind::kMap;
  if (object.contains("add") || object.contains("remove")) {
    return bucket == Kind::kHll ? Kind::kHll : Kind::kSet;
  }
  return Bad("an operation has one of 'increment', 'assign', 'enable', 'add', 'remove', 'update'");
}

// False: no operation on this kind has such a member.
base::Result<bool> TakeMember(std::string_view name, const json::value& value, Operation* to) {
  const auto known = [](const base::Status& taken) -> base::Result<bool> {
    if (!taken) return base::Fail(taken.error());
    return true;
  };
  const std::string what = Quoted({name.data(), name.size()});
  Step& step = to->step;
  switch (step.kind) {
    case Kind::kCounter:
      if (name == "increment") return known(TakeIncrement(value, what, &step.increment));
      break;
    case Kind::kRegister:
      if (name == "assign") return known(TakeText(value, what, &step.text));
      break;
    case Kind::kFlag:
      if (name == "enable") return known(TakeFlag(value, what, &step.on));
      break;
    case Kind::kMap:
      if (name == "update") return known(TakeUpdates(value, to));
      if (name == "remove") return known(TakeRemovals(value, to));
      break;
    default:
      if (name == "add") return known(TakeList(value, what, &step.add));
      if (name == "remove" && step.kind == Kind::kSet) {
        return known(TakeList(value, what, &step.remove));
      }
  }
  return false;
}

base::Status CheckNamedType(const json::value& value, Kind kind) {
  const json::string* name = value.if_string();
  if (name == nullptr) return Bad("'type' must be the name of a type");
  const std::string_view text(name->data(), name->size());
  if (text == causal::RowOf(kind).name) return {};
  return base::Fail(base::Code::kWrongType,
                    "the operation is one on a " + std::string(causal::RowOf(kind).name) +
                        ", and the 'type' that is named is " + Quoted({text.data(), text.size()}));
}

}  // namespace

base::Result<OperationBody> ReadOperation(std::string_view body, Kind bucket) {
  auto object = ParseObject(body);
  if (!object) return base::Fail(std::move(object.error()));
  auto kind = KindOfMembers(*object, bucket);
  if (!kind) return base::Fail(std::move(kind.error()));
  OperationBody read;
  read.operation.step.kind = *kind;
  for (const auto& [key, value] : *object) {
    const std::string_view name(key.data(), key.size());
    if (name == "type") {
      if (auto same = CheckNamedType(value, *kind); !same) return base::Fail(same.error());
      continue;
    }
    if (name == "context") {
      if (value.is_null()) continue;
      if (!value.is_string()) return Bad("'context' must be a string");
      if (value.get_string().empty()) continue;
      read.context.emplace(value.get_string().data(), value.get_string().size());
      continue;
    }
    auto taken = TakeMember(name, value, &read.operation);
    if (!taken) return base::Fail(std::move(taken.error()));
    if (!*taken) return Bad("unknown member " + Quoted(key));
  }
  return read;
}

}  // namespace lariat::frontend::http
