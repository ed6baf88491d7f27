// SPDX-License-Identifier: Apache-2.0
#include "replica/requests/merger.h"

#include <utility>
#include <vector>

namespace lariat::replica {

using base::Code;
using base::Fail;
using storage::Space;

void Merger::Write(const KeyRef& key, std::string&& object, WriteOptions&& options,
                   StatusDone&& done) {
  metrics_.replica_requests[telemetry::ReplicaOp::kWrite].Add();
  if (auto room = records_.CheckQueue(); !room) return done(std::move(room));
  records_.LookAt(PlaceOf(key),
                  [this, object = std::move(object), options = std::move(options),
                   done = std::move(done)](const Place& place, const Looked& record) mutable {
                    Merge(place, std::move(object), std::move(options), std::move(done), record);
                  });
}

void Merger::Merge(const Place& place, std::string&& object, WriteOptions&& options,
                   StatusDone&& done, const Looked& record) {
  if (!record) return done(Fail(record.error()));
  if (causal::Object::IsAgreed(object)) {
    return voter_.Accept(place, std::move(object), std::move(options), std::move(done), record);
  }
  auto incoming = causal::Object::Decode(object);
  if (!incoming) return done(Fail(Code::kInvalidArgument, "a peer sent a malformed object"));
  std::optional<causal::Actor> own_actor;
  std::string merged = std::move(object);
  RecordChange change;
  change.data_key = place.DataKey();
  std::optional<causal::Object> present;
  if (record->has_value()) {
    const auto parsed = records_.Parse(**record);
    if (!parsed) return done(Fail(parsed.error()));
    own_actor = parsed->own_actor;
    if (parsed->object != merged) {
      auto decoded = causal::Object::Decode(parsed->object);
      if (!decoded) return done(Fail(decoded.error()));
      present = std::move(*decoded);
    }
    change.before = {parsed->object, (present ? *present : *incoming).Traits()};
  }
  const causal::Object* same = change.before ? &*incoming : nullptr;
  const causal::Object* there = present ? &*present : same;
  if (auto may = registers_.Judge(place, *incoming, there, options); !may) return done(may);
  if (present) {
    const size_t values = present->StoredValues();
    if (auto joined = present->Join(*incoming); !joined) return done(joined);
    watch_.OnValues(place.DataKey(), values, present->StoredValues(), options.now);
    merged = present->Encode();
    incoming = std::move(*present);
  }
  // It may be on its way into the engine, which may refuse it yet.
  const bool nothing_new =
      change.before && change.before->object == merged && options.idempotency_key.empty();
  if (nothing_new) {
    return records_.pending().WhenDurable(place.space, place.key, std::move(done));
  }
  change.after = {merged, incoming->Traits()};
  Stage(place, change, own_actor, std::move(options), std::move(done));
}

void Merger::Stage(const Place& place, const RecordChange& change,
                   const std::optional<causal::Actor>& own_actor, WriteOptions&& options,
                   StatusDone&& done) {
  PendingWrites& pending = records_.pending();
  const bool is_delete =
      pending.NearlyFull() && options.for_client && change.after->traits.tombstone;
  if (auto room = pending.CheckRoom(is_delete); !room) return done(room);
  auto put = records_.Change(place, change, own_actor, options.now);
  if (!put) return done(Fail(std::move(put.error())));
  put->is_delete = is_delete;
  std::vector<PendingWrites::Put> puts;
  puts.push_back(std::move(*put));
  if (!options.idempotency_key.empty()) {
    puts.push_back({Space::kIdempotency, IdempotencyKey(place.DataKey(), options.idempotency_key),
                    std::move(options.idempotency_answer), is_delete});
  }
  if (options.changed != nullptr) options.changed->Add();
  pending.Stage(std::move(puts), options.ack_when, nullptr, std::move(done));
}

}  // namespace lariat::replica
