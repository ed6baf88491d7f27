// SPDX-License-Identifier: Apache-2.0
#include "repair/plan.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "membership/membership_test_util.h"

namespace lariat::repair {
namespace {

using membership::ChangeKind;
using membership::IdOf;

constexpr uint64_t kSteps = 512;

// Nodes 1 to 4 on an even ring; 5 is about to join.
membership::Topology Joining() {
  auto document = membership::MakeDocument(5, 10, true);
  uint64_t place = 0;
  for (membership::Member& member : document.members) {
    member.tokens.clear();
    for (uint64_t i = 0; i < 4; ++i) member.tokens.push_back({(i * 5 + place) << 59});
    member.next_tokens = member.tokens;
    if (member.id == IdOf(5)) member.tokens.clear();
    ++place;
  }
  membership::Operation operation;
  operation.change.number = 9;
  operation.change.kind = ChangeKind::kJoin;
  operation.change.node = IdOf(5);
  operation.phase = membership::Phase::kStream;
  document.operation = operation;
  auto small = membership::MakeBucket("small");
  small.n = 1;
  small.r = small.w = 1;
  document.buckets.emplace("small", small);
  return document;
}

bool Holds(const ring::Ring& ring, uint32_t n, ring::NodeIndex node, ring::Token token) {
  const auto& owners = ring.Primaries(token, n).primaries;
  return std::find(owners.begin(), owners.end(), node) != owners.end();
}

TEST(PlanTransfer, CoversWhatANewNodeGainsAndNothingElse) {
  const auto view = membership::MakeView(Joining(), IdOf(5));
  const TransferPlan plan = PlanTransfer(*view);
  EXPECT_EQ(plan.change, 9U);
  EXPECT_EQ(plan.lost, 0U);
  for (const auto& [name, bucket] : view->topology.buckets) {
    for (uint64_t step = 0; step < kSteps; ++step) {
      const ring::Token token = {step * (UINT64_MAX / kSteps) + 7};
      std::set<uint64_t> sources;
      for (const Stream& stream : plan.streams) {
        if (stream.bucket != bucket.id || !stream.range.Contains(token)) continue;
        EXPECT_TRUE(sources.insert(stream.source).second);
        const ring::NodeIndex source = view->by_number.at(stream.source);
        EXPECT_TRUE(Holds(view->ring, bucket.n, source, token));
        EXPECT_TRUE(plan.names.contains(stream.source));
      }
      EXPECT_EQ(!sources.empty(), Holds(*view->next, bucket.n, view->self, token));
    }
  }
}

TEST(PlanTransfer, OldMembersGainNothingFromAJoin) {
  EXPECT_TRUE(PlanTransfer(*membership::MakeView(Joining(), IdOf(1))).streams.empty());
}

TEST(PlanTransfer, ADeadNodeIsNoSource) {
  auto document = Joining();
  for (membership::Member& member : document.members) {
    // 5 has joined, 2 is dead.
    member.tokens = member.next_tokens;
    if (member.id == IdOf(2)) member.next_tokens.clear();
  }
  document.operation->change.kind = ChangeKind::kRemove;
  document.operation->change.node = IdOf(2);
  uint64_t lost = 0;
  size_t streams = 0;
  for (const uint64_t number : {1, 3, 4, 5}) {
    const TransferPlan plan = PlanTransfer(*membership::MakeView(document, IdOf(number)));
    for (const Stream& stream : plan.streams) EXPECT_NE(stream.source, IdOf(2).high);
    lost += plan.lost;
    streams += plan.streams.size();
  }
  EXPECT_GT(streams, 0U);
  EXPECT_GT(lost, 0U) << "what the dead node alone held";
}

TEST(PlanInDoubt, IsWhatIsCopiedFromAllOtherHoldersToo) {
  auto document = Joining();
  const uint32_t small = membership::BucketIdOf("small");
  // A join takes places: what its leavers hold, and nothing else. One holder alone is all of them.
  for (const auto& [to, bucket, range] : PlanInDoubt(*membership::MakeView(document, IdOf(3)))) {
    EXPECT_EQ(to, IdOf(5).high);
    EXPECT_EQ(bucket, small);
  }
  for (membership::Member& member : document.members) {
    member.tokens = member.next_tokens;
    if (member.id == IdOf(2)) member.next_tokens.clear();
  }
  document.operation->change.kind = ChangeKind::kRemove;
  document.operation->change.node = IdOf(2);
  const InDoubtPlan given = PlanInDoubt(*membership::MakeView(document, IdOf(3)));
  size_t asked = 0;
  for (const uint64_t number : {1, 4, 5}) {
    for (const Stream& stream :
         PlanTransfer(*membership::MakeView(document, IdOf(number))).streams) {
      if (stream.source != IdOf(3).high) continue;
      ++asked;
      EXPECT_TRUE(given.contains({IdOf(number).high, stream.bucket, stream.range}));
    }
  }
  EXPECT_GT(asked, 0U);
}

TEST(PlanCleaner, IsWhatTheNodeDoesNotHold) {
  auto document = Joining();
  document.operation.reset();
  document.fence = 4;
  for (const uint64_t number : {1, 5}) {
    const auto view = membership::MakeView(document, IdOf(number));
    const CleanerPlan plan = PlanCleaner(*view);
    EXPECT_EQ(plan.fence, 4U);
    for (const auto& [name, bucket] : view->topology.buckets) {
      for (uint64_t step = 0; step < kSteps; ++step) {
        const ring::Token token = {step * (UINT64_MAX / kSteps) + 7};
        const auto covers = [&](const CleanerPlan::Item& item) {
          return item.bucket == bucket.id && item.range.Contains(token);
        };
        const bool removed = std::any_of(plan.items.begin(), plan.items.end(), covers);
        EXPECT_EQ(removed, !Holds(view->ring, bucket.n, view->self, token));
      }
    }
  }
}

}  // namespace
}  // namespace lariat::repair
