// SPDX-License-Identifier: Apache-2.0
// Replies that both dialects have in common.
#pragma once

#include <string_view>

#include "coordinator/kv_service.h"
#include "frontend/http/internal/exchange.h"
#include "frontend/http/internal/json_writer.h"
#include "frontend/http/types/typed_reply.h"

namespace lariat::frontend::http {

// Counts and answers a failed or a fruitless read (404, with the context if there is one).
void AnswerNotFound(Exchange& exchange, const coordinator::GetReply& reply);
// Has the write done. A value is answered with 201 and version, context and time, as headers and as
// JSON; a delete with 204, or {"deleted": true} where the client accepts JSON only.
void Write(Exchange exchange, coordinator::WriteRequest request);

// What every reply that shows values has in its head.
void AddShown(ReplyBuilder& builder, const coordinator::GetReply& reply, std::string_view tag);
// A value that merges, as JSON, in either dialect.
void AnswerTyped(Exchange& exchange, const coordinator::GetReply& reply, const TypeQuery& query);
// 304, for a client that has what this tag names.
Reply NotModified(Shared& shared, const Pending& waiting, const coordinator::GetReply& reply,
                  std::string_view tag);

// The type that replies name when the writer gave none.
std::string_view ShownType(const coordinator::ShownValue& value);
// The members value, version, timestamp, content_type, expires.
void WriteValueMembers(JsonWriter& json, const coordinator::ShownValue& value);
size_t ShownBytes(const coordinator::GetReply& reply);  // of all values
// What a reply in JSON says behind the key. REQUIRES: a value.
void WriteShown(JsonWriter& json, const coordinator::GetReply& reply);
void WriteWritten(JsonWriter& json, const coordinator::WriteReply& reply);
void WriteReplicas(JsonWriter& json, const coordinator::Participation& replicas);

}  // namespace lariat::frontend::http
