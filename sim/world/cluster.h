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
  // Waits until all first machines are one cluster, and makes the bucket. False if that takes too
  // long.
  bool Form();
  // Ends every fault and starts what is down and wanted.
  void EndFaults();
  // The same, and waits until every member sees every other. False if that takes too long.
  bool Heal();
  // Whether every member runs and sees every other, by the same document.
  std::string WhyNotTogether() const;  // the first machine that lacks something; empty: none does
  bool AllSeeAll() const { return WhyNotTogether().empty(); }
  // Lets virtual time pass.
  void RunFor(base::Duration duration) { scheduler_.RunUntil(scheduler_.Now() + duration); }

  size_t size() const { return machines_.size(); }
  Machine& machine(size_t index) { return *machines_[index]; }
  Scheduler& scheduler() { return scheduler_; }
  Network& network() { return *network_; }
  Trace& trace() { return trace_; }
  const Options& options() const { return options_; }
  Bug bug() const { return bug_; }

  // What the machine with the newest document works by; null before there is one.
  std::shared_ptr<const membership::View> Newest() const;
  // By what members work that hold data and are not out for good; no document twice. (Nobody waits
  // for a newcomer that holds nothing yet: it may know an old one only, and gets no quorum by it.)
  std::vector<std::shared_ptr<const membership::View>> InUse() const;
  // Machines that run and are members by the newest document.
  std::vector<size_t> Members() const;
  // The machine whose node this is or was last; nothing if there is none.
  std::optional<size_t> MachineOf(const base::Uuid& id) const;
  // Machines of the list of replicas.
  std::vector<size_t> MachinesOf(const membership::View& view,
                                 const std::vector<ring::NodeIndex>& replicas) const;
  // Machines that hold a replica of the key by the newest document. REQUIRES: Form was called.
  std::vector<size_t> Primaries(const std::string& key) const;
  // Notes which machines have left for good, in everybody's eyes; call it often.
  void NoteLeavers();
  // Whether the machine had left for good at that time.
  bool HadLeft(size_t machine, base::Instant when) const;
  std::string DataKey(const std::string& key) const;
  // Read repairs made by all nodes that run now.
  uint64_t ReadRepairs();
  // Client requests and replica requests that are still in work on any node.
  size_t Busy();
  std::string WhoIsBusy();  // for a failure's text

 private:
  config::Settings MakeSettings(size_t index) const;
  bool FirstAreMembers() const;
  bool BucketKnown();

  const Options& options_;
  Bug bug_;
  Scheduler scheduler_;
  Trace trace_;
  std::unique_ptr<Network> network_;
  std::vector<std::unique_ptr<Machine>> machines_;
  std::map<size_t, base::Instant> left_since_;
};

}  // namespace lariat::sim
