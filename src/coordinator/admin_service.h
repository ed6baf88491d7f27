// SPDX-License-Identifier: Apache-2.0
// What operators can ask of a node. Threads as KvService. Unknown things are said as unknown. What
// changes something, or shows what a client has stored, carries its Caller.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "coordinator/kv_service.h"

namespace lariat::coordinator {

struct NodeStatus {
  std::string name;
  std::string id;
  std::string state;  // joining | normal | leaving | removed
  bool alive = false;
  std::string http, resp, peer, dc, rack;
  double weight = 1.0;
  uint32_t tokens = 0;
  double owns = 0;  // share of all replicas of the default bucket's n
  bool self = false;
  bool draining = false;
  double phi = 0;           // suspicion of this node by the one that answers; 0 for itself
  std::string detector;     // "alive" | "suspect" | "dead" | "unreachable", by the one that answers
  uint64_t data_bytes = 0;  // as last heard
  // How far its wall clock is ahead of the members' time, by the one that answers; nothing: not
  // known.
  std::optional<int64_t> clock_offset_ms;
  uint64_t hints_pending_bytes = 0;  // that it keeps for others, as last heard
  // Where a second process with its identity was found: neither serves. Empty: none was.
  std::string twin;
};
// The change of the topology that is under way.
struct OperationStatus {
  uint64_t task = 0;
  std::string kind;        // join | decommission | remove | replace | reweight | replication
  std::string node;        // name; or the bucket of a change of replication
  std::string phase;       // prepare | stream | switch | undo
  int64_t started_ms = 0;  // wall clock
  uint64_t ranges_done = 0, ranges_total = 0;
  uint64_t bytes_done = 0, keys_done = 0;
  uint64_t bytes_total = 0;      // estimate; 0 = unknown
  double bytes_per_s = 0;        // lately
  std::optional<double> left_s;  // estimate
  std::string waiting_for;       // one sentence; empty if it goes on
};
struct ClusterStatus {
  std::string cluster_id;  // empty until the cluster is formed
  uint64_t epoch = 0;
  std::string answered_by;
  std::vector<NodeStatus> nodes;  // sorted by name
  std::optional<OperationStatus> operation;
  uint32_t queued = 0;  // changes that wait, staged ones included
};

// --- changes of the topology -------------------------------------------------------------------

enum class ChangeVerb : uint8_t { kDecommission, kRemove, kReweight };
struct ChangeRequest {
  ChangeVerb verb = ChangeVerb::kDecommission;
  std::string node;     // name or id
  double weight = 0;    // kReweight
  bool staged = false;  // waits for Commit
  Caller caller;
};
struct ChangeTicket {
  uint64_t task = 0;
  bool started = false;  // false: staged, or queued behind another change (`message` says which)
  std::string message;
};
using TicketDone = base::UniqueFunction<void(base::Result<ChangeTicket>)>;

struct PlannedMove {
  std::string from, to;  // names; several sources are joined by "+"
  uint64_t ranges = 0;
  double share = 0;    // of the token space
  uint64_t bytes = 0;  // estimate
};
struct PlannedOwner {
  std::string node, rack;
  double before = 0, after = 0;  // share of all replicas
};
struct PlannedChange {
  uint64_t task = 0;
  std::string kind, node;
  std::string state;  // "running" | "queued" | "staged" | "done" | "cancelled"
  std::string phase;  // while it runs
  int64_t asked_ms = 0;
};
struct ClusterPlan {
  // The running change first, then the queue in its order, then what ended lately.
  std::vector<PlannedChange> changes;
  // Of all that is not finished, as if it were done in one go.
  std::vector<PlannedMove> moves;
  std::vector<PlannedOwner> owners;  // sorted by node
  uint64_t bytes = 0;                // estimate of all moves
  double seconds = 0;                // estimate at stream.max_bytes_per_s or the rate seen last
  std::string why;  // what the first waiting change waits for; empty if nothing waits
};

struct TaskStatus {
  uint64_t task = 0;
  std::string kind, node;
  std::string state;                        // as PlannedChange::state
  std::optional<OperationStatus> progress;  // while it runs
  int64_t asked_ms = 0, ended_ms = 0;
};

// --- healing -------------------------------------------------------------------------------------

struct RepairRequest {
  std::string bucket;  // empty: all
  // Tokens in (first, second]; equal: the whole ring.
  std::optional<std::pair<uint64_t, uint64_t>> range;
  Caller caller;
};
// A range that the asked node holds, with those that hold it too.
struct RepairRange {
  std::string bucket;
  uint64_t from = 0, to = 0;          // (from, to]
  std::vector<std::string> replicas;  // names
  int64_t last_pass_ms = 0;           // wall clock; since then all agreed once; 0: never yet
  std::string state;                  // "ok" | "running" | "waits" | "dirty" | "doubt"
  std::string why;                    // what it waits for; empty if it does not
};
// A comparison with one other replica that is under way.
struct RepairSession {
  uint64_t task = 0;  // 0: nobody asked for it
  std::string partner, bucket;
  double fraction = 0;  // of the token space that is to be compared
  uint64_t keys_received = 0, keys_sent = 0, bytes_sent = 0;
  int64_t started_ms = 0;
  std::optional<double> left_s;  // estimate
};
struct HintBacklog {
  std::string target;
  uint64_t hints = 0, bytes = 0;
  int64_t oldest_ms = 0;   // wall clock when it was stored
  double bytes_per_s = 0;  // delivered lately
  std::string state;       // "waits for it" | "delivers" | ...
};
struct SweepStatus {
  int64_t last_ms = 0;  // wall clock when the last one ended; 0: none yet
  uint64_t tombstones = 0;
  uint64_t purged = 0, folded = 0;          // since the start
  std::map<std::string, uint64_t> blocked;  // records left by the last one, by reason
};
struct ScrubStatus {
  double fraction = 0;                 // of the present pass
  int64_t last_ms = 0;                 // wall clock when the last pass ended; 0: none yet
  uint64_t damaged = 0, refilled = 0;  // records, since the start
  std::string trouble;
};
struct RepairStatus {
  bool enabled = true;
  std::vector<RepairRange> ranges;  // by bucket and token
  std::optional<RepairSession> session;
  std::vector<HintBacklog> hints;  // kept by this node
  SweepStatus sweep;
  ScrubStatus scrub;
};

struct RingRange {
  uint64_t from = 0;                // exclusive
  uint64_t to = 0;                  // inclusive
  std::vector<std::string> owners;  // names, in preference order
};

struct ReplicaReport {
  std::string node;
  bool alive = false;
  std::string state;  // "found" | "absent" | "unreachable" | the error in words
  Version version;
  uint32_t siblings = 0;  // live values
  uint32_t tombstones = 0;
  uint64_t bytes = 0;  // of the stored object
  std::string digest;  // hexadecimal; equal digests = equal replicas
};
struct Explanation {
  std::string bucket, key, partition_key;
  uint64_t token = 0;
  uint32_t n = 0, r = 0, w = 0;
  std::vector<ReplicaReport> replicas;  // preference order
  std::vector<std::string> fallbacks;   // clockwise
  bool agree = false;                   // all reachable replicas hold the same
  // Why a tombstone, or an expired value, is still there; empty if the key has none.
  std::string kept_because;
};
using ExplainDone = base::UniqueFunction<void(base::Result<Explanation>)>;

struct HealthSummary {
  bool live = true;
  bool ready = false;
  std::vector<std::string> reasons;    // why not ready; empty when ready
  std::string node, version, storage;  // storage: "ok" | "disk_full" | "dead"
  uint32_t nodes_alive = 0, nodes_total = 0;
  uint64_t uptime_s = 0;
  std::string http, resp, peer;  // addresses that this node tells others
};

class AdminService {
 public:
  virtual ~AdminService() = default;
  virtual ClusterStatus Status() const = 0;
  virtual std::vector<RingRange> Ring(uint32_t n) const = 0;
  virtual void Explain(std::string bucket, std::string key, Caller caller, ExplainDone done) = 0;
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
