// SPDX-License-Identifier: Apache-2.0
// Where an operation goes: its replicas by one view of the topology, and the order in which it
// numbers them; whether enough of them are alive; what a view calls
// them.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/kv_service.h"
#include "coordinator/lists.h"
#include "coordinator/ports.h"
#include "membership/topology.h"

namespace lariat::coordinator {

struct Target {
  std::shared_ptr<const membership::View> view;          // co-owned by the shards and by operations
  const membership::BucketProperties* bucket = nullptr;  // of the view
  ring::Token token;
  membership::View::Replicas replicas;

  // Of the read list and the move list.
  membership::Topology::ListNs Ns() const { return view->topology.NsOf(*bucket); }
};
// nullopt: the view has no such bucket.
std::optional<Target> FindTarget(std::shared_ptr<const membership::View> view,
                                 const std::string& bucket, ring::Token token);

// Replicas in the order in which an operation numbers them.
struct Lineup {
  std::vector<ring::NodeIndex> nodes;
  std::vector<ListSet> sets;  // of each; empty: the range does not move
  std::vector<bool> usable;   // believed alive
};
// The read list in ring order, then those that are in the move list alone.
Lineup WriteLineup(const Target& target, const ReplicaPort& replicas);
// In the order to ask: those in both lists, in the read list alone, in the move list alone; among
// these this node first, for it costs no message, and who is not preferred last. Without
// `with_move_list` the read list alone.
Lineup ReadLineup(const Target& target, const ReplicaPort& replicas, bool with_move_list);

// Who may stand in for replicas that are down: live nodes that hold the key in neither list, in
// ring order, those not preferred last. This node too, if it is no replica.
std::vector<ring::NodeIndex> FallbacksOf(const Target& target, const ReplicaPort& replicas);
// Fallbacks of a read come behind its read list; their lists are those of whom they stand in for.
void AddFallbacks(const std::vector<ring::NodeIndex>& fallbacks, Lineup* lineup);

// Of one list.
struct Demand {
  uint32_t nodes = 0;      // fallbacks count if the quorum is sloppy
  uint32_t primaries = 0;  // of them
};
// kInsufficientReplicas, with what is short, if too few of the target's replicas are alive.
// `with_fallbacks`: the quorum is sloppy and nodes may keep what is for others. `in_move`: of the
// move list, if there is one.
base::Status CheckAlive(const Target& target, const ReplicaPort& replicas, Demand read,
                        Demand in_move, bool with_fallbacks);

// Events by the number of their node to events by its name, as people see them.
Version NameVersion(const std::map<uint64_t, uint64_t>& version, const membership::View& view);

}  // namespace lariat::coordinator
