// SPDX-License-Identifier: Apache-2.0
// The simulated world of one run: time, network, machines, and the cluster that runs on them with
// one bucket for the traffic.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "sim/world/machine.h"

namespace lariat::sim {

inline constexpr const char* kBucket = "b";

class Cluster {
 public:
  Cluster(const Options& options, uint64_t seed, Bug bug, bool recording, Disk::OnRecord on_record);

  void StartAll();
  // Waits until all machines are one cluster, and makes the bucket. False if that takes too long.
  bool Form();
  // Ends every fault and starts what is down. False if the nodes do not find together again.
  bool Heal();
  // Lets virtual time pass.
  void RunFor(base::Duration duration) { scheduler_.RunUntil(scheduler_.Now() + duration); }

  size_t size() const { return machines_.size(); }
  Machine& machine(size_t index) { return *machines_[index]; }
  Scheduler& scheduler() { return scheduler_; }
  Network& network() { return *network_; }
  Trace& trace() { return trace_; }
  const Options& options() const { return options_; }
  Bug bug() const { return bug_; }

  // Machines that hold a replica of the key. REQUIRES: Form was called.
  const std::vector<size_t>& Primaries(const std::string& key);
  std::string DataKey(const std::string& key) const;
  // Read repairs made by all nodes that run now.
  uint64_t ReadRepairs();
  // Client requests and replica requests that are still in work on any node.
  size_t Busy();

 private:
  config::Settings MakeSettings(size_t index) const;
  bool AllSeeAll() const;
  bool BucketKnown();

  const Options& options_;
  Bug bug_;
  Scheduler scheduler_;
  Trace trace_;
  std::unique_ptr<Network> network_;
  std::vector<std::unique_ptr<Machine>> machines_;
  std::shared_ptr<const membership::View> view_;  // co-owned by the node that made it
  std::map<std::string, std::vector<size_t>> primaries_;
};

}  // namespace lariat::sim
