// SPDX-License-Identifier: Apache-2.0
// One write under way at its coordinator: the shell of PutCore. Held alive by the callbacks it has
// given out. If the topology changes after the event was made, the same object goes on to the new
// replicas: one client write stays one event. When it is over, replicas that missed it are owed it.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/internal/op_context.h"
#include "coordinator/kv_service.h"
#include "coordinator/plan.h"
#include "coordinator/put_core.h"
#include "coordinator/quorum.h"

namespace lariat::coordinator {

class WriteOp : public std::enable_shared_from_this<WriteOp> {
 public:
  struct Options {
    Quorum quorum;
    size_t self = 0;  // this node's index in the lineup
    // This node is no replica: it stands in for that one, and is the first of the fallbacks.
    bool is_fallback = false;
    std::vector<ring::NodeIndex> fallbacks;
    std::shared_ptr<const membership::View> view;
    const membership::BucketProperties* bucket = nullptr;  // of the view
    Lineup lineup;
    base::Duration timeout{};
    // The event's stamp is ours to choose, and was chosen without asking others (PutCore).
    bool ordered = false;
  };
  // Not null: the own replica refused the update as stale. Nothing was done, and the write has to
  // be planned again, with the request that is given back.
  using Stale = std::unique_ptr<UpdateRequest>;
  using Done = base::UniqueFunction<void(base::Result<WriteReply>, Stale)>;

  WriteOp(Options options, UpdateRequest update, OpContext& context, Done done);
  void Start();
  // Call at the deadline, also of a write that is done: then its last requests end.
  void OnTimeout();

 private:
  // A request to a replica, or to the fallback in its place; kept to be sent again.
  struct Sent {
    size_t replica;
    size_t fallback;
    uint32_t attempt;
    uint32_t round;  // of PutCore: what is said of an earlier one says nothing now
  };

  void OnUpdate(base::Result<UpdateResult> result);
  void Run(const PutCore::Actions& actions);
  void Answer();
  ring::NodeIndex NodeOf(const Sent& sent) const;
  void SendWrite(Sent sent);
  void OnWriteReply(Sent sent, const wire::WriteReply& reply);
  void OnStale(Sent sent, uint64_t fence);
  void SendAgain(Sent sent);
  void OnDurable(const base::Status& status);
  void Restamp(bool unless_shown, uint32_t attempt);
  void OnRestamp(bool unless_shown, uint32_t attempt, base::Result<UpdateResult> result);
  void OnStaleRestamp(bool unless_shown, uint32_t attempt);
  void Owe(size_t replica);
  void CatchUp();
  Lineup Renumber(const Target& target) const;
  void Finish(base::Result<WriteReply> reply, Stale stale = nullptr);

  Options options_;
  UpdateRequest update_;  // its key and flags serve the replication messages too
  UpdateResult result_;
  std::optional<UpdateResult> restamped_;  // not durable yet
  bool held_back_ = false;                 // nobody has been sent the event yet
  base::WallTime written_;
  OpContext& context_;
  ReplicaPort& replicas_;
  telemetry::Metrics& metrics_;
  PutCore core_;
  bool expired_ = false;
  Done done_;
};

}  // namespace lariat::coordinator
