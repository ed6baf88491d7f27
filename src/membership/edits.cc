// SPDX-License-Identifier: Apache-2.0
#include "membership/internal/edits.h"

#include <utility>

namespace lariat::membership {

Member* FindMember(Topology* topology, const base::Uuid& id) {
  for (Member& member : topology->members) {
    if (member.id == id) return &member;
  }
  return nullptr;
}

bool IsGivenUp(const Topology& topology, const base::Uuid& id) {
  const Member* member = topology.Find(id);
  return member != nullptr && member->given_up;
}

void TakeOut(Topology* topology, const base::Uuid& id) {
  const Member* member = topology->Find(id);
  if (member == nullptr) return;
  topology->removed.push_back({id, member->name, topology->epoch});
  std::erase_if(topology->members, [&id](const Member& m) { return m.id == id; });
}

void Finish(Topology* topology, Change change, bool done, base::WallTime when) {
  topology->finished.push_back({std::move(change), done, when.ms});
  if (topology->finished.size() > kFinishedMax) {
    topology->finished.erase(topology->finished.begin());
  }
}

void Drop(Topology* topology, const Change& change, base::WallTime when) {
  if (IsJoin(change)) {
    TakeOut(topology, change.node);
  } else if (Member* member = FindMember(topology, change.node)) {
    member->state = MemberState::kNormal;
  }
  for (Member& member : topology->members) member.next_tokens.clear();
  Finish(topology, change, false, when);
}

}  // namespace lariat::membership
