// SPDX-License-Identifier: Apache-2.0
// The write half of the coordinator: checks, the seal, the choice of the coordinating replica, and
// the read that conditions and deletes need first.
#include <algorithm>
#include <limits>
#include <utility>

#include "coordinator/coordinator.h"

namespace lariat::coordinator {
namespace {

using base::Code;
using base::Fail;

constexpr const char* kNoHints =
    "; nobody can stand in, because hints.enabled is false on this node";

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

// Takes value and content type out of the intent.
UpdateRequest MakeUpdate(WriteIntent* intent, const Target& target, base::WallTime now,
                         size_t siblings_max) {
  PutRequest& put = intent->put;
  UpdateRequest update;
  update.bucket = target.bucket->id;
  update.token = target.token.value;
  update.kind = target.bucket->conflict;
  update.durability = target.bucket->durability;
  update.siblings_max = siblings_max;
  update.now = now;
  update.value.tombstone = intent->is_delete;
  update.value.written = now;
  if (!intent->is_delete) {
    const int64_t bucket_ttl = static_cast<int64_t>(
        std::min<uint64_t>(target.bucket->ttl_s, std::numeric_limits<int64_t>::max()));
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

bool ContextGiven(const PutRequest& put) {
  return put.context || (put.if_match && *put.if_match != "*");
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
  reply.replicas = {found.answered - found.stand_ins, found.stand_ins};
  return reply;
}

// An update that was not made: the intent is whole again.
void GiveBack(UpdateRequest&& update, WriteIntent* intent) {
  intent->put.value = std::move(update.value.bytes);
  intent->put.content_type = std::move(update.value.content_type);
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
  auto job = std::make_shared<WriteJob>();
  job->intent = std::move(intent);
  job->done = std::move(done);
  job->bytes = bytes;
  job->home = alive_;
  if (!view_ || view_->topology.sealed) return PlanWrite(job);
  cluster_.Seal([this, job](const base::Status& status) {
    if (job->home.expired()) return job->done(Fail(Code::kUnavailable, "shutting down"));
    if (!status) return EndWrite(job, Fail(status.error()));
    PlanWrite(job);
  });
}

void Coordinator::EndWrite(const JobPtr& job, base::Result<WriteReply> reply) {
  Leave(job->bytes);
  job->done(std::move(reply));
}

// --- plans ---------------------------------------------------------------------------------------

base::Status Coordinator::LocateWrite(WriteJob* job) const {
  const PutRequest& put = job->intent.put;
  auto target = Locate(put.bucket, put.key);
  if (!target) return Fail(target.error());
  if (put.client_timestamp_ms && target->bucket->conflict != causal::Kind::kLww) {
    return Fail(Code::kInvalidArgument, "X-Client-Timestamp is for lww buckets only");
  }
  if (auto status = CheckContext(put, target->bucket->conflict); !status) return status;
  auto quorum = WriteQuorum(put.consistency, *target->bucket, settings_.request_timeout_ms);
  if (!quorum) return Fail(quorum.error());
  job->target = std::move(*target);
  job->quorum = *quorum;
  if (job->plans++ == 0) job->deadline = env_.clock.Now() + base::Millis(quorum->timeout_ms);
  return CheckWritable(*job);
}

base::Status Coordinator::CheckWritable(const WriteJob& job) const {
  const Quorum& quorum = job.quorum;
  const uint32_t next_n = job.target.NextN();
  const bool stand_ins = quorum.sloppy && settings_.hints_enabled;
  auto status = CheckAlive(job.target, {quorum.MinimumAlive(), quorum.primaries},
                           {quorum.NeededOf(next_n), quorum.PrimariesOf(next_n)}, stand_ins);
  if (status || stand_ins || !quorum.sloppy) return status;
  status.error().message += kNoHints;
  return status;
}

// Who may make the event, in the order to ask.
std::vector<ring::NodeIndex> Coordinator::Coordinators(const WriteJob& job) const {
  const Target& target = job.target;
  std::vector<ring::NodeIndex> nodes;
  for (const ring::NodeIndex node : target.replicas.read) {
    if (replicas_.IsAlive(*target.view, node)) nodes.push_back(node);
  }
  // Conditional and repeated writes of a key have to meet, so each goes to the first live replica.
  // That it is preferred or not is hearsay, which one node has and another has not.
  if (MeetsOthers(job.intent)) return nodes;
  std::stable_partition(nodes.begin(), nodes.end(), [&](ring::NodeIndex node) {
    return replicas_.IsPreferred(*target.view, node);
  });
  return nodes;
}

void Coordinator::PlanWrite(const JobPtr& job) {
  if (auto status = LocateWrite(job.get()); !status) return EndWrite(job, Fail(status.error()));
  const auto& read = job->target.replicas.read;
  const auto self = std::find(read.begin(), read.end(), job->target.view->self);
  const bool is_replica = self != read.end();
  job->stands_in = false;
  if (is_replica) job->self = static_cast<size_t>(self - read.begin());
  if (job->intent.forwarded && !is_replica) {
    return EndWrite(job, Fail(Code::kStaleEpoch, "this node does not coordinate the key"));
  }
  if (is_replica && (job->intent.forwarded || !MeetsOthers(job->intent))) return Coordinate(job);
  auto candidates = Coordinators(*job);
  if (candidates.empty()) return CoordinateAsStandIn(job);
  if (candidates.front() == job->target.view->self) return Coordinate(job);
  metrics_.requests_forwarded.Add();
  ForwardTo(job, std::move(candidates));
}

// No replica of the read list could be reached.
base::Status Coordinator::CheckStandIn(const WriteJob& job) const {
  const auto refuse = [](const std::string& why) {
    return Fail(Code::kUnavailable, "no replica of the key could be reached" + why);
  };
  if (!job.quorum.sloppy) return refuse("");
  if (!settings_.hints_enabled) return refuse(kNoHints);
  if (MeetsOthers(job.intent)) {
    return refuse("; conditional and idempotent writes need one, sloppy or not");
  }
  if (job.quorum.primaries > 0) return refuse("; pw asks for primaries");
  const auto spares = SparesOf(job.target, replicas_);
  const bool may = std::find(spares.begin(), spares.end(), job.target.view->self) != spares.end();
  return may ? base::Status() : refuse(", and this node cannot stand in for one");
}

void Coordinator::CoordinateAsStandIn(const JobPtr& job) {
  if (auto status = CheckStandIn(*job); !status) return EndWrite(job, Fail(status.error()));
  job->stands_in = true;
  job->self = 0;
  Coordinate(job);
}

// Nothing was done, because `node` has another topology.
void Coordinator::PlanWriteAgain(const JobPtr& job, ring::NodeIndex node) {
  const auto again = [this, job] {
    if (env_.clock.Now() < job->deadline) {
      metrics_.requests_planned_again.Add();
      return PlanWrite(job);
    }
    EndWrite(job, Fail(Code::kUnavailable,
                       "the topology is changing and the nodes did not agree on it in time; the "
                       "write was not done"));
  };
  const auto view = job->target.view;
  if (NewerThan(*view)) return again();
  if (node != view->self) cluster_.Reconcile(view, node);
  waiting_.Add(std::min(env_.clock.Now() + WaitOf(job->plans - 1), job->deadline), again);
}

// --- the event -----------------------------------------------------------------------------------

void Coordinator::Coordinate(const JobPtr& job) {
  auto context = ContextOf(job->intent.put);
  if (!context) return EndWrite(job, Fail(context.error()));
  const int64_t now_us = env_.clock.WallMicros();
  UpdateRequest update = MakeUpdate(&job->intent, job->target, {now_us / 1000},
                                    static_cast<size_t>(settings_.limits_siblings));
  update.micros = static_cast<uint16_t>(now_us % 1000);
  const bool stamped = update.kind == causal::Kind::kLww && !update.client_timestamp_ms;
  const bool timed = stamped || update.value.expires_ms != 0;
  if (auto right = timed ? cluster_.CheckClock() : base::Status(); !right) {
    metrics_.clock_off_refused.Add();
    return EndWrite(job, Fail(std::move(right.error())));
  }
  update.context = std::move(*context);
  if (!NeedsRead(job->intent, *job->target.bucket)) return RunUpdate(job, std::move(update));
  ReadThenUpdate(job, std::move(update));
}

void Coordinator::RunUpdate(const JobPtr& job, UpdateRequest update) {
  // Replicas may have gone while a read was under way: the last moment for a definite answer.
  if (auto status = CheckWritable(*job); !status) return EndWrite(job, Fail(status.error()));
  WriteOp::Options options;
  options.quorum = job->quorum;
  options.self = job->self;
  options.stands_in = job->stands_in;
  if (job->quorum.sloppy && settings_.hints_enabled) {
    options.spares = SparesOf(job->target, replicas_);
  }
  if (job->stands_in) {
    auto& spares = options.spares;
    const auto own = std::find(spares.begin(), spares.end(), job->target.view->self);
    if (own == spares.end()) {
      return EndWrite(job, Fail(Code::kUnavailable, "this node cannot stand in any more"));
    }
    std::rotate(spares.begin(), own, own + 1);
  }
  options.view = job->target.view;
  options.bucket = job->target.bucket;
  options.lineup = WriteLineup(job->target, replicas_);
  options.timeout = base::Millis(job->quorum.timeout_ms);
  // Whoever has read before has a stamp above all that was done by then.
  options.ordered = update.kind == causal::Kind::kLww && !update.client_timestamp_ms &&
                    !NeedsRead(job->intent, *job->target.bucket);
  // Not make_shared: the deadline that outlives it shall keep only the control block.
  auto op = std::shared_ptr<WriteOp>(
      new WriteOp(std::move(options), std::move(update), replicas_, *this, metrics_,
                  [this, job](base::Result<WriteReply> reply, WriteOp::Stale stale) {
                    if (job->home.expired()) return job->done(std::move(reply));
                    OnWritten(job, std::move(reply), std::move(stale));
                  }));
  write_deadlines_.Add(job->deadline, op);
  op->Start();
}

void Coordinator::OnWritten(const JobPtr& job, base::Result<WriteReply> reply,
                            WriteOp::Stale stale) {
  if (stale) {
    GiveBack(std::move(*stale), &job->intent);
    return PlanWriteAgain(job, job->target.view->self);
  }
  if (reply && reply->replayed) return ConfirmReplay(job, std::move(*reply));
  EndWrite(job, std::move(reply));
}

// --- a read before it ----------------------------------------------------------------------------

Coordinator::ReadPlan Coordinator::FirstRead(const WriteJob& job) const {
  const membership::BucketProperties& bucket = *job.target.bucket;
  const bool repeatable = job.intent.put.idempotency_key.has_value();
  // Enough replicas that any acknowledged earlier write is among them. A repeat is answered when
  // the earlier event is where its acknowledgement says it is.
  const auto needed = [&bucket, repeatable](uint32_t n, uint32_t of_the_write) {
    const uint32_t any_write = n - std::min(n, bucket.w) + 1;
    const uint32_t usual = std::max(std::min(bucket.r, n), any_write);
    return repeatable ? std::max(usual, of_the_write) : usual;
  };
  const uint32_t next_n = job.target.NextN();
  ReadPlan plan{job.intent.put.key, job.intent.put.idempotency_key.value_or(""),
                needed(bucket.n, job.quorum.MinimumAlive()),
                needed(next_n, job.quorum.NeededOf(next_n)), job.deadline};
  // Stand-ins know too little to judge a condition by, or a repeat.
  plan.sloppy = job.quorum.sloppy && !MeetsOthers(job.intent);
  return plan;
}

void Coordinator::ReadThenUpdate(const JobPtr& job, UpdateRequest update) {
  StartRead(job->target, FirstRead(*job),
            [this, job, update = std::move(update)](base::Result<ReadResult> found) mutable {
              if (job->home.expired()) {
                return job->done(Fail(Code::kUnavailable, "shutting down"));
              }
              OnFirstRead(job, std::move(update), std::move(found));
            });
}

void Coordinator::OnFirstRead(const JobPtr& job, UpdateRequest update,
                              base::Result<ReadResult> found) {
  if (!found) {
    // Nothing was written: for a write that is "definitely not done".
    base::Error error = std::move(found.error());
    if (error.code == Code::kStaleEpoch) {
      GiveBack(std::move(update), &job->intent);
      return PlanWriteAgain(job, job->target.view->self);
    }
    if (error.code == Code::kTimeout) error.code = Code::kUnavailable;
    return EndWrite(job, Fail(std::move(error)));
  }
  const membership::View& view = *job->target.view;
  if (!found->idempotency_answer.empty()) {
    return EndWrite(job, ReplayedReply(found->idempotency_answer, view));
  }
  if (auto holds = CheckCondition(update, found->object); !holds) {
    return EndWrite(job, Fail(holds.error()));
  }
  if (const causal::LwwRegister* lww = found->object.lww()) update.above = lww->stamp;
  const bool context_given = ContextGiven(job->intent.put);
  const bool covers_all = update.value.tombstone || update.condition != Condition::kNone;
  if (!context_given && covers_all) update.context = found->object.WholeContext();
  if (update.value.tombstone && !context_given && update.idempotency_key.empty() &&
      found->object.LiveValues({INT64_MIN}).empty()) {
    return EndWrite(job, NothingToDelete(*found, update, view));
  }
  RunUpdate(job, std::move(update));
}

// The local replica may know an earlier event that has not reached the others yet (its own write is
// still under way, or failed on the way): a strict read that finds it brings it there first. One
// that ends without the replica that knows it confirms nothing.
void Coordinator::ConfirmReplay(const JobPtr& job, WriteReply reply) {
  StartRead(job->target, FirstRead(*job),
            [this, job, reply = std::move(reply)](const base::Result<ReadResult>& found) mutable {
              if (job->home.expired()) return job->done(Fail(Code::kUnknown, "shutting down"));
              OnConfirmed(job, std::move(reply), found);
            });
}

void Coordinator::OnConfirmed(const JobPtr& job, WriteReply reply,
                              const base::Result<ReadResult>& found) {
  if (found && !found->idempotency_answer.empty()) return EndWrite(job, std::move(reply));
  const bool stale = !found && found.error().code == Code::kStaleEpoch;
  if (stale && LocateWrite(job.get())) {
    metrics_.requests_planned_again.Add();
    return ConfirmReplay(job, std::move(reply));
  }
  EndWrite(job, Fail(Code::kUnknown,
                     "an earlier request with this Idempotency-Key was found, but it could not be "
                     "confirmed: " +
                         (found ? "its replica was too slow" : found.error().message)));
}

}  // namespace lariat::coordinator
