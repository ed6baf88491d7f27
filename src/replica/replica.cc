// SPDX-License-Identifier: Apache-2.0
#include "replica/replica.h"

#include <utility>

#include "base/check.h"
#include "base/coding.h"

namespace lariat::replica {

using base::Code;
using base::Fail;
using storage::Space;
using telemetry::ReplicaOp;

namespace {

// Whether a client with this context has seen every value that is stored.
bool CoveredBy(const causal::Object& object, const causal::Context& context) {
  if (const causal::LwwRegister* lww = object.lww()) {
    return std::tie(lww->stamp, lww->node) <= std::tie(context.lww_stamp, context.lww_node);
  }
  for (const causal::DottedValue& value : object.dvv()->values()) {
    if (!context.seen.Contains(value.dot)) return false;
  }
  return true;
}

}  // namespace

std::string IdempotencyKey(std::string_view data_key, std::string_view client_key) {
  std::string key;
  base::ByteWriter w(&key);
  w.Sized(data_key);
  w.Raw(client_key);
  return key;
}

Replica::Replica(ReplicaOptions options, storage::Engine& engine, storage::CompletionQueue& queue,
                 Clock& clock, telemetry::Metrics& metrics, telemetry::LogSink& log)
    : options_(std::move(options)),
      engine_(engine),
      queue_(queue),
      clock_(clock),
      metrics_(metrics),
      log_(log),
      alive_(std::make_shared<bool>(true)),
      tree_(options_.tree, engine, queue, metrics),
      tree_walk_(options_.tree_bytes_per_s, tree_, engine, queue, metrics),
      pending_(
          engine, queue, metrics, tree_, [this] { DrawIncarnation(); }, alive_),
      hints_(engine, queue, options_.hints, options_.incarnation),
      registers_(options_.watch_since),
      watch_(metrics, log) {
  LARIAT_CHECK(options_.incarnation != 0, "an incarnation is drawn before the replica starts");
  metrics_.incarnations.Add();
}

Replica::~Replica() = default;

void Replica::DrawIncarnation() {
  options_.incarnation = options_.draw_incarnation();
  metrics_.incarnations.Add();
}

size_t Replica::Waiting() const { return pending_.Waiting() + waiting_loads_; }

void Replica::Tick(base::Instant now) {
  pending_.Tick();
  hints_.Tick();
  tree_.Tick();
  tree_walk_.Tick(now);
}

// --- getting at a record -----------------------------------------------------------------------

void Replica::WithRecord(Space space, std::string key, Loaded use) {
  auto& loads = Loads(space);
  // While others wait for this key: behind them, so that updates see each other.
  const bool loading = loads.contains(key);
  if (!loading && ServeFromMemory(space, key, use)) return;
  if (waiting_loads_ >= options_.queue_max) {
    metrics_.replica_refused.Add();
    use(Fail(Code::kOverloaded, "too many reads wait for the disk"));
    return;
  }
  ++waiting_loads_;
  loads[key].waiting.push_back(std::move(use));
  if (loading) return;
  metrics_.replica_reads_from_disk.Add();
  StartLoad(space, key);
}

bool Replica::ServeFromMemory(Space space, const std::string& key, Loaded& use) {
  if (const std::optional<std::string>* pending = pending_.Find(space, key)) {
    use(std::optional<std::string>(*pending));
    return true;
  }
  std::string value;
  base::Error error;
  switch (engine_.TryGet(space, key, &value, &error)) {
    case storage::Lookup::kFound:
      use(std::optional<std::string>(std::move(value)));
      return true;
    case storage::Lookup::kAbsent:
      use(std::optional<std::string>());
      return true;
    case storage::Lookup::kError:
      metrics_.replica_read_errors.Add();
      use(Fail(std::move(error)));
      return true;
    case storage::Lookup::kNotInMemory:
      return false;
  }
  return false;
}

void Replica::StartLoad(Space space, const std::string& key) {
  engine_.Get(
      space, key, &queue_,
      [this, space, key, alive = std::weak_ptr<bool>(alive_)](base::Result<std::string> result) {
        if (!alive.expired()) OnLoaded(space, key, std::move(result));
      });
}

void Replica::OnLoaded(Space space, const std::string& key, base::Result<std::string> result) {
  auto& loads = Loads(space);
  const auto take = [&] {
    auto& waiting = loads.find(key)->second.waiting;
    Loaded use = std::move(waiting.front());
    waiting.pop_front();
    --waiting_loads_;
    return use;
  };
  Loaded first = take();
  if (result) {
    first(std::optional<std::string>(std::move(*result)));
  } else if (result.error().code == Code::kNotFound) {
    first(std::optional<std::string>());
  } else {
    if (result.error().code != Code::kOverloaded) metrics_.replica_read_errors.Add();
    first(Fail(result.error()));
  }
  // The first may have changed the record: everyone else looks again, in order.
  while (!loads.find(key)->second.waiting.empty()) {
    Loaded use = take();
    if (ServeFromMemory(space, key, use)) continue;
    loads.find(key)->second.waiting.push_front(std::move(use));
    ++waiting_loads_;
    StartLoad(space, key);
    return;
  }
  loads.erase(key);
}

// --- reading -----------------------------------------------------------------------------------

void Replica::Read(KeyRef key, ReadOptions options, ReadDone done) {
  metrics_.replica_requests[options.digest_only ? ReplicaOp::kDigest : ReplicaOp::kRead].Add();
  // Hints are no part of what this node holds itself.
  const bool refused = doubt_ && !options.even_in_doubt && key.hint_for == 0;
  if (refused && doubt_->Covers(key.bucket)) {
    return done(Fail(Code::kUnavailable, std::string(kInDoubt) + ": " + doubt_->why));
  }
  StartRead(PlaceOf(key), std::move(options), std::move(done));
}

void Replica::StartRead(Place place, ReadOptions options, ReadDone done) {
  std::string answer_key;
  if (!options.idempotency_key.empty()) {
    answer_key = IdempotencyKey(place.DataKey(), options.idempotency_key);
  }
  auto read_record = [this, place = std::move(place), options = std::move(options),
                      done = std::move(done)](Looked answer) mutable {
    // An unreadable answer must not look like "never asked before".
    if (!answer) return done(Fail(answer.error()));
    auto use = [this, place, options = std::move(options), done = std::move(done),
                answer = answer->value_or("")](Looked record) mutable {
      FinishRead(std::move(place), std::move(options), std::move(done), std::move(record),
                 std::move(answer));
    };
    WithRecord(place.space, std::move(place.key), std::move(use));
  };
  if (answer_key.empty()) return read_record(std::optional<std::string>());
  WithRecord(Space::kIdempotency, std::move(answer_key), std::move(read_record));
}

void Replica::FinishRead(Place place, ReadOptions options, ReadDone done, Looked record,
                         std::string answer) {
  Unwrap(&place, &record);
  if (!record) return done(Fail(record.error()));
  // What such an engine shows may never have reached the disk.
  if (engine_.health() == storage::Health::kDead) {
    return done(Fail(Code::kIo, "the storage engine has failed"));
  }
  ReadResult result;
  result.idempotency_answer = std::move(answer);
  if (!record->has_value()) return done(std::move(result));
  auto parsed = storage::ParseRecord(**record);
  if (!parsed) {
    metrics_.replica_read_errors.Add();
    return done(Fail(parsed.error()));
  }
  result.found = true;
  if (const auto id = causal::Object::RegisterIdOf(parsed->object)) {
    registers_.OnShown(RegisterWatch::HashOf(place.key), *id);
  }
  result.digest = causal::Object::Digest(parsed->object);
  if (!options.digest_only) result.object = std::string(parsed->object);
  if (pending_.Find(place.space, place.key) == nullptr) return done(std::move(result));
  metrics_.reads_delayed_for_sync.Add();
  pending_.WhenDurable(place.space, place.key,
                       [this, place, options = std::move(options), result = std::move(result),
                        done = std::move(done)](const base::Status& status) mutable {
                         if (status) return done(std::move(result));
                         // It was refused, so it never was: what is there without it counts.
                         StartRead(std::move(place), std::move(options), std::move(done));
                       });
}

// --- merging what peers send -------------------------------------------------------------------

void Replica::Write(KeyRef key, std::string object, WriteOptions options, StatusDone done) {
  metrics_.replica_requests[ReplicaOp::kWrite].Add();
  if (pending_.Waiting() >= options_.queue_max) {
    metrics_.replica_refused.Add();
    return done(Fail(Code::kOverloaded, "too many writes wait for the engine"));
  }
  Place place = PlaceOf(key);
  auto use = [this, place, object = std::move(object), options = std::move(options),
              done = std::move(done)](Looked record) mutable {
    Merge(std::move(place), std::move(object), std::move(options), std::move(done),
          std::move(record));
  };
  WithRecord(place.space, std::move(place.key), std::move(use));
}

void Replica::Merge(Place place, std::string object, WriteOptions options, StatusDone done,
                    Looked record) {
  Unwrap(&place, &record);
  if (!record) return done(Fail(record.error()));
  auto incoming = causal::Object::Decode(object);
  if (!incoming) return done(Fail(Code::kInvalidArgument, "a peer sent a malformed object"));
  std::optional<causal::Actor> own_actor;
  std::string merged = std::move(object);
  merkle::LeafSum before;
  const bool found = record->has_value();
  std::string_view stored;
  std::optional<causal::Object> present;
  if (found) {
    auto parsed = storage::ParseRecord(**record);
    if (!parsed) {
      metrics_.replica_read_errors.Add();
      return done(Fail(parsed.error()));
    }
    own_actor = parsed->own_actor;
    stored = parsed->object;
    if (stored != merged) {
      auto decoded = causal::Object::Decode(parsed->object);
      if (!decoded) return done(Fail(decoded.error()));
      present = std::move(*decoded);
    }
    before = SumOf(place, stored, present ? *present : *incoming);
  }
  const causal::Object* there = present ? &*present : (found ? &*incoming : nullptr);
  if (auto may = JudgeRegister(place, *incoming, there, options); !may) return done(may);
  if (present) {
    const size_t values = present->StoredValues();
    if (auto joined = present->Join(*incoming); !joined) return done(joined);
    watch_.OnValues(place.DataKey(), values, present->StoredValues(), options.now);
    merged = present->Encode();
    incoming = std::move(*present);
  }
  // It may be on its way into the engine, which may refuse it yet.
  const bool nothing_new = found && stored == merged && options.idempotency_key.empty();
  if (nothing_new) return pending_.WhenDurable(place.space, place.key, std::move(done));
  const bool is_delete =
      pending_.NearlyFull() && options.for_client && incoming->Traits().tombstone;
  if (auto room = pending_.CheckRoom(is_delete); !room) return done(room);
  auto put = PutFor(place, storage::EncodeRecord(own_actor, merged), options.now);
  if (!put) return done(Fail(std::move(put.error())));
  put->is_delete = is_delete;
  std::vector<PendingWrites::Put> puts;
  puts.push_back(std::move(*put));
  if (!options.idempotency_key.empty()) {
    puts.push_back({Space::kIdempotency, IdempotencyKey(place.DataKey(), options.idempotency_key),
                    std::move(options.idempotency_answer), is_delete});
  }
  if (options.changed != nullptr) options.changed->Add();
  tree_.Stage(place.key, SumOf(place, merged, *incoming) - before);
  pending_.Stage(std::move(puts), options.ack_when, nullptr, std::move(done));
}

base::Status Replica::JudgeRegister(const Place& place, const causal::Object& sent,
                                    const causal::Object* present, const WriteOptions& options) {
  const causal::LwwRegister* lww = sent.lww();
  if (lww == nullptr) return {};
  const causal::LwwRegister* there = present == nullptr ? nullptr : present->lww();
  const causal::HlcStamp stored = there == nullptr ? causal::HlcStamp{} : there->stamp;
  auto taken = clock_.ObserveAbove(stored, lww->stamp, options.now);
  if (!taken && !options.stored_elsewhere) {
    metrics_.clock_refused.Add();
    return taken;
  }
  // Whoever keeps it for another member has no part in its order.
  if (place.space != Space::kData) return {};
  RegisterAnswer answer;
  const uint64_t key_hash = RegisterWatch::HashOf(place.key);
  if (there != nullptr && lww->Loses(*there)) {
    answer = {registers_.StandingOf(key_hash, lww->Id(), options.now), there->stamp};
    metrics_.registers_overtaken.Add();
  } else {
    if (MayLack(place, lww->stamp)) answer.standing = causal::Standing::kUnsure;
    const bool newer = there != nullptr && there->Loses(*lww);
    if (newer) registers_.OnReplaced(key_hash, there->Id(), options.now);
  }
  if (answer.standing == causal::Standing::kHeld) registers_.OnShown(key_hash, lww->Id());
  if (options.answer) *options.answer = answer;
  return {};
}

bool Replica::MayLack(const Place& place, causal::HlcStamp stamp) const {
  if (!doubt_ || !registers_.IsForgotten(stamp)) return false;
  const auto key = storage::ParseDataKey(place.key);
  return key && doubt_->Covers(key->bucket);
}

merkle::LeafSum Replica::SumOf(const Place& place, std::string_view bytes,
                               const causal::Object& object) const {
  if (!tree_.keeps() || place.space != Space::kData) return {};
  return RecordSum(place.key, bytes, object);
}

// --- coordinating a client's write -------------------------------------------------------------

void Replica::Update(UpdateRequest request, UpdateDone updated, StatusDone durable) {
  metrics_.replica_requests[ReplicaOp::kUpdate].Add();
  if (pending_.Waiting() >= options_.queue_max) {
    metrics_.replica_refused.Add();
    return updated(Fail(Code::kOverloaded, "too many writes wait for the engine"));
  }
  Place place = PlaceOf(request.key);
  LARIAT_CHECK(!request.instead_of || request.idempotency_key.empty(),
               "who brings an id has read before, and is ordered by that");
  if (request.idempotency_key.empty()) {
    return StartUpdate(std::move(request), std::move(place), std::move(updated),
                       std::move(durable));
  }
  std::string answer_key = IdempotencyKey(place.DataKey(), request.idempotency_key);
  auto turn = [this, request = std::move(request), place = std::move(place),
               updated = std::move(updated),
               durable = std::move(durable)](const base::Status& status) mutable {
    if (!status) return updated(Fail(status.error()));
    UpdateOnce(std::move(request), std::move(place), std::move(updated), std::move(durable));
  };
  TakeTurn(answer_key, std::move(turn));
}

void Replica::TakeTurn(const std::string& answer_key, StatusDone turn) {
  const auto [others, is_free] = turns_.try_emplace(answer_key);
  if (is_free) return turn({});
  if (waiting_loads_ >= options_.queue_max) {
    metrics_.replica_refused.Add();
    return turn(Fail(Code::kOverloaded, "too many requests with one Idempotency-Key"));
  }
  ++waiting_loads_;
  others->second.push_back(std::move(turn));
}

void Replica::EndTurn(const std::string& answer_key) {
  const auto others = turns_.find(answer_key);
  LARIAT_CHECK(others != turns_.end(), "a turn ends once");
  if (others->second.empty()) {
    turns_.erase(others);
    return;
  }
  StatusDone next = std::move(others->second.front());
  others->second.pop_front();
  // From the loop: a thousand repeated requests must not be a thousand calls deep.
  queue_.Post([this, next = std::move(next), alive = std::weak_ptr<bool>(alive_)]() mutable {
    if (alive.expired()) return;
    --waiting_loads_;
    next({});
  });
}

void Replica::UpdateOnce(UpdateRequest request, Place place, UpdateDone updated,
                         StatusDone durable) {
  std::string answer_key = IdempotencyKey(place.DataKey(), request.idempotency_key);
  auto use = [this, answer_key, request = std::move(request), place = std::move(place),
              updated = std::move(updated), durable = std::move(durable)](Looked answer) mutable {
    if (answer && !answer->has_value()) {
      return StartUpdate(std::move(request), std::move(place), std::move(updated),
                         std::move(durable));
    }
    EndTurn(answer_key);
    if (!answer) return updated(Fail(answer.error()));
    Replay(answer_key, std::move(**answer), std::move(updated), std::move(durable));
  };
  WithRecord(Space::kIdempotency, std::move(answer_key), std::move(use));
}

void Replica::Replay(const std::string& answer_key, std::string answer, UpdateDone updated,
                     StatusDone durable) {
  UpdateResult result;
  result.replayed = true;
  result.idempotency_answer = std::move(answer);
  auto when_durable = [result = std::move(result), updated = std::move(updated),
                       durable = std::move(durable)](const base::Status& status) mutable {
    if (!status) {
      return updated(Fail(Code::kUnknown,
                          "the earlier write with this Idempotency-Key may or may not have "
                          "happened: " +
                              status.error().message));
    }
    updated(std::move(result));
    durable({});
  };
  pending_.WhenDurable(Space::kIdempotency, answer_key, std::move(when_durable));
}

void Replica::StartUpdate(UpdateRequest request, Place place, UpdateDone updated,
                          StatusDone durable) {
  auto use = [this, request = std::move(request), place, updated = std::move(updated),
              durable = std::move(durable)](Looked record) mutable {
    const std::string client_key = request.idempotency_key;
    ApplyUpdate(request, place, std::move(updated), std::move(durable), std::move(record));
    if (!client_key.empty()) EndTurn(IdempotencyKey(place.DataKey(), client_key));
  };
  WithRecord(place.space, std::move(place.key), std::move(use));
}

void Replica::ApplyUpdate(UpdateRequest& request, Place& place, UpdateDone updated,
                          StatusDone durable, Looked record) {
  Unwrap(&place, &record);
  if (!record) return updated(Fail(record.error()));
  causal::Object object(request.kind);
  std::optional<causal::Actor> own_actor;
  merkle::LeafSum before;
  size_t bytes_before = 0;
  if (record->has_value()) {
    auto parsed = storage::ParseRecord(**record);
    if (!parsed) {
      metrics_.replica_read_errors.Add();
      return updated(Fail(parsed.error()));
    }
    bytes_before = parsed->object.size();
    auto present = causal::Object::Decode(parsed->object);
    if (!present) return updated(Fail(present.error()));
    if (present->kind() != request.kind) {
      return updated(Fail(Code::kConflict, "the record is of another conflict kind"));
    }
    before = SumOf(place, parsed->object, *present);
    object = std::move(*present);
    own_actor = parsed->own_actor;
  }
  if (auto holds = CheckCondition(request, object); !holds) return updated(Fail(holds.error()));
  const bool tombstone = request.value.tombstone;
  if (auto room = pending_.CheckRoom(tombstone); !room) return updated(Fail(room.error()));
  const size_t values_before = object.StoredValues();
  auto result = ChangeObject(request, place, &object, &own_actor);
  if (!result) return updated(Fail(result.error()));
  result->object = object.Encode();
  if (!tombstone) {
    auto fits = watch_.CheckSize(bytes_before, result->object.size());
    if (!fits) return updated(Fail(std::move(fits.error())));
  }
  watch_.OnValues(place.DataKey(), values_before, object.StoredValues(), request.now);
  result->version = object.Version();
  auto put = PutFor(place, storage::EncodeRecord(own_actor, result->object), request.now);
  if (!put) return updated(Fail(std::move(put.error())));
  put->is_delete = tombstone;
  if (tombstone) metrics_.tombstones_written.Add();
  tree_.Stage(place.key, SumOf(place, result->object, object) - before);
  std::vector<PendingWrites::Put> puts;
  puts.push_back(std::move(*put));
  if (!request.idempotency_key.empty()) {
    result->idempotency_answer = request.make_answer(object, result->context);
    puts.push_back({Space::kIdempotency, IdempotencyKey(place.DataKey(), request.idempotency_key),
                    result->idempotency_answer, tombstone});
  }
  auto applied = [result = std::move(*result),
                  updated = std::move(updated)](const base::Status& status) mutable {
    if (status) return updated(std::move(result));
    updated(Fail(status.error()));
  };
  pending_.Stage(std::move(puts), request.ack_when, std::move(applied), std::move(durable));
}

base::Status Replica::CheckCondition(const UpdateRequest& request,
                                     const causal::Object& object) const {
  if (request.condition == Condition::kNone) return {};
  const bool live = !object.LiveValues(request.now).empty();
  const auto lost = [](const char* why) { return Fail(Code::kPreconditionFailed, why); };
  switch (request.condition) {
    case Condition::kNone:
      break;
    case Condition::kNoLiveValue:
      if (live) return lost("the key has a value");
      break;
    case Condition::kAnyLiveValue:
      if (!live) return lost("the key has no value");
      break;
    case Condition::kContextCoversAll:
      if (!live) return lost("the key has no value");
      if (!CoveredBy(object, request.context)) {
        return lost("the key has changed since the context was given out");
      }
      break;
  }
  return {};
}

base::Result<UpdateResult> Replica::ChangeObject(UpdateRequest& request, const Place& place,
                                                 causal::Object* object,
                                                 std::optional<causal::Actor>* own_actor) {
  if (causal::DvvSet* set = object->dvv()) return ChangeSiblings(request, set, own_actor);
  causal::LwwRegister* lww = object->lww();
  LARIAT_CHECK(lww != nullptr, "an object is a version set or a register");
  return ChangeRegister(request, place, lww);
}

base::Result<UpdateResult> Replica::ChangeSiblings(UpdateRequest& request, causal::DvvSet* set,
                                                   std::optional<causal::Actor>* own_actor) {
  if (own_actor->has_value()) {
    // Nobody else makes events of this actor, so a client cannot have seen later ones.
    const uint64_t known = set->history().Max(**own_actor);
    if (request.context.seen.Max(**own_actor) > known &&
        (*own_actor)->incarnation == options_.incarnation) {
      return Fail(Code::kInvalidArgument, "the context names an event that never was");
    }
  }
  if (!own_actor->has_value() || (*own_actor)->incarnation != options_.incarnation) {
    *own_actor = MintActor();
  }
  // A counter that cannot grow (only a forged history brings one that far) is left for a fresh
  // actor.
  if (!set->CanUpdate(request.context.seen, **own_actor)) *own_actor = MintActor();
  const causal::Dot dot = set->Update(request.context.seen, std::move(request.value), **own_actor);
  const size_t values = set->values().size();
  if (values > request.siblings_max) {
    metrics_.siblings_refused.Add();
    return Fail(Code::kTooManySiblings, "the key would have " + std::to_string(values) +
                                            " concurrent values; the limit is " +
                                            std::to_string(request.siblings_max) +
                                            ": read it and write back one value with the context");
  }
  metrics_.siblings_max.RaiseTo(static_cast<int64_t>(values));
  UpdateResult result;
  result.context = request.context;
  // With no unseen sibling left the whole history is seen, and the shorter context says so.
  if (values == 1) {
    result.context.seen = set->history();
  } else {
    result.context.seen.Add(dot);
  }
  return result;
}

base::Result<UpdateResult> Replica::ChangeRegister(UpdateRequest& request, const Place& place,
                                                   causal::LwwRegister* lww) {
  const uint64_t key_hash = RegisterWatch::HashOf(place.key);
  const bool shown = request.unless_shown && request.instead_of &&
                     registers_.MayHaveBeenShown(key_hash, *request.instead_of);
  if (shown) return Fail(Code::kPreconditionFailed, "a read was given the value here");
  UpdateResult result;
  causal::LwwRegister written;
  written.node = options_.node;
  if (request.client_timestamp_ms) {
    written.stamp = causal::HlcStamp::FromWallMs(*request.client_timestamp_ms);
    if (auto status = clock_.Observe(written.stamp, request.now); !status) {
      metrics_.clock_refused.Add();
      return Fail(status.error());
    }
  } else {
    // A client may make up a context, so it moves the clock only as far as a client's stamp may.
    clock_.Follow(request.context.lww_stamp, request.now);
    auto next = clock_.NextAbove(std::max(lww->stamp, request.above), request.now, request.micros);
    if (!next) return Fail(next.error());
    written.stamp = next->stamp;
    // No durable limit covers such a stamp: a power cut may forget it, and the next run shall not
    // give it to another value. Still "just above" for Clock::ObserveAbove.
    if (next->ahead) written.stamp.packed += options_.incarnation % 1000;
    // The one that it replaces was told of already, and must not come back in a crash.
    result.tell_when_durable = next->ahead || request.instead_of.has_value();
  }
  written.value = std::move(request.value);
  result.context.lww_stamp = written.stamp;
  result.context.lww_node = written.node;
  if (place.space == Space::kData) {
    if (MayLack(place, written.stamp)) result.standing = causal::Standing::kUnsure;
    const bool replaces = lww->Loses(written) && *lww != causal::LwwRegister{};
    if (replaces) registers_.OnReplaced(key_hash, lww->Id(), request.now);
    if (request.instead_of) registers_.Withdraw(key_hash, *request.instead_of);
    registers_.OnMade(key_hash, written.Id());
  }
  lww->Join(written);
  return result;
}

causal::Actor Replica::MintActor() {
  metrics_.actors_minted.Add();
  return {options_.node, options_.incarnation, ++mints_};
}

}  // namespace lariat::replica
