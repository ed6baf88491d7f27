// SPDX-License-Identifier: Apache-2.0
#include "frontend/http/internal/kv_request.h"

#include <algorithm>
#include <utility>

#include "base/uuid.h"
#include "frontend/http/internal/bad_request.h"
#include "frontend/http/internal/negotiation.h"

namespace lariat::frontend::http {
namespace {

using base::Code;
using coordinator::Consistency;
using coordinator::Level;

// More than any request needs, and far from overflow.
constexpr int64_t kTimeoutMsMax = 600'000;

constexpr std::pair<std::string_view, Level> kLevels[] = {
    {"ANY", Level::kAny},
    {"ONE", Level::kOne},
    {"TWO", Level::kTwo},
    {"THREE", Level::kThree},
    {"QUORUM", Level::kQuorum},
    {"LOCAL_ONE", Level::kLocalOne},
    {"LOCAL_QUORUM", Level::kLocalQuorum},
    {"EACH_QUORUM", Level::kEachQuorum},
    {"ALL", Level::kAll},
    {"SERIAL", Level::kSerial},
};

tl::unexpected<base::Error> BadHeader(Header header, std::string_view wanted) {
  return Bad(std::string(HeaderName(header)) + " must be " + std::string(wanted));
}

base::Result<Level> ReadLevel(const Request& request) {
  std::optional<Level> level;
  for (const Header header :
       {Header::kConsistency, Header::kXConsistencyLevel, Header::kXConsistency}) {
    const auto text = request.Get(header);
    if (!text) continue;
    const auto* found = std::find_if(std::begin(kLevels), std::end(kLevels), [&](const auto& row) {
      return EqualsIgnoringCase(row.first, *text);
    });
    if (found == std::end(kLevels)) {
      return Bad("unknown consistency level '" + std::string(*text) + "'");
    }
    if (level && *level != found->second) {
      return Bad("Consistency, X-Consistency-Level and X-Consistency disagree");
    }
    level = found->second;
  }
  return level.value_or(Level::kBucketDefault);
}

base::Status ReadParameter(const Parameter& parameter, Consistency& consistency) {
  const auto& [name, value] = parameter;
  if (name == "sloppy") {
    if (value != "true" && value != "false") return Bad("sloppy must be true or false");
    consistency.sloppy = value == "true";
    return {};
  }
  std::optional<int64_t>* field = name == "r"            ? &consistency.r
                                  : name == "w"          ? &consistency.w
                                  : name == "pr"         ? &consistency.pr
                                  : name == "pw"         ? &consistency.pw
                                  : name == "timeout_ms" ? &consistency.timeout_ms
                                                         : nullptr;
  if (field == nullptr) return base::Fail(UnknownParameter(parameter));
  *field = ParseCount(value);
  if (!*field) return Bad("query parameter '" + name + "' must be a whole number");
  return {};
}

base::Result<Consistency> ReadConsistency(const Request& request, TypeQuery* query) {
  Consistency consistency;
  auto level = ReadLevel(request);
  if (!level) return base::Fail(std::move(level.error()));
  consistency.level = *level;
  if (request.query.empty()) return consistency;
  auto parameters = ParseQuery(request.query);
  if (!parameters) return base::Fail(std::move(parameters.error()));
  for (const Parameter& parameter : *parameters) {
    if (query != nullptr) {
      const auto taken = TakeTypeParameter(parameter, query);
      if (!taken) return base::Fail(taken.error());
      if (*taken) continue;
    }
    if (auto read = ReadParameter(parameter, consistency); !read) return base::Fail(read.error());
  }
  const auto timeout = consistency.timeout_ms;
  if (timeout && (*timeout < 1 || *timeout > kTimeoutMsMax)) {
    return Bad("timeout_ms must be 1 to " + std::to_string(kTimeoutMsMax));
  }
  return consistency;
}

// What every operation on a key has: `To` is one of KvService's requests.
template <typename To>
base::Result<To> ReadCommon(const Request& request, TypeQuery* query = nullptr) {
  To to;
  auto bucket = BucketOf(request);
  if (!bucket) return base::Fail(std::move(bucket.error()));
  auto key = PercentDecode(request.key_segment.value_or(""));
  if (!key) return Bad("bad percent-encoding in the key");
  if (key->empty() || key->size() > membership::kKeyBytesMax) {
    return Bad("a key has 1 to " + std::to_string(membership::kKeyBytesMax) + " bytes, not " +
               std::to_string(key->size()));
  }
  auto consistency = ReadConsistency(request, query);
  if (!consistency) return base::Fail(std::move(consistency.error()));
  to.bucket = std::move(*bucket);
  to.key = std::move(*key);
  to.consistency = *consistency;
  return to;
}

base::Result<std::optional<std::string>> ReadIfMatch(const Request& request) {
  const auto text = request.Get(Header::kIfMatch);
  if (!text) return std::nullopt;
  if (*text == "*") return std::optional<std::string>("*");
  const std::string_view context = ContextOfTag(*text);
  if (context.empty()) return BadHeader(Header::kIfMatch, "one ETag or context in quotes, or *");
  return std::optional<std::string>(context);
}

base::Result<std::optional<std::string>> ReadIdempotencyKey(const Request& request) {
  const auto text = request.Get(Header::kIdempotencyKey);
  if (!text) return std::nullopt;
  const auto uuid = base::Uuid::Parse(*text);
  if (!uuid) return BadHeader(Header::kIdempotencyKey, "a UUID (8-4-4-4-12 hexadecimal digits)");
  return std::optional<std::string>(uuid->ToString());
}

// What both kinds of write have.
base::Result<coordinator::WriteRequest> ReadWrite(const Request& request) {
  auto to = ReadCommon<coordinator::WriteRequest>(request);
  if (!to) return to;
  // An empty context is what a reader of a key that never was has: no context.
  if (const auto context = request.Get(Header::kXContext); context && !context->empty()) {
    to->write.context = std::string(*context);
  }
  auto if_match = ReadIfMatch(request);
  if (!if_match) return base::Fail(std::move(if_match.error()));
  to->write.if_match = std::move(*if_match);
  auto idempotency = ReadIdempotencyKey(request);
  if (!idempotency) return base::Fail(std::move(idempotency.error()));
  to->idempotency_key = std::move(*idempotency);
  return to;
}

base::Status ReadCountHeader(const Request& request, Header header, std::optional<int64_t>& to) {
  const auto text = request.Get(header);
  if (!text) return {};
  to = ParseCount(*text);
  if (!to) return BadHeader(header, "a whole number, at most 9223372036854775807");
  return {};
}

}  // namespace

base::Result<std::string> BucketOf(const Request& request) {
  if (!request.bucket_segment) return std::string(kDefaultBucket);
  auto bucket = PercentDecode(*request.bucket_segment);
  if (!bucket) return Bad("bad percent-encoding in the bucket's name");
  if (bucket->empty()) return Bad("the bucket's name is empty");
  return std::move(*bucket);
}

base::Result<coordinator::GetRequest> ReadGet(const Request& request, TypeQuery* query) {
  auto get = ReadCommon<coordinator::GetRequest>(request, query);
  if (get && get->consistency.level == Level::kAny) return Bad("ANY is for writes only");
  if (const auto seen = request.Get(Header::kXContext); get && seen) get->context = *seen;
  return get;
}

base::Result<coordinator::WriteRequest> ReadPut(const Request& request) {
  auto put = ReadWrite(request);
  if (!put) return put;
  if (const auto text = request.Get(Header::kIfNoneMatch)) {
    if (*text != "*") return BadHeader(Header::kIfNoneMatch, "*");
    if (put->write.if_match) return Bad("If-Match and If-None-Match exclude each other");
    put->write.if_none_match_any = true;
  }
  if (auto read = ReadCountHeader(request, Header::kXTtl, put->write.ttl_s); !read) {
    return base::Fail(read.error());
  }
  auto& timestamp = put->write.client_timestamp_ms;
  if (auto read = ReadCountHeader(request, Header::kXClientTimestamp, timestamp); !read) {
    return base::Fail(read.error());
  }
  return put;
}

base::Result<coordinator::WriteRequest> ReadDelete(const Request& request) {
  for (const Header header : {Header::kIfNoneMatch, Header::kXTtl, Header::kXClientTimestamp}) {
    if (request.Has(header)) {
      return Bad(std::string(HeaderName(header)) + " has no meaning for DELETE");
    }
  }
  auto del = ReadWrite(request);
  if (del) del->write.is_delete = true;
  return del;
}

base::Status CheckContentType(std::string_view type) {
  const bool printable =
      std::all_of(type.begin(), type.end(), [](char c) { return c >= 0x20 && c < 0x7F; });
  if (!printable || type.size() > kContentTypeBytesMax) {
    return Bad("a content type has at most " + std::to_string(kContentTypeBytesMax) +
               " printable ASCII characters");
  }
  return {};
}

}  // namespace lariat::frontend::http
