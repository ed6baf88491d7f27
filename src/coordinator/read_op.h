// SPDX-License-Identifier: Apache-2.0
// One read under way: the shell of GetCore. Held alive by the callbacks it has given out.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "coordinator/get_core.h"
#include "coordinator/internal/op_context.h"
#include "coordinator/plan.h"

namespace lariat::coordinator {

struct ReadResult {
  causal::Object object{causal::Kind::kSiblings};
  uint32_t answered = 0;  // fallbacks included
  uint32_t fallbacks = 0;
  std::string idempotency_answer;
};

// Ends with kStaleEpoch as soon as it has to be planned again: nothing was changed, and this node
// has a newer view by then, or a replica was given a newer value while it worked.
class ReadOp : public std::enable_shared_from_this<ReadOp> {
 public:
  struct Options {
    GetCore::Options core;
    std::shared_ptr<const membership::View> view;
    Lineup lineup;
    uint32_t bucket = 0;
    uint64_t token = 0;
    std::string key;
    std::string idempotency_key;
    membership::Durability durability = membership::Durability::kSync;
    base::Duration timeout{};
    bool compare_all = false;  // after the answer; for reads that are not strict
  };
  using Done = base::UniqueFunction<void(base::Result<ReadResult>)>;

  ReadOp(Options options, OpContext& context, Done done);
  void Start();
  void OnHedge();
  void OnTimeout();

 private:
  // A request to one replica, kept to be sent again.
  struct Sent {
    GetCore::ActionKind kind;
    uint32_t attempt;
    size_t replica;
    size_t stands_for;
  };

  void Run(const GetCore::Actions& actions);
  void Send(Sent request);
  void SendRead(Sent request);
  void SendWriteBack(Sent request);
  void OnStale(Sent request);
  void OnLate(Sent request);
  bool EndIfOutdated();
  Destination To(size_t replica) const {
    return {*options_.view, options_.lineup.nodes[replica], options_.timeout};
  }
  void Answer();
  void Finish(base::Result<ReadResult> result);

  Options options_;
  OpContext& context_;  // may be gone when a late reply comes, which then finds nothing to do
  ReplicaPort& replicas_;
  telemetry::Metrics& metrics_;
  GetCore core_;
  Done done_;
};

}  // namespace lariat::coordinator
