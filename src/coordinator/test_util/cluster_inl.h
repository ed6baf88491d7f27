// SPDX-License-Identifier: Apache-2.0
// The bodies of TestCluster in coordinator_test_util.h.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "coordinator/coordinator_test_util.h"

namespace lariat::coordinator {

inline TestCluster::TestCluster(Options options)
    : alive(options.nodes, true), draining(options.nodes, false) {
  membership::Topology topology = membership::MakeDocument(options.nodes, 1, options.sealed);
  base::Prng prng(5);
  for (membership::Member& member : topology.members) {
    std::vector<ring::Token> tokens;
    for (int t = 0; t < 16; ++t) tokens.push_back({prng.Next()});
    std::sort(tokens.begin(), tokens.end());
    const bool spare = member.id.low > options.nodes - options.spare;
    member.tokens = spare ? std::vector<ring::Token>() : tokens;
    member.next_tokens = std::move(tokens);
  }
  topology.fence = topology.epoch;
  bucket_ = membership::MakeBucket("default");
  bucket_.n = options.n;
  bucket_.r = options.r;
  bucket_.w = options.w;
  bucket_.conflict = options.kind;
  bucket_.ttl_s = options.ttl_s;
  bucket_.sloppy = options.sloppy;
  bucket_.allow_eventual = bucket_.Eventual();
  bucket_.read_repair = options.read_repair;
  topology.buckets["default"] = bucket_;
  before_ = topology;
  for (size_t i = 0; i < options.nodes; ++i) {
    views_.push_back(membership::MakeView(topology, topology.members[i].id));
    nodes_.push_back(std::make_unique<TestNode>(*this, i, views_.back()));
    topology.sealed = true;
    nodes_.back()->sealed_view = membership::MakeView(topology, topology.members[i].id);
    topology.sealed = options.sealed;
  }
}

inline membership::Topology TestCluster::Moving(membership::Phase phase) const {
  membership::Topology topology = before_;
  topology.epoch += 1 + static_cast<uint64_t>(phase);
  topology.fence = topology.epoch;
  topology.operation = membership::Operation{{}, phase, 0};
  return topology;
}

inline membership::Topology TestCluster::After() const {
  membership::Topology topology = before_;
  topology.fence = topology.epoch += 10;
  for (membership::Member& member : topology.members) member.tokens = member.next_tokens;
  return topology;
}

inline membership::View::Replicas TestCluster::ListsOf(const std::string& key) const {
  return membership::MakeView(Moving(membership::Phase::kPrepare), membership::IdOf(1))
      ->ReplicasOf(ring::TokenOf(key), bucket_);
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

inline std::string TestCluster::KeyNotOn(size_t node) const {
  for (int i = 0;; ++i) {
    std::string key = "key" + std::to_string(i);
    const auto nodes = NodesOf(key);
    if (std::find(nodes.begin(), nodes.end(), node) == nodes.end()) return key;
  }
}

template <typename Replica>
void TickOf(Replica& replica, base::Instant now) {
  if constexpr (requires { replica.Tick(now); }) {
    replica.Tick(now);
  } else {
    replica.Tick();
  }
}

inline void TestCluster::Advance(int64_t ms) {
  for (int64_t step = 0; step < ms; step += 5) {
    now_ += base::Millis(5);
    wall.ms += 5;
    late_.Expire(now_, [](const std::function<void()>& due) { due(); });
    for (auto& node : nodes_) {
      node->coordinator.Tick(now_);
      TickOf(node->replica, now_);
    }
    RunAll();
  }
}

}  // namespace lariat::coordinator
