// SPDX-License-Identifier: Apache-2.0
// One client write on its way: whether it is a request at all, the update that it becomes, and
// where it may go by the present topology: who may coordinate it, whether enough replicas are
// alive, what it has to read first. The shard's thread; nothing is sent from here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "coordinator/internal/op_context.h"
#include "coordinator/internal/reads.h"
#include "coordinator/kv_service.h"
#include "coordinator/plan.h"
#include "coordinator/ports.h"
#include "coordinator/quorum.h"

namespace lariat::coordinator {

// From its check to its answer. Co-owned by the callbacks that carry it on.
struct WriteJob {
  WriteRequest request;    // its write is not whole while an UpdateRequest has parts of it
  bool forwarded = false;  // another node has handed it to this one
  WriteDone done;
  size_t bytes = 0;          // admitted
  std::weak_ptr<bool> home;  // expired: the coordinator is gone
  uint32_t plans = 0;        // how often it was planned
  base::Instant deadline{};  // set by the first plan
  // By the last plan:
  Target target;
  Quorum quorum;
  size_t self = 0;
  bool is_fallback = false;  // this node is no replica and does what `self` would
};

// kInvalidArgument, kTooLarge: nobody could do this, wherever the key lies.
base::Status CheckRequest(const WriteRequest& request, uint64_t value_bytes_max);
// Conditional or repeatable: has to meet the others of its key at one replica.
bool MeetsOthers(const WriteRequest& request);
// The same by its bucket too: all writes of a serial one.
bool MeetsOthers(const WriteJob& job);
// It can only be judged by what enough replicas hold. Of the job's target.
bool NeedsRead(const WriteJob& job);
// Takes parts of the job's write. An error is the write's outcome, definitely not done.
base::Result<UpdateRequest> MakeUpdate(WriteJob* job, int64_t now_us, size_t values_max);

// By the present view: target and quorum of the job, and its deadline if it had none. An error is
// the write's outcome, definitely not done; kInsufficientReplicas as CheckWritable.
base::Status LocateWrite(const OpContext& context, WriteJob* job);
// Enough replicas of the job's target are alive.
base::Status CheckWritable(const OpContext& context, const WriteJob& job);
// Who may make the event, in the order to ask: live replicas of the read list.
std::vector<ring::NodeIndex> Coordinators(const OpContext& context, const WriteJob& job);
// No replica of the read list could be reached: whether this node may make the event for one, or
// else the write's outcome.
base::Status CheckFallback(const OpContext& context, const WriteJob& job);
// What to read before the event, or to confirm a repeat by: enough replicas that any acknowledged
// earlier write is among them.
ReadPlan FirstRead(const WriteJob& job);

}  // namespace lariat::coordinator
