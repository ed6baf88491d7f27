// SPDX-License-Identifier: Apache-2.0
// Requests through a shard: from its coordinator to replicas, and from peers to its replica.
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

wire::WriteReply ToReply(const base::Status& status) {
  wire::WriteReply reply;
  if (!status) reply.outcome = wire::Outcome::From(status.error());
  return reply;
}

}  // namespace

// --- from the coordinator ----------------------------------------------------------------------

template <typename Reply, typename Request, typename Done>
void Shard::Ask(ring::NodeIndex node, Request request, base::Duration timeout, Done done) {
  const auto fail = [](Done& to, const base::Error& error) {
    Reply reply;
    reply.outcome = wire::Outcome::From(error);
    to(std::move(reply));
  };
  const std::optional<PeerHandle> peer = PeerOf(node);
  if (!peer) return fail(done, {Code::kUnavailable, coordinator::kNotSent});
  Call(*peer, std::move(request), timeout,
       [done = std::move(done), fail](base::Result<wire::Body> body) mutable {
         if (!body) return fail(done, body.error());
         if (auto* reply = std::get_if<Reply>(&*body)) return done(std::move(*reply));
         fail(done, {Code::kInternal, "a peer sent an answer of another kind"});
       });
}

void Shard::Read(ring::NodeIndex node, wire::ReadRequest request, base::Duration timeout,
                 ReadDone done) {
  if (node == view_->self) return LocalRead(std::move(request), std::move(done));
  Ask<wire::ReadReply>(node, std::move(request), timeout, std::move(done));
}

void Shard::Write(ring::NodeIndex node, wire::WriteRequest request, base::Duration timeout,
                  WriteDone done) {
  if (node == view_->self) return LocalWrite(std::move(request), std::move(done));
  Ask<wire::WriteReply>(node, std::move(request), timeout, std::move(done));
}

void Shard::Forward(ring::NodeIndex node, wire::ForwardedWrite request, base::Duration timeout,
                    ForwardDone done) {
  LARIAT_CHECK(node != view_->self, "a write is forwarded to another node");
  Ask<wire::ForwardedWriteReply>(node, std::move(request), timeout, std::move(done));
}

// --- to the replica that owns the token --------------------------------------------------------

template <typename Use>
void Shard::OnOwner(uint64_t token, Use use) {
  const uint32_t owner = ring::ShardOf({token}, node_.shards());
  if (owner == index_) return use(*this);
  metrics_.cross_shard_tasks.Add();
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

void Shard::LocalRead(wire::ReadRequest request, ReadDone done) {
  const uint64_t token = request.token;
  OnOwner(token, [request = std::move(request),
                  back = BackOn(*this, std::move(done))](Shard& owner) mutable {
    replica::KeyRef key{request.bucket, {request.token}, std::move(request.key)};
    owner.replica_.Read(
        std::move(key), {request.digest_only, std::move(request.idempotency_key)},
        [&owner, back = std::move(back)](base::Result<replica::ReadResult> result) mutable {
          back(owner, ToReply(std::move(result)));
        });
  });
}

void Shard::LocalWrite(wire::WriteRequest request, WriteDone done) {
  const uint64_t token = request.token;
  OnOwner(token, [request = std::move(request),
                  back = BackOn(*this, std::move(done))](Shard& owner) mutable {
    if (request.repair) owner.metrics_.replica_requests[telemetry::ReplicaOp::kRepair].Add();
    replica::KeyRef key{request.bucket, {request.token}, std::move(request.key)};
    replica::WriteOptions options{AckWhenOf(request.durability), std::move(request.idempotency_key),
                                  std::move(request.idempotency_answer),
                                  owner.world_.env.clock.Wall()};
    owner.replica_.Write(std::move(key), std::move(request.object), std::move(options),
                         [&owner, back = std::move(back)](const base::Status& status) mutable {
                           back(owner, ToReply(status));
                         });
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
  replica::UpdateRequest request;
  request.key = {from.bucket, {from.token}, std::move(from.key)};
  request.kind = from.kind;
  request.context = std::move(from.context);
  request.value = std::move(from.value);
  request.client_timestamp_ms = from.client_timestamp_ms;
  request.condition = ConditionOf(from.condition);
  request.ack_when = AckWhenOf(static_cast<uint8_t>(from.durability));
  request.siblings_max = from.siblings_max;
  request.now = from.now;
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
                                      std::move(result->idempotency_answer), result->replayed});
  };
  if (!needs_clock) {
    return replica_.Update(std::move(request), std::move(convert), std::move(durable));
  }
  WithClock([this, request = std::move(request), convert = std::move(convert),
             durable = std::move(durable)](const base::Status& status) mutable {
    if (!status) return convert(Fail(status.error()));
    replica_.Update(std::move(request), std::move(convert), std::move(durable));
  });
}

