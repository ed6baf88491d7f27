// SPDX-License-Identifier: Apache-2.0
// Lists: pages of keys, or of keys with what a Get of each shows.
#include <utility>

#include "frontend/http/internal/answers.h"
#include "frontend/http/internal/handlers.h"
#include "frontend/http/internal/kv_reply.h"
#include "frontend/http/internal/kv_request.h"

namespace lariat::frontend::http {
namespace {

using coordinator::ListedKey;
using coordinator::ListReply;
using coordinator::ShownValue;

// A text, or {"base64": ...} if it is none.
void WriteListedKey(JsonWriter& json, std::string_view key) {
  if (IsUtf8(key)) {
    json.Text(key);
    return;
  }
  json.BeginObject().Key("base64").Base64(key).EndObject();
}

void WritePair(JsonWriter& json, const ListedKey& listed) {
  const coordinator::GetReply& shown = listed.shown;
  json.BeginObject().Key("key");
  WriteListedKey(json, listed.key);
  const bool conflict = shown.values.size() > 1;
  if (conflict) {
    json.Key("values").BeginArray();
    for (const ShownValue& value : shown.values) {
      json.BeginObject();
      WriteValueMembers(json, value);
      json.EndObject();
    }
    json.EndArray();
    json.Key("version").VersionObject(shown.version).Key("timestamp").Int(shown.timestamp.ms);
  } else {
    WriteValueMembers(json, shown.values.front());
  }
  json.Key("conflict").Bool(conflict).Key("context").Text(shown.context);
  json.EndObject();
}

void WritePage(JsonWriter& json, const ListReply& page, bool values) {
  json.BeginObject().Key(values ? "pairs" : "keys").BeginArray();
  for (const ListedKey& listed : page.keys) {
    values ? WritePair(json, listed) : WriteListedKey(json, listed.key);
  }
  json.EndArray().Key("next_cursor");
  page.cursor.empty() ? json.Null() : json.Text(page.cursor);
  json.Key("has_more").Bool(!page.cursor.empty()).EndObject();
}

void WriteStats(JsonWriter& json, const std::string& bucket,
                const coordinator::EstimateReply& stats) {
  json.BeginObject().Key("bucket").Text(bucket).Key("keys").Uint(stats.keys);
  json.Key("exact").Bool(stats.exact).Key("sampled").Uint(stats.sampled);
  json.Key("value_bytes").Uint(stats.value_bytes).Key("conflicts").Uint(stats.conflicts);
  json.Key("largest").BeginArray();
  for (const auto& large : stats.largest) {
    json.BeginObject().Key("key");
    WriteListedKey(json, large.key);
    json.Key("bytes").Uint(large.bytes).EndObject();
  }
  json.EndArray().EndObject();
}

void List(Request& request, Exchange exchange, ListKind kind) {
  auto list = ReadList(request, kind);
  if (!list) return exchange.Refuse(std::move(list.error()));
  list->caller = exchange.caller();
  const bool values = list->values;
  exchange.shared().kv.List(std::move(*list), [exchange = std::move(exchange),
                                               values](base::Result<ListReply> page) mutable {
    if (!page) return exchange.Refuse(std::move(page.error()));
    exchange.Answer(telemetry::Outcome::kOk, [&](Shared& shared, const Pending& waiting) {
      std::string body;
      JsonWriter json(&body);
      WritePage(json, *page, values);
      return ReplyBuilder(shared, waiting.form, 200).Move(kJsonType, std::move(body));
    });
  });
}

}  // namespace

void ListKeys(Request& request, Exchange exchange) {
  List(request, std::move(exchange), ListKind::kWalk);
}
void GetBucketStats(Request& request, Exchange exchange) {
  auto list = ReadList(request, ListKind::kStats);
  if (!list) return exchange.Refuse(std::move(list.error()));
  coordinator::EstimateRequest estimate{list->bucket, true, list->consistency, exchange.caller()};
  exchange.shared().kv.Estimate(
      std::move(estimate), [exchange = std::move(exchange), bucket = list->bucket](
                               base::Result<coordinator::EstimateReply> reply) mutable {
        if (!reply) return exchange.Refuse(std::move(reply.error()));
        exchange.Answer(telemetry::Outcome::kOk, [&](Shared& shared, const Pending& waiting) {
          std::string body;
          JsonWriter json(&body);
          WriteStats(json, bucket, *reply);
          return ReplyBuilder(shared, waiting.form, 200).Move(kJsonType, std::move(body));
        });
      });
}
void ListPrefix(Request& request, Exchange exchange) {
  List(request, std::move(exchange), ListKind::kPrefix);
}
void ListRange(Request& request, Exchange exchange) {
  List(request, std::move(exchange), ListKind::kRange);
}

}  // namespace lariat::frontend::http
