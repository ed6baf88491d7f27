// SPDX-License-Identifier: Apache-2.0
// One read under way: the shell of GetCore. Held alive by the callbacks it has given out.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "coordinator/get_core.h"
#include "coordinator/ports.h"
#include "telemetry/metrics.h"

namespace lariat::coordinator {

struct ReadResult {
  causal::Object object{causal::Kind::kSiblings};
  uint32_t answered = 0;
  std::string idempotency_answer;
};

class ReadOp : public std::enable_shared_from_this<ReadOp> {
 public:
  struct Options {
    GetCore::Options core;
    std::vector<ring::NodeIndex> nodes;  // in the order to prefer
    std::vector<bool> usable;
    uint32_t bucket = 0;
    uint64_t token = 0;
    std::string key;
    std::string idempotency_key;
    membership::Durability durability = membership::Durability::kSync;
    base::Duration timeout{};
  };
  using Done = base::UniqueFunction<void(base::Result<ReadResult>)>;

  ReadOp(Options options, ReplicaPort& replicas, telemetry::Metrics& metrics, Done done);
  void Start();
  void OnHedge();
  void OnTimeout();

 private:
  void Run(GetCore::Actions actions);
  void SendRead(size_t replica, bool digest_only);
  void SendWriteBack(size_t replica);
  void Finish(base::Result<ReadResult> result);

  Options options_;
  ReplicaPort& replicas_;
  telemetry::Metrics& metrics_;
  GetCore core_;
  Done done_;
};

}  // namespace lariat::coordinator
