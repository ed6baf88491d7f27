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
    const auto found = ParseLevel(*text);
    if (!found) return found;
    if (level && *level != *found) {
      return Bad("Consistency, X-Consistency-Level and X-Consistency disagree");
    }
    level = *found;
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
  std::optional<int64_t>* field = CountOf(name, consistency);
  if (field == nullptr) return base::Fail(UnknownParameter(parameter));
  *field = ParseCount(value);
  if (!*field) return Bad("query parameter '" + name + "' must be a whole number");
  return {};
}

// `own` takes what a request has besides: an error, done, or nothing for what it does not know.
using OwnParameter = std::optional<base::Status>;
OwnParameter NoOther(const Parameter&) { return std::nullopt; }

template <typename Own>
base::Result<Consistency> ReadConsistency(const Request& request, Own own) {
  Consistency consistency;
  auto level = ReadLevel(request);
  if (!level) return base::Fail(std::move(level.error()));
  consistency.level = *level;
  if (request.query.empty()) return consistency;
  auto parameters = ParseQuery(request.query);
  if (!parameters) return base::Fail(std::move(parameters.error()));
  for (const Parameter& parameter : *parameters) {
    OwnParameter taken = own(parameter);
    const auto read = taken ? std::move(*taken) : ReadParameter(parameter, consistency);
    if (!read) return base::Fail(read.error());
  }
  const auto timeout = consistency.timeout_ms;
  if (timeout && (*timeout < 1 || *timeout > kTimeoutMsMax)) {
    return Bad("timeout_ms must be 1 to " + std::to_string(kTimeoutMsMax));
  }
  return consistency;
}

OwnParameter ReadConfirm(const Parameter& parameter, bool* confirm) {
  if (parameter.value != "true" && parameter.value != "false") {
    return base::Status(Bad("confirm must be true or false"));
  }
  *confirm = parameter.value == "true";
  return base::Status();
}

OwnParameter ReadTypeParameter(const Parameter& parameter, TypeQuery* query) {
  const auto taken = TakeTypeParameter(parameter, query);
  if (!taken) return base::Status(base::Fail(taken.error()));
  if (*taken) return base::Status();
  return std::nullopt;
}

// What every operation on a key has: `To` is one of KvService's requests.
template <typename To>
base::Result<To> ReadCommon(const Request& request, TypeQuery* query = nullptr) {
  To to;
  auto bucket = BucketOf(request);
  if (!bucket) return base::Fail(std::move(bucket.error()));
  auto key = PercentDecode(request.key_segment.value_or(""));
  if (!key) return Bad("bad percent-encoding in the key");
  if (auto size = CheckKeySize(*key); !size) return base::Fail(size.error());
  auto consistency = ReadConsistency(request, [&](const Parameter& parameter) {
    if constexpr (requires { to.confirm; }) {
      if (parameter.name == "confirm") return ReadConfirm(parameter, &to.confirm);
    }
    return query != nullptr ? ReadTypeParameter(parameter, query) : NoOther(parameter);
  });
  if (!consistency) return base::Fail(std::move(consistency.error()));
  to.bucket = std::move(*bucket);
  to.key = std::move(*key);
  to.consistency = *consistency;
  return to;
}

base::Result<std::optional<std::string>> ReadIfMatch(const Request& request) {
  const auto text = request.Get(Header::kIfMatch);
  if (!text) return std::nullopt;
  const std::string_view context = ContextOfIfMatch(*text);
  if (context.empty()) return BadHeader(Header::kIfMatch, "one ETag or context in quotes, or *");
  return std::optional<std::string>(context);
}

