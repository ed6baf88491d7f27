// SPDX-License-Identifier: Apache-2.0
// One request as it was read from a connection: the parts of its head that this interface knows,
// and its body. Re-used from request to request, so that strings keep their memory. Also the small
// strict readers of its parts.
#pragma once

#include <array>
#include <bitset>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace lariat::frontend::http {

enum class Method : uint8_t { kGet, kHead, kPut, kDelete, kPost, kOther };

// The headers that are kept; all others are skipped unread. The name table is in request.cc.
enum class Header : uint8_t {
  kAccept,
  kContentType,
  kContentEncoding,
  kExpect,
  kConsistency,
  kXConsistencyLevel,
  kXConsistency,
  kXContext,
  kXTtl,
  kXClientTimestamp,
  kIfMatch,
  kIfNoneMatch,
  kIdempotencyKey,
  kAuthorization,
  kCount
};

std::string_view HeaderName(Header header);
std::optional<Header> FindHeader(std::string_view name);  // in any case

struct Request {
  Method method = Method::kOther;
  std::string target;
  bool http11 = true;
  bool keep_alive = true;
  bool chunked = false;
  std::optional<uint64_t> content_length;
  std::string body;

  // Views into `target`, set when the request is routed.
  std::string_view path, query;
  std::optional<std::string_view> bucket_segment, key_segment, task_segment;  // percent-encoded
  std::optional<std::string_view> name_segment;                               // of a user or role

  std::optional<std::string_view> Get(Header header) const;
  bool Has(Header header) const { return present.test(static_cast<size_t>(header)); }
  void Set(Header header, std::string_view value);
  void Clear();
  bool HasBody() const { return chunked || content_length.value_or(0) > 0; }

  std::array<std::string, static_cast<size_t>(Header::kCount)> values;
  std::bitset<static_cast<size_t>(Header::kCount)> present;
};

bool EqualsIgnoringCase(std::string_view a, std::string_view b);
std::string_view TrimBlanks(std::string_view text);  // spaces and tabs at both ends
// Any bytes, %00 and %2F too; '+' is a plus. Nothing if a '%' is not followed by two hex digits.
std::optional<std::string> PercentDecode(std::string_view text);
// Digits only, no sign, no space; nothing if it does not fit.
std::optional<int64_t> ParseCount(std::string_view text);

struct Parameter {
  std::string name, value;
};
// Decoded, in their order. kInvalidArgument for bad encoding or a parameter given twice.
base::Result<std::vector<Parameter>> ParseQuery(std::string_view query);
base::Error UnknownParameter(const Parameter& parameter);

}  // namespace lariat::frontend::http
