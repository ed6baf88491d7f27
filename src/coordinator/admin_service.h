// SPDX-License-Identifier: Apache-2.0
// What operators can ask of a node. Threads as KvService. Unknown things are said as unknown.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
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
};
struct ClusterStatus {
  std::string cluster_id;  // empty until the cluster is formed
  uint64_t epoch = 0;
  std::string answered_by;
  std::vector<NodeStatus> nodes;  // sorted by name
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
};
using ExplainDone = base::UniqueFunction<void(base::Result<Explanation>)>;

struct HealthSummary {
  bool live = true;
  bool ready = false;
  std::vector<std::string> reasons;    // why not ready; empty when ready
  std::string node, version, storage;  // storage: "ok" | "disk_full" | "dead"
  uint32_t nodes_alive = 0, nodes_total = 0;
  uint64_t uptime_s = 0;
};

class AdminService {
 public:
  virtual ~AdminService() = default;
  virtual ClusterStatus Status() const = 0;
  virtual std::vector<RingRange> Ring(uint32_t n) const = 0;
  virtual void Explain(std::string bucket, std::string key, ExplainDone done) = 0;
  virtual HealthSummary Health() const = 0;
  virtual std::string MetricsText() const = 0;  // Prometheus text of the whole node
};

}  // namespace lariat::coordinator
