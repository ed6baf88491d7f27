// SPDX-License-Identifier: Apache-2.0
#include "coordinator/read_op.h"

#include <utility>

namespace lariat::coordinator {

using base::Code;

ReadOp::ReadOp(Options options, OpContext& context, Done done)
    : options_(std::move(options)),
      context_(context),
      replicas_(context.replicas()),
      metrics_(context.metrics()),
      core_(options_.core, options_.lineup.usable, options_.lineup.sets),
      done_(std::move(done)) {}

void ReadOp::Start() { Run(core_.Start()); }

void ReadOp::OnHedge() {
  if (!done_) return;
  const GetCore::Actions actions = core_.OnHedge();
  if (!actions.empty()) metrics_.reads_hedged.Add();
  Run(actions);
}

void ReadOp::OnTimeout() {
  if (done_) Run(core_.OnTimeout());
}

void ReadOp::Run(const GetCore::Actions& actions) {
  for (const GetCore::Action& action : actions) {
    switch (action.kind) {
      case GetCore::ActionKind::kWriteBack:
        (options_.core.strict ? metrics_.read_repairs : metrics_.read_repairs_async).Add();
        [[fallthrough]];
      case GetCore::ActionKind::kReadData:
      case GetCore::ActionKind::kReadDigest:
        Send({action.kind, 0, action.replica, action.stands_for});
        break;
      case GetCore::ActionKind::kDone:
        Answer();
        break;
      case GetCore::ActionKind::kFail:
        if (core_.error().code == Code::kStaleEpoch) metrics_.reads_overtaken.Add();
        Finish(base::Fail(core_.error()));
        break;
    }
  }
}

void ReadOp::Answer() {
  if (core_.disagreed()) metrics_.digest_mismatches.Add();
  const bool last = options_.core.strict;
  Finish(ReadResult{last ? core_.TakeObject() : core_.object(), core_.Answered(),
                    core_.FallbacksAnswered(), core_.idempotency_answer()});
  if (last) return;
  if (options_.compare_all || core_.disagreed()) Run(core_.AfterAnswer(options_.compare_all));
}

void ReadOp::Send(Sent request) {
  if (request.kind == GetCore::ActionKind::kWriteBack) return SendWriteBack(request);
  SendRead(request);
}

void ReadOp::SendRead(Sent sent) {
  const bool digest_only = sent.kind == GetCore::ActionKind::kReadDigest;
  wire::ReadRequest request{options_.bucket, options_.token, options_.key, digest_only,
                            options_.idempotency_key};
  if (sent.stands_for != GetCore::kNoReplica) {
    request.hint_for = options_.view->MemberAt(options_.lineup.nodes[sent.stands_for]).Number();
  }
  replicas_.Read(To(sent.replica), std::move(request),
                 [self = shared_from_this(), sent](wire::ReadReply&& reply) {
                   const bool stale = reply.outcome.code == Code::kStaleEpoch;
                   if (stale && self->done_) return self->OnStale(sent);
                   if (!reply.outcome.ok()) self->metrics_.replica_failures.Add();
                   self->Run(self->core_.OnReadReply(sent.replica, std::move(reply)));
                 });
}

void ReadOp::SendWriteBack(Sent sent) {
  wire::WriteRequest request;
  request.bucket = options_.bucket;
  request.token = options_.token;
  request.key = options_.key;
  request.object = core_.encoded();
  request.durability = static_cast<uint8_t>(options_.durability);
  request.repair = true;
  replicas_.Write(
      To(sent.replica), std::move(request),
      [self = shared_from_this(), sent](const wire::WriteReply& reply) {
        if (reply.outcome.code == Code::kStaleEpoch) return self->OnStale(sent);
        if (!reply.outcome.ok()) self->metrics_.replica_failures.Add();
        const bool overtaken = reply.outcome.ok() && reply.standing != causal::Standing::kHeld;
        self->Run(overtaken ? self->core_.OnOvertaken(sent.replica)
                            : self->core_.OnWriteBackReply(sent.replica, reply.outcome.ok()));
      });
}

// --- another topology ----------------------------------------------------------------------------

bool ReadOp::EndIfOutdated() {
  if (!context_.NewerThan(*options_.view)) return false;
  Finish(base::Fail(Code::kStaleEpoch, "the topology has changed"));
  return true;
}

void ReadOp::OnStale(Sent sent) {
  if (!done_ || EndIfOutdated()) return;
  context_.WaitFor(options_.view, options_.lineup.nodes[sent.replica], sent.attempt,
                   [self = shared_from_this(), sent]() mutable {
                     if (!self->done_) return self->OnLate(sent);
                     if (self->EndIfOutdated()) return;
                     self->metrics_.requests_sent_again.Add();
                     ++sent.attempt;
                     self->Send(sent);
                   });
}

// Of no use any more, but a comparison may wait for it.
void ReadOp::OnLate(Sent sent) {
  if (sent.kind == GetCore::ActionKind::kWriteBack) return;
  Run(core_.OnFailure(sent.replica, {Code::kStaleEpoch, "the topology has changed"}));
}

void ReadOp::Finish(base::Result<ReadResult> result) {
  if (done_) std::exchange(done_, nullptr)(std::move(result));
}

}  // namespace lariat::coordinator
