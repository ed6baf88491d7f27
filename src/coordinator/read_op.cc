// SPDX-License-Identifier: Apache-2.0
#include "coordinator/read_op.h"

#include <utility>

namespace lariat::coordinator {

ReadOp::ReadOp(Options options, ReplicaPort& replicas, telemetry::Metrics& metrics, Done done)
    : options_(std::move(options)),
      replicas_(replicas),
      metrics_(metrics),
      core_(options_.core, options_.usable),
      done_(std::move(done)) {}

void ReadOp::Start() { Run(core_.Start()); }

void ReadOp::OnHedge() {
  GetCore::Actions actions = core_.OnHedge();
  if (!actions.empty()) metrics_.reads_hedged.Add();
  Run(std::move(actions));
}

void ReadOp::OnTimeout() { Run(core_.OnTimeout()); }

void ReadOp::Run(GetCore::Actions actions) {
  for (const GetCore::Action& action : actions) {
    switch (action.kind) {
      case GetCore::ActionKind::kReadData:
        SendRead(action.replica, false);
        break;
      case GetCore::ActionKind::kReadDigest:
        SendRead(action.replica, true);
        break;
      case GetCore::ActionKind::kWriteBack:
        SendWriteBack(action.replica);
        break;
      case GetCore::ActionKind::kDone:
        if (core_.disagreed()) metrics_.digest_mismatches.Add();
        Finish(ReadResult{core_.object(), core_.Answered(), core_.idempotency_answer()});
        break;
      case GetCore::ActionKind::kFail:
        Finish(base::Fail(core_.error()));
        break;
    }
  }
}

void ReadOp::SendRead(size_t replica, bool digest_only) {
  wire::ReadRequest request{options_.bucket, options_.token, options_.key, digest_only,
                            options_.idempotency_key};
  replicas_.Read(options_.nodes[replica], std::move(request), options_.timeout,
                 [self = shared_from_this(), replica](wire::ReadReply reply) {
                   if (!reply.outcome.ok()) self->metrics_.replica_failures.Add();
                   self->Run(self->core_.OnReadReply(replica, std::move(reply)));
                 });
}

void ReadOp::SendWriteBack(size_t replica) {
  metrics_.read_repairs.Add();
  wire::WriteRequest request;
  request.bucket = options_.bucket;
  request.token = options_.token;
  request.key = options_.key;
  request.object = core_.encoded();
  request.durability = static_cast<uint8_t>(options_.durability);
  request.repair = true;
  replicas_.Write(options_.nodes[replica], std::move(request), options_.timeout,
                  [self = shared_from_this(), replica](const wire::WriteReply& reply) {
                    if (!reply.outcome.ok()) self->metrics_.replica_failures.Add();
                    self->Run(self->core_.OnWriteBackReply(replica, reply.outcome.ok()));
                  });
}

void ReadOp::Finish(base::Result<ReadResult> result) {
  if (done_) std::exchange(done_, nullptr)(std::move(result));
}

}  // namespace lariat::coordinator
