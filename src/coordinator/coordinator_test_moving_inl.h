// SPDX-License-Identifier: Apache-2.0
// Bodies of coordinator_test_util.h that are about topologies on the move; it includes this file at
// its end.
#pragma once

#include <string>

#include "coordinator/coordinator_test_util.h"

namespace lariat::coordinator {

inline membership::Topology TestCluster::Moving(membership::Phase phase) const {
  membership::Topology topology = before_;
  topology.epoch += 1 + static_cast<uint64_t>(phase);
  topology.fence = topology.epoch;
  topology.operation = membership::Operation{{}, phase, 0};
  return topology;
}

inline membership::Topology TestCluster::After() const {
  membership::Topology topology = before_;
  topology.epoch += 10;
  topology.fence = topology.epoch;
  for (membership::Member& member : topology.members) member.tokens = member.next_tokens;
  return topology;
}

inline membership::View::Replicas TestCluster::ListsOf(const std::string& key) const {
  const auto view = membership::MakeView(Moving(membership::Phase::kPrepare), membership::IdOf(1));
  return view->ReplicasOf(ring::TokenOf(key), bucket_);
}

inline std::string TestCluster::KeyWhere(
    const std::function<bool(const membership::View::Replicas&)>& wanted) const {
  for (int i = 0;; ++i) {
    std::string key = "moving" + std::to_string(i);
    if (wanted(ListsOf(key))) return key;
  }
}

inline void TestCluster::SetTopology(size_t node, const membership::Topology& topology) {
  nodes_[node]->SetView(membership::MakeView(topology, topology.members[node].id));
}

inline void TestCluster::SetTopology(const membership::Topology& topology) {
  for (size_t i = 0; i < nodes_.size(); ++i) SetTopology(i, topology);
}

}  // namespace lariat::coordinator
