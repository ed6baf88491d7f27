// SPDX-License-Identifier: Apache-2.0
// Starts reads of replicas and keeps their time: the hedge of one that is late, and the deadline.
// Clients' reads (read_flights.h) and those that writes need first (write_jobs.h) begin here. The
// shard's thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "coordinator/deadlines.h"
#include "coordinator/internal/op_context.h"

namespace lariat::coordinator {

class ReadOp;
struct ReadResult;

struct ReadPlan {
  std::string key;
  std::string idempotency_key;
  uint32_t needed = 1;
  uint32_t needed_in_move = 1;  // of the move list
  base::Instant deadline;
  bool strict = true;
  bool sloppy = false;
  uint32_t primaries = 0;    // matters if sloppy
  bool compare_all = false;  // after the answer; if not strict
};

class Reads {
 public:
  explicit Reads(OpContext& context) : context_(context) {}

  // `done` comes once, by the deadline at the latest; kStaleEpoch: plan again (ReadOp). It may come
  // after the coordinator is gone.
  using Done = base::UniqueFunction<void(base::Result<ReadResult>)>;
  void Start(const Target& target, ReadPlan plan, Done done);
  void Tick(base::Instant now);

 private:
  OpContext& context_;
  // Operations hold themselves alive through their callbacks; these find them for time-outs.
  Deadlines<std::weak_ptr<ReadOp>> deadlines_;
  Deadlines<std::weak_ptr<ReadOp>> hedges_;
};

}  // namespace lariat::coordinator
