// SPDX-License-Identifier: Apache-2.0
#include "frontend/http/batch/items.h"

#include <algorithm>
#include <boost/json/basic_parser_impl.hpp>
#include <iterator>
#include <optional>
#include <utility>

#include "frontend/http/internal/bad_request.h"
#include "frontend/http/internal/flat_json.h"
#include "frontend/http/internal/kv_json.h"
#include "frontend/http/internal/kv_reply.h"
#include "frontend/http/internal/kv_request.h"
#include "frontend/http/internal/reply.h"
#include "frontend/http/types/typed_reply.h"
#include "frontend/http/types/update.h"

namespace lariat::frontend::http {
namespace {

using base::Code;
using base::Fail;
using coordinator::Consistency;
using coordinator::GetRequest;
using coordinator::WriteRequest;

// --- the form of the whole ---------------------------------------------------------------------

// Whether it is JSON at all.
struct NoHandler {
  static constexpr std::size_t max_array_size = static_cast<std::size_t>(-1);
  static constexpr std::size_t max_object_size = static_cast<std::size_t>(-1);
  static constexpr std::size_t max_string_size = static_cast<std::size_t>(-1);
  static constexpr std::size_t max_key_size = static_cast<std::size_t>(-1);
  using Error = boost::json::error_code;
  using Text = boost::json::string_view;
  bool on_document_begin(Error&) { return true; }
  bool on_document_end(Error&) { return true; }
  bool on_array_begin(Error&) { return true; }
  bool on_array_end(std::size_t, Error&) { return true; }
  bool on_object_begin(Error&) { return true; }
  bool on_object_end(std::size_t, Error&) { return true; }
  bool on_key_part(Text, std::size_t, Error&) { return true; }
  bool on_key(Text, std::size_t, Error&) { return true; }
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
};

constexpr std::string_view kBlanks = " \t\r\n";
constexpr size_t kOperationShown = 64;  // bytes of an unknown one, in an error
constexpr std::string_view kForm = "a batch is {\"operations\": [{\"op\": \"get\", ...}, ...]}";

base::Status CheckJson(std::string_view text) {
  boost::json::basic_parser<NoHandler> parser{boost::json::parse_options{}};
  boost::json::error_code ec;
  const size_t used = parser.write_some(false, text.data(), text.size(), ec);
  if (!ec && text.find_first_not_of(kBlanks, used) != std::string_view::npos) {
    ec = boost::json::error::extra_data;
  }
  if (ec) return Bad("bad JSON body: " + ec.message());
  return {};
}

// Goes through a text that is JSON: only strings and brackets mean anything.
class Cursor {
 public:
  explicit Cursor(std::string_view text) : text_(text) { SkipBlanks(); }

  // Passes the character if it is the next one.
  bool Take(char c) {
    if (text_.empty() || text_.front() != c) return false;
    text_.remove_prefix(1);
    SkipBlanks();
    return true;
  }
  bool IsAt(char c) const { return !text_.empty() && text_.front() == c; }
  // The text of the value that begins here, up to what cannot be of it.
  std::string_view TakeValue() {
    const char* const begin = text_.data();
    size_t depth = 0;
    size_t at = 0;
    for (bool goes_on = true; goes_on && at < text_.size(); ++at) {
      const char c = text_[at];
      if (c == '"') at = EndOfString(at);
      if (c == '{' || c == '[') ++depth;
      if (c == '}' || c == ']') --depth;
      const char next = at + 1 < text_.size() ? text_[at + 1] : '}';
      const bool is_end = next == ',' || next == ':' || next == '}' || next == ']';
      goes_on = depth > 0 || !(is_end || c == '"' || c == '}' || c == ']');
    }
    text_.remove_prefix(at);
    SkipBlanks();
    return {begin, at};
  }

 private:
  size_t EndOfString(size_t at) const {
    for (++at; at < text_.size() && text_[at] != '"'; ++at) at += text_[at] == '\\' ? 1 : 0;
    return at;
  }
  void SkipBlanks() {
    text_.remove_prefix(std::min(text_.find_first_not_of(kBlanks), text_.size()));
  }

