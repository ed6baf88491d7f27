// SPDX-License-Identifier: Apache-2.0
#include "frontend/http/internal/kv_reply.h"

#include <utility>

#include "frontend/http/types/typed_reply.h"

namespace lariat::frontend::http {
namespace {

using coordinator::WriteReply;
using telemetry::Outcome;

void AddWritten(ReplyBuilder& builder, const WriteReply& reply) {
  builder.AddVersion(reply.version).AddContext(reply.context).AddReplicas(reply.replicas);
  if (reply.replayed) builder.Add("X-Replayed", "true");
}

void AnswerWritten(Exchange& exchange, base::Result<WriteReply> result) {
  if (!result) return exchange.Refuse(std::move(result.error()));
  const WriteReply& reply = *result;
  exchange.Answer(Outcome::kOk, [&](Shared& shared, const Pending& waiting) {
    std::string& body = shared.scratch;
    body.clear();
    JsonWriter json(&body);
    json.BeginObject();
    WriteKey(json, waiting.key);
    WriteWritten(json, reply);
    json.EndObject();
    ReplyBuilder builder(shared, waiting.form, 201);
    AddWritten(builder, reply);
    return builder.Copy(kJsonType, body);
  });
}

void AnswerDeleted(Exchange& exchange, base::Result<WriteReply> result) {
  if (!result) return exchange.Refuse(std::move(result.error()));
  exchange.Answer(Outcome::kOk, [&](Shared& shared, const Pending& waiting) {
    ReplyBuilder builder(shared, waiting.form, waiting.form.wants_json ? 200 : 204);
    AddWritten(builder, *result);
    return waiting.form.wants_json ? builder.Copy(kJsonType, R"({"deleted":true})")
                                   : builder.NoContent();
  });
}

}  // namespace

void AnswerNotFound(Exchange& exchange, const coordinator::GetReply& reply) {
  exchange.Answer(Outcome::kNotFound, [&](Shared& shared, const Pending& waiting) {
    Refusal refusal = ToRefusal({base::Code::kNotFound, "the key has no value"});
    if (coordinator::IsSerialVersion(reply.version)) {
      refusal.version = reply.version.begin()->second;
    }
    return RefusalReply(shared, waiting.form, refusal, reply.context);
  });
}

void Write(Exchange exchange, coordinator::WriteRequest request) {
  request.caller = exchange.caller();
  const bool is_delete = request.write.is_delete;
  if (!is_delete) exchange.pending()->key = request.key;
  exchange.shared().kv.Write(std::move(request), [exchange = std::move(exchange), is_delete](
                                                     base::Result<WriteReply> result) mutable {
    return is_delete ? AnswerDeleted(exchange, std::move(result))
                     : AnswerWritten(exchange, std::move(result));
  });
}

void AddShown(ReplyBuilder& builder, const coordinator::GetReply& reply, std::string_view tag) {
  builder.AddVersion(reply.version).AddContext(reply.context).AddReplicas(reply.replicas);
  builder.Add("ETag", tag).AddDate("Last-Modified", reply.timestamp);
}

Reply NotModified(Shared& shared, const Pending& waiting, const coordinator::GetReply& reply,
                  std::string_view tag) {
  ReplyBuilder builder(shared, waiting.form, 304);
  AddShown(builder, reply, tag);
  return builder.NoContent();
}

std::string_view ShownType(const coordinator::ShownValue& value) {
  if (value.content_type.empty()) return "application/octet-stream";
  return value.content_type;
}

void WriteValueMembers(JsonWriter& json, const coordinator::ShownValue& value) {
  json.Key("value").Base64(value.bytes).Key("version").VersionObject(value.version);
  json.Key("timestamp").Int(value.written.ms).Key("content_type").Text(ShownType(value));
  if (value.expires_ms != 0) json.Key("expires").Int(value.expires_ms);
}

size_t ShownBytes(const coordinator::GetReply& reply) {
  size_t bytes = 0;
  for (const coordinator::ShownValue& value : reply.values) bytes += value.bytes.size();
  return bytes;
}

void WriteShown(JsonWriter& json, const coordinator::GetReply& reply) {
  const bool conflict = reply.values.size() > 1;
  if (causal::Merges(reply.kind)) {
    WriteTypedMembers(json, reply.kind, reply.values.front().bytes, {});
    json.Key("version").VersionObject(reply.version).Key("timestamp").Int(reply.timestamp.ms);
  } else if (conflict) {
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
}

void WriteWritten(JsonWriter& json, const WriteReply& reply) {
  json.Key("version").VersionObject(reply.version).Key("context").Text(reply.context);
  json.Key("timestamp").Int(reply.timestamp.ms);
  WriteReplicas(json, reply.replicas);
}

void WriteReplicas(JsonWriter& json, const coordinator::Participation& replicas) {
  json.Key("replicas").BeginObject();
  json.Key("primaries").Uint(replicas.primaries).Key("fallbacks").Uint(replicas.fallbacks);
  json.EndObject();
}

}  // namespace lariat::frontend::http
