// SPDX-License-Identifier: Apache-2.0
// Writes that another node coordinates: handed over, and taken over.
#include <algorithm>
#include <utility>

#include "coordinator/coordinator.h"

namespace lariat::coordinator {
namespace {

using base::Code;
using base::Fail;

// Its answer shall win over our time-out.
constexpr base::Duration kAnswerMargin = base::Millis(100);

wire::ForwardedWrite MakeForward(const WriteIntent& intent) {
  const PutRequest& put = intent.put;
  wire::ForwardedWrite request;
  request.is_delete = intent.is_delete;
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
  return request;
}

}  // namespace

void Coordinator::ForwardTo(const JobPtr& job, std::vector<ring::NodeIndex> candidates) {
  const int64_t left_ms = (job->deadline - env_.clock.Now()) / base::Millis(1);
  if (candidates.empty() && left_ms >= 1) return CoordinateAsStandIn(job);
  if (left_ms < 1) {
    return EndWrite(job, Fail(Code::kUnavailable, "no replica of the key could be reached"));
  }
  const Target& target = job->target;
  const ring::NodeIndex node = candidates.front();
  candidates.erase(candidates.begin());
  if (node == target.view->self) return Coordinate(job);
  wire::ForwardedWrite request = MakeForward(job->intent);
  // A number for both lists; the same unless the bucket's n is what changes.
  const uint32_t for_both = std::max(job->quorum.needed, job->quorum.NeededOf(target.NextN()));
  request.w = std::min(for_both, target.bucket->n);
  request.pw = job->quorum.primaries;
  request.sloppy = job->quorum.sloppy;
  request.timeout_ms = left_ms;
  replicas_.Forward({*target.view, node, base::Millis(left_ms) + kAnswerMargin}, std::move(request),
                    [this, job, node,
                     candidates = std::move(candidates)](wire::ForwardedWriteReply reply) mutable {
                      if (job->home.expired())
                        return job->done(Fail(Code::kUnknown, "shutting down"));
                      if (reply.outcome.code == Code::kStaleEpoch) return PlanWriteAgain(job, node);
                      OnForwardReply(job, std::move(reply), std::move(candidates));
                    });
}

void Coordinator::OnForwardReply(const JobPtr& job, wire::ForwardedWriteReply reply,
                                 std::vector<ring::NodeIndex> candidates) {
  // Only what was certainly not sent, or not begun, may be tried elsewhere: one client write is one
  // event (M7).
  const bool not_sent = reply.outcome.code == Code::kUnavailable && reply.outcome.error == kNotSent;
  const bool not_begun = reply.outcome.code == Code::kClockOff && !candidates.empty();
  if (not_sent || not_begun) return ForwardTo(job, std::move(candidates));
  if (!reply.outcome.ok()) {
    base::Error error = reply.outcome.ToError();
    if (error.code == Code::kTimeout) {
      error = {Code::kUnknown,
               "the coordinating replica did not answer; the write may or may not have happened"};
    }
    return EndWrite(job, Fail(std::move(error)));
  }
  WriteReply to;
  to.version = std::move(reply.version);
  to.context = std::move(reply.context);
  to.timestamp = {reply.written_ms};
  to.replicas = {reply.primaries, reply.fallbacks};
  to.replayed = reply.replayed;
  EndWrite(job, std::move(to));
}

void Coordinator::OnForwarded(wire::ForwardedWrite request, ReplicaPort::ForwardDone done) {
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
  StartWrite(std::move(intent), [done = std::move(done)](base::Result<WriteReply> reply) mutable {
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
    done(std::move(to));
  });
}

}  // namespace lariat::coordinator
