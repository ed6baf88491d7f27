// SPDX-License-Identifier: Apache-2.0
// One write under way at its coordinator: the shell of PutCore. Held alive by the callbacks it has
// given out.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "coordinator/kv_service.h"
#include "coordinator/ports.h"
#include "coordinator/put_core.h"
#include "telemetry/metrics.h"

namespace lariat::coordinator {

// A client's put or delete, whatever way it came.
struct WriteIntent {
  PutRequest put;  // a delete uses the fields that it shares with a put
  bool is_delete = false;
  bool forwarded = false;  // another node has handed it to this one
};

class WriteOp : public std::enable_shared_from_this<WriteOp> {
 public:
  struct Options {
    PutCore::Options core;
    std::vector<ring::NodeIndex> nodes;  // the preference list
    std::vector<bool> usable;
    base::Duration timeout{};
    std::shared_ptr<const membership::View> view;
  };
  WriteOp(Options options, UpdateRequest update, ReplicaPort& replicas, telemetry::Metrics& metrics,
          WriteDone done);
  void Start();
  void OnTimeout();

 private:
  void OnUpdate(base::Result<UpdateResult> result);
  void Run(const PutCore::Actions& actions);
  void SendWrite(size_t replica);
  void OnWriteReply(size_t replica, const wire::WriteReply& reply);
  void Finish(base::Result<WriteReply> reply);

  Options options_;
  UpdateRequest update_;  // its key and flags serve the replication messages too
  UpdateResult result_;
  base::WallTime written_;
  ReplicaPort& replicas_;
  telemetry::Metrics& metrics_;
  PutCore core_;
  WriteDone done_;
};

// The reply that an earlier write with the same Idempotency-Key was recorded with.
base::Result<WriteReply> ReplayedReply(const std::string& answer, const membership::View& view);

}  // namespace lariat::coordinator
