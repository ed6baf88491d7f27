// SPDX-License-Identifier: Apache-2.0
#include "replica/registers/register_rules.h"

#include <algorithm>
#include <utility>

#include "storage/record.h"

namespace lariat::replica {

using base::Code;
using base::Fail;
using storage::Space;

base::Status RegisterRules::Judge(const Place& place, const causal::Object& sent,
                                  const causal::Object* present, const WriteOptions& options) {
  const auto id = sent.Id();
  if (!id) return {};
  const auto there = present == nullptr ? std::nullopt : present->Id();
  const causal::HlcStamp stored = there ? there->stamp : causal::HlcStamp{};
  auto taken = clock_.ObserveAbove(stored, id->stamp, options.now);
  if (!taken && !options.stored_elsewhere) {
    metrics_.clock_refused.Add();
    return taken;
  }
  // Whoever keeps it for another member has no part in its order.
  if (place.space != Space::kData) return {};
  RegisterAnswer answer;
  const uint64_t key_hash = RegisterWatch::HashOf(place.key);
  if (there && sent.Loses(*present)) {
    answer = {watch_.StandingOf(key_hash, *id, options.now), there->stamp};
    metrics_.registers_overtaken.Add();
  } else {
    if (MayLack(place, id->stamp)) answer.standing = causal::Standing::kUnsure;
    if (there && present->Loses(sent)) watch_.OnReplaced(key_hash, *there, options.now);
  }
  if (answer.standing == causal::Standing::kHeld) watch_.OnShown(key_hash, *id);
  if (options.answer) *options.answer = answer;
  return {};
}

base::Result<UpdateResult> RegisterRules::Make(causal::Change* change, const Place& place,
                                               causal::Object* object) {
  const uint64_t key_hash = RegisterWatch::HashOf(place.key);
  const auto& instead_of = change->instead_of;
  const bool shown =
      change->unless_shown && instead_of && watch_.MayHaveBeenShown(key_hash, *instead_of);
  if (shown) return Fail(Code::kPreconditionFailed, "a read was given the value here");
  const bool was_empty = object->Empty();
  const causal::RegisterId before = object->Id().value();
  UpdateResult result;
  const auto stamp = Stamp(*change, before.stamp, &result);
  if (!stamp) return Fail(stamp.error());
  const causal::RegisterId made{*stamp, incarnation_.node()};
  auto applied = object->Apply(std::move(*change), {{made.node}, made.stamp});
  if (!applied) return Fail(std::move(applied.error()));
  result.context = std::move(applied->context);
  if (place.space != Space::kData) return result;
  if (MayLack(place, made.stamp)) result.standing = causal::Standing::kUnsure;
  if (applied->changed && !was_empty) watch_.OnReplaced(key_hash, before, change->now);
  if (instead_of) watch_.Withdraw(key_hash, *instead_of);
  watch_.OnMade(key_hash, made);
  return result;
}

base::Result<causal::HlcStamp> RegisterRules::Stamp(const causal::Change& change,
                                                    causal::HlcStamp present,
                                                    UpdateResult* result) {
  if (change.client_timestamp_ms) {
    const auto stamp = causal::HlcStamp::FromWallMs(*change.client_timestamp_ms);
    if (auto status = clock_.Observe(stamp, change.now); !status) {
      metrics_.clock_refused.Add();
      return Fail(status.error());
    }
    return stamp;
  }
  // A client may make up a context, so it moves the clock only as far as a client's stamp may.
  clock_.Follow(change.context.Id().stamp, change.now);
  auto next = clock_.NextAbove(std::max(present, change.above), change.now, change.micros);
  if (!next) return Fail(next.error());
  // No durable limit covers such a stamp: a power cut may forget it, and the next run shall not
  // give it to another value. Still "just above" for Clock::ObserveAbove.
  if (next->ahead) next->stamp.packed += incarnation_.number() % 1000;
  // The one that it replaces was told of already, and must not come back in a crash.
  result->tell_when_durable = next->ahead || change.instead_of.has_value();
  return next->stamp;
}

void RegisterRules::OnRead(const Place& place, std::string_view object) {
  const auto id = causal::Object::RegisterIdOf(object);
  if (id) watch_.OnShown(RegisterWatch::HashOf(place.key), *id);
}

bool RegisterRules::MayLack(const Place& place, causal::HlcStamp stamp) const {
  if (!watch_.IsForgotten(stamp)) return false;
  const auto key = storage::ParseDataKey(place.key);
  return key && records_.DoubtAbout(key->bucket) != nullptr;
}

}  // namespace lariat::replica
