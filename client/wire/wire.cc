// SPDX-License-Identifier: Apache-2.0
#include "client/wire/wire.h"

#include <algorithm>
#include <array>
#include <cctype>

namespace lariat {

namespace {

struct Named {
  std::string_view text;  // as nodes say it
  Code code;
};

// A code's first row is its name.
constexpr std::array kCodes{
    Named{"ok", Code::Ok},
    Named{"invalid_argument", Code::InvalidArgument},
    Named{"not_found", Code::NotFound},
    Named{"precondition_failed", Code::PreconditionFailed},
    Named{"conflict", Code::Conflict},
    Named{"wrong_type", Code::Conflict},
    Named{"too_large", Code::TooLarge},
    Named{"object_too_large", Code::TooLarge},
    Named{"too_many_siblings", Code::TooManySiblings},
    Named{"insufficient_replicas", Code::InsufficientReplicas},
    Named{"unavailable", Code::Unavailable},
    Named{"stale_epoch", Code::Unavailable},
    Named{"clock_off", Code::Unavailable},
    Named{"disk_full", Code::Unavailable},
    Named{"overloaded", Code::Overloaded},
    Named{"stalled", Code::Overloaded},
    Named{"rate_limited", Code::RateLimited},
    Named{"timeout", Code::Timeout},
    Named{"unknown", Code::Unknown},
    Named{"outcome_unknown", Code::Unknown},
    Named{"not_authorized", Code::NotAuthorized},
    Named{"unauthenticated", Code::NotAuthorized},
    Named{"forbidden", Code::NotAuthorized},
    Named{"unreachable", Code::Unreachable},
    Named{"closed", Code::Closed},
    Named{"protocol", Code::Protocol},
    Named{"server", Code::Server},
    Named{"not_covered", Code::NotCovered},
};

}  // namespace

std::string_view NameOf(Code code) {
  for (const Named& row : kCodes) {
    if (row.code == code) return row.text;
  }
  return "server";
}

namespace client {

Code CodeOf(std::string_view text, int status) {
  for (const Named& row : kCodes) {
    if (row.text == text) return row.code;
  }
  switch (status) {
    case 401:
    case 403:
      return Code::NotAuthorized;
    case 404:
      return Code::NotFound;
    case 409:
      return Code::Conflict;
    case 413:
      return Code::TooLarge;
    case 429:
      return Code::RateLimited;
    case 503:
      return Code::Unavailable;
    case 504:
      return Code::Unknown;
    default:
      return status >= 400 && status < 500 ? Code::InvalidArgument : Code::Server;
  }
}

std::string_view NameOf(Consistency level) {
  constexpr std::array<std::string_view, 12> kNames{
      "",          "ANY",          "ONE",         "TWO", "THREE",  "QUORUM",
      "LOCAL_ONE", "LOCAL_QUORUM", "EACH_QUORUM", "ALL", "SERIAL", "ONE"};
  return kNames[static_cast<size_t>(level)];
}

std::string Invalid(const Request& request, Protocol protocol) {
  constexpr size_t kKeyBytesMax = 256;
  constexpr size_t kBucketBytesMax = 64;
  if (request.key.empty() || request.key.size() > kKeyBytesMax) {
    return "a key has 1 to 256 bytes, not " + std::to_string(request.key.size());
  }
  const auto in_name = [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '.' || c == '_' || c == '-';
  };
  if (request.bucket.empty() || request.bucket.size() > kBucketBytesMax ||
      !std::all_of(request.bucket.begin(), request.bucket.end(), in_name)) {
    return "a bucket's name has 1 to 64 of a-z A-Z 0-9 . _ -";
  }
  // They go into lines of text.
  for (const std::string* text :
       {&request.content_type, &request.context, &request.if_match, &request.id}) {
    const auto ends_line = [](unsigned char c) { return c < ' ' || c == 0x7f; };
    if (std::any_of(text->begin(), text->end(), ends_line)) {
      return "content types, contexts and ids have no control characters";
    }
  }
  if (request.IsRead() && request.level == Consistency::Any) return "ANY is for writes only";
  if (!request.IsRead() && request.level == Consistency::Adaptive) {
    return "ADAPTIVE is for reads only";
  }
  const bool only_http = request.if_absent || !request.content_type.empty() ||
                         (request.op == Request::Op::kDelete && !request.if_match.empty());
  if (protocol == Protocol::Redis && only_http) {
    return "content types, if_absent, and if_match of a delete need the protocol HTTP";
  }
  return {};
}

}  // namespace client
}  // namespace lariat
