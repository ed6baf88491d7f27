// SPDX-License-Identifier: Apache-2.0
// Values that merge, as clients of both dialects are shown them.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "coordinator/kv_service.h"
#include "frontend/http/internal/json_writer.h"
#include "frontend/http/internal/request.h"

namespace lariat::frontend::http {

// What a read of a set or map asks for beside all of it.
struct TypeQuery {
  std::optional<int64_t> limit;
  std::optional<std::string> after;    // the cursor: the element that the last page ended with
  std::optional<std::string> element;  // is it in there?
  bool Any() const { return limit || after || element; }
};
// Takes limit, cursor and element out of the parameters. kInvalidArgument.
base::Result<bool> TakeTypeParameter(const Parameter& parameter, TypeQuery* query);
// kInvalidArgument: of a value of this kind that cannot be asked.
base::Status CheckTypeQuery(const TypeQuery& query, causal::Kind kind);

// The value in JSON: a number, a text, a boolean, an array, an object of fields.
void WriteTyped(JsonWriter& json, causal::Kind kind, std::string_view bytes);
// The members "type", and "contains" or "value" with "next_cursor", if there is more.
void WriteTypedMembers(JsonWriter& json, causal::Kind kind, std::string_view bytes,
                       const TypeQuery& query);

// The members "type" and, where it is not too much, "value" of what an operation has made.
void WriteOperated(JsonWriter& json, const causal::Shown& shown);

// Raw dialect: sets and maps become their JSON, and numbers text; a register stays what it is.
void MakeRaw(causal::Kind kind, coordinator::ShownValue* value);

}  // namespace lariat::frontend::http
