// SPDX-License-Identifier: Apache-2.0
#include "coordinator/internal/covering_reads.h"

#include <algorithm>
#include <utility>

#include "coordinator/quorum.h"

namespace lariat::coordinator {
namespace {

// A write that is under way, or a hint, brings it to others meanwhile.
constexpr base::Duration kAskAgain = base::Millis(20);

bool Covers(const GetReply& reply, const GetRequest& request, const causal::Context& seen) {
  const auto shown = causal::DecodeContext(reply.context, request.bucket, request.key);
  return shown && shown->Covers(seen);
}

}  // namespace

void CoveringReads::Get(GetRequest request, GetDone done) {
  if (!request.context || request.context->empty()) {
    return flights_.Get(std::move(request), std::move(done));
  }
  const auto target = context_.Locate(request.bucket, request.key);
  if (!target) return done(base::Fail(target.error()));
  causal::ClientWrite bearer;  // what it may carry, a read may
  bearer.context = std::exchange(request.context, std::nullopt);
  const auto fits = bearer.CheckFor(target->bucket->conflict, request.bucket, request.key);
  if (!fits) return done(base::Fail(fits.error()));
  const auto quorum =
      ReadQuorum(request.consistency, *target->bucket, context_.settings().request_timeout_ms);
  if (!quorum) return done(base::Fail(quorum.error()));
  auto job = std::make_shared<Job>();
  job->seen = *causal::DecodeContext(*bearer.context, request.bucket, request.key);
  job->request = std::move(request);
  job->deadline = context_.clock().Now() + base::Millis(quorum->timeout_ms);
  job->done = std::move(done);
  Ask(job);
}

void CoveringReads::Tick(base::Instant now) {
  waiting_.Expire(now, [this](const JobPtr& job) { AskFurther(job); });
}

void CoveringReads::Ask(const JobPtr& job) {
  flights_.Get(job->request, [this, job, home = context_.home()](base::Result<GetReply> reply) {
    if (home.expired()) return job->done(std::move(reply));
    OnReply(job, std::move(reply));
  });
}

void CoveringReads::OnReply(const JobPtr& job, base::Result<GetReply> reply) {
  if (reply && Covers(*reply, job->request, job->seen)) return job->done(std::move(reply));
  if (!reply && !job->asks_all) return job->done(std::move(reply));
  if (!job->asks_all) {
    job->asks_all = true;
    context_.metrics().reads_asked_further.Add();
    return AskFurther(job);
  }
  waiting_.Add(std::min(context_.clock().Now() + kAskAgain, job->deadline), job);
}

void CoveringReads::AskFurther(const JobPtr& job) {
  const int64_t left_ms = (job->deadline - context_.clock().Now()) / base::Millis(1);
  const auto target = context_.Locate(job->request.bucket, job->request.key);
  if (!target || left_ms < 1) {
    context_.metrics().reads_not_covered.Add();
    return job->done(base::Fail(
        base::Code::kNotCovered,
        "no replica that could be asked in time has all that the context has seen; nothing was "
        "changed by the read"));
  }
  const auto& owners = target->replicas.read;
  const auto alive = std::count_if(owners.begin(), owners.end(), [&](ring::NodeIndex node) {
    return context_.replicas().IsAlive(*target->view, node);
  });
  job->request.consistency = {};
  job->request.consistency.r = std::max<int64_t>(1, alive);
  job->request.consistency.sloppy = false;
  job->request.consistency.timeout_ms = left_ms;
  Ask(job);
}

}  // namespace lariat::coordinator
