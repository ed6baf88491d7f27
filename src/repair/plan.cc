// SPDX-License-Identifier: Apache-2.0
#include "repair/plan.h"

#include "base/check.h"
#include "ring/diff.h"

namespace lariat::repair {

using membership::BucketProperties;
using membership::View;

namespace {

void AddStreams(const View& view, const BucketProperties& bucket,
                const std::vector<ring::NodeIndex>& gone, TransferPlan* plan) {
  const auto moves = ring::Diff(view.ring, bucket.n, *view.next, view.topology.NextN(bucket), gone);
  for (const ring::Move& move : moves) {
    if (move.receiver != view.self) continue;
    if (move.sources.empty()) ++plan->lost;
    for (const ring::NodeIndex source : move.sources) {
      const membership::Member& member = view.MemberAt(source);
      plan->streams.push_back({bucket.id, move.range, member.Number()});
      plan->names[member.Number()] = member.name;
    }
  }
}

}  // namespace

TransferPlan PlanTransfer(const View& view) {
  LARIAT_CHECK(view.topology.operation && view.next, "ranges move while an operation is under way");
  TransferPlan plan;
  plan.change = view.topology.operation->change.number;
  std::vector<ring::NodeIndex> gone;
  for (ring::NodeIndex i = 0; i < view.topology.members.size(); ++i) {
    if (view.topology.IsGone(view.MemberAt(i).id)) gone.push_back(i);
  }
  for (const auto& [name, bucket] : view.topology.buckets) AddStreams(view, bucket, gone, &plan);
  return plan;
}

CleanerPlan PlanCleaner(const View& view) {
  LARIAT_CHECK(!view.topology.operation, "nothing is removed while ranges may move back");
  CleanerPlan plan;
  plan.fence = view.fence();
  for (const auto& [name, bucket] : view.topology.buckets) {
    for (const ring::TokenRange& range : ring::NotOwnedRanges(view.ring, bucket.n, view.self)) {
      plan.items.push_back({bucket.id, range});
    }
  }
  return plan;
}

}  // namespace lariat::repair
