// SPDX-License-Identifier: Apache-2.0
// A few gossiping nodes for the tests of this folder.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "membership/gossip_core.h"

namespace lariat::membership {

constexpr base::WallTime kGossipNow{1'800'000'000'000};

inline base::Uuid GossipId(uint64_t number) { return {number * 0x9e3779b97f4a7c15, number}; }

inline std::shared_ptr<const MemberList> GossipMembers(uint64_t count, uint64_t per_rack = 1000) {
  std::vector<GossipMember> members;
  for (uint64_t i = 1; i <= count; ++i) {
    members.push_back({GossipId(i), "dc1", "rack" + std::to_string((i - 1) / per_rack)});
  }
  return MemberList::Make(std::move(members));
}

inline GossipOptions GossipOptionsOf(uint64_t number, uint64_t generation = 100) {
  GossipOptions options;
  options.self = GossipId(number);
  options.generation = generation;
  return options;
}

inline GossipCore MakeGossip(uint64_t number, std::shared_ptr<const MemberList> members,
                             uint64_t generation = 100) {
  GossipCore core(GossipOptionsOf(number, generation), base::Prng(number));
  core.SetMembers(std::move(members));
  return core;
}

// The SYN of one tick that goes to `to`; ticks until there is one.
inline std::string SynTo(GossipCore* core, const base::Uuid& to) {
  for (;;) {
    for (GossipSend& send : core->OnTick()) {
      if (send.to == to) return std::move(send.frame);
    }
  }
}

// SYN, ACK and ACK2 between two nodes, all delivered.
inline void Exchange(GossipCore* asker, uint64_t asker_number, GossipCore* asked,
                     uint64_t asked_number, base::WallTime now = kGossipNow) {
  const std::string syn = SynTo(asker, GossipId(asked_number));
  const auto ack = asked->OnSyn(GossipId(asker_number), syn, now);
  if (!ack) return;
  const auto ack2 = asker->OnAck(GossipId(asked_number), *ack, now);
  if (ack2) asked->OnAck2(GossipId(asker_number), *ack2, now);
}

}  // namespace lariat::membership
