// SPDX-License-Identifier: Apache-2.0
#include "coordinator/internal/forwards.h"

#include <algorithm>
#include <utility>

namespace lariat::coordinator {

using base::Code;
using base::Fail;

wire::ForwardedWrite MakeForward(const WriteJob& job, int64_t timeout_ms) {
  wire::ForwardedWrite request;
  request.bucket = job.request.bucket;
  request.key = job.request.key;
  request.write = job.request.write;
  request.idempotency_key = job.request.idempotency_key.value_or("");
  // A number for both lists; the same unless the bucket's n is what changes.
  const auto [n, other_n] = job.target.Ns();
  request.w = std::max(job.quorum.NeededOf(n), job.quorum.NeededOfOther(other_n));
  const Level level = job.quorum.level;
  request.majority =
      !job.quorum.sloppy &&
      (level == Level::kQuorum || level == Level::kLocalQuorum || level == Level::kEachQuorum);
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
  to.shown = std::move(reply.shown);
  return to;
}

WriteRequest RequestOf(wire::ForwardedWrite from) {
  WriteRequest request;
  request.bucket = std::move(from.bucket);
  request.key = std::move(from.key);
  request.write = std::move(from.write);
  if (!from.idempotency_key.empty()) request.idempotency_key = std::move(from.idempotency_key);
  if (from.majority) {
    request.consistency.level = Level::kQuorum;
  } else {
    request.consistency.w = from.w;
  }
  request.consistency.sloppy = from.sloppy;
  if (from.pw > 0) {
    request.consistency.pw = from.pw;
  } else if (from.sloppy) {
    request.consistency.level = Level::kAny;  // no primaries, also if the bucket asks for some
  }
  request.consistency.timeout_ms = from.timeout_ms;
  return request;
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
    to.shown = std::move(reply->shown);
  }
  return to;
}

}  // namespace lariat::coordinator
