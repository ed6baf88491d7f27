// SPDX-License-Identifier: Apache-2.0
#include "coordinator/internal/write_intent.h"

#include <algorithm>
#include <limits>
#include <string>
#include <tuple>
#include <utility>

namespace lariat::coordinator {

using base::Code;
using base::Fail;

namespace {

int64_t ExpiryOf(int64_t ttl_s, base::WallTime now) {
  if (ttl_s == 0) return 0;
  constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
  const int64_t room_s = (kMax - now.ms) / 1000;
  return ttl_s >= room_s ? kMax : now.ms + ttl_s * 1000;
}

bool Covers(const causal::Context& context, const causal::Object& object) {
  if (const causal::LwwRegister* lww = object.lww()) {
    return std::tie(lww->stamp, lww->node) <= std::tie(context.lww_stamp, context.lww_node);
  }
  for (const causal::DottedValue& value : object.dvv()->values()) {
    if (!context.seen.Contains(value.dot)) return false;
  }
  return true;
}

}  // namespace

WriteIntent IntentOf(DeleteRequest request) {
  WriteIntent intent;
  intent.is_delete = true;
  intent.put.bucket = std::move(request.bucket);
  intent.put.key = std::move(request.key);
  intent.put.context = std::move(request.context);
  intent.put.if_match = std::move(request.if_match);
  intent.put.idempotency_key = std::move(request.idempotency_key);
  intent.put.consistency = request.consistency;
  intent.put.caller = std::move(request.caller);
  return intent;
}

base::Status CheckIntent(const WriteIntent& intent, uint64_t value_bytes_max) {
  const PutRequest& put = intent.put;
  if (put.value.size() > value_bytes_max) {
    return Fail(Code::kTooLarge, "the value has " + std::to_string(put.value.size()) +
                                     " bytes; the limit is " + std::to_string(value_bytes_max));
  }
  if (put.content_type.size() > 256) {
    return Fail(Code::kInvalidArgument, "the content type is longer than 256 bytes");
  }
  if (put.ttl_s && *put.ttl_s < 0) {
    return Fail(Code::kInvalidArgument, "ttl is a number of seconds, 0 or more");
  }
  if (put.idempotency_key && (put.idempotency_key->empty() || put.idempotency_key->size() > 128)) {
    return Fail(Code::kInvalidArgument, "an Idempotency-Key has 1 to 128 characters");
  }
  if (put.if_match && put.if_none_match_any) {
    return Fail(Code::kInvalidArgument, "If-Match and If-None-Match exclude each other");
  }
  if (put.client_timestamp_ms && *put.client_timestamp_ms <= 0) {
    return Fail(Code::kInvalidArgument, "a client timestamp is milliseconds since 1970, above 0");
  }
  return {};
}

base::Status CheckContext(const PutRequest& put, causal::Kind kind) {
  const auto context = ContextOf(put);
  if (!context) return Fail(context.error());
  const bool siblings = !context->seen.Empty();
  const bool lww = context->lww_stamp.packed != 0 || context->lww_node != 0;
  if (kind == causal::Kind::kSiblings ? lww : siblings) {
    return Fail(Code::kInvalidArgument, "the context is of another kind of bucket");
  }
  return {};
}

bool NeedsRead(const WriteIntent& intent, const membership::BucketProperties& bucket) {
  const bool blind_delete = intent.is_delete && !intent.put.context && !intent.put.if_match &&
                            bucket.conflict == causal::Kind::kSiblings;
  return blind_delete || intent.put.if_match || intent.put.if_none_match_any ||
         intent.put.idempotency_key;
}

bool MeetsOthers(const WriteIntent& intent) {
  return intent.put.if_match || intent.put.if_none_match_any || intent.put.idempotency_key;
}

base::Result<causal::Context> ContextOf(const PutRequest& put) {
  if (put.context) return causal::DecodeContext(*put.context, put.bucket, put.key);
  if (put.if_match && *put.if_match != "*") {
    return causal::DecodeContext(*put.if_match, put.bucket, put.key);
  }
  return causal::Context{};
}

bool ContextGiven(const PutRequest& put) {
  return put.context || (put.if_match && *put.if_match != "*");
}

UpdateRequest MakeUpdate(WriteIntent* intent, const Target& target, base::WallTime now,
                         size_t siblings_max) {
  PutRequest& put = intent->put;
  UpdateRequest update;
  update.bucket = target.bucket->id;
  update.token = target.token.value;
  update.kind = target.bucket->conflict;
  update.durability = target.bucket->durability;
  update.siblings_max = siblings_max;
  update.now = now;
  update.value.tombstone = intent->is_delete;
  update.value.written = now;
  if (!intent->is_delete) {
    const int64_t bucket_ttl = static_cast<int64_t>(
        std::min<uint64_t>(target.bucket->ttl_s, std::numeric_limits<int64_t>::max()));
    update.value.expires_ms = ExpiryOf(put.ttl_s.value_or(bucket_ttl), now);
    update.value.content_type = std::move(put.content_type);
    update.value.bytes = std::move(put.value);
  }
  update.client_timestamp_ms = put.client_timestamp_ms;
  update.idempotency_key = put.idempotency_key.value_or("");
  update.bucket_name = put.bucket;
  update.key = put.key;
  if (put.if_none_match_any) update.condition = Condition::kNoLiveValue;
  if (put.if_match) {
    update.condition =
        *put.if_match == "*" ? Condition::kAnyLiveValue : Condition::kContextCoversAll;
  }
  return update;
}

void GiveBack(UpdateRequest&& update, WriteIntent* intent) {
  intent->put.value = std::move(update.value.bytes);
  intent->put.content_type = std::move(update.value.content_type);
}

base::Status CheckCondition(const UpdateRequest& update, const causal::Object& object) {
  const bool live = !object.LiveValues(update.now).empty();
  switch (update.condition) {
    case Condition::kNone:
      return {};
    case Condition::kNoLiveValue:
      if (live) return Fail(Code::kPreconditionFailed, "the key has a value");
      return {};
    case Condition::kAnyLiveValue:
      if (!live) return Fail(Code::kPreconditionFailed, "the key has no value");
      return {};
    case Condition::kContextCoversAll:
      if (!live) return Fail(Code::kPreconditionFailed, "the key has no value");
      if (Covers(update.context, object)) return {};
      return Fail(Code::kPreconditionFailed, "the key has changed since the context was given out");
  }
  return {};
}

}  // namespace lariat::coordinator
