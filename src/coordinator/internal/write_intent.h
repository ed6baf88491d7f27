// SPDX-License-Identifier: Apache-2.0
// What a client wants written, whatever way it came, and what follows from that alone: whether it
// is a request at all, the update that it becomes, the condition that it has to meet. Pure.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/result.h"
#include "causal/object.h"
#include "coordinator/kv_service.h"
#include "coordinator/plan.h"
#include "coordinator/ports.h"

namespace lariat::coordinator {

struct WriteIntent {
  PutRequest put;  // a delete uses the fields that it shares with a put
  bool is_delete = false;
  bool forwarded = false;  // another node has handed it to this one
};
WriteIntent IntentOf(DeleteRequest request);

// kInvalidArgument, kTooLarge: nobody could do this, wherever the key lies.
base::Status CheckIntent(const WriteIntent& intent, uint64_t value_bytes_max);
// That the context given is one of this kind of bucket: its checksum is no secret, so a client can
// make one that was never given out here.
base::Status CheckContext(const PutRequest& put, causal::Kind kind);

// It can only be judged by what enough replicas hold.
bool NeedsRead(const WriteIntent& intent, const membership::BucketProperties& bucket);
// Conditional or repeatable: has to meet the others of its key at one replica.
bool MeetsOthers(const WriteIntent& intent);
// The client's own context; a condition's context stands in for one that was not given.
base::Result<causal::Context> ContextOf(const PutRequest& put);
bool ContextGiven(const PutRequest& put);

// Takes value and content type out of the intent; the update's context is left to the caller.
UpdateRequest MakeUpdate(WriteIntent* intent, const Target& target, base::WallTime now,
                         size_t siblings_max);
// An update that was not made: the intent is whole again.
void GiveBack(UpdateRequest&& update, WriteIntent* intent);
// kPreconditionFailed: the object is not what the update asks for.
base::Status CheckCondition(const UpdateRequest& update, const causal::Object& object);

}  // namespace lariat::coordinator
