// SPDX-License-Identifier: Apache-2.0
#include "repair/plan.h"

#include <algorithm>

#include "base/check.h"

namespace lariat::repair {

using membership::BucketProperties;
using membership::View;

namespace {

void AddStreams(const View& view, const BucketProperties& bucket, TransferPlan* plan) {
  for (const ring::Move& move : view.MovesOf(bucket)) {
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
  for (const auto& [name, bucket] : view.topology.buckets) AddStreams(view, bucket, &plan);
  return plan;
}

InDoubtPlan PlanInDoubt(const View& view) {
  LARIAT_CHECK(view.topology.operation && view.next, "ranges move while an operation is under way");
  InDoubtPlan plan;
  for (const auto& [name, bucket] : view.topology.buckets) {
    for (const ring::Move& move : view.MovesOf(bucket)) {
      const bool gives =
          std::find(move.sources.begin(), move.sources.end(), view.self) != move.sources.end();
      if (!gives || !move.from_all) continue;
      plan.insert({view.MemberAt(move.receiver).Number(), bucket.id, move.range});
    }
  }
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
