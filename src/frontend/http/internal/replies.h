// SPDX-License-Identifier: Apache-2.0
// The replies of AdminService as JSON: members, their order and what is shown of them as
// coordinator/admin_replies.def says.
#pragma once

#include <cstdint>

#include "frontend/http/internal/answers.h"

namespace lariat::frontend::http {

// As admin_replies.def explains them.
enum class Presence : uint8_t { kAlways, kOrNull, kIfAny, kAsKey, kInside };

// Write(json, reply) for each reply of the table.
#define LARIAT_REPLY(Struct, schema, description) \
  void Write(JsonWriter& json, const coordinator::Struct& reply);
#define LARIAT_FIELD(type, name, presence, form, description)
#define LARIAT_REPLY_END()
#include "coordinator/admin_replies.def"
#undef LARIAT_REPLY
#undef LARIAT_FIELD
#undef LARIAT_REPLY_END

// Ends the request with `status` and one of the table's replies.
template <typename Reply>
void AnswerReply(Exchange& exchange, int status, const Reply& reply) {
  AnswerJson(exchange, status, [&](JsonWriter& json) { Write(json, reply); });
}

}  // namespace lariat::frontend::http
