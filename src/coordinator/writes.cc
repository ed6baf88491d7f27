// SPDX-License-Identifier: Apache-2.0
// The write half of the coordinator: checks, the seal, the choice of the coordinating replica, the
// read that conditions and deletes need first, and forwarding.
#include <algorithm>
#include <limits>
#include <utility>

#include "coordinator/coordinator.h"

namespace lariat::coordinator {
namespace {

using base::Code;
using base::Fail;

int64_t ExpiryOf(int64_t ttl_s, base::WallTime now) {
  if (ttl_s == 0) return 0;
  constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
  const int64_t room_s = (kMax - now.ms) / 1000;
  return ttl_s >= room_s ? kMax : now.ms + ttl_s * 1000;
}

bool NeedsRead(const WriteIntent& intent, const membership::BucketProperties& bucket) {
  const bool blind_delete = intent.is_delete && !intent.put.context && !intent.put.if_match &&
                            bucket.conflict == causal::Kind::kSiblings;
  return blind_delete || intent.put.if_match || intent.put.if_none_match_any ||
         intent.put.idempotency_key;
}

bool MeetsOthers(const WriteIntent& intent) {
  return intent.put.if_match || intent.put.if_none_match_any || intent.put.idempotency_key;
}

UpdateRequest MakeUpdate(WriteIntent&& intent, const Coordinator::Target& target,
                         base::WallTime now, size_t siblings_max) {
  PutRequest& put = intent.put;
  UpdateRequest update;
  update.bucket = target.bucket.id;
  update.token = target.token.value;
  update.kind = target.bucket.conflict;
  update.durability = target.bucket.durability;
  update.siblings_max = siblings_max;
  update.now = now;
  update.value.tombstone = intent.is_delete;
  update.value.written = now;
  if (!intent.is_delete) {
    const int64_t bucket_ttl = static_cast<int64_t>(
        std::min<uint64_t>(target.bucket.ttl_s, std::numeric_limits<int64_t>::max()));
    update.value.expires_ms = ExpiryOf(put.ttl_s.value_or(bucket_ttl), now);
    update.value.content_type = std::move(put.content_type);
    update.value.bytes = std::move(put.value);
  }
  update.client_timestamp_ms = put.client_timestamp_ms;
  update.idempotency_key = put.idempotency_key.value_or("");
  update.bucket_name = put.bucket;
  update.key = put.key;
  if (put.if_none_match_any) update.condition = Condition::kNoLiveValue;
  if (put.if_match) {
    update.condition =
        *put.if_match == "*" ? Condition::kAnyLiveValue : Condition::kContextCoversAll;
  }
  return update;
}

// The client's own context; a condition's context stands in for one that was not given.
base::Result<causal::Context> ContextOf(const PutRequest& put) {
  if (put.context) return causal::DecodeContext(*put.context, put.bucket, put.key);
  if (put.if_match && *put.if_match != "*") {
    return causal::DecodeContext(*put.if_match, put.bucket, put.key);
  }
  return causal::Context{};
}

// Its checksum is no secret, so a client can make one that was never given out here.
base::Status CheckContext(const PutRequest& put, causal::Kind kind) {
  const auto context = ContextOf(put);
  if (!context) return Fail(context.error());
  const bool siblings = !context->seen.Empty();
  const bool lww = context->lww_stamp.packed != 0 || context->lww_node != 0;
  if (kind == causal::Kind::kSiblings ? lww : siblings) {
    return Fail(Code::kInvalidArgument, "the context is of another kind of bucket");
  }
  return {};
}

bool Covers(const causal::Context& context, const causal::Object& object) {
  if (const causal::LwwRegister* lww = object.lww()) {
    return std::tie(lww->stamp, lww->node) <= std::tie(context.lww_stamp, context.lww_node);
  }
  for (const causal::DottedValue& value : object.dvv()->values()) {
    if (!context.seen.Contains(value.dot)) return false;
  }
  return true;
}

base::Status CheckCondition(const UpdateRequest& update, const causal::Object& object) {
  const bool live = !object.LiveValues(update.now).empty();
  switch (update.condition) {
    case Condition::kNone:
      return {};
    case Condition::kNoLiveValue:
      if (live) return Fail(Code::kPreconditionFailed, "the key has a value");
      return {};
    case Condition::kAnyLiveValue:
      if (!live) return Fail(Code::kPreconditionFailed, "the key has no value");
      return {};
    case Condition::kContextCoversAll:
      if (!live) return Fail(Code::kPreconditionFailed, "the key has no value");
      if (Covers(update.context, object)) return {};
      return Fail(Code::kPreconditionFailed, "the key has changed since the context was given out");
  }
  return {};
}

// A delete of what is not there is done without an event.
WriteReply NothingToDelete(const ReadResult& found, const UpdateRequest& update,
                           const membership::View& view) {
  WriteReply reply;
  reply.version = NameVersion(found.object.Version(), view);
  if (!found.object.Empty()) {
    reply.context = causal::EncodeContext(update.context, update.bucket_name, update.key);
  }
  reply.timestamp = update.now;
  reply.replicas.primaries = found.answered;
  return reply;
}

}  // namespace

void Coordinator::Put(PutRequest request, WriteDone done) {
  WriteIntent intent;
  intent.put = std::move(request);
  StartWrite(std::move(intent), std::move(done));
}

void Coordinator::Delete(DeleteRequest request, WriteDone done) {
  WriteIntent intent;
  intent.is_delete = true;
  intent.put.bucket = std::move(request.bucket);
  intent.put.key = std::move(request.key);
  intent.put.context = std::move(request.context);
  intent.put.if_match = std::move(request.if_match);
  intent.put.idempotency_key = std::move(request.idempotency_key);
  intent.put.consistency = request.consistency;
  StartWrite(std::move(intent), std::move(done));
}

base::Status Coordinator::CheckIntent(const WriteIntent& intent) const {
  const PutRequest& put = intent.put;
  if (put.value.size() > ValueBytesMax()) {
    return Fail(Code::kTooLarge, "the value has " + std::to_string(put.value.size()) +
                                     " bytes; the limit is " + std::to_string(ValueBytesMax()));
  }
  if (put.content_type.size() > 256) {
    return Fail(Code::kInvalidArgument, "the content type is longer than 256 bytes");
  }
  if (put.ttl_s && *put.ttl_s < 0) {
    return Fail(Code::kInvalidArgument, "ttl is a number of seconds, 0 or more");
  }
  if (put.idempotency_key && (put.idempotency_key->empty() || put.idempotency_key->size() > 128)) {
    return Fail(Code::kInvalidArgument, "an Idempotency-Key has 1 to 128 characters");
  }
  if (put.if_match && put.if_none_match_any) {
    return Fail(Code::kInvalidArgument, "If-Match and If-None-Match exclude each other");
  }
  if (put.client_timestamp_ms && *put.client_timestamp_ms <= 0) {
    return Fail(Code::kInvalidArgument, "a client timestamp is milliseconds since 1970, above 0");
  }
  return {};
}

void Coordinator::StartWrite(WriteIntent intent, WriteDone done) {
  if (auto status = CheckIntent(intent); !status) return done(Fail(status.error()));
  const size_t bytes = intent.put.value.size();
  if (auto status = Admit(bytes); !status) return done(Fail(status.error()));
  auto leaving = [this, alive = std::weak_ptr<bool>(alive_), bytes,
                  done = std::move(done)](base::Result<WriteReply> reply) mutable {
    if (!alive.expired()) Leave(bytes);
    done(std::move(reply));
  };
  if (!view_ || view_->topology.sealed) return RunWrite(std::move(intent), std::move(leaving));
  cluster_.Seal([this, alive = std::weak_ptr<bool>(alive_), intent = std::move(intent),
                 leaving = std::move(leaving)](const base::Status& status) mutable {
    if (!status || alive.expired()) {
      return leaving(status ? base::Result<WriteReply>(Fail(Code::kUnavailable, "shutting down"))
                            : base::Result<WriteReply>(Fail(status.error())));
    }
    RunWrite(std::move(intent), std::move(leaving));
  });
}

void Coordinator::RunWrite(WriteIntent intent, WriteDone done) {
  auto target = Locate(intent.put.bucket, intent.put.key);
  if (!target) return done(Fail(target.error()));
  if (intent.put.client_timestamp_ms && target->bucket.conflict != causal::Kind::kLww) {
    return done(Fail(Code::kInvalidArgument, "X-Client-Timestamp is for lww buckets only"));
  }
  if (auto status = CheckContext(intent.put, target->bucket.conflict); !status) {
    return done(Fail(status.error()));
  }
  auto quorum = WriteQuorum(intent.put.consistency, target->bucket, settings_.request_timeout_ms);
  if (!quorum) return done(Fail(quorum.error()));
  if (auto status = CheckAlive(*target, quorum->MinimumAlive()); !status) {
    return done(Fail(status.error()));
  }
  std::vector<ring::NodeIndex> candidates;
  for (const ring::NodeIndex node : target->primaries) {
    if (replicas_.IsAlive(node)) candidates.push_back(node);
  }
  const auto self =
      std::find(target->primaries.begin(), target->primaries.end(), target->view->self);
  const bool is_replica = self != target->primaries.end();
  if (intent.forwarded && !is_replica) {
    return done(Fail(Code::kStaleEpoch, "this node holds no replica of the key"));
  }
  const bool here = is_replica && (intent.forwarded || !MeetsOthers(intent) ||
                                   candidates.front() == target->view->self);
  if (here) {
    const auto index = static_cast<size_t>(self - target->primaries.begin());
    return Coordinate(std::move(intent), std::move(*target), *quorum, index, std::move(done));
  }
  metrics_.requests_forwarded.Add();
  ForwardTo(std::move(candidates), std::make_shared<WriteIntent>(std::move(intent)),
            std::move(*target), *quorum, std::move(done));
}

void Coordinator::Coordinate(WriteIntent intent, Target target, Quorum quorum, size_t self,
                             WriteDone done) {
  auto context = ContextOf(intent.put);
  if (!context) return done(Fail(context.error()));
  const bool read_first = NeedsRead(intent, target.bucket);
  const bool context_given =
      intent.put.context.has_value() || (intent.put.if_match && *intent.put.if_match != "*");
  UpdateRequest update = MakeUpdate(std::move(intent), target, env_.clock.Wall(),
                                    static_cast<size_t>(settings_.limits_siblings));
  update.context = std::move(*context);
  if (!read_first) {
    return RunUpdate(target, quorum, self, std::move(update), std::move(done));
  }
  ReadThenUpdate(target, quorum, self, std::move(update), context_given, std::move(done));
}

void Coordinator::RunUpdate(const Target& target, Quorum quorum, size_t self, UpdateRequest update,
                            WriteDone done) {
  // Replicas may have gone while a read was under way: the last moment for a definite answer.
  if (auto status = CheckAlive(target, quorum.MinimumAlive()); !status) {
    return done(Fail(status.error()));
  }
  WriteOp::Options options;
  options.core = {quorum.MinimumAlive(), self};
  options.nodes = target.primaries;
  for (const ring::NodeIndex node : target.primaries) {
    options.usable.push_back(replicas_.IsAlive(node));
  }
  options.timeout = base::Millis(quorum.timeout_ms);
  options.view = target.view;
  // Not make_shared: the deadline that outlives it shall keep only the control block.
  auto op = std::shared_ptr<WriteOp>(
      new WriteOp(std::move(options), std::move(update), replicas_, metrics_, std::move(done)));
  write_deadlines_.Add(env_.clock.Now() + base::Millis(quorum.timeout_ms), op);
  op->Start();
}

void Coordinator::ReadThenUpdate(const Target& target, Quorum quorum, size_t self,
                                 UpdateRequest update, bool context_given, WriteDone done) {
  // Enough replicas that any acknowledged earlier write is among them.
  Quorum read = quorum;
  read.needed =
      std::max(target.bucket.r, target.bucket.n - std::min(target.bucket.n, target.bucket.w) + 1);
  read.primaries = 0;
  // A repeat is answered when the earlier event is where its acknowledgement says it is.
  if (!update.idempotency_key.empty()) {
    read.needed = std::max(read.needed, quorum.MinimumAlive());
  }
  std::string key = update.key;
  std::string idempotency_key = update.idempotency_key;
  StartRead(
      target, std::move(key), read, std::move(idempotency_key),
      [this, alive = std::weak_ptr<bool>(alive_), target, quorum, read, self, context_given,
       update = std::move(update), done = std::move(done)](base::Result<ReadResult> found) mutable {
        if (!found || alive.expired()) {
          // Nothing was written: for a write that is "definitely not done".
          base::Error error =
              found ? base::Error{Code::kUnavailable, "shutting down"} : found.error();
          if (error.code == Code::kTimeout) error.code = Code::kUnavailable;
          return done(Fail(std::move(error)));
        }
        if (!found->idempotency_answer.empty()) {
          return done(ReplayedReply(found->idempotency_answer, *target.view));
        }
        if (auto holds = CheckCondition(update, found->object); !holds) {
          return done(Fail(holds.error()));
        }
        const bool covers_all = update.value.tombstone || update.condition != Condition::kNone;
        if (!context_given && covers_all) update.context = found->object.WholeContext();
        if (update.value.tombstone && !context_given && update.idempotency_key.empty() &&
            found->object.LiveValues({INT64_MIN}).empty()) {
          return done(NothingToDelete(*found, update, *target.view));
        }
        if (!update.idempotency_key.empty()) {
          done = ConfirmReplay(target, update, read, std::move(done));
        }
        RunUpdate(target, quorum, self, std::move(update), std::move(done));
      });
}

// The local replica may know an earlier event that has not reached the others yet (its own write is
// still under way, or failed on the way): a strict read that finds it brings it there first. One
// that ends without the replica that knows it confirms nothing.
WriteDone Coordinator::ConfirmReplay(const Target& target, const UpdateRequest& update,
                                     Quorum quorum, WriteDone done) {
  return [this, alive = std::weak_ptr<bool>(alive_), target, key = update.key,
          idempotency_key = update.idempotency_key, quorum,
          done = std::move(done)](base::Result<WriteReply> reply) mutable {
    if (!reply || !reply->replayed || alive.expired()) return done(std::move(reply));
    StartRead(
        target, std::move(key), quorum, std::move(idempotency_key),
        [reply = std::move(reply), done = std::move(done)](base::Result<ReadResult> found) mutable {
          if (found && !found->idempotency_answer.empty()) return done(std::move(reply));
          done(Fail(Code::kUnknown,
                    "an earlier request with this Idempotency-Key was found, but it could "
                    "not be confirmed: " +
                        (found ? "its replica was too slow" : found.error().message)));
        });
  };
}

// --- forwarding --------------------------------------------------------------------------------

void Coordinator::ForwardTo(std::vector<ring::NodeIndex> candidates,
                            std::shared_ptr<WriteIntent> intent, Target target, Quorum quorum,
                            WriteDone done) {
  if (candidates.empty()) {
    return done(Fail(Code::kUnavailable, "no replica of the key could be reached"));
  }
  const ring::NodeIndex node = candidates.front();
  candidates.erase(candidates.begin());
  if (node == target.view->self) {
    const auto self = std::find(target.primaries.begin(), target.primaries.end(), node);
    const auto index = static_cast<size_t>(self - target.primaries.begin());
    return Coordinate(std::move(*intent), std::move(target), quorum, index, std::move(done));
  }
  const PutRequest& put = intent->put;
  wire::ForwardedWrite request;
  request.is_delete = intent->is_delete;
  request.bucket = put.bucket;
  request.key = put.key;
  request.value = put.value;
  request.content_type = put.content_type;
  request.has_context = put.context.has_value();
  request.context = put.context.value_or("");
  request.has_ttl = put.ttl_s.has_value();
  request.ttl_s = put.ttl_s.value_or(0);
  request.has_client_timestamp = put.client_timestamp_ms.has_value();
  request.client_timestamp_ms = put.client_timestamp_ms.value_or(0);
  request.has_if_match = put.if_match.has_value();
  request.if_match = put.if_match.value_or("");
  request.if_none_match_any = put.if_none_match_any;
  request.idempotency_key = put.idempotency_key.value_or("");
  request.w = quorum.needed;
  request.pw = quorum.primaries;
  request.timeout_ms = quorum.timeout_ms;
  // A little longer than the other side's own limit, so that its answer wins over our time-out.
  const base::Duration timeout = base::Millis(quorum.timeout_ms) + base::Millis(100);
  replicas_.Forward(node, std::move(request), timeout,
                    [this, alive = std::weak_ptr<bool>(alive_), candidates = std::move(candidates),
                     intent = std::move(intent), target = std::move(target), quorum,
                     done = std::move(done)](wire::ForwardedWriteReply reply) mutable {
                      if (alive.expired()) return done(Fail(Code::kUnknown, "shutting down"));
                      OnForwardReply(std::move(reply), std::move(candidates), std::move(intent),
                                     std::move(target), quorum, std::move(done));
                    });
}

void Coordinator::OnForwardReply(wire::ForwardedWriteReply reply,
                                 std::vector<ring::NodeIndex> candidates,
                                 std::shared_ptr<WriteIntent> intent, Target target, Quorum quorum,
                                 WriteDone done) {
  // Only what was certainly not sent may be tried elsewhere: one client write is one event (M7).
  if (reply.outcome.code == Code::kUnavailable && reply.outcome.error == kNotSent) {
    return ForwardTo(std::move(candidates), std::move(intent), std::move(target), quorum,
                     std::move(done));
  }
  if (!reply.outcome.ok()) {
    base::Error error = reply.outcome.ToError();
    if (error.code == Code::kTimeout) {
      error = {Code::kUnknown,
               "the coordinating replica did not answer; the write may or may not have happened"};
    }
    return done(Fail(std::move(error)));
  }
  WriteReply to;
  to.version = std::move(reply.version);
  to.context = std::move(reply.context);
  to.timestamp = {reply.written_ms};
  to.replicas = {reply.primaries, reply.fallbacks};
  to.replayed = reply.replayed;
  done(std::move(to));
}

void Coordinator::OnForwarded(wire::ForwardedWrite request, ReplicaPort::ForwardDone done) {
  WriteIntent intent;
  intent.forwarded = true;
  intent.is_delete = request.is_delete;
  PutRequest& put = intent.put;
  put.bucket = std::move(request.bucket);
  put.key = std::move(request.key);
  put.value = std::move(request.value);
  put.content_type = std::move(request.content_type);
  if (request.has_context) put.context = std::move(request.context);
  if (request.has_ttl) put.ttl_s = request.ttl_s;
  if (request.has_client_timestamp) put.client_timestamp_ms = request.client_timestamp_ms;
  if (request.has_if_match) put.if_match = std::move(request.if_match);
  put.if_none_match_any = request.if_none_match_any;
  if (!request.idempotency_key.empty()) put.idempotency_key = std::move(request.idempotency_key);
  put.consistency.w = request.w;
  if (request.pw > 0) put.consistency.pw = request.pw;
  put.consistency.timeout_ms = request.timeout_ms;
  StartWrite(std::move(intent), [done = std::move(done)](base::Result<WriteReply> reply) mutable {
    wire::ForwardedWriteReply to;
    if (!reply) {
      to.outcome = wire::Outcome::From(reply.error());
    } else {
      to.version = std::move(reply->version);
      to.context = std::move(reply->context);
      to.written_ms = reply->timestamp.ms;
      to.primaries = reply->replicas.primaries;
      to.fallbacks = reply->replicas.fallbacks;
      to.replayed = reply->replayed;
    }
    done(std::move(to));
  });
}

}  // namespace lariat::coordinator
