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
    answer = {watch_.StandingOf(key_hash, lww->Id(), options.now), there->stamp};
    metrics_.registers_overtaken.Add();
  } else {
    if (MayLack(place, lww->stamp)) answer.standing = causal::Standing::kUnsure;
    const bool newer = there != nullptr && there->Loses(*lww);
    if (newer) watch_.OnReplaced(key_hash, there->Id(), options.now);
  }
  if (answer.standing == causal::Standing::kHeld) watch_.OnShown(key_hash, lww->Id());
  if (options.answer) *options.answer = answer;
  return {};
}

base::Result<UpdateResult> RegisterRules::Make(UpdateRequest& request, const Place& place,
                                               causal::LwwRegister* lww) {
  const uint64_t key_hash = RegisterWatch::HashOf(place.key);
  const bool shown = request.unless_shown && request.instead_of &&
                     watch_.MayHaveBeenShown(key_hash, *request.instead_of);
  if (shown) return Fail(Code::kPreconditionFailed, "a read was given the value here");
  UpdateResult result;
  auto written = Stamp(request, lww->stamp, &result);
  if (!written) return Fail(written.error());
  written->value = std::move(request.value);
  result.context.lww_stamp = written->stamp;
  result.context.lww_node = written->node;
  if (place.space == Space::kData) {
    if (MayLack(place, written->stamp)) result.standing = causal::Standing::kUnsure;
    const bool replaces = lww->Loses(*written) && *lww != causal::LwwRegister{};
    if (replaces) watch_.OnReplaced(key_hash, lww->Id(), request.now);
    if (request.instead_of) watch_.Withdraw(key_hash, *request.instead_of);
    watch_.OnMade(key_hash, written->Id());
  }
  lww->Join(*written);
  return result;
}

base::Result<causal::LwwRegister> RegisterRules::Stamp(const UpdateRequest& request,
                                                       causal::HlcStamp present,
                                                       UpdateResult* result) {
  causal::LwwRegister written;
  written.node = incarnation_.node();
  if (request.client_timestamp_ms) {
    written.stamp = causal::HlcStamp::FromWallMs(*request.client_timestamp_ms);
    if (auto status = clock_.Observe(written.stamp, request.now); !status) {
      metrics_.clock_refused.Add();
      return Fail(status.error());
    }
    return written;
  }
  // A client may make up a context, so it moves the clock only as far as a client's stamp may.
  clock_.Follow(request.context.lww_stamp, request.now);
  auto next = clock_.NextAbove(std::max(present, request.above), request.now, request.micros);
  if (!next) return Fail(next.error());
  written.stamp = next->stamp;
  // No durable limit covers such a stamp: a power cut may forget it, and the next run shall not
  // give it to another value. Still "just above" for Clock::ObserveAbove.
  if (next->ahead) written.stamp.packed += incarnation_.number() % 1000;
  // The one that it replaces was told of already, and must not come back in a crash.
  result->tell_when_durable = next->ahead || request.instead_of.has_value();
  return written;
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
