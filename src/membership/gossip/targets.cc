// SPDX-License-Identifier: Apache-2.0
#include "membership/gossip/targets.h"

#include <algorithm>

namespace lariat::membership {

std::optional<uint32_t> GossipTargets::Pick(std::span<const uint32_t> from, bool usable) {
  if (from.empty()) return std::nullopt;
  const auto fits = [&](uint32_t index) {
    return index != world_.self && world_.usable(index) == usable;
  };
  for (int i = 0; i < 8; ++i) {
    const uint32_t index = from[world_.prng.Below(from.size())];
    if (fits(index)) return index;
  }
  // Few fit: the first from a random place on.
  const size_t start = world_.prng.Below(from.size());
  for (size_t i = 0; i < from.size(); ++i) {
    const uint32_t index = from[(start + i) % from.size()];
    if (fits(index)) return index;
  }
  return std::nullopt;
}

std::vector<uint32_t> GossipTargets::RelaysOf(std::span<const uint32_t> members) const {
  std::vector<uint32_t> relays;
  for (const uint32_t index : members) {
    if (relays.size() >= counts_.relays) break;
    if (index == world_.self || world_.usable(index)) relays.push_back(index);
  }
  return relays;
}

bool GossipTargets::IsRelayOf(std::span<const uint32_t> members) const {
  const std::vector<uint32_t> relays = RelaysOf(members);
  return std::find(relays.begin(), relays.end(), *world_.self) != relays.end();
}

std::vector<uint32_t> GossipTargets::Flat() {
  std::vector<uint32_t> targets;
  for (uint32_t i = 0; i < counts_.fanout; ++i) {
    const auto target = Pick(world_.members.Everybody(), true);
    if (!target) break;
    targets.push_back(*target);
  }
  return targets;
}

std::vector<uint32_t> GossipTargets::Hierarchical() {
  const MemberList& members = world_.members;
  const uint32_t rack = members.RackOf(*world_.self);
  const uint32_t dc = members.DcOf(*world_.self);
  std::vector<uint32_t> targets;
  const auto add = [&](std::optional<uint32_t> target) {
    if (target) targets.push_back(*target);
  };
  for (uint32_t i = 0; i < counts_.fanout; ++i) add(Pick(members.Rack(rack), true));
  if (IsRelayOf(members.Rack(rack))) {
    const auto racks = members.RacksOfDc(dc);
    const uint32_t other = racks[world_.prng.Below(racks.size())];
    if (other != rack) add(Pick(RelaysOf(members.Rack(other)), true));
  }
  if (members.dcs() > 1 && IsRelayOf(members.Dc(dc))) {
    const auto other = static_cast<uint32_t>(world_.prng.Below(members.dcs()));
    if (other != dc) add(Pick(RelaysOf(members.Dc(other)), true));
  }
  // Anybody at times: it mends what a wrong picture of the relays left apart.
  if (targets.empty() || world_.prng.Below(16) == 0) add(Pick(members.Everybody(), true));
  return targets;
}

}  // namespace lariat::membership
