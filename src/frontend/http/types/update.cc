// SPDX-License-Identifier: Apache-2.0
// POST on a key: one operation on a value that merges.
#include "frontend/http/types/update.h"

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
    WriteOperated(json, reply.shown);
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

}  // namespace

base::Status ReadUpdateBody(std::string_view text, Shared& shared, coordinator::WriteRequest* to) {
  auto may = shared.access.Check(access::Door::kBucket, to->caller, to->bucket);
  if (!may) return may;
  const auto bucket = shared.kv.Bucket(to->bucket);
  if (!bucket) return base::Fail(bucket.error());
  auto body = ReadOperation(text, bucket->conflict);
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

void UpdateJson(Request& request, Exchange exchange) {
  auto update = ReadPut(request);
  if (!update) return exchange.Refuse(std::move(update.error()));
  update->caller = exchange.caller();
  if (auto read = ReadUpdateBody(request.body, exchange.shared(), &*update); !read) {
    return exchange.Refuse(std::move(read.error()));
  }
  exchange.pending()->key = update->key;
  exchange.shared().kv.Write(std::move(*update), [exchange = std::move(exchange)](
                                                     base::Result<WriteReply> result) mutable {
    AnswerUpdated(exchange, std::move(result));
  });
}

}  // namespace lariat::frontend::http
