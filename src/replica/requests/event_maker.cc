// SPDX-License-Identifier: Apache-2.0
#include "replica/requests/event_maker.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "base/check.h"

namespace lariat::replica {

using base::Code;
using base::Fail;
using storage::Space;

namespace {

telemetry::ValueType ValueTypeOf(causal::Kind kind) {
  using telemetry::ValueType;
  switch (kind) {
    case causal::Kind::kCounter:
      return ValueType::kCounter;
    case causal::Kind::kRegister:
      return ValueType::kRegister;
    case causal::Kind::kFlag:
      return ValueType::kFlag;
    case causal::Kind::kHll:
      return ValueType::kHll;
    case causal::Kind::kSet:
      return ValueType::kSet;
    default:
      return ValueType::kMap;
  }
}

// What grows by its elements cannot be written back smaller: it is too large by having too many.
base::Error TooLargeOf(causal::Kind kind, base::Error error) {
  const causal::Shape shape = causal::RowOf(kind).shape;
  if (shape != causal::Shape::kList && shape != causal::Shape::kFields) return error;
  return {Code::kTooManyElements,
          "all elements of a key are one record, and it would be larger than limits.object_bytes; "
          "nothing was done"};
}

}  // namespace

void EventMaker::Update(UpdateRequest& request, UpdateDone&& updated, StatusDone&& durable) {
  metrics_.replica_requests[telemetry::ReplicaOp::kUpdate].Add();
  if (auto room = records_.CheckQueue(); !room) return updated(Fail(std::move(room.error())));
  Place place = PlaceOf(request.key);
  LARIAT_CHECK(!request.change.instead_of || request.idempotency_key.empty(),
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

void EventMaker::UpdateOnce(UpdateRequest& request, Place&& place, UpdateDone&& updated,
                            StatusDone&& durable) {
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

void EventMaker::Replay(const std::string& answer_key, std::string answer, UpdateDone&& updated,
                        StatusDone&& durable) {
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

void EventMaker::Start(UpdateRequest& request, Place&& place, UpdateDone&& updated,
                       StatusDone&& durable) {
  records_.LookAt(std::move(place),
                  [this, request = std::move(request), updated = std::move(updated),
                   durable = std::move(durable)](const Place& at, const Looked& record) mutable {
                    const std::string client_key = request.idempotency_key;
                    Apply(request, at, std::move(updated), std::move(durable), record);
                    if (!client_key.empty()) turns_.End(IdempotencyKey(at.DataKey(), client_key));
                  });
}

void EventMaker::Apply(UpdateRequest& request, const Place& place, UpdateDone&& updated,
                       StatusDone&& durable, const Looked& found) {
  causal::Change& change = request.change;
  auto record = RecordOf(found, change.kind);
  if (!record) return updated(Fail(record.error()));
  causal::Object& object = record->object;
  if (auto holds = object.Meets(change); !holds) return updated(Fail(holds.error()));
  if (auto room = records_.pending().CheckRoom(change.IsDelete()); !room) {
    return updated(Fail(room.error()));
  }
  const size_t values_before = object.StoredValues();
  auto result = MakeEvent(&change, place, &*record);
  if (!result) return updated(Fail(result.error()));
  result->object = object.Encode();
  if (!change.IsDelete()) {
    const size_t bytes_before = record->stored ? record->stored->object.size() : 0;
    auto fits = watch_.CheckSize(bytes_before, result->object.size());
    if (!fits) return updated(Fail(TooLargeOf(object.kind(), std::move(fits.error()))));
  }
  watch_.OnValues(place.DataKey(), values_before, object.StoredValues(), change.now);
  result->version = object.Version();
  Stage(request, place, *record, std::move(*result), std::move(updated), std::move(durable));
}

void EventMaker::Stage(UpdateRequest& request, const Place& place, const Record& record,
                       UpdateResult&& result, UpdateDone&& updated, StatusDone&& durable) {
  const bool is_delete = request.change.IsDelete();
  const RecordChange change{place.DataKey(), record.stored,
                            RecordImage{result.object, record.object.Traits()}};
  auto put = records_.Change(place, change, record.own_actor, request.change.now);
  if (!put) return updated(Fail(std::move(put.error())));
  put->is_delete = is_delete;
  if (is_delete) metrics_.tombstones_written.Add();
  std::vector<PendingWrites::Put> puts;
  puts.push_back(std::move(*put));
  if (!request.idempotency_key.empty()) {
    result.idempotency_answer = request.make_answer(record.object, result);
    puts.push_back({Space::kIdempotency, IdempotencyKey(place.DataKey(), request.idempotency_key),
                    result.idempotency_answer, is_delete});
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

base::Result<UpdateResult> EventMaker::MakeEvent(causal::Change* change, const Place& place,
                                                 Record* record) {
  causal::Object& object = record->object;
  if (causal::IsOrderedByClock(change->kind)) return registers_.Make(change, place, &object);
  std::optional<causal::Actor>& actor = record->own_actor;
  const bool is_mine = actor && actor->incarnation == incarnation_.number();
  if (!is_mine) actor = incarnation_.Mint();
  const uint64_t made = object.LastEventOf(*actor);
  const uint64_t seen = change->context.seen.Max(*actor);
  // Nobody else makes events of this actor, so a client cannot have seen later ones.
  if (is_mine && seen > made) {
    return Fail(Code::kInvalidArgument, "the context names an event that never was");
  }
  // A counter that cannot grow (only a forged history brings one that far) is left for a fresh
  // actor.
  if (std::max(made, seen) >= causal::kCounterMax) actor = incarnation_.Mint();
  const causal::Kind kind = change->kind;
  auto applied = object.Apply(std::move(*change), {*actor, {}});
  if (!applied) {
    if (applied.error().code == Code::kTooManySiblings) metrics_.siblings_refused.Add();
    return Fail(std::move(applied.error()));
  }
  metrics_.siblings_max.RaiseTo(static_cast<int64_t>(object.StoredValues()));
  if (applied->discarded > 0) metrics_.register_discards.Add(applied->discarded);
  if (causal::Merges(kind)) metrics_.type_operations[ValueTypeOf(kind)].Add();
  UpdateResult result;
  result.context = std::move(applied->context);
  result.shown = std::move(applied->shown);
  return result;
}

}  // namespace lariat::replica
