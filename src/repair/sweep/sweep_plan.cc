// SPDX-License-Identifier: Apache-2.0
#include "repair/sweep/sweep_plan.h"

#include <algorithm>
#include <optional>

#include "base/check.h"
#include "membership/drive_core.h"

namespace lariat::repair {

using membership::View;

namespace {

// Those in front of this node; nothing if it holds no replica.
std::optional<std::vector<uint64_t>> Before(const View& view,
                                            const std::vector<ring::NodeIndex>& primaries) {
  std::vector<uint64_t> before;
  for (const ring::NodeIndex i : primaries) {
    if (i == view.self) return before;
    before.push_back(view.MemberAt(i).Number());
  }
  return std::nullopt;
}

void AddRanges(const View& view, const membership::BucketProperties& bucket, SweepPlan* plan) {
  for (const ring::Ring::Range& range : view.ring.Ranges(bucket.n)) {
    const auto& primaries = range.owners.primaries;
    const auto before = Before(view, primaries);
    if (!before) continue;
    std::vector<uint64_t> replicas;
    for (const ring::NodeIndex i : primaries) replicas.push_back(view.MemberAt(i).Number());
    std::sort(replicas.begin(), replicas.end());
    const auto add = [&](const ring::TokenRange& part) {
      plan->items.push_back({bucket.id, bucket.gc_grace_s, part, replicas, *before});
    };
    const ring::Token end = {UINT64_MAX};
    if (range.from < range.to) {
      add({range.from, range.to});
      continue;
    }
    // Over zero: cut there.
    if (range.from != end) add({range.from, end});
    add({end, range.to});
  }
}

}  // namespace

SweepPlan PlanSweep(const View& view) {
  LARIAT_CHECK(!view.topology.operation, "nothing is swept while ranges move");
  SweepPlan plan;
  plan.fence = view.fence();
  plan.self = view.MemberAt(view.self).Number();
  for (const base::Uuid& id : membership::Participants(view.topology)) {
    plan.members.push_back(id.high);
  }
  // A node without data sweeps nothing.
  if (std::find(plan.members.begin(), plan.members.end(), plan.self) == plan.members.end()) {
    return plan;
  }
  for (const auto& [name, bucket] : view.topology.buckets) AddRanges(view, bucket, &plan);
  return plan;
}

}  // namespace lariat::repair
