// SPDX-License-Identifier: Apache-2.0
#include "coordinator/write_op.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "base/check.h"
#include "coordinator/internal/replies.h"
#include "coordinator/plan.h"

namespace lariat::coordinator {

using base::Code;
using base::Fail;

namespace {

// A replica that is no member any more.
constexpr ring::NodeIndex kGone = std::numeric_limits<ring::NodeIndex>::max();

// What it takes to order a register among others (put_core.h): with as many replicas each
// acknowledged write, and where reads are atomic each one that was read, has one in common.
void AddOrder(const membership::BucketProperties& bucket, const Lineup& lineup, size_t list,
              PutCore::Needs* needs) {
  uint32_t n = 0;
  for (size_t i = 0; i < lineup.nodes.size(); ++i) {
    const ListSet set = lineup.sets.empty() ? kInRead : lineup.sets[i];
    n += IsIn(set, list) ? 1 : 0;
  }
  const uint32_t r = bucket.ReadersOf(n);
  const uint32_t w = bucket.WritersOf(n);
  if (needs->w > n || r + needs->w <= n || 2 * needs->w <= n) return;
  needs->held = n - w + 1;
  if (2 * r > n) needs->held = std::max(needs->held, n - r + 1);
  needs->held = std::min(needs->held, needs->w);
  needs->unread = n - r + 1;
}

PerList<PutCore::Needs> NeedsOf(const WriteOp::Options& options) {
  const Quorum& quorum = options.quorum;
  const auto [n, other_n] = options.view->topology.NsOf(*options.bucket);
  PerList<PutCore::Needs> lists = {{quorum.NeededOf(n), quorum.primaries},
                                   {quorum.NeededOfOther(other_n), quorum.PrimariesOf(other_n)}};
  for (size_t list = 0; list < 2; ++list) {
    if (options.ordered) AddOrder(*options.bucket, options.lineup, list, &lists[list]);
  }
  return lists;
}

PutCore::Options CoreOptions(const WriteOp::Options& options) {
  return {.lists = NeedsOf(options),
          .self = options.self,
          .fallbacks = options.fallbacks.size(),
          .is_fallback = options.is_fallback};
}

}  // namespace

WriteOp::WriteOp(Options options, UpdateRequest update, OpContext& context, Done done)
    : options_(std::move(options)),
      update_(std::move(update)),
      written_(update_.change.value.written),
      context_(context),
      replicas_(context.replicas()),
      metrics_(context.metrics()),
      core_(CoreOptions(options_), options_.lineup.usable, options_.lineup.sets),
      done_(std::move(done)) {}

void WriteOp::Start() {
  // Replication still needs the rest of it.
  causal::Change change = std::exchange(update_.change, {});
  UpdateRequest request = update_;
  request.change = std::move(change);
  request.fence = options_.view->fence();
  if (options_.is_fallback) {
    request.hint_for = options_.view->MemberAt(options_.lineup.nodes[options_.self]).Number();
  }
  replicas_.Update(
      std::move(request),
      [self = shared_from_this()](base::Result<UpdateResult> result) {
        self->OnUpdate(std::move(result));
      },
      [self = shared_from_this()](const base::Status& status) { self->OnDurable(status); });
}

void WriteOp::OnDurable(const base::Status& status) {
  if (std::exchange(held_back_, false)) {
    if (!status) return Run(core_.OnTimeout());  // the engine has failed
    Run(core_.OnUpdated(result_.standing));
  }
  const size_t own = options_.self;
  if (!options_.is_fallback) {
    return Run(status ? core_.OnAck(own) : core_.OnFailure(own, status.error()));
  }
  if (status && !core_.finished() && core_.Waits(0)) metrics_.sloppy_acks.Add();
  Run(status ? core_.OnFallbackAck(0) : core_.OnFallbackFailure(0, status.error()));
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
  held_back_ = result_.tell_when_durable;
  if (!held_back_) Run(core_.OnUpdated(result_.standing));
}

void WriteOp::OnTimeout() {
  expired_ = true;
  Run(core_.OnTimeout());
}

void WriteOp::Run(const PutCore::Actions& actions) {
  for (const PutCore::Action& action : actions) {
    switch (action.kind) {
      case PutCore::ActionKind::kSendWrite:
        SendWrite({action.replica, action.fallback, 0, core_.round()});
        break;
      case PutCore::ActionKind::kRestamp:
        Restamp(action.unless_shown, 0);
        break;
      case PutCore::ActionKind::kDone:
        Answer();
        break;
      case PutCore::ActionKind::kFail:
        if (core_.Ordered() && core_.greater().packed != 0) metrics_.registers_unsettled.Add();
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
  reply.shown = result_.shown;
  reply.replicas = {core_.Acks(), core_.FallbackAcks()};
  Finish(std::move(reply));
}

void WriteOp::Owe(size_t replica) {
  replicas_.Owe(*options_.view, options_.lineup.nodes[replica],
                {update_.bucket, update_.token, update_.key});
}

ring::NodeIndex WriteOp::NodeOf(const Sent& sent) const {
  return sent.fallback == PutCore::kNoFallback ? options_.lineup.nodes[sent.replica]
                                               : options_.fallbacks[sent.fallback];
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
  if (sent.fallback != PutCore::kNoFallback) {
    request.hint_for = options_.view->MemberAt(options_.lineup.nodes[sent.replica]).Number();
  }
  const uint64_t fence = options_.view->fence();
  replicas_.Write({*options_.view, NodeOf(sent), options_.timeout}, std::move(request),
                  [self = shared_from_this(), sent, fence](const wire::WriteReply& reply) {
                    if (sent.round != self->core_.round()) return;
                    if (reply.outcome.code == Code::kStaleEpoch) return self->OnStale(sent, fence);
                    self->OnWriteReply(sent, reply);
                  });
}

void WriteOp::OnWriteReply(Sent sent, const wire::WriteReply& reply) {
  const bool is_fallback = sent.fallback != PutCore::kNoFallback;
  if (!reply.outcome.ok()) {
    metrics_.replica_failures.Add();
    const base::Error error = reply.outcome.ToError();
    return Run(is_fallback ? core_.OnFallbackFailure(sent.fallback, error)
                           : core_.OnFailure(sent.replica, error));
  }
  if (core_.finished()) {
    metrics_.late_acks.Add();
  } else if (is_fallback && core_.Waits(sent.fallback)) {
    metrics_.sloppy_acks.Add();
  }
  Run(is_fallback ? core_.OnFallbackAck(sent.fallback)
                  : core_.OnAck(sent.replica, reply.standing, reply.greater));
}

// --- another stamp -------------------------------------------------------------------------------

// The same event: the own replica gives it a stamp above those heard of. Others hear of it when it
// is durable here, for the one before is not to come back.
void WriteOp::Restamp(bool unless_shown, uint32_t attempt) {
  auto object = causal::Object::Decode(result_.object);
  LARIAT_CHECK(object.has_value(), "what was sent is an object");
  UpdateRequest request;
  request.bucket = update_.bucket;
  request.token = update_.token;
  request.key = update_.key;
  request.bucket_name = update_.bucket_name;
  request.change = std::move(*object).Again();
  request.change.now = written_;
  request.change.unless_shown = unless_shown;
  request.change.above = core_.greater();
  request.fence = options_.view->fence();
  replicas_.Update(
      std::move(request),
      [self = shared_from_this(), unless_shown, attempt](base::Result<UpdateResult> result) {
        self->OnRestamp(unless_shown, attempt, std::move(result));
      },
      [self = shared_from_this()](const base::Status& status) {
        if (!status) return self->Run(self->core_.OnRestampFailed(status.error()));
        self->result_ = std::move(*self->restamped_);
        self->restamped_.reset();
        self->metrics_.registers_restamped.Add();
        self->Run(self->core_.OnRestamped(self->result_.standing));
      });
}

void WriteOp::OnRestamp(bool unless_shown, uint32_t attempt, base::Result<UpdateResult> result) {
  if (!result && result.error().code == Code::kPreconditionFailed) return Run(core_.OnShown());
  if (!result) return Run(core_.OnRestampFailed(result.error()));
  if (result->stale) return OnStaleRestamp(unless_shown, attempt);
  restamped_ = std::move(*result);
}

void WriteOp::OnStaleRestamp(bool unless_shown, uint32_t attempt) {
  if (expired_) return;
  context_.WaitFor(options_.view, options_.view->self, attempt,
                   [self = shared_from_this(), unless_shown, attempt] {
                     if (self->expired_) return;
                     self->CatchUp();
                     self->Restamp(unless_shown, attempt + 1);
                   });
}

// --- another topology ----------------------------------------------------------------------------

void WriteOp::OnStale(Sent sent, uint64_t fence) {
  if (expired_) return;
  const bool sent_before_the_new_plan = fence < options_.view->fence();
  if (sent_before_the_new_plan || context_.NewerThan(*options_.view)) {
    sent.attempt = 0;
    return SendAgain(sent);
  }
  context_.WaitFor(options_.view, NodeOf(sent), sent.attempt,
                   [self = shared_from_this(), sent]() mutable {
                     ++sent.attempt;
                     self->SendAgain(sent);
                   });
}

void WriteOp::SendAgain(Sent sent) {
  if (expired_) return;
  CatchUp();
  if (sent.round != core_.round()) return;  // it has been sent the newer one
  const bool wanted = sent.fallback != PutCore::kNoFallback
                          ? core_.Waits(sent.fallback)
                          : options_.lineup.sets.empty() || options_.lineup.sets[sent.replica] != 0;
  if (!wanted) return;
  metrics_.requests_sent_again.Add();
  SendWrite(sent);
}

// Goes on by the present view if that is newer. Requests under way keep their replica's number.
void WriteOp::CatchUp() {
  auto view = context_.NewerThan(*options_.view);
  if (!view) return;
  auto target = FindTarget(std::move(view), update_.bucket_name, {update_.token});
  // The bucket is gone, or another one of its name: nobody takes the write any more.
  if (!target || target->bucket->id != update_.bucket) return;
  metrics_.requests_planned_again.Add();
  options_.lineup = Renumber(*target);
  options_.view = target->view;
  options_.bucket = target->bucket;
  PutCore::Plan plan{
      .lists = NeedsOf(options_), .usable = options_.lineup.usable, .sets = options_.lineup.sets};
  // Those of before keep their numbers, but nothing is sent to them any more.
  const ring::NodeIndex self = target->view->self;
  for (const ring::NodeIndex fallback : options_.fallbacks.empty()
                                            ? std::vector<ring::NodeIndex>()
                                            : FallbacksOf(*target, replicas_)) {
    if (options_.is_fallback && fallback == self) {
      plan.is_fallback = true;
      continue;
    }
    options_.fallbacks.push_back(fallback);
    ++plan.fallbacks;
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
