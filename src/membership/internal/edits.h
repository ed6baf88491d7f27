// SPDX-License-Identifier: Apache-2.0
// Small edits of a document that several changes share. Pure.
#pragma once

#include "base/time.h"
#include "membership/topology.h"

namespace lariat::membership {

Member* FindMember(Topology* topology, const base::Uuid& id);  // null if there is none
bool IsGivenUp(const Topology& topology, const base::Uuid& id);
// The member goes and its identity never returns. Nothing if there is no such member.
void TakeOut(Topology* topology, const base::Uuid& id);
void Finish(Topology* topology, Change change, bool done, base::WallTime when);
// The change is over before it began, or is undone: what it brought goes.
void Drop(Topology* topology, const Change& change, base::WallTime when);

inline bool IsJoin(const Change& change) {
  return change.kind == ChangeKind::kJoin || change.kind == ChangeKind::kReplace;
}
inline bool TakesOut(const Change& change) {
  return change.kind == ChangeKind::kLeave || change.kind == ChangeKind::kRemove;
}

}  // namespace lariat::membership
