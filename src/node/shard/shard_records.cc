// SPDX-License-Identifier: Apache-2.0
#include "node/shard/shard_records.h"

#include <memory>
#include <utility>

#include "wire/codec.h"

namespace lariat::node {

using base::Code;
using base::Fail;

namespace {

replica::AckWhen AckWhenOf(uint8_t durability) {
  return durability == static_cast<uint8_t>(membership::Durability::kSync)
             ? replica::AckWhen::kSynced
             : replica::AckWhen::kWritten;
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
  reply.promised = result->promised;
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
    reply.promised = answer->promised;
  }
  return reply;
}

}  // namespace

ShardRecords::ShardRecords(uint32_t shard, const AllRecords& all, const World& world)
    : shard_(shard), all_(all), world_(world), handed_over_(all.count) {}

void ShardRecords::Owe(const membership::View& view, ring::NodeIndex node,
                       coordinator::OwedKey key) {
  if (!world_.settings.hints_enabled) return;
  const uint64_t target = view.MemberAt(node).Number();
  const uint64_t token = key.token;
  OnOwner(token, [key = std::move(key), target](ShardRecords& owner) mutable {
    const auto mark = replica::DirtyMark::Of(target, key.bucket, key.token);
    owner.world_.replica.Owe({key.bucket, {key.token}, std::move(key.key), target},
                             owner.world_.env.clock.Wall(),
                             [&owner, mark](const base::Status& status) {
                               if (!status) owner.dirty_.insert(mark);
                             });
  });
}

// All of one tick together: there may be very many, for few marks.
void ShardRecords::TellDirty() {
  if (dirty_.empty()) return;
  std::vector<replica::DirtyMark> marks(dirty_.begin(), dirty_.end());
  dirty_.clear();
  world_.host.MarkDirty(std::move(marks));
}

// --- to the replica that owns the token --------------------------------------------------------

template <typename Use>
void ShardRecords::OnOwner(uint64_t token, Use use) {
  const uint32_t owner = ring::ShardOf({token}, all_.count);
  if (owner == shard_) return use(*this);
  ShardRecords& other = *all_.shards[owner];
  HandOver(owner, [use = std::move(use), &other]() mutable { use(other); });
}

template <typename Done>
auto ShardRecords::BackHere(Done done) {
  return [this, done = std::move(done)](ShardRecords& here, auto value) mutable {
    if (&here == this) return done(std::move(value));
    here.HandOver(shard_, [done = std::move(done), value = std::move(value)]() mutable {
      done(std::move(value));
    });
  };
}

void ShardRecords::HandOver(uint32_t to, env::Task task) {
  world_.metrics.cross_shard_tasks.Add();
  std::vector<env::Task>& tasks = handed_over_[to];
  tasks.push_back(std::move(task));
  if (tasks.size() > 1) return;
  world_.env.executor.AtTurnEnd([this, to] { SendHandedOver(to); });
}

void ShardRecords::SendHandedOver(uint32_t to) {
  world_.metrics.cross_shard_batches.Add();
  all_.shards[to]->world_.env.executor.Post(
      [tasks = std::exchange(handed_over_[to], {})]() mutable {
        for (env::Task& task : tasks) task();
      });
}

base::Status ShardRecords::CheckFence(uint64_t fence) const {
  const auto& view = world_.peers.view();
  if (view && view->fence() == fence) return {};
  world_.metrics.replica_stale.Add();
  return Fail(Code::kStaleEpoch, "the request was planned by the topology of epoch " +
                                     std::to_string(fence) + ", this node has that of " +
                                     std::to_string(view ? view->fence() : 0));
}

base::Status ShardRecords::CheckHintFor(uint64_t member) const {
  if (member == 0 || world_.settings.hints_enabled) return {};
  return Fail(Code::kUnavailable, "this node keeps no hints (hints.enabled)");
}

void ShardRecords::Read(wire::ReadRequest&& request, uint64_t fence, ReadDone&& done) {
  const uint64_t token = request.token;
  if (Owns(token)) return ReadHere(std::move(request), fence, std::move(done));
  OnOwner(token, [request = std::move(request), fence,
                  back = BackHere(std::move(done))](ShardRecords& owner) mutable {
    owner.ReadHere(std::move(request), fence,
                   [&owner, back = std::move(back)](wire::ReadReply&& reply) mutable {
                     back(owner, std::move(reply));
                   });
  });
}

