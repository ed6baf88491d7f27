// SPDX-License-Identifier: Apache-2.0
// What operators can ask of a node. What they are told is described in admin_replies.def: one row
// for each member of each reply. Threads as KvService. Unknown things are said as unknown. What
// changes something, or shows what a client has stored, carries its Caller.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "coordinator/kv_service.h"
#include "ring/token.h"
#include "telemetry/hot_keys.h"

namespace lariat::coordinator {

using ring::Token;
using Counts = std::map<std::string, uint64_t>;

// The replies: a struct for each LARIAT_REPLY of the table, a member for each row.
#define LARIAT_REPLY(Struct, schema, description) struct Struct {
#define LARIAT_FIELD(type, name, presence, form, description) type name{};
#define LARIAT_REPLY_END() \
  }                        \
  ;
#include "coordinator/admin_replies.def"
#undef LARIAT_REPLY
#undef LARIAT_FIELD
#undef LARIAT_REPLY_END

// --- what can be asked for ---------------------------------------------------------------------

enum class ChangeVerb : uint8_t { kDecommission, kRemove, kReweight };
struct ChangeRequest {
  ChangeVerb verb = ChangeVerb::kDecommission;
  std::string node;     // name or id
  double weight = 0;    // kReweight
  bool staged = false;  // waits for Commit
  Caller caller;
};
using TicketDone = base::UniqueFunction<void(base::Result<ChangeTicket>)>;

struct RepairRequest {
  std::string bucket;  // empty: all
  // Tokens in (first, second]; equal: the whole ring.
  std::optional<std::pair<uint64_t, uint64_t>> range;
  Caller caller;
};
using ExplainDone = base::UniqueFunction<void(base::Result<Explanation>)>;

struct HotRequest {
  telemetry::HotBy by = telemetry::HotBy::kOperations;
  uint32_t limit = 10;
  Caller caller;
};

class AdminService {
 public:
  virtual ~AdminService() = default;
  virtual ClusterStatus Status() const = 0;
  virtual std::vector<RingRange> Ring(uint32_t n) const = 0;
  virtual void Explain(std::string bucket, std::string key, Caller caller, ExplainDone done) = 0;
  // The keys that clients of the whole cluster ask for most; who does not answer in time is named.
  using HotDone = base::UniqueFunction<void(base::Result<HotKeysShown>)>;
  virtual void Hot(HotRequest request, HotDone done) = 0;
  virtual HealthSummary Health() const = 0;
  virtual std::string MetricsText() const = 0;  // Prometheus text of the whole node

  // Any node takes these; the cluster agrees on them by consensus. Refused with kConflict when they
  // cannot be (fewer nodes than a bucket's n would be left, the node to remove is alive, ...) and
  // kUnavailable when a majority of the members cannot be reached. Done when agreed, not when the
  // data has moved: Task tells of that.
  virtual void RequestChange(ChangeRequest request, TicketDone done) = 0;
  // All that is staged; kNotFound if nothing is.
  virtual void Commit(Caller caller, StatusDone done) = 0;
  // Task 0: drops what is staged, or else ends the running change. Data stays where it was.
  virtual void Cancel(uint64_t task, Caller caller, StatusDone done) = 0;
  // The bucket is gone for clients when it is done; its data follows, which Task tells of.
  // kNotFound, or kConflict: it is the default one, or a member's build is too old for it.
  virtual void DeleteBucket(std::string bucket, Caller caller, TicketDone done) = 0;
  // Switches on what this build can do and an older one cannot
  // (membership/upgrade/feature_level.h). kConflict: some member's build is older. There is no way
  // back.
  virtual void FinalizeUpgrade(Caller caller, StatusDone done) = 0;
  virtual ClusterPlan Plan() const = 0;
  virtual std::vector<TaskStatus> Tasks() const = 0;  // newest first
  // Takes this node out of service for maintenance (readyz says no, others prefer other replicas),
  // or back into it. Nothing moves. Done when requests in work have ended.
  virtual void Drain(bool on, Caller caller, StatusDone done) = 0;

  // Compares the ranges that this node holds with all their replicas now. Tasks tells of it.
  virtual void Repair(RepairRequest request, TicketDone done) = 0;
  using RepairStatusDone = base::UniqueFunction<void(RepairStatus)>;
  virtual void GetRepairStatus(RepairStatusDone done) = 0;
};

}  // namespace lariat::coordinator
