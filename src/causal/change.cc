// SPDX-License-Identifier: Apache-2.0
#include "causal/change.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "causal/types/operation.h"

namespace lariat::causal {

using base::Code;
using base::Fail;

namespace {

constexpr std::string_view kAnyValue = "*";  // as if_match

int64_t ExpiryOf(uint64_t ttl_s, base::WallTime now) {
  if (ttl_s == 0) return 0;
  constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
  const auto room_s = static_cast<uint64_t>((kMax - now.ms) / 1000);
  return ttl_s >= room_s ? kMax : now.ms + static_cast<int64_t>(ttl_s) * 1000;
}

// A condition's context stands in for one that was not given.
const std::string* ContextTextOf(const ClientWrite& write) {
  if (write.context) return &*write.context;
  return write.if_match && *write.if_match != kAnyValue ? &*write.if_match : nullptr;
}

base::Result<Context> ContextOf(const ClientWrite& write, std::string_view bucket,
                                std::string_view key) {
  const std::string* text = ContextTextOf(write);
  return text != nullptr ? DecodeContext(*text, bucket, key) : Context{};
}

base::Status CheckForSerial(const ClientWrite& write, std::string_view bucket,
                            std::string_view key) {
  if (write.client_timestamp_ms) {
    return Fail(Code::kInvalidArgument, "X-Client-Timestamp is for lww buckets only");
  }
  for (const auto* text : {&write.context, &write.if_match}) {
    if (!*text || **text == "*") continue;
    if (auto version = SerialVersionOf(**text, bucket, key); !version) {
      return Fail(std::move(version.error()));
    }
  }
  return {};
}

// Removals name what they have seen by its dots. Where dots do not say what they stand for (an
// element's, a counter's), the events themselves have to be there when it is removed.
bool RemovesWhatIsRead(const ClientWrite& write, Kind kind) {
  if (!Merges(kind)) return false;
  const bool removes = write.is_delete || (write.is_operation && Removes(write.value));
  const bool has_context = ContextTextOf(write) != nullptr;
  switch (RowOf(kind).shape) {
    case Shape::kFields:
      return removes || has_context;
    case Shape::kList:
      return removes;
    case Shape::kNumber:
      return write.is_delete;
    default:
      return removes && !has_context;
  }
}

base::Status CheckType(const ClientWrite& write, Kind kind) {
  if (write.is_delete) return {};
  const std::string name(RowOf(kind).name);
  if (write.is_operation && !Merges(kind)) {
    return Fail(Code::kWrongType,
                "the bucket's values do not merge (conflict is '" + name + "'): write them by PUT");
  }
  if (write.is_operation && KindOfOperation(write.value) != kind) {
    return Fail(Code::kWrongType,
                "the bucket holds values of type '" + name + "'; the operation is on another type");
  }
  if (!write.is_operation && !TakesBytes(kind)) {
    return Fail(Code::kWrongType, "the bucket holds values of type '" + name +
                                      "': change them by POST with an operation");
  }
  return {};
}

}  // namespace

bool ClientWrite::NeedsRead(Kind kind) const {
  // A later stamp deletes whatever there is; other kinds have to name what they delete.
  const bool blind_delete = is_delete && !context && !IsOrderedByClock(kind);
  return blind_delete || IsConditional() || RemovesWhatIsRead(*this, kind);
}

base::Status ClientWrite::Check() const {
  if (is_operation) {
    const auto operation = Operation::Decode(value);
    if (!operation) return Fail(Code::kInvalidArgument, "the operation is malformed");
    if (auto fits = operation->Check(); !fits) return fits;
  }
  if (content_type.size() > 256) {
    return Fail(Code::kInvalidArgument, "the content type is longer than 256 bytes");
  }
  if (ttl_s && *ttl_s < 0) {
    return Fail(Code::kInvalidArgument, "ttl is a number of seconds, 0 or more");
  }
  if (expires_ms && (*expires_ms < 0 || ttl_s)) {
    return Fail(Code::kInvalidArgument, "an expiry is milliseconds since 1970, and excludes a ttl");
  }
  if (if_match && if_none_match_any) {
    return Fail(Code::kInvalidArgument, "If-Match and If-None-Match exclude each other");
  }
  if (client_timestamp_ms && *client_timestamp_ms <= 0) {
    return Fail(Code::kInvalidArgument, "a client timestamp is milliseconds since 1970, above 0");
  }
  return {};
}

base::Status ClientWrite::CheckFor(Kind kind, std::string_view bucket, std::string_view key) const {
  if (auto type = CheckType(*this, kind); !type) return type;
  if (IsAgreed(kind)) return CheckForSerial(*this, bucket, key);
  if (expect || expect_absent) {
    return Fail(Code::kInvalidArgument, "'expect' is for serial buckets only");
  }
  if (client_timestamp_ms && !IsOrderedByClock(kind)) {
    return Fail(Code::kInvalidArgument, "X-Client-Timestamp is for lww buckets only");
  }
  const auto seen = ContextOf(*this, bucket, key);
  if (!seen) return Fail(seen.error());
  if (IsOrderedByClock(kind) ? !seen->seen.Empty() : seen->Id() != RegisterId{}) {
    return Fail(Code::kInvalidArgument, "the context is of another kind of bucket");
  }
  return {};
}

base::Result<Change> Change::Of(ClientWrite* write, const ChangeTerms& terms) {
  auto context = ContextOf(*write, terms.bucket, terms.key);
  if (!context) return Fail(std::move(context.error()));
  Change change;
  change.kind = terms.kind;
  change.context = std::move(*context);
  change.now = {terms.now_us / 1000};
  change.micros = static_cast<uint16_t>(terms.now_us % 1000);
  change.values_max = terms.values_max;
  change.client_timestamp_ms = write->client_timestamp_ms;
  if (write->if_none_match_any) change.condition = Condition::kNoLiveValue;
  if (write->if_match) {
    change.condition =
        *write->if_match == kAnyValue ? Condition::kAnyLiveValue : Condition::kContextCoversAll;
  }
  change.joins_what_is_read = RemovesWhatIsRead(*write, terms.kind);
  change.sees_what_is_read =
      ContextTextOf(*write) == nullptr &&
      (write->is_delete || change.condition != Condition::kNone || change.joins_what_is_read);
  change.value.tombstone = write->is_delete;
  change.value.written = change.now;
  if (!write->is_delete) {
    const auto ttl_s = write->ttl_s ? static_cast<uint64_t>(*write->ttl_s) : terms.ttl_s;
    change.value.expires_ms = write->expires_ms.value_or(ExpiryOf(ttl_s, change.now));
    change.value.content_type = std::move(write->content_type);
    (write->is_operation ? change.operation : change.value.bytes) = std::move(write->value);
  }
  return change;
}

void Change::GiveBack(ClientWrite* write) && {
  write->value = std::move(write->is_operation ? operation : value.bytes);
  write->content_type = std::move(value.content_type);
}

}  // namespace lariat::causal
