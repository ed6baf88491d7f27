// SPDX-License-Identifier: Apache-2.0
// Dialect 1: JSON envelopes.
#include <utility>

#include "base/base64.h"
#include "frontend/http/internal/bad_request.h"
#include "frontend/http/internal/flat_json.h"
#include "frontend/http/internal/handlers.h"
#include "frontend/http/internal/kv_reply.h"
#include "frontend/http/internal/kv_request.h"
#include "frontend/http/internal/negotiation.h"

namespace lariat::frontend::http {
namespace {

using base::Code;
using coordinator::GetReply;
using coordinator::ShownValue;

// Sets an optional field from a member; a header may have set it already, to the same.
template <typename T>
base::Status SetOnce(std::optional<T>& field, T value, const std::string& name) {
  if (field && *field != value)
    return Bad("'" + name + "' differs from the header of that meaning");
  field = std::move(value);
  return {};
}

base::Status ReadContext(JsonMember& member, std::optional<std::string>& field) {
  auto context = TakeText(member);
  if (!context) return base::Fail(std::move(context.error()));
  if (context->empty()) return {};
  return SetOnce(field, std::move(*context), member.name);
}

base::Status ReadValue(JsonMember& member, std::string& value) {
  auto text = TakeText(member);
  if (!text) return base::Fail(std::move(text.error()));
  auto bytes = base::Base64Decode(*text);
  if (!bytes) return Bad("'value' is not base64");
  value = std::move(*bytes);
  return {};
}

base::Status ReadPutMember(JsonMember& member, causal::ClientWrite& put) {
  if (member.name == "value") return ReadValue(member, put.value);
  const bool known =
      member.name == "context" || member.name == "ttl" || member.name == "content_type";
  if (!known) return Bad("unknown member '" + member.name + "'");
  if (member.is_null()) return {};
  if (member.name == "context") return ReadContext(member, put.context);
  if (member.name == "ttl") {
    const auto ttl = TakeCount(member);
    if (!ttl) return base::Fail(ttl.error());
    return SetOnce(put.ttl_s, *ttl, member.name);
  }
  auto type = TakeText(member);
  if (!type) return base::Fail(std::move(type.error()));
  put.content_type = std::move(*type);
  return CheckContentType(put.content_type);
}

base::Status ReadPutBody(std::string_view body, causal::ClientWrite& put) {
  auto members = ParseFlatJson(body);
  if (!members) return base::Fail(std::move(members.error()));
  bool has_value = false;
  for (JsonMember& member : *members) {
    has_value |= member.name == "value";
    if (auto read = ReadPutMember(member, put); !read) return read;
  }
  if (!has_value) return Bad("'value' is missing");
  return {};
}

base::Status ReadDeleteBody(std::string_view body, causal::ClientWrite& del) {
  if (body.empty()) return {};
  auto members = ParseFlatJson(body);
  if (!members) return base::Fail(std::move(members.error()));
  for (JsonMember& member : *members) {
    if (member.name != "context") return Bad("unknown member '" + member.name + "'");
    if (member.is_null()) continue;
    if (auto read = ReadContext(member, del.context); !read) return read;
  }
  return {};
}

// Small replies are built in the scratch space and copied, large ones in a string that is moved.
constexpr size_t kScratchBytesMax = 4096;

size_t ShownBytes(const GetReply& reply) {
  size_t bytes = 0;
  for (const ShownValue& value : reply.values) bytes += value.bytes.size();
  return bytes;
}

Reply ShownAsJson(Shared& shared, const Pending& waiting, const GetReply& reply) {
  const std::string tag = EntityTag(reply, Form::kJson);
  if (MatchesTag(waiting.if_none_match, tag)) return NotModified(shared, waiting, reply, tag);
  const bool conflict = reply.values.size() > 1;
  std::string large;
  std::string& body = ShownBytes(reply) > kScratchBytesMax ? large : shared.scratch;
  body.clear();
  JsonWriter json(&body);
  json.BeginObject();
  WriteKey(json, waiting.key);
  if (conflict) {
    json.Key("version").VersionObject(reply.version).Key("timestamp").Int(reply.timestamp.ms);
  } else {
    WriteValueMembers(json, reply.values.front());
  }
  json.Key("context").Text(reply.context).Key("conflict").Bool(conflict);
  json.Key("siblings").BeginArray();
  for (size_t i = 0; conflict && i < reply.values.size(); ++i) {
    json.BeginObject();
    WriteValueMembers(json, reply.values[i]);
    json.EndObject();
  }
  json.EndArray();
  WriteReplicas(json, reply.replicas);
  json.EndObject();
  ReplyBuilder builder(shared, waiting.form, 200);
  builder.AddContext(reply.context).Add("ETag", tag);
  return &body == &large ? builder.Move(kJsonType, std::move(large))
                         : builder.Copy(kJsonType, body);
}

}  // namespace

void AnswerTyped(Exchange& exchange, const GetReply& reply, const TypeQuery& query) {
  if (auto fits = CheckTypeQuery(query, reply.kind); !fits) return exchange.Refuse(fits.error());
  exchange.Answer(telemetry::Outcome::kOk, [&](Shared& shared, const Pending& waiting) {
    const std::string tag = EntityTag(reply, Form::kJson);
    if (MatchesTag(waiting.if_none_match, tag)) return NotModified(shared, waiting, reply, tag);
    const ShownValue& value = reply.values.front();
    std::string body;
    JsonWriter json(&body);
    json.BeginObject();
    WriteKey(json, waiting.key);
    WriteTypedMembers(json, reply.kind, value.bytes, query);
    json.Key("version").VersionObject(reply.version).Key("timestamp").Int(value.written.ms);
    if (value.expires_ms != 0) json.Key("expires").Int(value.expires_ms);
    if (!value.content_type.empty()) json.Key("content_type").Text(value.content_type);
    json.Key("context").Text(reply.context).Key("conflict").Bool(false);
    json.Key("siblings").BeginArray().EndArray();
    WriteReplicas(json, reply.replicas);
    json.EndObject();
    ReplyBuilder builder(shared, waiting.form, 200);
    AddShown(builder, reply, tag);
    return builder.Move(kJsonType, std::move(body));
  });
}

void GetJson(Request& request, Exchange exchange) {
  TypeQuery query;
  auto get = ReadGet(request, &query);
  if (!get) return exchange.Refuse(std::move(get.error()));
  get->caller = exchange.caller();
  Pending& pending = *exchange.pending();
  pending.key = get->key;
  pending.if_none_match = request.Get(Header::kIfNoneMatch).value_or("");
  exchange.shared().kv.Get(
      std::move(*get), [exchange = std::move(exchange),
                        query = std::move(query)](base::Result<GetReply> result) mutable {
        if (!result) return exchange.Refuse(std::move(result.error()));
        if (result->values.empty()) return AnswerNotFound(exchange, *result);
        if (causal::Merges(result->kind)) return AnswerTyped(exchange, *result, query);
        if (query.Any()) return exchange.Refuse(CheckTypeQuery(query, result->kind).error());
        exchange.Answer(telemetry::Outcome::kOk, [&](Shared& shared, const Pending& waiting) {
          return ShownAsJson(shared, waiting, *result);
        });
      });
}

void PutJson(Request& request, Exchange exchange) {
  auto put = ReadPut(request);
  if (!put) return exchange.Refuse(std::move(put.error()));
  if (auto read = ReadPutBody(request.body, put->write); !read) {
    return exchange.Refuse(std::move(read.error()));
  }
  const uint64_t value_max = exchange.shared().kv.ValueBytesMax();
  if (put->write.value.size() > value_max) {
    return exchange.Refuse({Code::kTooLarge, "the value is larger than limits.value_bytes = " +
                                                 std::to_string(value_max)});
  }
  Write(std::move(exchange), std::move(*put));
}

void DeleteJson(Request& request, Exchange exchange) {
  auto del = ReadDelete(request);
  if (!del) return exchange.Refuse(std::move(del.error()));
  if (auto read = ReadDeleteBody(request.body, del->write); !read) {
    return exchange.Refuse(std::move(read.error()));
  }
  Write(std::move(exchange), std::move(*del));
}

}  // namespace lariat::frontend::http
