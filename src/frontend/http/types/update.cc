// SPDX-License-Identifier: Apache-2.0
// POST on a key: one operation on a value that merges.
#include <utility>

#include "frontend/http/internal/bad_request.h"
#include "frontend/http/internal/handlers.h"
#include "frontend/http/internal/kv_reply.h"
#include "frontend/http/internal/kv_request.h"
#include "frontend/http/types/operation_json.h"
#include "frontend/http/types/typed_reply.h"

namespace lariat::frontend::http {
namespace {

using coordinator::WriteReply;

void AnswerUpdated(Exchange& exchange, base::Result<WriteReply> result) {
  if (!result) return exchange.Refuse(std::move(result.error()));
  const WriteReply& reply = *result;
  exchange.Answer(telemetry::Outcome::kOk, [&](Shared& shared, const Pending& waiting) {
    std::string body;
    JsonWriter json(&body);
    json.BeginObject();
    WriteKey(json, waiting.key);
    json.Key("type").Text(causal::RowOf(reply.shown.kind).name);
    if (reply.shown.bytes) {
      json.Key("value");
      WriteTyped(json, reply.shown.kind, *reply.shown.bytes);
    }
    json.Key("version").VersionObject(reply.version).Key("context").Text(reply.context);
    json.Key("timestamp").Int(reply.timestamp.ms);
    WriteReplicas(json, reply.replicas);
    json.EndObject();
    ReplyBuilder builder(shared, waiting.form, 200);
    builder.AddVersion(reply.version).AddContext(reply.context).AddReplicas(reply.replicas);
    if (reply.replayed) builder.Add("X-Replayed", "true");
    return builder.Move(kJsonType, std::move(body));
  });
}

// Fills the request in; its limits and its bucket are checked by the service.
base::Status ReadUpdate(const Request& request, const coordinator::KvService& kv,
                        coordinator::WriteRequest* to) {
  const auto bucket = kv.Bucket(to->bucket);
  if (!bucket) return base::Fail(bucket.error());
  auto body = ReadOperation(request.body, bucket->conflict);
  if (!body) return base::Fail(std::move(body.error()));
  causal::ClientWrite& write = to->write;
  if (body->context) {
    if (write.context && *write.context != *body->context) {
      return Bad("'context' differs from the header of that meaning");
    }
    write.context = std::move(body->context);
  }
  // Before the size of a value is looked at: these limits are the ones that say what is too large.
  if (auto fits = body->operation.Check(); !fits) return fits;
  write.is_operation = true;
  write.value = body->operation.Encode();
  return {};
}

}  // namespace

void UpdateJson(Request& request, Exchange exchange) {
  auto update = ReadPut(request);
  if (!update) return exchange.Refuse(std::move(update.error()));
  if (auto read = ReadUpdate(request, exchange.shared().kv, &*update); !read) {
    return exchange.Refuse(std::move(read.error()));
  }
  update->caller = exchange.caller();
  exchange.pending()->key = update->key;
  exchange.shared().kv.Write(std::move(*update), [exchange = std::move(exchange)](
                                                     base::Result<WriteReply> result) mutable {
    AnswerUpdated(exchange, std::move(result));
  });
}

}  // namespace lariat::frontend::http