base::Result<std::optional<std::string>> ReadIdempotencyKey(const Request& request) {
  const auto text = request.Get(Header::kIdempotencyKey);
  if (!text) return std::nullopt;
  auto key = ParseIdempotencyKey(*text, HeaderName(Header::kIdempotencyKey));
  if (!key) return base::Fail(std::move(key.error()));
  return std::optional<std::string>(std::move(*key));
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

base::Result<Consistency> ReadConsistency(const Request& request) {
  return ReadConsistency(request, NoOther);
}

base::Result<Level> ParseLevel(std::string_view text) {
  const auto* found = std::find_if(std::begin(kLevels), std::end(kLevels), [&](const auto& row) {
    return EqualsIgnoringCase(row.first, text);
  });
  if (found != std::end(kLevels)) return found->second;
  return Bad("unknown consistency level '" + std::string(text) + "'");
}

std::optional<int64_t>* CountOf(std::string_view name, Consistency& consistency) {
  if (name == "r") return &consistency.r;
  if (name == "w") return &consistency.w;
  if (name == "pr") return &consistency.pr;
  if (name == "pw") return &consistency.pw;
  return name == "timeout_ms" ? &consistency.timeout_ms : nullptr;
}

base::Status CheckTimeout(const Consistency& consistency) {
  const auto timeout = consistency.timeout_ms;
  if (!timeout || (*timeout >= 1 && *timeout <= kTimeoutMsMax)) return {};
  return Bad("timeout_ms must be 1 to " + std::to_string(kTimeoutMsMax));
}

base::Status CheckKeySize(std::string_view key) {
  if (!key.empty() && key.size() <= membership::kKeyBytesMax) return {};
  return Bad("a key has 1 to " + std::to_string(membership::kKeyBytesMax) + " bytes, not " +
             std::to_string(key.size()));
}

std::string_view ContextOfIfMatch(std::string_view text) {
  return text == "*" ? text : ContextOfTag(text);
}

base::Result<std::string> ParseIdempotencyKey(std::string_view text, std::string_view name) {
  const auto uuid = base::Uuid::Parse(text);
  if (uuid) return uuid->ToString();
  return Bad(std::string(name) + " must be a UUID (8-4-4-4-12 hexadecimal digits)");
}

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

namespace {

base::Status ReadFlag(const Parameter& parameter, bool& flag) {
  if (parameter.value != "true" && parameter.value != "false") {
    return Bad(parameter.name + " must be true or false");
  }
  flag = parameter.value == "true";
  return {};
}

OwnParameter ReadBound(const Parameter& parameter, coordinator::KeyBounds& bounds) {
  if (parameter.value.size() > membership::kKeyBytesMax) {
    return Bad(parameter.name + " has more than " + std::to_string(membership::kKeyBytesMax) +
               " bytes");
  }
  (parameter.name == "start" ? bounds.start : bounds.prefix) = parameter.value;
  if (parameter.name == "end") {
    bounds.end = std::move(bounds.prefix);
    bounds.prefix.clear();
  }
  return base::Status{};
}

OwnParameter ReadListParameter(const Parameter& parameter, ListKind kind,
                               coordinator::ListRequest& list) {
  const auto& [name, value] = parameter;
  if (kind == ListKind::kStats) return std::nullopt;
  if (name == "values") return ReadFlag(parameter, list.values);
  if (name == "cursor") {
    if (value.empty()) return Bad("the cursor is empty");
    list.cursor = value;
    return base::Status{};
  }
  if (name == "limit") {
    list.limit = ParseCount(value).value_or(0);
    const bool fits = list.limit >= 1 && list.limit <= coordinator::kListLimitMax;
    if (fits) return base::Status{};
    return Bad("limit must be 1 to " + std::to_string(coordinator::kListLimitMax));
  }
  if (name == "reverse" && kind == ListKind::kRange) {
    bool reverse = false;
    auto read = ReadFlag(parameter, reverse);
    if (!read || !reverse) return read;
    return base::Fail(Code::kUnsupported,
                      "reverse is not in this version; read the range forwards and turn it round");
  }
  const bool bound = (kind == ListKind::kPrefix && name == "prefix") ||
                     (kind == ListKind::kRange && (name == "start" || name == "end"));
  if (bound) return ReadBound(parameter, *list.bounds);
  return std::nullopt;
}

}  // namespace

base::Result<coordinator::ListRequest> ReadList(const Request& request, ListKind kind) {
  coordinator::ListRequest list;
  auto bucket = BucketOf(request);
  if (!bucket) return base::Fail(std::move(bucket.error()));
  list.bucket = std::move(*bucket);
  if (kind == ListKind::kPrefix || kind == ListKind::kRange) list.bounds.emplace();
  auto consistency = ReadConsistency(request, [&](const Parameter& parameter) {
    return ReadListParameter(parameter, kind, list);
  });
  if (!consistency) return base::Fail(std::move(consistency.error()));
  if (consistency->level == Level::kAny) return Bad("ANY is for writes only");
  list.consistency = *consistency;
  return list;
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
