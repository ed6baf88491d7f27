// SPDX-License-Identifier: Apache-2.0
// Where an operation goes: its replicas by one view of the topology, and the order in which it
// numbers them. What it does when a replica's topology turns out to be another one.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "coordinator/lists.h"
#include "coordinator/ports.h"
#include "membership/topology.h"

namespace lariat::coordinator {

struct Target {
  std::shared_ptr<const membership::View> view;          // co-owned by the shards and by operations
  const membership::BucketProperties* bucket = nullptr;  // of the view
  ring::Token token;
  membership::View::Replicas replicas;

  // Replicas per key in the other list.
  uint32_t NextN() const { return view->topology.NextN(*bucket); }
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
// The read list in ring order, then those that are in the other list alone.
Lineup WriteLineup(const Target& target, const ReplicaPort& replicas);
// In the order to ask: those in both lists, in the read list alone, in the other alone; among these
// this node first, for it costs no message, and who is not preferred last. Without `with_other`
// the read list alone.
Lineup ReadLineup(const Target& target, const ReplicaPort& replicas, bool with_other);

// Who may stand in for replicas that are down: live nodes that hold the key in neither list, in
// ring order, those not preferred last. This node too, if it is no replica.
std::vector<ring::NodeIndex> SparesOf(const Target& target, const ReplicaPort& replicas);
// Spares of a read come behind its read list; their lists are those of whom they stand in for.
void AddSpares(const std::vector<ring::NodeIndex>& spares, Lineup* lineup);

// What an operation needs of its coordinator when a replica refuses it as stale (kStaleEpoch).
class Replanner {
 public:
  virtual ~Replanner() = default;
  // The present view, if its fence is greater than that of the one planned by: plan again with it.
  virtual std::shared_ptr<const membership::View> NewerThan(const membership::View& planned) = 0;
  // The refused node may be behind, or ahead of us without our knowing how: has the documents
  // exchanged and calls `again` once this shard has a new view, or after a while that grows with
  // `attempt`.
  virtual void WaitFor(const std::shared_ptr<const membership::View>& planned, ring::NodeIndex node,
                       uint32_t attempt, std::function<void()> again) = 0;
};

}  // namespace lariat::coordinator
