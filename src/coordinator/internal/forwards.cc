// SPDX-License-Identifier: Apache-2.0
#include "coordinator/internal/forwards.h"

#include <algorithm>
#include <utility>

namespace lariat::coordinator {

using base::Code;
using base::Fail;

wire::ForwardedWrite MakeForward(const WriteJob& job, int64_t timeout_ms) {
  const PutRequest& put = job.intent.put;
  wire::ForwardedWrite request;
  request.is_delete = job.intent.is_delete;
  request.bucket = put.bucket;
  request.key = put.key;
  request.value = put.value;
  request.content_type = put.content_type;
  request.has_context = put.context.has_value();
  request.context = put.context.value_or("");
  request.has_ttl = put.ttl_s.has_value();
  request.ttl_s = put.ttl_s.value_or(0);
  request.has_client_timestamp = put.client_timestamp_ms.has_value();
  request.client_timestamp_ms = put.client_timestamp_ms.value_or(0);
  request.has_if_match = put.if_match.has_value();
  request.if_match = put.if_match.value_or("");
  request.if_none_match_any = put.if_none_match_any;
  request.idempotency_key = put.idempotency_key.value_or("");
  // A number for both lists; the same unless the bucket's n is what changes.
  const uint32_t for_both = std::max(job.quorum.needed, job.quorum.NeededOf(job.target.NextN()));
  request.w = std::min(for_both, job.target.bucket->n);
  request.pw = job.quorum.primaries;
  request.sloppy = job.quorum.sloppy;
  request.timeout_ms = timeout_ms;
  return request;
}

base::Result<WriteReply> ReplyOf(wire::ForwardedWriteReply reply) {
  if (!reply.outcome.ok()) {
    base::Error error = reply.outcome.ToError();
    if (error.code == Code::kTimeout) {
      error = {Code::kUnknown,
               "the coordinating replica did not answer; the write may or may not have happened"};
    }
    return Fail(std::move(error));
  }
  WriteReply to;
  to.version = std::move(reply.version);
  to.context = std::move(reply.context);
  to.timestamp = {reply.written_ms};
  to.replicas = {reply.primaries, reply.fallbacks};
  to.replayed = reply.replayed;
  return to;
}

WriteIntent IntentOf(wire::ForwardedWrite request) {
  WriteIntent intent;
  intent.forwarded = true;
  intent.is_delete = request.is_delete;
  PutRequest& put = intent.put;
  put.bucket = std::move(request.bucket);
  put.key = std::move(request.key);
  put.value = std::move(request.value);
  put.content_type = std::move(request.content_type);
  if (request.has_context) put.context = std::move(request.context);
  if (request.has_ttl) put.ttl_s = request.ttl_s;
  if (request.has_client_timestamp) put.client_timestamp_ms = request.client_timestamp_ms;
  if (request.has_if_match) put.if_match = std::move(request.if_match);
  put.if_none_match_any = request.if_none_match_any;
  if (!request.idempotency_key.empty()) put.idempotency_key = std::move(request.idempotency_key);
  put.consistency.w = request.w;
  put.consistency.sloppy = request.sloppy;
  if (request.pw > 0) {
    put.consistency.pw = request.pw;
  } else if (request.sloppy) {
    put.consistency.level = Level::kAny;  // no primaries, also if the bucket asks for some
  }
  put.consistency.timeout_ms = request.timeout_ms;
  return intent;
}

wire::ForwardedWriteReply MessageOf(base::Result<WriteReply> reply) {
  wire::ForwardedWriteReply to;
  if (!reply) {
    to.outcome = wire::Outcome::From(reply.error());
  } else {
    to.version = std::move(reply->version);
    to.context = std::move(reply->context);
    to.written_ms = reply->timestamp.ms;
    to.primaries = reply->replicas.primaries;
    to.fallbacks = reply->replicas.fallbacks;
    to.replayed = reply->replayed;
  }
  return to;
}

}  // namespace lariat::coordinator
