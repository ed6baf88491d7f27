// SPDX-License-Identifier: Apache-2.0
#include "replica/requests/event_maker.h"

#include <utility>
#include <vector>

#include "base/check.h"
#include "replica/requests/condition.h"

namespace lariat::replica {

using base::Code;
using base::Fail;
using storage::Space;

void EventMaker::Update(UpdateRequest& request, UpdateDone updated, StatusDone durable) {
  metrics_.replica_requests[telemetry::ReplicaOp::kUpdate].Add();
  if (auto room = records_.CheckQueue(); !room) return updated(Fail(std::move(room.error())));
  Place place = PlaceOf(request.key);
  LARIAT_CHECK(!request.instead_of || request.idempotency_key.empty(),
               "who brings an id has read before, and is ordered by that");
  if (request.idempotency_key.empty()) {
    return Start(request, std::move(place), std::move(updated), std::move(durable));
  }
  const std::string answer_key = IdempotencyKey(place.DataKey(), request.idempotency_key);
  auto turn = [this, request = std::move(request), place = std::move(place),
               updated = std::move(updated),
               durable = std::move(durable)](const base::Status& status) mutable {
    if (!status) return updated(Fail(status.error()));
    UpdateOnce(request, std::move(place), std::move(updated), std::move(durable));
  };
  turns_.Take(answer_key, std::move(turn));
}

// --- once for each Idempotency-Key -------------------------------------------------------------

void EventMaker::UpdateOnce(UpdateRequest& request, Place place, UpdateDone updated,
                            StatusDone durable) {
  std::string answer_key = IdempotencyKey(place.DataKey(), request.idempotency_key);
  auto use = [this, answer_key, request = std::move(request), place = std::move(place),
              updated = std::move(updated), durable = std::move(durable)](Looked answer) mutable {
    if (answer && !answer->has_value()) {
      return Start(request, std::move(place), std::move(updated), std::move(durable));
    }
    turns_.End(answer_key);
    if (!answer) return updated(Fail(answer.error()));
    Replay(answer_key, std::move(**answer), std::move(updated), std::move(durable));
  };
  records_.With(Space::kIdempotency, std::move(answer_key), std::move(use));
}

void EventMaker::Replay(const std::string& answer_key, std::string answer, UpdateDone updated,
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
  records_.pending().WhenDurable(Space::kIdempotency, answer_key, std::move(when_durable));
}

// --- the event ---------------------------------------------------------------------------------

void EventMaker::Start(UpdateRequest& request, Place place, UpdateDone updated,
                       StatusDone durable) {
  records_.LookAt(std::move(place),
                  [this, request = std::move(request), updated = std::move(updated),
                   durable = std::move(durable)](const Place& at, const Looked& record) mutable {
                    const std::string client_key = request.idempotency_key;
                    Apply(request, at, std::move(updated), std::move(durable), record);
                    if (!client_key.empty()) turns_.End(IdempotencyKey(at.DataKey(), client_key));
                  });
}

void EventMaker::Apply(UpdateRequest& request, const Place& place, UpdateDone updated,
                       StatusDone durable, const Looked& found) {
  auto record = RecordOf(found, request.kind);
  if (!record) return updated(Fail(record.error()));
  causal::Object& object = record->object;
  if (auto holds = CheckCondition(request, object); !holds) return updated(Fail(holds.error()));
  const bool tombstone = request.value.tombstone;
  if (auto room = records_.pending().CheckRoom(tombstone); !room) {
    return updated(Fail(room.error()));
  }
  const size_t values_before = object.StoredValues();
  auto result = ChangeObject(request, place, &*record);
  if (!result) return updated(Fail(result.error()));
  result->object = object.Encode();
  if (!tombstone) {
    const size_t bytes_before = record->stored ? record->stored->object.size() : 0;
    auto fits = watch_.CheckSize(bytes_before, result->object.size());
    if (!fits) return updated(Fail(std::move(fits.error())));
  }
  watch_.OnValues(place.DataKey(), values_before, object.StoredValues(), request.now);
  result->version = object.Version();
  Stage(request, place, *record, std::move(*result), std::move(updated), std::move(durable));
}

void EventMaker::Stage(UpdateRequest& request, const Place& place, const Record& record,
                       UpdateResult result, UpdateDone updated, StatusDone durable) {
  const bool tombstone = request.value.tombstone;
  const RecordChange change{place.DataKey(), record.stored,
                            RecordImage{result.object, record.object.Traits()}};
  auto put = records_.Change(place, change, record.own_actor, request.now);
  if (!put) return updated(Fail(std::move(put.error())));
  put->is_delete = tombstone;
  if (tombstone) metrics_.tombstones_written.Add();
  std::vector<PendingWrites::Put> puts;
  puts.push_back(std::move(*put));
  if (!request.idempotency_key.empty()) {
    result.idempotency_answer = request.make_answer(record.object, result.context);
    puts.push_back({Space::kIdempotency, IdempotencyKey(place.DataKey(), request.idempotency_key),
                    result.idempotency_answer, tombstone});
  }
  auto applied = [result = std::move(result),
                  updated = std::move(updated)](const base::Status& status) mutable {
    if (status) return updated(std::move(result));
    updated(Fail(status.error()));
  };
  records_.pending().Stage(std::move(puts), request.ack_when, std::move(applied),
                           std::move(durable));
}

base::Result<EventMaker::Record> EventMaker::RecordOf(const Looked& found, causal::Kind kind) {
  if (!found) return Fail(found.error());
  Record record{causal::Object(kind), {}, {}};
  if (!found->has_value()) return record;
  const auto parsed = records_.Parse(**found);
  if (!parsed) return Fail(parsed.error());
  auto present = causal::Object::Decode(parsed->object);
  if (!present) return Fail(present.error());
  if (present->kind() != kind) {
    return Fail(Code::kConflict, "the record is of another conflict kind");
  }
  record.stored = RecordImage{parsed->object, present->Traits()};
  record.object = std::move(*present);
  record.own_actor = parsed->own_actor;
  return record;
}

base::Result<UpdateResult> EventMaker::ChangeObject(UpdateRequest& request, const Place& place,
                                                    Record* record) {
  if (causal::DvvSet* set = record->object.dvv()) {
    return ChangeSiblings(request, set, &record->own_actor);
  }
  causal::LwwRegister* lww = record->object.lww();
  LARIAT_CHECK(lww != nullptr, "an object is a version set or a register");
  return registers_.Make(request, place, lww);
}

base::Result<UpdateResult> EventMaker::ChangeSiblings(UpdateRequest& request, causal::DvvSet* set,
                                                      std::optional<causal::Actor>* own_actor) {
  const bool is_mine = own_actor->has_value() && (*own_actor)->incarnation == incarnation_.number();
  if (!is_mine) {
    *own_actor = incarnation_.Mint();
  } else if (request.context.seen.Max(**own_actor) > set->history().Max(**own_actor)) {
    // Nobody else makes events of this actor, so a client cannot have seen later ones.
    return Fail(Code::kInvalidArgument, "the context names an event that never was");
  }
  // A counter that cannot grow (only a forged history brings one that far) is left for a fresh
  // actor.
  if (!set->CanUpdate(request.context.seen, **own_actor)) *own_actor = incarnation_.Mint();
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

}  // namespace lariat::replica
