// SPDX-License-Identifier: Apache-2.0
#include "coordinator/write_op.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "coordinator/coordinator.h"
#include "wire/codec.h"

namespace lariat::coordinator {

using base::Code;
using base::Fail;

namespace {

// A replica that is no member any more.
constexpr ring::NodeIndex kGone = std::numeric_limits<ring::NodeIndex>::max();

PutCore::Options CoreOptions(const WriteOp::Options& options) {
  const Quorum& quorum = options.quorum;
  const uint32_t next_n = options.view->topology.NextN(*options.bucket);
  return {.w = quorum.MinimumAlive(),
          .self = options.self,
          .w_other = quorum.NeededOf(next_n),
          .pw = quorum.primaries,
          .pw_other = quorum.PrimariesOf(next_n),
          .spares = options.spares.size(),
          .stands_in = options.stands_in};
}

}  // namespace

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

WriteOp::WriteOp(Options options, UpdateRequest update, ReplicaPort& replicas, Replanner& replanner,
                 telemetry::Metrics& metrics, Done done)
    : options_(std::move(options)),
      update_(std::move(update)),
      written_(update_.value.written),
      replicas_(replicas),
      replanner_(replanner),
      metrics_(metrics),
      core_(CoreOptions(options_), options_.lineup.usable, options_.lineup.sets),
      done_(std::move(done)) {}

void WriteOp::Start() {
  UpdateRequest request = std::move(update_);
  request.fence = options_.view->fence();
  if (options_.stands_in) {
    request.hint_for = options_.view->MemberAt(options_.lineup.nodes[options_.self]).Number();
  }
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
      [self = shared_from_this(), own = options_.self](const base::Status& status) {
        PutCore& core = self->core_;
        if (!self->options_.stands_in) {
          return self->Run(status ? core.OnAck(own) : core.OnFailure(own, status.error()));
        }
        if (status && !core.finished() && core.Waits(0)) self->metrics_.sloppy_acks.Add();
        self->Run(status ? core.OnSpareAck(0) : core.OnSpareFailure(0, status.error()));
      });
}

void WriteOp::OnUpdate(base::Result<UpdateResult> result) {
  if (!result) return Run(core_.OnRefused(result.error()));
  if (result->stale) {
    return Finish(Fail(Code::kStaleEpoch, "the topology has changed"), std::move(result->stale));
  }
  if (result->replayed) {
    metrics_.idempotent_replays.Add();
    Finish(ReplayedReply(result->idempotency_answer, *options_.view));
    return;
  }
  result_ = std::move(*result);
  Run(core_.OnUpdated());
}

void WriteOp::OnTimeout() {
  expired_ = true;
  Run(core_.OnTimeout());
}

void WriteOp::Run(const PutCore::Actions& actions) {
  for (const PutCore::Action& action : actions) {
    switch (action.kind) {
      case PutCore::ActionKind::kSendWrite:
        SendWrite({action.replica, action.spare, 0});
        break;
      case PutCore::ActionKind::kDone:
        Answer();
        break;
      case PutCore::ActionKind::kFail:
        Finish(Fail(core_.error()));
        break;
      case PutCore::ActionKind::kOwe:
        Owe(action.replica);
        break;
    }
  }
}

void WriteOp::Answer() {
  WriteReply reply;
  reply.version = NameVersion(result_.version, *options_.view);
  reply.context = causal::EncodeContext(result_.context, update_.bucket_name, update_.key);
  reply.timestamp = written_;
  reply.replicas = {core_.Acks(), core_.StandIns()};
  Finish(std::move(reply));
}

void WriteOp::Owe(size_t replica) {
  replicas_.Owe(*options_.view, options_.lineup.nodes[replica],
                {update_.bucket, update_.token, update_.key});
}

ring::NodeIndex WriteOp::NodeOf(const Sent& sent) const {
  return sent.spare == PutCore::kNoSpare ? options_.lineup.nodes[sent.replica]
                                         : options_.spares[sent.spare];
}

void WriteOp::SendWrite(Sent sent) {
  wire::WriteRequest request;
  request.bucket = update_.bucket;
  request.token = update_.token;
  request.key = update_.key;
  request.object = result_.object;
  request.durability = static_cast<uint8_t>(update_.durability);
  request.idempotency_key = update_.idempotency_key;
  request.idempotency_answer = result_.idempotency_answer;
  if (sent.spare != PutCore::kNoSpare) {
    request.hint_for = options_.view->MemberAt(options_.lineup.nodes[sent.replica]).Number();
  }
  const uint64_t fence = options_.view->fence();
  replicas_.Write({*options_.view, NodeOf(sent), options_.timeout}, std::move(request),
                  [self = shared_from_this(), sent, fence](const wire::WriteReply& reply) {
                    if (reply.outcome.code == Code::kStaleEpoch) return self->OnStale(sent, fence);
                    self->OnWriteReply(sent, reply);
                  });
}