void ShardRecords::ReadHere(wire::ReadRequest&& request, uint64_t fence, ReadDone&& done) {
  if (auto status = CheckFence(fence); !status) {
    return done(ToReply(base::Result<replica::ReadResult>(Fail(status.error()))));
  }
  const replica::KeyRef key{
      request.bucket, {request.token}, std::move(request.key), request.hint_for};
  replica::ReadOptions options;
  options.digest_only = request.digest_only;
  options.idempotency_key = std::move(request.idempotency_key);
  options.promise = request.promise;
  world_.replica.Read(key, std::move(options),
                      [done = std::move(done)](base::Result<replica::ReadResult>&& result) mutable {
                        done(ToReply(std::move(result)));
                      });
}

void ShardRecords::ReadInDoubt(uint64_t fence, replica::KeyRef key, ReadDone done) {
  const uint64_t token = key.token.value;
  OnOwner(token, [key = std::move(key), fence,
                  back = BackHere(std::move(done))](ShardRecords& owner) mutable {
    if (auto status = owner.CheckFence(fence); !status) {
      return back(owner, ToReply(base::Result<replica::ReadResult>(Fail(status.error()))));
    }
    replica::ReadOptions options;
    options.even_in_doubt = true;
    owner.world_.replica.Read(
        std::move(key), std::move(options),
        [&owner, back = std::move(back)](base::Result<replica::ReadResult> result) mutable {
          back(owner, ToReply(std::move(result)));
        });
  });
}

void ShardRecords::Write(wire::WriteRequest&& request, uint64_t fence, WriteDone&& done) {
  const uint64_t token = request.token;
  if (Owns(token)) return WriteHere(std::move(request), fence, std::move(done));
  OnOwner(token, [request = std::move(request), fence,
                  back = BackHere(std::move(done))](ShardRecords& owner) mutable {
    owner.WriteHere(std::move(request), fence,
                    [&owner, back = std::move(back)](wire::WriteReply&& reply) mutable {
                      back(owner, std::move(reply));
                    });
  });
}

void ShardRecords::WriteHere(wire::WriteRequest&& request, uint64_t fence, WriteDone&& done) {
  if (auto status = CheckFence(fence); !status) return done(ToReply(status));
  if (auto may = CheckHintFor(request.hint_for); !may) return done(ToReply(may));
  if (request.repair) world_.metrics.replica_requests[telemetry::ReplicaOp::kRepair].Add();
  const replica::KeyRef key{
      request.bucket, {request.token}, std::move(request.key), request.hint_for};
  replica::WriteOptions options;
  options.ack_when = AckWhenOf(request.durability);
  options.idempotency_key = std::move(request.idempotency_key);
  options.idempotency_answer = std::move(request.idempotency_answer);
  options.now = world_.clock.judged().Latest();
  options.for_client = !request.repair && request.hint_for == 0;
  options.stored_elsewhere = request.repair;
  options.next = request.next;
  const bool answers = causal::Object::RegisterIdOf(request.object) ||
                       (causal::Object::IsAgreed(request.object) && !request.repair);
  if (answers) {
    options.answer = std::make_shared<replica::RegisterAnswer>();
  }
  auto answer = options.answer;
  world_.replica.Write(
      key, std::move(request.object), std::move(options),
      [done = std::move(done), answer = std::move(answer)](const base::Status& status) mutable {
        done(ToReply(status, answer.get()));
      });
}

void ShardRecords::Update(coordinator::UpdateRequest&& request, UpdateDone&& updated,
                          DurableDone&& durable) {
  const uint64_t token = request.token;
  if (Owns(token)) return UpdateHere(std::move(request), std::move(updated), std::move(durable));
  OnOwner(token, [request = std::move(request), updated = BackHere(std::move(updated)),
                  durable = BackHere(std::move(durable))](ShardRecords& owner) mutable {
    owner.UpdateHere(
        std::move(request),
        [&owner,
         updated = std::move(updated)](base::Result<coordinator::UpdateResult>&& result) mutable {
          updated(owner, std::move(result));
        },
        [&owner, durable = std::move(durable)](base::Status status) mutable {
          durable(owner, std::move(status));
        });
  });
}

