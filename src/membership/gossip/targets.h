// SPDX-License-Identifier: Apache-2.0
// Which members a round of gossip goes to. Flat: some at random. Hierarchical: some of the own
// rack; its relays also ask a relay of another rack, those of the datacenter one of another
// datacenter. Pure but for the draws.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "base/prng.h"
#include "membership/gossip/member_list.h"

namespace lariat::membership {

class GossipTargets {
 public:
  struct World {
    const MemberList& members;
    std::optional<uint32_t> self;  // its place among them
    std::function<bool(uint32_t)> usable;
    base::Prng& prng;
  };
  struct Counts {
    uint32_t fanout;
    uint32_t relays;  // of a rack, and of a datacenter
  };
  GossipTargets(World world, Counts counts) : world_(std::move(world)), counts_(counts) {}

  // Perhaps some of them twice.
  std::vector<uint32_t> Flat();
  std::vector<uint32_t> Hierarchical();  // REQUIRES: the node is a member
  // One of those that are not usable, at random.
  std::optional<uint32_t> Lost() { return Pick(world_.members.Everybody(), false); }

 private:
  std::optional<uint32_t> Pick(std::span<const uint32_t> from, bool usable);
  std::vector<uint32_t> RelaysOf(std::span<const uint32_t> members) const;
  bool IsRelayOf(std::span<const uint32_t> members) const;

  World world_;
  Counts counts_;
};

}  // namespace lariat::membership
