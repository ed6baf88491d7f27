// SPDX-License-Identifier: Apache-2.0
#include "frontend/http/internal/head_check.h"

#include <string>

namespace lariat::frontend::http {
namespace {

// Room in a JSON body for all but the value.
constexpr uint64_t kSmallJsonBytesMax = 64 << 10;
constexpr uint64_t kBatchBytesMax = 4 << 20;

bool IsJson(BodyRule rule) { return rule != BodyRule::kNone && rule != BodyRule::kValue; }

// JSON, or what clients send when nobody told them a type.
bool CanBeJson(std::string_view content_type) {
  std::string_view type = content_type.substr(0, content_type.find(';'));
  while (type.ends_with(' ')) type.remove_suffix(1);
  return type.empty() || EqualsIgnoringCase(type, "application/json") ||
         EqualsIgnoringCase(type, "text/json") || EqualsIgnoringCase(type, "text/plain") ||
         EqualsIgnoringCase(type, "application/x-www-form-urlencoded") ||
         (type.size() > 5 && EqualsIgnoringCase(type.substr(type.size() - 5), "+json"));
}

}  // namespace

uint64_t BodyBytesMax(BodyRule rule, uint64_t value_bytes_max) {
  switch (rule) {
    case BodyRule::kNone:
      return 0;
    case BodyRule::kValue:
      return value_bytes_max;
    case BodyRule::kValueJson:
      return (value_bytes_max + 2) / 3 * 4 + kSmallJsonBytesMax;
    case BodyRule::kBatchJson:
      return kBatchBytesMax;
    case BodyRule::kSmallJson:
    case BodyRule::kOptionalJson:
      return kSmallJsonBytesMax;
  }
  return 0;
}

Refusal BodyTooLarge(BodyRule rule, uint64_t value_bytes_max) {
  if (rule == BodyRule::kNone) return BadRequest("this request takes no body");
  std::string message =
      "the body is larger than " + std::to_string(BodyBytesMax(rule, value_bytes_max)) + " bytes";
  if (rule == BodyRule::kValue) message += ", which is limits.value_bytes";
  if (rule == BodyRule::kBatchJson) message += ", as many as a batch may have";
  if (rule == BodyRule::kValueJson) {
    message += ", what a value of limits.value_bytes = " + std::to_string(value_bytes_max) +
               " needs in base64";
  }
  return {413, "too_large", std::move(message)};
}

std::optional<Refusal> CheckHead(const Request& request, BodyRule rule, uint64_t value_bytes_max) {
  const std::string_view expect = request.Get(Header::kExpect).value_or("100-continue");
  if (!EqualsIgnoringCase(expect, "100-continue")) {
    return Refusal{417, "expectation_failed", "the only expectation known is 100-continue"};
  }
  const bool has_length = request.chunked || request.content_length;
  const bool needs_body = rule != BodyRule::kNone && rule != BodyRule::kOptionalJson;
  if (needs_body && !has_length) {
    return Refusal{411, "length_required", "Content-Length is missing"};
  }
  if (request.content_length.value_or(0) > BodyBytesMax(rule, value_bytes_max)) {
    return BodyTooLarge(rule, value_bytes_max);
  }
  if (!request.HasBody()) return std::nullopt;
  if (!EqualsIgnoringCase(request.Get(Header::kContentEncoding).value_or("identity"), "identity")) {
    return Refusal{415, "unsupported_media_type", "no Content-Encoding is taken"};
  }
  if (IsJson(rule) && !CanBeJson(request.Get(Header::kContentType).value_or(""))) {
    return Refusal{415, "unsupported_media_type", "the body must be application/json"};
  }
  return std::nullopt;
}

}  // namespace lariat::frontend::http