void WriteOp::OnWriteReply(Sent sent, const wire::WriteReply& reply) {
  const bool stands_in = sent.spare != PutCore::kNoSpare;
  if (!reply.outcome.ok()) {
    metrics_.replica_failures.Add();
    const base::Error error = reply.outcome.ToError();
    return Run(stands_in ? core_.OnSpareFailure(sent.spare, error)
                         : core_.OnFailure(sent.replica, error));
  }
  if (core_.finished()) {
    metrics_.late_acks.Add();
  } else if (stands_in && core_.Waits(sent.spare)) {
    metrics_.sloppy_acks.Add();
  }
  Run(stands_in ? core_.OnSpareAck(sent.spare) : core_.OnAck(sent.replica));
}

// --- another topology ----------------------------------------------------------------------------

void WriteOp::OnStale(Sent sent, uint64_t fence) {
  if (expired_) return;
  const bool sent_before_the_new_plan = fence < options_.view->fence();
  if (sent_before_the_new_plan || replanner_.NewerThan(*options_.view)) {
    sent.attempt = 0;
    return SendAgain(sent);
  }
  replanner_.WaitFor(options_.view, NodeOf(sent), sent.attempt,
                     [self = shared_from_this(), sent]() mutable {
                       ++sent.attempt;
                       self->SendAgain(sent);
                     });
}

void WriteOp::SendAgain(Sent sent) {
  if (expired_) return;
  CatchUp();
  const bool wanted = sent.spare != PutCore::kNoSpare
                          ? core_.Waits(sent.spare)
                          : options_.lineup.sets.empty() || options_.lineup.sets[sent.replica] != 0;
  if (!wanted) return;
  metrics_.requests_sent_again.Add();
  SendWrite(sent);
}

// Goes on by the present view if that is newer. Requests under way keep their replica's number.
void WriteOp::CatchUp() {
  auto view = replanner_.NewerThan(*options_.view);
  if (!view) return;
  auto target = FindTarget(std::move(view), update_.bucket_name, {update_.token});
  if (!target) return;  // the bucket is gone: nobody takes the write any more
  metrics_.requests_planned_again.Add();
  options_.lineup = Renumber(*target);
  options_.view = target->view;
  options_.bucket = target->bucket;
  const uint32_t n = target->bucket->n;
  const uint32_t next_n = target->NextN();
  const Quorum& quorum = options_.quorum;
  PutCore::Plan plan{.read = {quorum.NeededOf(n), quorum.PrimariesOf(n)},
                     .other = {quorum.NeededOf(next_n), quorum.PrimariesOf(next_n)},
                     .usable = options_.lineup.usable,
                     .sets = options_.lineup.sets};
  // Those of before keep their numbers, but nothing is sent to them any more.
  const ring::NodeIndex self = target->view->self;
  for (const ring::NodeIndex spare :
       options_.spares.empty() ? std::vector<ring::NodeIndex>() : SparesOf(*target, replicas_)) {
    if (options_.stands_in && spare == self) {
      plan.stands_in = true;
      continue;
    }
    options_.spares.push_back(spare);
    ++plan.spares;
  }
  Run(core_.OnNewLists(plan));
}

// The target's replicas, those of the present lineup in their places, with their lists.
Lineup WriteOp::Renumber(const Target& target) const {
  const membership::View& before = *options_.view;
  const Lineup wanted = WriteLineup(target, replicas_);
  Lineup lineup;
  const auto add = [&](ring::NodeIndex node) {
    const auto at = std::find(wanted.nodes.begin(), wanted.nodes.end(), node);
    const auto i = static_cast<size_t>(at - wanted.nodes.begin());
    const bool is_replica = at != wanted.nodes.end();
    lineup.nodes.push_back(node);
    lineup.sets.push_back(!is_replica ? ListSet{0}
                                      : (wanted.sets.empty() ? kInRead : wanted.sets[i]));
    lineup.usable.push_back(is_replica && wanted.usable[i]);
  };
  for (const ring::NodeIndex old : options_.lineup.nodes) {
    const uint64_t number = old == kGone ? 0 : before.MemberAt(old).Number();
    const auto found = target.view->by_number.find(number);
    add(found == target.view->by_number.end() ? kGone : found->second);
  }
  for (const ring::NodeIndex node : wanted.nodes) {
    const bool known =
        std::find(lineup.nodes.begin(), lineup.nodes.end(), node) != lineup.nodes.end();
    if (!known) add(node);
  }
  return lineup;
}

void WriteOp::Finish(base::Result<WriteReply> reply, Stale stale) {
  if (done_) std::exchange(done_, nullptr)(std::move(reply), std::move(stale));
}

}  // namespace lariat::coordinator
