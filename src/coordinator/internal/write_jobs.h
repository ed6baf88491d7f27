// SPDX-License-Identifier: Apache-2.0
// Clients' writes, from their check to their answer: planned by the present topology, handed to the
// node that may coordinate them or coordinated here, preceded by a read where that is needed,
// planned again when the topology turns out to be another one.
//
// Writes are coordinated by a replica of the read list (lists.h); a node that is none forwards.
// Writes of serial buckets (serial/rounds.h), conditional and idempotent ones go to the first live
// one, so that those on one key meet in one place. If none is alive, a sloppy write of another kind
// is coordinated by the node that took it, which then stands in for the first one.
//
// The shard's thread. A job is answered exactly once. Callbacks that come when the coordinator is
// gone answer it too, and touch nothing else: "not done" before the event, "unknown" after it.
#pragma once

#include <memory>
#include <vector>

#include "coordinator/deadlines.h"
#include "coordinator/internal/admission.h"
#include "coordinator/internal/op_context.h"
#include "coordinator/internal/reads.h"
#include "coordinator/internal/write_plan.h"
#include "coordinator/serial/rounds.h"
#include "wire/messages.h"

namespace lariat::coordinator {

class WriteOp;

class WriteJobs {
 public:
  WriteJobs(OpContext& context, Admission& admission, Reads& reads, SerialRounds& rounds)
      : context_(context), admission_(admission), reads_(reads), rounds_(rounds) {}

  // As KvService::Write. `forwarded`: another node has handed it to this one.
  void Start(WriteRequest request, bool forwarded, WriteDone done);
  void Tick(base::Instant now);

 private:
  using JobPtr = std::shared_ptr<WriteJob>;

  void End(const JobPtr& job, base::Result<WriteReply> reply);
  void Plan(const JobPtr& job);
  // `node`: who has refused it as stale.
  void PlanAgain(const JobPtr& job, ring::NodeIndex node);
  void ForwardTo(const JobPtr& job, std::vector<ring::NodeIndex> candidates);
  void OnForwardReply(const JobPtr& job, ring::NodeIndex node,
                      base::Result<wire::ForwardedWriteReply> reply,
                      std::vector<ring::NodeIndex> candidates);
  void Coordinate(const JobPtr& job);
  void CoordinateAsFallback(const JobPtr& job);
  // In serial buckets: by a round of the key's replicas.
  void Agree(const JobPtr& job);
  void RunUpdate(const JobPtr& job, UpdateRequest update);
  void OnWritten(const JobPtr& job, base::Result<WriteReply> reply,
                 std::unique_ptr<UpdateRequest> stale);
  void ReadThenUpdate(const JobPtr& job, UpdateRequest update);
  void OnFirstRead(const JobPtr& job, UpdateRequest update, base::Result<ReadResult> found);
  void ConfirmReplay(const JobPtr& job, WriteReply reply);
  void OnConfirmed(const JobPtr& job, WriteReply reply, const base::Result<ReadResult>& found);

  OpContext& context_;
  Admission& admission_;
  Reads& reads_;
  SerialRounds& rounds_;
  // Operations hold themselves alive through their callbacks; these find them for time-outs.
  Deadlines<std::weak_ptr<WriteOp>> deadlines_;
};

}  // namespace lariat::coordinator
