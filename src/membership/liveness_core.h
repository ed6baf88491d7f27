// SPDX-License-Identifier: Apache-2.0
// Which peers are worth asking, as one shard sees it: its own connection to the peer is up, and the
// node's failure detector (detector_core.h) does not hold it for dead or unreachable. Pure.
#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <unordered_set>

namespace lariat::membership {

class LivenessCore {
 public:
  void OnConnected(uint64_t node) { connected_.insert(node); }
  void OnDisconnected(uint64_t node) { connected_.erase(node); }
  // What the detector thinks now. Shared by the shards of a node.
  void SetUnusable(std::shared_ptr<const std::set<uint64_t>> unusable) {
    unusable_ = std::move(unusable);
  }
  // Members that are being taken out of service: alive, but to be asked last.
  void SetDraining(std::shared_ptr<const std::set<uint64_t>> draining) {
    draining_ = std::move(draining);
  }
  bool IsDraining(uint64_t node) const { return draining_ && draining_->contains(node); }
  bool IsAlive(uint64_t node) const {
    return connected_.contains(node) && (!unusable_ || !unusable_->contains(node));
  }

 private:
  std::unordered_set<uint64_t> connected_;
  std::shared_ptr<const std::set<uint64_t>> unusable_;
  std::shared_ptr<const std::set<uint64_t>> draining_;
};

}  // namespace lariat::membership