void ShardRecords::UpdateHere(coordinator::UpdateRequest&& from, UpdateDone&& updated,
                              DurableDone&& durable) {
  causal::Change& change = from.change;
  if (!change.IsStampedByNode()) {
    return MakeEvent(std::move(from), std::move(updated), std::move(durable));
  }
  if (change.above.packed != 0) {
    // So that the clock's limit is extended past it, if need be.
    change.now = world_.env.clock.Wall();
    world_.clock.hybrid().Follow(change.above, change.now);
  }
  if (world_.clock.IsReady()) {
    return MakeEvent(std::move(from), std::move(updated), std::move(durable));
  }
  world_.clock.With([this, from = std::move(from), updated = std::move(updated),
                     durable = std::move(durable)](const base::Status& status) mutable {
    if (!status) return updated(Fail(status.error()));
    MakeEvent(std::move(from), std::move(updated), std::move(durable));
  });
}

void ShardRecords::MakeEvent(coordinator::UpdateRequest&& from, UpdateDone&& updated,
                             DurableDone&& durable) {
  if (!CheckFence(from.fence)) {
    coordinator::UpdateResult refused;
    refused.stale = std::make_unique<coordinator::UpdateRequest>(std::move(from));
    return updated(std::move(refused));
  }
  if (auto may = CheckHintFor(from.hint_for); !may) return updated(Fail(std::move(may.error())));
  replica::UpdateRequest request;
  request.key = {from.bucket, {from.token}, std::move(from.key), from.hint_for};
  request.change = std::move(from.change);
  request.ack_when = AckWhenOf(static_cast<uint8_t>(from.durability));
  request.idempotency_key = std::move(from.idempotency_key);
  if (!request.idempotency_key.empty()) {
    request.make_answer = [bucket = std::move(from.bucket_name), key = request.key.key,
                           now = request.change.now](const causal::Object& object,
                                                     const causal::Context& context) {
      return wire::EncodeWriteAnswer(
          {causal::EncodeContext(context, bucket, key), object.Version(), now.ms});
    };
  }
  auto convert = [updated =
                      std::move(updated)](base::Result<replica::UpdateResult>&& result) mutable {
    if (!result) return updated(Fail(result.error()));
    updated(coordinator::UpdateResult{std::move(result->object), std::move(result->context),
                                      std::move(result->version),
                                      std::move(result->idempotency_answer), result->replayed,
                                      nullptr, result->standing, result->tell_when_durable});
  };
  world_.replica.Update(std::move(request), std::move(convert), std::move(durable));
}

void ShardRecords::Ingest(replica::KeyRef key, std::string object, ShardHost::StatusDone done,
                          healing::IngestWhy why) {
  const uint64_t token = key.token.value;
  OnOwner(token, [key = std::move(key), object = std::move(object), why,
                  back = BackHere(std::move(done))](ShardRecords& owner) mutable {
    // The sender's view was checked, on another shard and some time ago, and the change that a page
    // was fetched for may be cancelled. A record where nobody looks for it would be old when the
    // range comes back.
    const auto* bucket =
        owner.world_.peers.view() ? owner.world_.peers.view()->FindBucket(key.bucket) : nullptr;
    const bool is_replica = bucket && owner.world_.peers.view()->IsReplica(key.token, *bucket);
    if (!is_replica) {
      return back(owner, Fail(base::Code::kStaleEpoch, "this node is no replica of a key"));
    }
    replica::WriteOptions options;
    options.now = owner.world_.clock.judged().Latest();
    options.stored_elsewhere = true;
    if (why == healing::IngestWhy::kRepaired)
      options.changed = &owner.world_.metrics.repair_keys_received;
    // Only to tell a round of the key of.
    const bool serial = causal::Object::IsAgreed(object);
    SerialKey settled = serial ? SerialKey{bucket->name, key.key} : SerialKey{};
    owner.world_.replica.Write(std::move(key), std::move(object), std::move(options),
                               [&owner, settled = std::move(settled), why,
                                back = std::move(back)](base::Status status) mutable {
                                 const bool behind = !settled.key.empty() && !status &&
                                                     status.error().code == base::Code::kConflict;
                                 if (behind && owner.settle_) owner.settle_(std::move(settled));
                                 // A comparison goes on, and finds the key again if the round
                                 // fails. A stream has to wait for what the round brings: its range
                                 // is not done without this state or a later one.
                                 if (behind && why == healing::IngestWhy::kRepaired) status = {};
                                 back(owner, std::move(status));
                               });
  });
}

}  // namespace lariat::node
