// SPDX-License-Identifier: Apache-2.0
// The arithmetic of `lariat plan`: how many nodes a load needs, what each of them is filled with,
// and what runs out first. Pure; every factor is an input or is told among the assumptions, so that
// a reader can redo the sum. Sizes are bytes, shares are 0 to 1.
#pragma once

#include <boost/json/object.hpp>
#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"

namespace lariat::cli {

struct PlanInput {
  double records = 0;
  double key_bytes = 32;
  double value_bytes = 1024;
  uint32_t replication = 3;
  double ops_per_s = 0;
  double read_share = 0.5;
  uint64_t nodes = 0;  // 0 finds the smallest number

  // What one node has; 0 = not limited.
  double disk_bytes = 0;
  double memory_bytes = 0;
  double cores = 0;
  double network_bytes_per_s = 0;  // between nodes, in each direction

  // CPU of one operation, added up over all nodes that take part.
  double cpu_us_per_write = 150;
  double cpu_us_per_read = 100;
  double compression = 1.0;          // stored size of keys and values / their size; 1 = none
  double space_amplification = 1.2;  // leveled compaction: 1.1 to 1.3
  double write_amplification = 10;   // bytes written to disk / bytes stored, without the log
  double filter_bits_per_key = 10;
  double hot_share = 0.1;   // of the data, wanted in the block cache
  double imbalance = 0.05;  // how far the fullest node is above the mean

  // Kept free while all nodes are up: for compaction, repair and peaks.
  double disk_headroom = 0.3;
  double memory_headroom = 0.2;
  double cpu_headroom = 0.4;
  double network_headroom = 0.4;
  bool survive_node_loss = true;  // the nodes left must carry everything without the headroom
};

// One thing that a node can run out of.
struct PlanDemand {
  std::string resource;         // "disk", "memory", "cpu", "network"
  std::string unit;             // "bytes", "cores", "bytes/s"
  double per_node = 0;          // on the fullest node
  double per_node_on_loss = 0;  // the same with one node gone and its share taken over
  double available = 0;         // what a node has; 0 = not limited
  double usable = 0;            // of that, while all nodes are up
  double usable_on_loss = 0;
  uint64_t nodes_needed = 1;
  bool fits = true;  // with all nodes up
  bool fits_on_loss = true;
};

struct PlanResult {
  PlanInput input;
  uint64_t nodes = 0;  // as given, or found
  uint64_t nodes_needed = 0;
  std::string binds;  // what asks for that many: a resource, or "replication"
  bool fits = false;  // nodes >= nodes_needed
  std::vector<PlanDemand> demands;

  // One record on one node: with all overhead, and before space amplification.
  double record_bytes = 0;
  double overhead_bytes = 0;  // of it, neither key nor value
  // The fullest node.
  double records_per_node = 0;
  double filter_bytes = 0;
  double index_bytes = 0;
  double fixed_memory_bytes = 0;
  double block_cache_bytes = 0;       // suggestion for storage.block_cache_bytes
  double hot_share_cached = 0;        // of the data, with that cache
  double log_bytes_per_s = 0;         // write-ahead log
  double disk_write_bytes_per_s = 0;  // log, flush and compaction
  double replication_bytes_per_s = 0;
  // All nodes.
  double data_bytes = 0;    // keys and values, one copy
  double stored_bytes = 0;  // on disk, all copies
  double cluster_replication_bytes_per_s = 0;

  bool survives_node_loss = false;
  std::string on_loss;  // what happens then, in a sentence
  std::vector<std::string> assumptions;
};

// kInvalidArgument names the field and what it may be.
base::Result<PlanResult> Plan(const PlanInput& input);
std::string RenderPlanTable(const PlanResult& result);
boost::json::object RenderPlanJson(const PlanResult& result);

}  // namespace lariat::cli
