// SPDX-License-Identifier: Apache-2.0
#include "coordinator/internal/write_jobs.h"

#include <algorithm>
#include <utility>

#include "coordinator/internal/forwards.h"
#include "coordinator/internal/replies.h"
#include "coordinator/read_op.h"
#include "coordinator/write_op.h"

namespace lariat::coordinator {
namespace {

using base::Code;
using base::Fail;

// The other node's answer shall win over our time-out.
constexpr base::Duration kAnswerMargin = base::Millis(100);

}  // namespace

void WriteJobs::Start(WriteRequest request, bool forwarded, WriteDone done) {
  const auto value_bytes_max = static_cast<uint64_t>(context_.settings().limits_value_bytes);
  if (auto status = CheckRequest(request, value_bytes_max); !status)
    return done(Fail(status.error()));
  const size_t bytes = request.write.value.size();
  if (auto status = admission_.Admit(bytes); !status) return done(Fail(status.error()));
  auto job = std::make_shared<WriteJob>();
  job->request = std::move(request);
  job->forwarded = forwarded;
  job->done = std::move(done);
  job->bytes = bytes;
  job->home = context_.home();
  if (!context_.view() || context_.view()->topology.sealed) return Plan(job);
  context_.cluster().Seal([this, job](const base::Status& status) {
    if (job->home.expired()) return job->done(Fail(Code::kUnavailable, "shutting down"));
    if (!status) return End(job, Fail(status.error()));
    Plan(job);
  });
}

void WriteJobs::End(const JobPtr& job, base::Result<WriteReply> reply) {
  admission_.Leave(job->bytes);
  job->done(std::move(reply));
}

void WriteJobs::Tick(base::Instant now) {
  deadlines_.Expire(now, [](const std::weak_ptr<WriteOp>& weak) {
    if (auto op = weak.lock()) op->OnTimeout();
  });
}

// --- plans ---------------------------------------------------------------------------------------

void WriteJobs::Plan(const JobPtr& job) {
  if (auto status = LocateWrite(context_, job.get()); !status)
    return End(job, Fail(status.error()));
  const auto& read = job->target.replicas.read;
  const auto self = std::find(read.begin(), read.end(), job->target.view->self);
  const bool is_replica = self != read.end();
  job->is_fallback = false;
  if (is_replica) job->self = static_cast<size_t>(self - read.begin());
  if (job->forwarded && !is_replica) {
    return End(job, Fail(Code::kStaleEpoch, "this node does not coordinate the key"));
  }
  if (is_replica && (job->forwarded || !MeetsOthers(*job))) return Coordinate(job);
  auto candidates = Coordinators(context_, *job);
  if (candidates.empty()) return CoordinateAsFallback(job);
  if (candidates.front() == job->target.view->self) return Coordinate(job);
  context_.metrics().requests_forwarded.Add();
  ForwardTo(job, std::move(candidates));
}

void WriteJobs::CoordinateAsFallback(const JobPtr& job) {
  if (auto status = CheckFallback(context_, *job); !status) return End(job, Fail(status.error()));
  job->is_fallback = true;
  job->self = 0;
  Coordinate(job);
}

// Nothing was done, because `node` has another topology.
void WriteJobs::PlanAgain(const JobPtr& job, ring::NodeIndex node) {
  const auto again = [this, job] {
    if (context_.clock().Now() < job->deadline) {
      context_.metrics().requests_planned_again.Add();
      return Plan(job);
    }
    End(job, Fail(Code::kUnavailable,
                  "the topology is changing and the nodes did not agree on it in time; the "
                  "write was not done"));
  };
  const auto view = job->target.view;
  if (context_.NewerThan(*view)) return again();
  context_.WaitFor(view, node, job->plans - 1, again, job->deadline);
}

// --- another node coordinates --------------------------------------------------------------------

void WriteJobs::ForwardTo(const JobPtr& job, std::vector<ring::NodeIndex> candidates) {
  const int64_t left_ms = (job->deadline - context_.clock().Now()) / base::Millis(1);
  if (candidates.empty() && left_ms >= 1) return CoordinateAsFallback(job);
  if (left_ms < 1) {
    return End(job, Fail(Code::kUnavailable, "no replica of the key could be reached"));
  }
  const Target& target = job->target;
  const ring::NodeIndex node = candidates.front();
  candidates.erase(candidates.begin());
  if (node == target.view->self) return Coordinate(job);
  context_.replicas().Forward(
      {*target.view, node, base::Millis(left_ms) + kAnswerMargin}, MakeForward(*job, left_ms),
      [this, job, node,
       candidates = std::move(candidates)](base::Result<wire::ForwardedWriteReply> reply) mutable {
        if (job->home.expired()) return job->done(Fail(Code::kUnknown, "shutting down"));
        OnForwardReply(job, node, std::move(reply), std::move(candidates));
      });
}

void WriteJobs::OnForwardReply(const JobPtr& job, ring::NodeIndex node,
                               base::Result<wire::ForwardedWriteReply> reply,
                               std::vector<ring::NodeIndex> candidates) {
  // Only what was certainly not sent, or not begun, may be tried elsewhere: one client write is one
  // event (M7).
  if (!reply && reply.error().code == Code::kUnavailable) {
    return ForwardTo(job, std::move(candidates));
  }
  if (!reply) return End(job, Fail(std::move(reply.error())));
  const Code code = reply->outcome.code;
  if (code == Code::kStaleEpoch) return PlanAgain(job, node);
  if (code == Code::kClockOff && !candidates.empty()) return ForwardTo(job, std::move(candidates));
  End(job, ReplyOf(std::move(*reply)));
}

// --- the event -----------------------------------------------------------------------------------

void WriteJobs::Coordinate(const JobPtr& job) {
  if (causal::IsAgreed(job->target.bucket->conflict)) return Agree(job);
  const bool reads = NeedsRead(*job);  // what says so is in the value, which goes into the update
  auto update = MakeUpdate(job.get(), context_.clock().WallMicros(),
                           static_cast<size_t>(context_.settings().limits_siblings));
  if (!update) return End(job, Fail(std::move(update.error())));
  const bool timed = update->change.UsesClock();
  if (auto right = timed ? context_.cluster().CheckClock() : base::Status(); !right) {
    context_.metrics().clock_off_refused.Add();
    return End(job, Fail(std::move(right.error())));
  }
  if (!reads) return RunUpdate(job, std::move(*update));
  ReadThenUpdate(job, std::move(*update));
}

void WriteJobs::Agree(const JobPtr& job) {
  const std::string bucket = job->request.bucket;
  const std::string key = job->request.key;
  auto op = serial::OpOf(&job->request.write, job->request.idempotency_key.value_or(""),
                         {.kind = job->target.bucket->conflict,
                          .bucket = bucket,
                          .key = key,
                          .ttl_s = job->target.bucket->ttl_s,
                          .now_us = context_.clock().WallMicros()});
  if (!op) return End(job, Fail(std::move(op.error())));
  const bool timed = op->value.expires_ms != 0;
  if (auto right = timed ? context_.cluster().CheckClock() : base::Status(); !right) {
    context_.metrics().clock_off_refused.Add();
    return End(job, Fail(std::move(right.error())));
  }
  rounds_.Submit({bucket, key}, std::move(*op), job->deadline,
                 [this, job](base::Result<serial::Outcome> result) {
                   auto reply = SerialReply(std::move(result), job->request);
                   if (job->home.expired()) return job->done(std::move(reply));
                   End(job, std::move(reply));
                 });
}

void WriteJobs::RunUpdate(const JobPtr& job, UpdateRequest update) {
  // Replicas may have gone while a read was under way: the last moment for a definite answer.
  if (auto status = CheckWritable(context_, *job); !status) return End(job, Fail(status.error()));
  WriteOp::Options options;
  options.quorum = job->quorum;
  options.self = job->self;
  options.is_fallback = job->is_fallback;
  if (job->quorum.sloppy && context_.settings().hints_enabled) {
    options.fallbacks = FallbacksOf(job->target, context_.replicas());
  }
  if (job->is_fallback) {
    auto& fallbacks = options.fallbacks;
    const auto own = std::find(fallbacks.begin(), fallbacks.end(), job->target.view->self);
    if (own == fallbacks.end()) {
      return End(job, Fail(Code::kUnavailable, "this node cannot stand in any more"));
    }
    std::rotate(fallbacks.begin(), own, own + 1);
  }
  options.view = job->target.view;
  options.bucket = job->target.bucket;
  options.lineup = WriteLineup(job->target, context_.replicas());
  options.timeout = base::Millis(job->quorum.timeout_ms);
  // Whoever has read before has a stamp above all that was done by then.
  options.ordered = update.change.IsStampedByNode() && !NeedsRead(*job);
  // Not make_shared: the deadline that outlives it shall keep only the control block.
  auto op = std::shared_ptr<WriteOp>(
      new WriteOp(std::move(options), std::move(update), context_,
                  [this, job](base::Result<WriteReply> reply, WriteOp::Stale stale) {
                    if (job->home.expired()) return job->done(std::move(reply));
                    OnWritten(job, std::move(reply), std::move(stale));
                  }));
  deadlines_.Add(job->deadline, op);
  op->Start();
}

void WriteJobs::OnWritten(const JobPtr& job, base::Result<WriteReply> reply,
                          std::unique_ptr<UpdateRequest> stale) {
  if (stale) {
    std::move(stale->change).GiveBack(&job->request.write);
    return PlanAgain(job, job->target.view->self);
  }
  if (reply && reply->replayed) return ConfirmReplay(job, std::move(*reply));
  End(job, std::move(reply));
}

// --- a read before it ----------------------------------------------------------------------------

void WriteJobs::ReadThenUpdate(const JobPtr& job, UpdateRequest update) {
  reads_.Start(job->target, FirstRead(*job),
               [this, job, update = std::move(update)](base::Result<ReadResult> found) mutable {
                 if (job->home.expired()) {
                   return job->done(Fail(Code::kUnavailable, "shutting down"));
                 }
                 OnFirstRead(job, std::move(update), std::move(found));
               });
}

void WriteJobs::OnFirstRead(const JobPtr& job, UpdateRequest update,
                            base::Result<ReadResult> found) {
  if (!found) {
    // Nothing was written: for a write that is "definitely not done".
    base::Error error = std::move(found.error());
    if (error.code == Code::kStaleEpoch) {
      std::move(update.change).GiveBack(&job->request.write);
      return PlanAgain(job, job->target.view->self);
    }
    if (error.code == Code::kTimeout) error.code = Code::kUnavailable;
    return End(job, Fail(std::move(error)));
  }
  const membership::View& view = *job->target.view;
  if (!found->idempotency_answer.empty()) {
    return End(job, ReplayedReply(found->idempotency_answer, view));
  }
  if (auto holds = found->object.Meets(update.change); !holds) {
    return End(job, Fail(holds.error()));
  }
  found->object.Inform(&update.change);
  const bool blind_delete = update.change.IsDelete() && update.change.sees_what_is_read;
  if (blind_delete && update.idempotency_key.empty() && !found->object.HasLiveValue({INT64_MIN})) {
    return End(job, NothingToDelete(*found, update, view));
  }
  RunUpdate(job, std::move(update));
}

// The local replica may know an earlier event that has not reached the others yet (its own write is
// still under way, or failed on the way): a strict read that finds it brings it there first. One
// that ends without the replica that knows it confirms nothing.
void WriteJobs::ConfirmReplay(const JobPtr& job, WriteReply reply) {
  reads_.Start(
      job->target, FirstRead(*job),
      [this, job, reply = std::move(reply)](const base::Result<ReadResult>& found) mutable {
        if (job->home.expired()) return job->done(Fail(Code::kUnknown, "shutting down"));
        OnConfirmed(job, std::move(reply), found);
      });
}

void WriteJobs::OnConfirmed(const JobPtr& job, WriteReply reply,
                            const base::Result<ReadResult>& found) {
  if (found && !found->idempotency_answer.empty()) return End(job, std::move(reply));
  const bool stale = !found && found.error().code == Code::kStaleEpoch;
  if (stale && LocateWrite(context_, job.get())) {
    context_.metrics().requests_planned_again.Add();
    return ConfirmReplay(job, std::move(reply));
  }
  End(job, Fail(Code::kUnknown,
                "an earlier request with this Idempotency-Key was found, but it could not be "
                "confirmed: " +
                    (found ? "its replica was too slow" : found.error().message)));
}

}  // namespace lariat::coordinator