void Shard::Ingest(replica::KeyRef key, std::string object,
                   base::UniqueFunction<void(base::Status)> done) {
  const uint64_t token = key.token.value;
  OnOwner(token, [key = std::move(key), object = std::move(object),
                  back = BackOn(*this, std::move(done))](Shard& owner) mutable {
    replica::WriteOptions options{replica::AckWhen::kSynced, "", "", owner.world_.env.clock.Wall()};
    owner.replica_.Write(std::move(key), std::move(object), std::move(options),
                         [&owner, back = std::move(back)](base::Status status) mutable {
                           back(owner, std::move(status));
                         });
  });
}

base::Result<std::vector<std::string>> Shard::RemoveRecords(
    uint64_t fence, const std::vector<std::string>& data_keys) {
  if (!view_ || view_->fence() != fence || view_->topology.operation) {
    return Fail(Code::kStaleEpoch, "the topology has changed");
  }
  return replica_.Remove(data_keys);
}

// --- from peers --------------------------------------------------------------------------------

bool Shard::IsMember(const base::Uuid& node) const {
  const auto found = view_->by_number.find(node.high);
  return found != view_->by_number.end() && view_->MemberAt(found->second).id == node;
}

base::Status Shard::CheckSender(const base::Uuid& from, const wire::Envelope& request) const {
  if (!view_) return Fail(Code::kUnavailable, "the node is not in a cluster yet");
  if (expelled_) return Fail(Code::kUnavailable, "the node is out of the cluster");
  if (!IsMember(from)) {
    return Fail(Code::kConflict, "the sender is not a member of this cluster");
  }
  if (request.epoch != view_->topology.epoch) {
    return Fail(Code::kStaleEpoch, "the sender has epoch " + std::to_string(request.epoch) +
                                       ", this node " + std::to_string(view_->topology.epoch));
  }
  return {};
}

void Shard::Answer(LinkId link, uint64_t id, wire::Body body) {
  metrics_.peer_messages_sent.Add();
  world_.transport.Reply(link, {id, view_ ? view_->topology.epoch : 0, std::move(body)});
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
  const base::Status member = CheckSender(from, request);
  const auto refused = [&member](auto reply) {
    reply.outcome = wire::Outcome::From(member.error());
    return reply;
  };
  if (auto* read = std::get_if<wire::ReadRequest>(&request.body)) {
    if (!member) return answer(refused(wire::ReadReply{}));
    return LocalRead(std::move(*read), answer);
  }
  if (auto* write = std::get_if<wire::WriteRequest>(&request.body)) {
    if (!member) return answer(refused(wire::WriteReply{}));
    return LocalWrite(std::move(*write), answer);
  }
  if (auto* forwarded = std::get_if<wire::ForwardedWrite>(&request.body)) {
    if (!member) return answer(refused(wire::ForwardedWriteReply{}));
    if (!FirstForward(from, id)) return;
    return coordinator_.OnForwarded(std::move(*forwarded), answer);
  }
  if (std::holds_alternative<wire::Heartbeat>(request.body)) {
    wire::HeartbeatReply reply{0, 0, world_.env.clock.Wall().ms};
    if (view_) {
      reply.epoch = view_->topology.epoch;
      reply.document_digest = view_->digest;
    }
    return answer(reply);
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
  node_.OnClusterRequest(from, std::move(request.body),
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

}  // namespace lariat::node