  std::string_view text_;
};

// --- one item ----------------------------------------------------------------------------------

struct Draft {
  std::string bucket;
  std::string key;
  Consistency consistency;
  std::optional<std::string> idempotency_key;
  causal::ClientWrite write;
};

// True if the member is one that every operation has.
base::Result<bool> TakeCommon(JsonMember& member, Draft& draft) {
  if (member.name == "op") return true;
  if (member.name == "bucket" || member.name == "key") {
    auto bytes = member.name == "key" ? TakeBytes(member) : TakeText(member);
    if (!bytes) return Fail(std::move(bytes.error()));
    (member.name == "key" ? draft.key : draft.bucket) = std::move(*bytes);
    return true;
  }
  if (member.name == "consistency") {
    const auto text = TakeText(member);
    const auto level = text ? ParseLevel(*text) : Fail(text.error());
    if (!level) return Fail(level.error());
    draft.consistency.level = *level;
    return true;
  }
  if (member.name == "sloppy") {
    const auto sloppy = TakeBool(member);
    if (!sloppy) return Fail(sloppy.error());
    draft.consistency.sloppy = *sloppy;
    return true;
  }
  std::optional<int64_t>* count = CountOf(member.name, draft.consistency);
  if (count == nullptr) return false;
  const auto number = TakeCount(member);
  if (!number) return Fail(number.error());
  *count = *number;
  return true;
}

// What stands in the head of a single write.
base::Result<bool> TakeOfHead(JsonMember& member, Draft& draft) {
  const bool known = member.name == "if_match" || member.name == "if_none_match" ||
                     member.name == "idempotency_key" || member.name == "client_timestamp";
  if (!known || member.is_null()) return known;
  if (member.name == "client_timestamp") {
    const auto ms = TakeCount(member);
    if (!ms) return Fail(ms.error());
    draft.write.client_timestamp_ms = *ms;
    return true;
  }
  auto text = TakeText(member);
  if (!text) return Fail(std::move(text.error()));
  if (member.name == "if_none_match") {
    if (*text != "*") return Bad("'if_none_match' must be \"*\"");
    draft.write.if_none_match_any = true;
  } else if (member.name == "if_match") {
    // A context as replies show it, or an ETag.
    const bool quoted = text->starts_with('"') || *text == "*";
    draft.write.if_match = quoted ? std::string(ContextOfIfMatch(*text)) : std::move(*text);
    if (draft.write.if_match->empty()) return Bad("'if_match' must be a context, an ETag or \"*\"");
  } else {
    auto key = ParseIdempotencyKey(*text, "'idempotency_key'");
    if (!key) return Fail(std::move(key.error()));
    draft.idempotency_key = std::move(*key);
  }
  if (draft.write.if_match && draft.write.if_none_match_any) {
    return Bad("'if_match' and 'if_none_match' exclude each other");
  }
  return true;
}

using Read = base::Result<BatchItem>;

template <typename To>
To RequestOf(Draft&& draft) {
  To to;
  to.bucket = std::move(draft.bucket);
  to.key = std::move(draft.key);
  to.consistency = draft.consistency;
  return to;
}

using Defaults = const BatchDefaults&;

Read ReadGetItem(std::string_view text, Draft draft, Defaults) {
  auto members = ParseFlatJson(text);
  if (!members) return Fail(std::move(members.error()));
  std::optional<std::string> seen;
  for (JsonMember& member : *members) {
    auto common = TakeCommon(member, draft);
    if (!common) return Fail(std::move(common.error()));
    if (*common) continue;
    if (member.name != "context") return Bad("unknown member '" + member.name + "'");
    if (member.is_null()) continue;
    auto context = TakeText(member);
    if (!context) return Fail(std::move(context.error()));
    seen = std::move(*context);
  }
  if (draft.consistency.level == coordinator::Level::kAny) return Bad("ANY is for writes only");
  auto get = RequestOf<GetRequest>(std::move(draft));
  get.context = std::move(seen);
  return BatchItem(std::move(get));
}

using ReadMember = base::Status (*)(JsonMember& member, causal::ClientWrite& write);
Read ReadWriteItem(std::vector<JsonMember>& members, Draft draft, ReadMember read_member) {
  for (JsonMember& member : members) {
    auto taken = TakeCommon(member, draft);
    if (taken && !*taken) taken = TakeOfHead(member, draft);
    if (!taken) return Fail(std::move(taken.error()));
    if (*taken) continue;
    if (auto read = read_member(member, draft.write); !read) return Fail(std::move(read.error()));
  }
  causal::ClientWrite write = std::move(draft.write);
  auto idempotency_key = std::move(draft.idempotency_key);
  auto to = RequestOf<WriteRequest>(std::move(draft));
  to.write = std::move(write);
  to.idempotency_key = std::move(idempotency_key);
  return BatchItem(std::move(to));
}

Read ReadPutItem(std::string_view text, Draft draft, Defaults) {
  auto members = ParseFlatJson(text);
  if (!members) return Fail(std::move(members.error()));
  const bool has_value = std::any_of(members->begin(), members->end(),
                                     [](const JsonMember& m) { return m.name == "value"; });
  if (!has_value) return Bad("'value' is missing");
  return ReadWriteItem(*members, std::move(draft), ReadPutMember);
}

Read ReadDeleteItem(std::string_view text, Draft draft, Defaults) {
  auto members = ParseFlatJson(text);
  if (!members) return Fail(std::move(members.error()));
  for (const JsonMember& member : *members) {
    if (member.name == "if_none_match" || member.name == "client_timestamp") {
      return Bad("'" + member.name + "' has no meaning for a delete");
    }
  }
  draft.write.is_delete = true;
  return ReadWriteItem(*members, std::move(draft), ReadDeleteMember);
}

// Members that a single update has in its head, its query or its path. The others are its body.
bool IsOfUpdateHead(std::string_view name) {
  constexpr std::string_view kNames[] = {R"("op")",
                                         R"("bucket")",
                                         R"("key")",
                                         R"("consistency")",
                                         R"("sloppy")",
                                         R"("r")",
                                         R"("w")",
                                         R"("pr")",
                                         R"("pw")",
                                         R"("timeout_ms")",
                                         R"("if_match")",
                                         R"("if_none_match")",
                                         R"("idempotency_key")",
                                         R"("client_timestamp")",
                                         R"("ttl")"};
  return std::find(std::begin(kNames), std::end(kNames), name) != std::end(kNames);
}

struct UpdateTexts {
  std::string head = "{", body = "{";
};
UpdateTexts SplitUpdate(std::string_view text) {
  UpdateTexts split;
  Cursor cursor(text);
  cursor.Take('{');
  while (!cursor.Take('}')) {
    const std::string_view name = cursor.TakeValue();
    cursor.Take(':');
    const std::string_view value = cursor.TakeValue();
    cursor.Take(',');
    std::string& part = IsOfUpdateHead(name) ? split.head : split.body;
    if (part.size() > 1) part += ',';
    part.append(name).append(":").append(value);
  }
  split.head += '}';
  split.body += '}';
  return split;
}

Read ReadUpdateItem(std::string_view text, Draft draft, Defaults defaults) {
  const UpdateTexts split = SplitUpdate(text);
  auto members = ParseFlatJson(split.head);
  if (!members) return Fail(std::move(members.error()));
  auto item = ReadWriteItem(*members, std::move(draft), ReadPutMember);
  if (!item) return item;
  auto& update = std::get<WriteRequest>(*item);
  update.caller = defaults.caller;
  if (auto read = ReadUpdateBody(split.body, *defaults.shared, &update); !read) {
    return Fail(read.error());
  }
  return item;
}

struct ItemKind {
  std::string_view name;
  // Of the whole item, which is JSON.
  Read (*read)(std::string_view text, Draft draft, Defaults defaults);
};
constexpr ItemKind kOperations[] = {
    {"get", ReadGetItem},
    {"put", ReadPutItem},
    {"delete", ReadDeleteItem},
    {"update", ReadUpdateItem},
};

base::Result<const ItemKind*> OperationOf(std::string_view text) {
  Cursor cursor(text);
  cursor.Take('{');
  while (!cursor.Take('}')) {
    const std::string_view name = cursor.TakeValue();
    cursor.Take(':');
    const std::string_view value = cursor.TakeValue();
    cursor.Take(',');
    if (name != R"("op")") continue;
    for (const ItemKind& operation : kOperations) {
      const bool quoted = value.size() == operation.name.size() + 2 && value.front() == '"';
      if (quoted && value.substr(1, operation.name.size()) == operation.name) return &operation;
    }
    return Bad("there is no operation " + std::string(value.substr(0, kOperationShown)) +
               "; there are get, put, delete and update");
  }
  return Bad("'op' is missing: get, put, delete or update");
}

template <typename Write>
std::string Result(int status, Write write) {
  std::string text;
  JsonWriter json(&text);
  json.BeginObject().Key("status").Int(status);
  write(json);
  json.EndObject();
  return text;
}

void WriteItemKey(JsonWriter& json, std::string_view key) {
  json.Key("key");
  if (IsUtf8(key)) {
    json.Text(key);
  } else {
    json.BeginObject().Key("base64").Base64(key).EndObject();
  }
}

}  // namespace

base::Result<std::vector<std::string_view>> SplitBatch(std::string_view body) {
  if (auto json = CheckJson(body); !json) return Fail(std::move(json.error()));
  Cursor cursor(body);
  const bool begins = cursor.Take('{') && cursor.TakeValue() == "\"operations\"" &&
                      cursor.Take(':') && cursor.Take('[');
  if (!begins) return Bad(std::string(kForm));
  std::vector<std::string_view> items;
  while (!cursor.Take(']')) {
    if (!cursor.IsAt('{')) return Bad(std::string(kForm));
    items.push_back(cursor.TakeValue());
    cursor.Take(',');
  }
  if (!cursor.Take('}')) return Bad(std::string(kForm));
  if (items.empty()) return Bad("a batch has at least one operation");
  if (items.size() > kBatchItemsMax) {
    return Fail(Code::kTooLarge, "a batch has at most " + std::to_string(kBatchItemsMax) +
                                     " operations, not " + std::to_string(items.size()));
  }
  return items;
}

base::Result<BatchItem> ReadItem(std::string_view text, size_t index,
                                 const BatchDefaults& defaults) {
  const auto operation = OperationOf(text);
  if (!operation) return Fail(operation.error());
  Draft draft;
  draft.bucket = defaults.bucket;
  draft.consistency = defaults.consistency;
  auto item = (*operation)->read(text, std::move(draft), defaults);
  if (!item) return item;
  const auto check = [](const auto& request) -> base::Status {
    if (auto size = CheckKeySize(request.key); !size) return size;
    return CheckTimeout(request.consistency);
  };
  if (auto fits = std::visit(check, *item); !fits) return Fail(std::move(fits.error()));
  auto* write = std::get_if<WriteRequest>(&*item);
  if (write != nullptr && !write->idempotency_key && !defaults.idempotency_key.empty()) {
    write->idempotency_key = defaults.idempotency_key + "/" + std::to_string(index);
  }
  return item;
}

std::string GetResult(std::string_view key, const coordinator::GetReply& reply) {
  return Result(200, [&](JsonWriter& json) {
    WriteItemKey(json, key);
    WriteShown(json, reply);
  });
}

std::string WriteResult(std::string_view key, bool is_delete,
                        const coordinator::WriteReply& reply) {
  const bool typed = reply.shown.bytes.has_value() || causal::Merges(reply.shown.kind);
  return Result(is_delete ? 204
                : typed   ? 200
                          : 201,
                [&](JsonWriter& json) {
                  WriteItemKey(json, key);
                  if (typed) WriteOperated(json, reply.shown);
                  WriteWritten(json, reply);
                  if (reply.replayed) json.Key("replayed").Bool(true);
                });
}

std::string ErrorResult(const Refusal& refusal, std::string_view context) {
  return Result(refusal.status, [&](JsonWriter& json) {
    WriteError(json, refusal);
    if (!context.empty()) json.Key("context").Text(context);
  });
}

}  // namespace lariat::frontend::http
