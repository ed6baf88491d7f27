// SPDX-License-Identifier: Apache-2.0
// Clients' reads that have to show what the client has seen before: read-your-writes and monotonic
// reads without stickiness. A read as it was asked for comes first; if what it says does not cover
// the client's context, all replicas that live are asked, now and then until the deadline.
//
//   n=3, R ONE: A has not got the write -> not covered -> A, B, C: B has it -> covered, answer
//   n=3, R ONE: B, which alone has it, is dead -> A, C again and again -> kNotCovered
//
// The shard's thread.
#pragma once

#include <memory>

#include "causal/context.h"
#include "coordinator/deadlines.h"
#include "coordinator/internal/op_context.h"
#include "coordinator/internal/read_flights.h"
#include "coordinator/kv_service.h"

namespace lariat::coordinator {

class CoveringReads {
 public:
  CoveringReads(OpContext& context, ReadFlights& flights) : context_(context), flights_(flights) {}

  // As KvService::Get.
  void Get(GetRequest request, GetDone done);
  void Tick(base::Instant now);

 private:
  struct Job {
    GetRequest request;  // without its context
    causal::Context seen;
    base::Instant deadline;
    bool asks_all = false;
    GetDone done;
  };
  using JobPtr = std::shared_ptr<Job>;  // co-owners: the callback of its read, or waiting_

  void Ask(const JobPtr& job);
  void OnReply(const JobPtr& job, base::Result<GetReply> reply);
  void AskFurther(const JobPtr& job);

  OpContext& context_;
  ReadFlights& flights_;
  Deadlines<JobPtr> waiting_;
};

}  // namespace lariat::coordinator
