// SPDX-License-Identifier: Apache-2.0
// Requests through a shard: from its coordinator to replicas, and from peers to its replica.
#include <memory>
#include <utility>

#include "base/check.h"
#include "node/node.h"
#include "node/shard.h"
#include "wire/codec.h"

namespace lariat::node {

using base::Code;
using base::Fail;

namespace {

constexpr size_t kForwardsRemembered = 65536;
// Many requests may be refused at once; one exchange of documents helps them all.
constexpr base::Duration kReconcilePause = base::Millis(20);

replica::AckWhen AckWhenOf(uint8_t durability) {
  return durability == static_cast<uint8_t>(membership::Durability::kSync)
             ? replica::AckWhen::kSynced
             : replica::AckWhen::kWritten;
}

replica::Condition ConditionOf(coordinator::Condition condition) {
  switch (condition) {
    case coordinator::Condition::kNone:
      return replica::Condition::kNone;
    case coordinator::Condition::kNoLiveValue:
      return replica::Condition::kNoLiveValue;
    case coordinator::Condition::kAnyLiveValue:
      return replica::Condition::kAnyLiveValue;
    case coordinator::Condition::kContextCoversAll:
      return replica::Condition::kContextCoversAll;
  }
  return replica::Condition::kNone;
}

wire::ReadReply ToReply(base::Result<replica::ReadResult> result) {
  wire::ReadReply reply;
  if (!result) {
    reply.outcome = wire::Outcome::From(result.error());
    return reply;
  }
  reply.found = result->found;
  reply.object = std::move(result->object);
  reply.digest = result->digest;
  reply.idempotency_answer = std::move(result->idempotency_answer);
  return reply;
}

wire::WriteReply ToReply(const base::Status& status,
                         const replica::RegisterAnswer* answer = nullptr) {
  wire::WriteReply reply;
  if (!status) {
    reply.outcome = wire::Outcome::From(status.error());
  } else if (answer != nullptr) {
    reply.standing = answer->standing;
    reply.greater = answer->greater;
  }
  return reply;
}

tl::unexpected<base::Error> NoMember() {
  return Fail(Code::kStaleEpoch, "the node is not a member any more");
}

// Why there is none is the reply's outcome.
template <typename Reply>
Reply ReplyIn(base::Result<wire::Body> body) {
  Reply reply;
  if (!body) {
    reply.outcome = wire::Outcome::From(body.error());
  } else if (auto* given = std::get_if<Reply>(&*body)) {
    return std::move(*given);
  } else {
    reply.outcome = {Code::kInternal, "a peer sent an answer of another kind"};
  }
  return reply;
}

}  // namespace

// --- from the coordinator ----------------------------------------------------------------------

template <typename Reply, typename Request, typename Done>
void Shard::Ask(const coordinator::Destination& to, Request request, Done done) {
  const std::optional<PeerHandle> peer = PeerIn(to.view, to.node);
  if (!peer) return done(ReplyIn<Reply>(NoMember()));
  Send(*peer, {0, to.view.fence(), std::move(request)}, to.timeout,
       [done = std::move(done)](base::Result<wire::Body> body) mutable {
         done(ReplyIn<Reply>(std::move(body)));
       });
}

// The view may be an older one than the shard's: the node's number finds it in both.
std::optional<PeerHandle> Shard::PeerIn(const membership::View& view, ring::NodeIndex node) const {
  if (&view == view_.get()) return PeerOf(node);
  const auto found = view_->by_number.find(view.MemberAt(node).Number());
  return found == view_->by_number.end() ? std::nullopt : PeerOf(found->second);
}

void Shard::Read(const coordinator::Destination& to, wire::ReadRequest request, ReadDone done) {
  if (to.node == to.view.self) {
    return LocalRead(std::move(request), to.view.fence(), std::move(done));
  }
  Ask<wire::ReadReply>(to, std::move(request), std::move(done));
}

void Shard::Write(const coordinator::Destination& to, wire::WriteRequest request, WriteDone done) {
  if (to.node == to.view.self) {
    return LocalWrite(std::move(request), to.view.fence(), std::move(done));
  }
  Ask<wire::WriteReply>(to, std::move(request), std::move(done));
}

void Shard::Forward(const coordinator::Destination& to, wire::ForwardedWrite request,
                    ForwardDone done) {
  LARIAT_CHECK(to.node != to.view.self, "a write is forwarded to another node");
  using Reply = wire::ForwardedWriteReply;
  const std::optional<PeerHandle> peer = PeerIn(to.view, to.node);
  if (!peer) return done(ReplyIn<Reply>(NoMember()));
  // Co-owned by the callback while the request is under way; here what was not sent is told.
  auto shared = std::make_shared<ForwardDone>(std::move(done));
  Calls::Done back = [shared](base::Result<wire::Body> body) {
    (*shared)(ReplyIn<Reply>(std::move(body)));
  };
  const auto sent = TrySend(*peer, {0, to.view.fence(), std::move(request)}, to.timeout, &back);
  if (!sent) (*shared)(Fail(sent.error()));
}

void Shard::Owe(const membership::View& view, ring::NodeIndex node, coordinator::OwedKey key) {
  if (!settings_.hints_enabled) return;
  const uint64_t target = view.MemberAt(node).Number();
  const uint64_t token = key.token;
  OnOwner(token, [key = std::move(key), target](Shard& owner) mutable {
    const auto mark = replica::DirtyMark::Of(target, key.bucket, key.token);
    owner.replica_.Owe({key.bucket, {key.token}, std::move(key.key), target},
                       owner.world_.env.clock.Wall(), [&owner, mark](const base::Status& status) {
                         if (!status) owner.dirty_.insert(mark);
                       });
  });
}

// All of one tick together: there may be very many, for few marks.
void Shard::TellDirty() {
  if (dirty_.empty()) return;
  std::vector<replica::DirtyMark> marks(dirty_.begin(), dirty_.end());
  dirty_.clear();
  node_.shard(0).Post([&node = node_, marks = std::move(marks)]() mutable {
    node.healing().MarkDirty(std::move(marks));
  });
}

// --- to the replica that owns the token --------------------------------------------------------

template <typename Use>
void Shard::OnOwner(uint64_t token, Use use) {
  const uint32_t owner = ring::ShardOf({token}, node_.shards());
  if (owner == index_) return use(*this);
  metrics_.cross_shard_tasks.Add();
  const uint64_t turn = world_.env.executor.TurnNumber();
  const bool joins_batch = turn != 0 && std::exchange(handed_over_[owner], turn) == turn;
  if (!joins_batch) metrics_.cross_shard_batches.Add();
  Shard& other = node_.shard(owner);
  other.Post([use = std::move(use), &other]() mutable { use(other); });
}

// Wraps a callback so that it runs on the shard that made it, whichever shard calls it.
template <typename Done>
static auto BackOn(Shard& home, Done done) {
  return [&home, done = std::move(done)](Shard& here, auto value) mutable {
    if (&here == &home) return done(std::move(value));
    home.Post(
        [done = std::move(done), value = std::move(value)]() mutable { done(std::move(value)); });
  };
}

base::Status Shard::CheckFence(uint64_t fence) const {
  if (view_ && view_->fence() == fence) return {};
  metrics_.replica_stale.Add();
  return Fail(Code::kStaleEpoch, "the request was planned by the topology of epoch " +
                                     std::to_string(fence) + ", this node has that of " +
                                     std::to_string(view_ ? view_->fence() : 0));
}

base::Status Shard::CheckHintFor(uint64_t member) const {
  if (member == 0 || settings_.hints_enabled) return {};
  return Fail(Code::kUnavailable, "this node keeps no hints (hints.enabled)");
}

void Shard::LocalRead(wire::ReadRequest request, uint64_t fence, ReadDone done) {
  const uint64_t token = request.token;
  OnOwner(token, [request = std::move(request), fence,
                  back = BackOn(*this, std::move(done))](Shard& owner) mutable {
    if (auto status = owner.CheckFence(fence); !status) {
      return back(owner, ToReply(base::Result<replica::ReadResult>(Fail(status.error()))));
    }
    replica::KeyRef key{request.bucket, {request.token}, std::move(request.key), request.hint_for};
    owner.replica_.Read(
        std::move(key), {request.digest_only, std::move(request.idempotency_key)},
        [&owner, back = std::move(back)](base::Result<replica::ReadResult> result) mutable {
          back(owner, ToReply(std::move(result)));
        });
  });
}

void Shard::ReadOwn(uint64_t fence, replica::KeyRef key, ReadDone done) {
  const uint64_t token = key.token.value;
  OnOwner(token, [key = std::move(key), fence,
                  back = BackOn(*this, std::move(done))](Shard& owner) mutable {
    if (auto status = owner.CheckFence(fence); !status) {
      return back(owner, ToReply(base::Result<replica::ReadResult>(Fail(status.error()))));
    }
    replica::ReadOptions options;
    options.even_in_doubt = true;
    owner.replica_.Read(
        std::move(key), std::move(options),
        [&owner, back = std::move(back)](base::Result<replica::ReadResult> result) mutable {
          back(owner, ToReply(std::move(result)));
        });
  });
}

void Shard::LocalWrite(wire::WriteRequest request, uint64_t fence, WriteDone done) {
  const uint64_t token = request.token;
  OnOwner(token, [request = std::move(request), fence,
                  back = BackOn(*this, std::move(done))](Shard& owner) mutable {
    if (auto status = owner.CheckFence(fence); !status) return back(owner, ToReply(status));
    if (auto may = owner.CheckHintFor(request.hint_for); !may) return back(owner, ToReply(may));
    if (request.repair) owner.metrics_.replica_requests[telemetry::ReplicaOp::kRepair].Add();
    replica::KeyRef key{request.bucket, {request.token}, std::move(request.key), request.hint_for};
    replica::WriteOptions options;
    options.ack_when = AckWhenOf(request.durability);
    options.idempotency_key = std::move(request.idempotency_key);
    options.idempotency_answer = std::move(request.idempotency_answer);
    options.now = owner.clock().Latest();
    options.for_client = !request.repair && request.hint_for == 0;
    options.stored_elsewhere = request.repair;
    if (causal::Object::RegisterIdOf(request.object)) {
      options.answer = std::make_shared<replica::RegisterAnswer>();
    }
    auto answer = options.answer;
    owner.replica_.Write(
        std::move(key), std::move(request.object), std::move(options),
        [&owner, back = std::move(back), answer = std::move(answer)](
            const base::Status& status) mutable { back(owner, ToReply(status, answer.get())); });
  });
}

void Shard::Update(coordinator::UpdateRequest request, UpdateDone updated, DurableDone durable) {
  const uint64_t token = request.token;
  OnOwner(token, [request = std::move(request), updated = BackOn(*this, std::move(updated)),
                  durable = BackOn(*this, std::move(durable))](Shard& owner) mutable {
    owner.RunUpdate(
        std::move(request),
        [&owner,
         updated = std::move(updated)](base::Result<coordinator::UpdateResult> result) mutable {
          updated(owner, std::move(result));
        },
        [&owner, durable = std::move(durable)](base::Status status) mutable {
          durable(owner, std::move(status));
        });
  });
}

void Shard::RunUpdate(coordinator::UpdateRequest from, UpdateDone updated, DurableDone durable) {
  const bool needs_clock = from.kind == causal::Kind::kLww && !from.client_timestamp_ms;
  if (!needs_clock) return MakeEvent(std::move(from), std::move(updated), std::move(durable));
  if (from.above.packed != 0) {
    // So that the clock's limit is extended past it, if need be.
    from.now = world_.env.clock.Wall();
    clock_.Follow(from.above, from.now);
  }
  WithClock([this, from = std::move(from), updated = std::move(updated),
             durable = std::move(durable)](const base::Status& status) mutable {
    if (!status) return updated(Fail(status.error()));
    MakeEvent(std::move(from), std::move(updated), std::move(durable));
  });
}

void Shard::MakeEvent(coordinator::UpdateRequest from, UpdateDone updated, DurableDone durable) {
  if (!CheckFence(from.fence)) {
    coordinator::UpdateResult refused;
    refused.stale = std::make_unique<coordinator::UpdateRequest>(std::move(from));
    return updated(std::move(refused));
  }
  if (auto may = CheckHintFor(from.hint_for); !may) return updated(Fail(std::move(may.error())));
  replica::UpdateRequest request;
  request.key = {from.bucket, {from.token}, std::move(from.key), from.hint_for};
  request.kind = from.kind;
  request.context = std::move(from.context);
  request.value = std::move(from.value);
  request.client_timestamp_ms = from.client_timestamp_ms;
  request.condition = ConditionOf(from.condition);
  request.ack_when = AckWhenOf(static_cast<uint8_t>(from.durability));
  request.siblings_max = from.siblings_max;
  request.now = from.now;
  request.micros = from.micros;
  request.above = from.above;
  request.instead_of = from.instead_of;
  request.unless_shown = from.unless_shown;
  request.idempotency_key = std::move(from.idempotency_key);
  if (!request.idempotency_key.empty()) {
    request.make_answer = [bucket = std::move(from.bucket_name), key = request.key.key,
                           now = from.now](const causal::Object& object,
                                           const causal::Context& context) {
      return wire::EncodeWriteAnswer(
          {causal::EncodeContext(context, bucket, key), object.Version(), now.ms});
    };
  }
  auto convert = [updated =
                      std::move(updated)](base::Result<replica::UpdateResult> result) mutable {
    if (!result) return updated(Fail(result.error()));
    updated(coordinator::UpdateResult{std::move(result->object), std::move(result->context),
                                      std::move(result->version),
                                      std::move(result->idempotency_answer), result->replayed,
                                      nullptr, result->standing, result->tell_when_durable});
  };
  replica_.Update(std::move(request), std::move(convert), std::move(durable));
}

void Shard::Ingest(replica::KeyRef key, std::string object,
                   base::UniqueFunction<void(base::Status)> done, IngestWhy why) {
  const uint64_t token = key.token.value;
  OnOwner(token, [key = std::move(key), object = std::move(object), why,
                  back = BackOn(*this, std::move(done))](Shard& owner) mutable {
    // The sender's view was checked, on another shard and some time ago, and the change that a page
    // was fetched for may be cancelled. A record where nobody looks for it would be old when the
    // range comes back.
    const auto* bucket = owner.view_ ? owner.view_->FindBucket(key.bucket) : nullptr;
    const bool is_replica = bucket && owner.view_->IsReplica(key.token, *bucket);
    if (!is_replica) {
      return back(owner, Fail(base::Code::kStaleEpoch, "this node is no replica of a key"));
    }
    replica::WriteOptions options;
    options.now = owner.clock().Latest();
    options.stored_elsewhere = true;
    if (why == IngestWhy::kRepaired) options.changed = &owner.metrics_.repair_keys_received;
    owner.replica_.Write(std::move(key), std::move(object), std::move(options),
                         [&owner, back = std::move(back)](base::Status status) mutable {
                           back(owner, std::move(status));
                         });
  });
}

void Shard::RemoveRecords(uint64_t fence, std::vector<std::string> data_keys, RemovedDone done) {
  std::vector<replica::RecordVersion> records;
  for (const std::string& key : data_keys) records.push_back({key, std::nullopt});
  const auto allowed = [this, fence] {
    return view_ && view_->fence() == fence && !view_->topology.operation;
  };
  replica_.RemoveIf(std::move(records), allowed,
                    [keys = std::move(data_keys), done = std::move(done)](
                        base::Result<std::vector<replica::RecordState>> states) mutable {
                      if (!states) return done(Fail(std::move(states.error())));
                      std::vector<std::string> skipped;
                      for (size_t i = 0; i < keys.size(); ++i) {
                        const bool busy = (*states)[i] == replica::RecordState::kBusy;
                        if (busy) skipped.push_back(std::move(keys[i]));
                      }
                      done(std::move(skipped));
                    });
}

// --- from peers --------------------------------------------------------------------------------

bool Shard::IsMember(const base::Uuid& node) const {
  const auto found = view_->by_number.find(node.high);
  return found != view_->by_number.end() && view_->MemberAt(found->second).id == node;
}

base::Status Shard::CheckSender(const base::Uuid& from, const wire::Envelope& request) const {
  if (!aside_.empty()) return Fail(Code::kUnavailable, aside_);
  if (!view_) return CheckFence(request.epoch);  // it will have that topology soon
  // Whoever still counts on this node has yet to hear it, and can do without it then.
  if (expelled_) return Fail(Code::kStaleEpoch, "the node is out of the cluster");
  if (IsMember(from)) return {};
  // Another topology may have other members.
  if (auto status = CheckFence(request.epoch); !status) return status;
  return Fail(Code::kConflict, "the sender is not a member of this cluster");
}

void Shard::Answer(LinkId link, uint64_t id, wire::Body body) {
  metrics_.peer_messages_sent.Add();
  world_.transport.Reply(link, {id, view_ ? view_->fence() : 0, std::move(body)});
}

void Shard::OnRequest(const base::Uuid& from, LinkId link, wire::Envelope request) {
  metrics_.peer_messages_received.Add();
  Serve(from, link, std::move(request));
}

bool Shard::FirstForward(const base::Uuid& from, uint64_t id) {
  const std::pair<uint64_t, uint64_t> mark{from.high, id};
  if (!forwards_.insert(mark).second) return false;
  forwards_order_.push_back(mark);
  if (forwards_order_.size() > kForwardsRemembered) {
    forwards_.erase(forwards_order_.front());
    forwards_order_.pop_front();
  }
  return true;
}

void Shard::Serve(const base::Uuid& from, LinkId link, wire::Envelope request) {
  const uint64_t id = request.id;
  const auto answer = [this, link, id](auto reply) { Answer(link, id, std::move(reply)); };
  const auto refused = [](const base::Status& why, auto reply) {
    reply.outcome = wire::Outcome::From(why.error());
    return reply;
  };
  if (auto* read = std::get_if<wire::ReadRequest>(&request.body)) {
    const base::Status welcome = CheckSender(from, request);
    if (!welcome) return answer(refused(welcome, wire::ReadReply{}));
    return LocalRead(std::move(*read), request.epoch, answer);
  }
  if (auto* write = std::get_if<wire::WriteRequest>(&request.body)) {
    const base::Status welcome = CheckSender(from, request);
    if (!welcome) return answer(refused(welcome, wire::WriteReply{}));
    return LocalWrite(std::move(*write), request.epoch, answer);
  }
  if (auto* forwarded = std::get_if<wire::ForwardedWrite>(&request.body)) {
    const base::Status welcome = CheckSender(from, request);
    if (!welcome) return answer(refused(welcome, wire::ForwardedWriteReply{}));
    // Before the fence: the copy of a refused message may come when the fence fits.
    if (!FirstForward(from, id)) return;
    const base::Status same = CheckFence(request.epoch);
    if (!same) return answer(refused(same, wire::ForwardedWriteReply{}));
    return coordinator_.OnForwarded(std::move(*forwarded), answer);
  }
  if (std::holds_alternative<wire::Heartbeat>(request.body)) {
    // As the clock itself says: each member's is one vote.
    return answer(wire::HeartbeatReply{node_.clock(index_).OwnMicros() / 1000});
  }
  // A stranger of this cluster (the handshake told) may ask to join, and show a document: it may be
  // a member of a newer one, or has to learn that it is a member no more.
  const bool open = std::holds_alternative<wire::JoinRequest>(request.body) ||
                    std::holds_alternative<wire::DocumentPush>(request.body) ||
                    std::holds_alternative<wire::RegisterRequest>(request.body);
  const bool stranger = view_ && !IsMember(from);
  if (!open && stranger) {
    return answer(wire::DocumentReply{{Code::kConflict, "the sender is not a member"}, ""});
  }
  node_.OnClusterRequest(from, request.epoch, std::move(request.body),
                         BackOn(*this, [answer](wire::Body body) { answer(std::move(body)); }),
                         *this);
}

// --- the cluster -------------------------------------------------------------------------------

void Shard::SetBucket(membership::BucketProperties bucket,
                      base::UniqueFunction<void(base::Status)> done) {
  node_.SetBucket(std::move(bucket), *this, std::move(done));
}

void Shard::Seal(base::UniqueFunction<void(base::Status)> done) {
  node_.Seal(*this, std::move(done));
}

void Shard::Reconcile(std::shared_ptr<const membership::View> view, ring::NodeIndex node) {
  const auto peer = PeerIn(*view, node);
  const base::Instant now = world_.env.clock.Now();
  if (!peer || now - peers_[*peer].reconciled < kReconcilePause) return;
  peers_[*peer].reconciled = now;
  const uint64_t number = view->MemberAt(node).Number();
  Shard& home = node_.shard(0);
  if (&home == this) return ExchangeDocuments(number);
  home.Post([&home, number] { home.ExchangeDocuments(number); });
}

void Shard::ExchangeDocuments(uint64_t number) {
  const auto found = view_->by_number.find(number);
  if (found == view_->by_number.end()) return;
  if (const auto peer = PeerOf(found->second)) node_.PushDocument(*peer);
}

}  // namespace lariat::node
