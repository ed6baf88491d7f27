// SPDX-License-Identifier: Apache-2.0
#include "coordinator/write_op.h"

#include <utility>

#include "coordinator/coordinator.h"
#include "wire/codec.h"

namespace lariat::coordinator {

using base::Code;
using base::Fail;

base::Result<WriteReply> ReplayedReply(const std::string& answer, const membership::View& view) {
  auto decoded = wire::DecodeWriteAnswer(answer);
  if (!decoded) {
    return Fail(Code::kCorruption, "the recorded answer of an earlier request is malformed");
  }
  WriteReply reply;
  reply.version = NameVersion(decoded->version, view);
  reply.context = std::move(decoded->context);
  reply.timestamp = {decoded->written_ms};
  reply.replayed = true;
  return reply;
}

WriteOp::WriteOp(Options options, UpdateRequest update, ReplicaPort& replicas,
                 telemetry::Metrics& metrics, WriteDone done)
    : options_(std::move(options)),
      update_(std::move(update)),
      written_(update_.value.written),
      replicas_(replicas),
      metrics_(metrics),
      core_(options_.core, options_.usable),
      done_(std::move(done)) {}

void WriteOp::Start() {
  const size_t own = options_.core.self;
  UpdateRequest request = std::move(update_);
  // What replication still needs of it.
  update_.bucket = request.bucket;
  update_.token = request.token;
  update_.key = request.key;
  update_.durability = request.durability;
  update_.idempotency_key = request.idempotency_key;
  update_.bucket_name = request.bucket_name;
  replicas_.Update(
      std::move(request),
      [self = shared_from_this()](base::Result<UpdateResult> result) {
        self->OnUpdate(std::move(result));
      },
      [self = shared_from_this(), own](const base::Status& status) {
        self->Run(status ? self->core_.OnAck(own) : self->core_.OnFailure(own, status.error()));
      });
}

void WriteOp::OnUpdate(base::Result<UpdateResult> result) {
  if (!result) return Run(core_.OnRefused(result.error()));
  if (result->replayed) {
    metrics_.idempotent_replays.Add();
    Finish(ReplayedReply(result->idempotency_answer, *options_.view));
    return;
  }
  result_ = std::move(*result);
  Run(core_.OnUpdated());
}

void WriteOp::OnTimeout() { Run(core_.OnTimeout()); }

void WriteOp::Run(const PutCore::Actions& actions) {
  for (const PutCore::Action& action : actions) {
    switch (action.kind) {
      case PutCore::ActionKind::kSendWrite:
        SendWrite(action.replica);
        break;
      case PutCore::ActionKind::kDone: {
        WriteReply reply;
        reply.version = NameVersion(result_.version, *options_.view);
        reply.context = causal::EncodeContext(result_.context, update_.bucket_name, update_.key);
        reply.timestamp = written_;
        reply.replicas.primaries = core_.Acks();
        Finish(std::move(reply));
        break;
      }
      case PutCore::ActionKind::kFail:
        Finish(Fail(core_.error()));
        break;
    }
  }
}

void WriteOp::SendWrite(size_t replica) {
  wire::WriteRequest request;
  request.bucket = update_.bucket;
  request.token = update_.token;
  request.key = update_.key;
  request.object = result_.object;
  request.durability = static_cast<uint8_t>(update_.durability);
  request.idempotency_key = update_.idempotency_key;
  request.idempotency_answer = result_.idempotency_answer;
  replicas_.Write(options_.nodes[replica], std::move(request), options_.timeout,
                  [self = shared_from_this(), replica](const wire::WriteReply& reply) {
                    self->OnWriteReply(replica, reply);
                  });
}

void WriteOp::OnWriteReply(size_t replica, const wire::WriteReply& reply) {
  if (!reply.outcome.ok()) {
    metrics_.replica_failures.Add();
    return Run(core_.OnFailure(replica, reply.outcome.ToError()));
  }
  if (core_.finished()) metrics_.late_acks.Add();
  Run(core_.OnAck(replica));
}

void WriteOp::Finish(base::Result<WriteReply> reply) {
  if (done_) std::exchange(done_, nullptr)(std::move(reply));
}

}  // namespace lariat::coordinator
