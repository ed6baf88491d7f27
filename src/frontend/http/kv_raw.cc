// SPDX-License-Identifier: Apache-2.0
// Dialect 2: a value's bytes are the body, everything else is in the head.
#include <utility>

#include "base/uuid.h"
#include "frontend/http/internal/handlers.h"
#include "frontend/http/internal/kv_reply.h"
#include "frontend/http/internal/kv_request.h"
#include "frontend/http/internal/negotiation.h"

namespace lariat::frontend::http {
namespace {

using coordinator::GetReply;
using coordinator::ShownValue;

Reply OneValue(Shared& shared, const Pending& waiting, GetReply& reply, std::string_view tag) {
  ShownValue& value = reply.values.front();
  ReplyBuilder builder(shared, waiting.form, 200);
  AddShown(builder, reply, tag);
  if (value.expires_ms != 0) builder.AddNumber("X-Expires", value.expires_ms);
  return builder.Move(ShownType(value), std::move(value.bytes));
}

void AppendPart(std::string& body, const ShownValue& value) {
  AppendForeignField(body, "Content-Type", ShownType(value));
  AppendForeignField(body, "X-Version", VersionText(value.version));
  AppendField(body, "Last-Modified", ImfFixdate(value.written));
  AppendField(body, "X-Timestamp", std::to_string(value.written.ms));
  body += "\r\n";
  body += value.bytes;
}

Reply Siblings(Shared& shared, const Pending& waiting, const GetReply& reply,
               std::string_view tag) {
  // 128 random bits: no value can hold the boundary but by guessing.
  env::Entropy& entropy = shared.env.entropy;
  const uint64_t high = entropy.Next();
  const std::string boundary = base::Uuid::FromRandom(high, entropy.Next()).ToString();
  std::string body;
  for (const ShownValue& value : reply.values) {
    body += "--" + boundary + "\r\n";
    AppendPart(body, value);
    body += "\r\n";
  }
  body += "--" + boundary + "--\r\n";
  ReplyBuilder builder(shared, waiting.form, 300);
  AddShown(builder, reply, tag);
  return builder.Move("multipart/mixed; boundary=" + boundary, std::move(body));
}

Reply AsJson(Shared& shared, const Pending& waiting, const GetReply& reply, std::string_view tag) {
  const bool conflict = reply.values.size() > 1;
  std::string body;
  JsonWriter json(&body);
  json.BeginObject();
  WriteKey(json, waiting.key);
  if (conflict) {
    json.Key("values").BeginArray();
    for (const ShownValue& value : reply.values) {
      json.BeginObject();
      WriteValueMembers(json, value);
      json.EndObject();
    }
    json.EndArray();
    json.Key("version").VersionObject(reply.version).Key("timestamp").Int(reply.timestamp.ms);
  } else {
    WriteValueMembers(json, reply.values.front());
  }
  json.Key("conflict").Bool(conflict).Key("context").Text(reply.context);
  WriteReplicas(json, reply.replicas);
  json.EndObject();
  ReplyBuilder builder(shared, waiting.form, 200);
  AddShown(builder, reply, tag);
  return builder.Move(kJsonType, std::move(body));
}

Reply ShownRaw(Shared& shared, const Pending& waiting, GetReply& reply) {
  const bool several = reply.values.size() > 1;
  const Form form =
      ChooseForm(waiting.accept, several ? "multipart/mixed" : ShownType(reply.values.front()));
  if (form == Form::kNone) {
    return RefusalReply(shared, waiting.form,
                        {406, "not_acceptable", "Accept refuses the value's type and JSON"});
  }
  const std::string tag = EntityTag(reply, form);
  if (MatchesTag(waiting.if_none_match, tag)) return NotModified(shared, waiting, reply, tag);
  if (form == Form::kJson) return AsJson(shared, waiting, reply, tag);
  return several ? Siblings(shared, waiting, reply, tag) : OneValue(shared, waiting, reply, tag);
}

void AnswerGet(Exchange& exchange, base::Result<GetReply> result) {
  if (!result) return exchange.Refuse(std::move(result.error()));
  if (result->values.empty()) return AnswerNotFound(exchange, *result);
  if (causal::Merges(result->kind)) {
    // As JSON where that is named: the envelope, and not the value alone.
    const Pending* waiting = exchange.pending();
    if (waiting != nullptr && NamesJson(waiting->accept)) {
      return AnswerTyped(exchange, *result, {});
    }
    MakeRaw(result->kind, &result->values.front());
  }
  exchange.Answer(telemetry::Outcome::kOk, [&](Shared& shared, const Pending& waiting) {
    return ShownRaw(shared, waiting, *result);
  });
}

}  // namespace

void GetRaw(Request& request, Exchange exchange) {
  Pending& waiting = *exchange.pending();
  waiting.form.varies = true;
  auto get = ReadGet(request);
  if (!get) return exchange.Refuse(std::move(get.error()));
  get->caller = exchange.caller();
  waiting.if_none_match = request.Get(Header::kIfNoneMatch).value_or("");
  // "*/*", which many clients send always, leaves the choice to this side, as no header does.
  const std::string_view accept = request.Get(Header::kAccept).value_or("");
  if (!accept.empty() && accept != "*/*") {
    waiting.accept = accept;
    waiting.key = get->key;
  }
  exchange.shared().kv.Get(std::move(*get),
                           [exchange = std::move(exchange)](base::Result<GetReply> result) mutable {
                             AnswerGet(exchange, std::move(result));
                           });
}

void PutRaw(Request& request, Exchange exchange) {
  auto put = ReadPut(request);
  if (!put) return exchange.Refuse(std::move(put.error()));
  put->write.content_type = request.Get(Header::kContentType).value_or("");
  if (auto check = CheckContentType(put->write.content_type); !check) {
    return exchange.Refuse(std::move(check.error()));
  }
  put->write.value = std::move(request.body);
  Write(std::move(exchange), std::move(*put));
}

void DeleteRaw(Request& request, Exchange exchange) {
  ReplyForm& form = exchange.pending()->form;
  form.varies = true;
  form.wants_json = NamesJson(request.Get(Header::kAccept).value_or(""));
  auto del = ReadDelete(request);
  if (!del) return exchange.Refuse(std::move(del.error()));
  Write(std::move(exchange), std::move(*del));
}

}  // namespace lariat::frontend::http
