// SPDX-License-Identifier: Apache-2.0
#include "membership/change_core.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "membership/membership_test_util.h"

namespace lariat::membership {
namespace {

using base::Code;
using testing::HasSubstr;

Asked AskedWhile(std::set<uint64_t> dead) {
  return {{1000}, [dead = std::move(dead)](const base::Uuid& id) {
            for (const uint64_t number : dead) {
              if (id == IdOf(number)) return false;
            }
            return true;
          }};
}

const Asked kAllAlive = AskedWhile({});

Topology Sealed(uint64_t count) {
  Topology topology = MakeDocument(count, 5, true);
  topology.fence = 5;
  return topology;
}

Change About(ChangeKind kind, uint64_t number) { return {.kind = kind, .node = IdOf(number)}; }

TEST(AskToJoin, ANewcomerIsTakenInAndWaitsForItsTurn) {
  const Topology now = Sealed(3);
  const Next next = AskToJoin(now, MakeMember(4), "", kAllAlive);
  ASSERT_TRUE(next && *next) << next.error().message;
  EXPECT_EQ((*next)->epoch, 6U);
  EXPECT_EQ((*next)->fence, 5U);  // nobody's replicas change yet
  EXPECT_EQ((*next)->Find(IdOf(4))->state, MemberState::kJoining);
  EXPECT_TRUE((*next)->Find(IdOf(4))->tokens.empty());
  ASSERT_EQ((*next)->queue.size(), 1U);
  EXPECT_EQ((*next)->queue[0].number, 6U);
  EXPECT_TRUE(DecodeTopology(EncodeTopology(**next)));
  // The same request again does nothing.
  EXPECT_FALSE(*AskToJoin(**next, MakeMember(4), "", kAllAlive));
}

TEST(AskToJoinMustHold, M23_ARemovedIdentityIsRefused) {
  Topology now = Sealed(3);
  now.removed.push_back({IdOf(4), "node4", 3});
  const Next next = AskToJoin(now, MakeMember(4), "", kAllAlive);
  ASSERT_FALSE(next);
  EXPECT_EQ(next.error().code, Code::kConflict);
  EXPECT_THAT(next.error().message, HasSubstr("cannot return"));
}

TEST(AskToJoin, ANameInUseIsRefusedUnlessItsDeadOwnerIsReplaced) {
  const Topology now = Sealed(3);
  Member twin = MakeMember(4);
  twin.name = "node2";
  EXPECT_THAT(AskToJoin(now, twin, "", kAllAlive).error().message, HasSubstr("node2"));
  EXPECT_THAT(AskToJoin(now, twin, "node2", kAllAlive).error().message, HasSubstr("is alive"));
  const Next next = AskToJoin(now, twin, "node2", AskedWhile({2}));
  ASSERT_TRUE(next && *next);
  EXPECT_EQ((*next)->FindByName("node2")->id, IdOf(4));
  EXPECT_EQ((*next)->queue[0].kind, ChangeKind::kReplace);
  EXPECT_NE((*next)->TakenOutBy(IdOf(2)), nullptr);
  EXPECT_THAT(AskToJoin(**next, MakeMember(5), (*next)->Find(IdOf(2))->name, AskedWhile({2}))
                  .error()
                  .message,
              HasSubstr("being replaced by 'node2' already"));
  EXPECT_FALSE(AskToJoin(now, MakeMember(5), "nobody", kAllAlive));
}

// The second of two replacements in a row, when the first newcomer died on the way.
TEST(AskToJoin, WhoDiedBeforeItsReplacementWasDoneIsReplacedInThatPlace) {
  const Topology first = **AskToJoin(Sealed(3), MakeMember(4), "node1", AskedWhile({1}));
  Topology running = first;
  running.operation = Operation{first.queue[0], Phase::kStream};
  running.queue.clear();
  for (const Topology& now : {first, running}) {
    const auto ask = [&now](std::set<uint64_t> dead) {
      return AskToJoin(now, MakeMember(5), "node4", AskedWhile(std::move(dead)));
    };
    EXPECT_THAT(ask({1}).error().message, HasSubstr("is alive"));
    const Next next = ask({1, 4});
    ASSERT_TRUE(next && *next) << next.error().message;
    EXPECT_EQ((*next)->epoch, now.epoch + 1);
    EXPECT_EQ((*next)->Find(IdOf(4)), nullptr);
    EXPECT_FALSE((*next)->operation);
    ASSERT_EQ((*next)->queue.size(), 1U);
    EXPECT_EQ((*next)->queue[0].number, (*next)->epoch);
    EXPECT_EQ((*next)->queue[0].kind, ChangeKind::kReplace);
    EXPECT_EQ((*next)->queue[0].node, IdOf(5));
    EXPECT_EQ((*next)->queue[0].replaced, IdOf(1));
    EXPECT_TRUE(DecodeTopology(EncodeTopology(**next)));
  }
  running.operation->phase = Phase::kSwitch;
  EXPECT_THAT(AskToJoin(running, MakeMember(5), "node4", AskedWhile({1, 4})).error().message,
              HasSubstr("cancel"));
}

TEST(AskToJoin, WhoDiedBeforeItsJoinWasDoneGivesItsPlaceToANewcomer) {
  const Topology now = **AskToJoin(Sealed(3), MakeMember(4), "", kAllAlive);
  Member twin = MakeMember(5);
  twin.name = "node4";
  const Next next = AskToJoin(now, twin, "node4", AskedWhile({4}));
  ASSERT_TRUE(next && *next) << next.error().message;
  EXPECT_EQ((*next)->FindByName("node4")->id, IdOf(5));
  ASSERT_EQ((*next)->queue.size(), 1U);
  EXPECT_EQ((*next)->queue[0].kind, ChangeKind::kJoin);
}

TEST(AskForChange, LeavingFewerNodesThanReplicasIsRefused) {
  const Next three = AskForChange(Sealed(3), About(ChangeKind::kLeave, 1), kAllAlive);
  ASSERT_FALSE(three);
  EXPECT_EQ(three.error().code, Code::kConflict);
  EXPECT_THAT(three.error().message, HasSubstr("keeps 3 replicas"));
  const Next four = AskForChange(Sealed(4), About(ChangeKind::kLeave, 1), kAllAlive);
  ASSERT_TRUE(four && *four);
  // One that waits counts as gone.
  EXPECT_FALSE(AskForChange(**four, About(ChangeKind::kLeave, 2), kAllAlive));
}

TEST(AskForChange, OnlyADeadNodeIsRemoved) {
  const Topology now = Sealed(4);
  EXPECT_THAT(AskForChange(now, About(ChangeKind::kRemove, 4), kAllAlive).error().message,
              HasSubstr("alive"));
  const Next next = AskForChange(now, About(ChangeKind::kRemove, 4), AskedWhile({4}));
  ASSERT_TRUE(next && *next);
  EXPECT_NE((*next)->TakenOutBy(IdOf(4)), nullptr);
}

TEST(AskForChangeMustHold, M21_ASecondChangeOfANodeIsRefusedAndTheSameOneIsNotRepeated) {
  const Topology now = **AskForChange(Sealed(5), About(ChangeKind::kLeave, 1), kAllAlive);
  const Next same = AskForChange(now, About(ChangeKind::kLeave, 1), kAllAlive);
  ASSERT_TRUE(same);
  EXPECT_FALSE(*same);
  EXPECT_EQ(TicketOf(now, ChangeKind::kLeave, IdOf(1), ""), 6U);
  Change reweight = About(ChangeKind::kReweight, 1);
  reweight.weight = 2;
  EXPECT_THAT(AskForChange(now, reweight, kAllAlive).error().message, HasSubstr("task 6"));
  const Next other = AskForChange(now, About(ChangeKind::kLeave, 2), kAllAlive);
  ASSERT_TRUE(other && *other);
  EXPECT_EQ((*other)->queue.size(), 2U);
}

TEST(AskForChange, UnknownNodesAndImpossibleWeightsAreRefused) {
  EXPECT_EQ(AskForChange(Sealed(3), About(ChangeKind::kLeave, 9), kAllAlive).error().code,
            Code::kNotFound);
  for (const double weight : {0.0, -1.0, 101.0}) {
    Change change = About(ChangeKind::kReweight, 1);
    change.weight = weight;
    EXPECT_EQ(AskForChange(Sealed(3), change, kAllAlive).error().code, Code::kInvalidArgument);
  }
}

TEST(CommitStaged, StartsWhatIsStagedAndNothingElse) {
  Change change = About(ChangeKind::kLeave, 1);
  change.committed = false;
  const Topology staged = **AskForChange(Sealed(4), change, kAllAlive);
  EXPECT_FALSE(staged.queue[0].committed);
  const Next committed = CommitStaged(staged);
  ASSERT_TRUE(committed && *committed);
  EXPECT_TRUE((*committed)->queue[0].committed);
  EXPECT_EQ(CommitStaged(**committed).error().code, Code::kNotFound);
}

TEST(CancelChange, DropsWhatWaitsAndTheNewcomerThatItBrought) {
  const Topology now = **AskToJoin(Sealed(3), MakeMember(4), "", kAllAlive);
  const Next next = CancelChange(now, now.queue[0].number, {7});
  ASSERT_TRUE(next && *next);
  EXPECT_TRUE((*next)->queue.empty());
  EXPECT_EQ((*next)->Find(IdOf(4)), nullptr);
  EXPECT_NE((*next)->FindRemoved(IdOf(4)), nullptr);
  ASSERT_EQ((*next)->finished.size(), 1U);
  EXPECT_FALSE((*next)->finished[0].done);
  EXPECT_EQ(CancelChange(**next, 0, {8}).error().code, Code::kNotFound);
  EXPECT_EQ(CancelChange(**next, 77, {8}).error().code, Code::kNotFound);
}

TEST(CancelChange, GoesBackByThePhaseThatReadsTheOldReplicas) {
  Topology now = Sealed(4);
  for (Member& member : now.members) member.next_tokens = member.tokens;
  now.members[0].next_tokens.clear();
  now.members[0].state = MemberState::kLeaving;
  now.operation = {{.number = 5, .kind = ChangeKind::kLeave, .node = IdOf(1)}, Phase::kSwitch, 0};
  const Topology undoing = **CancelChange(now, 0, {7});
  ASSERT_TRUE(undoing.operation);
  EXPECT_EQ(undoing.operation->phase, Phase::kUndo);
  EXPECT_EQ(undoing.fence, undoing.epoch);
  EXPECT_FALSE(*CancelChange(undoing, 0, {8}));  // it is being undone already

  now.operation->phase = Phase::kStream;
  const Topology dropped = **CancelChange(now, 5, {7});
  EXPECT_FALSE(dropped.operation);
  EXPECT_EQ(dropped.fence, dropped.epoch);
  EXPECT_EQ(dropped.Find(IdOf(1))->state, MemberState::kNormal);
  EXPECT_FALSE(dropped.Find(IdOf(1))->tokens.empty());
}

TEST(SetBucket, CreatesChangesAndKeepsTheKind) {
  BucketProperties bucket = MakeBucket("b");
  const Topology created = **SetBucket(Sealed(3), bucket, kAllAlive);
  EXPECT_EQ(created.buckets.at("b").version, 1U);
  EXPECT_EQ(created.fence, 5U);
  EXPECT_FALSE(*SetBucket(created, created.buckets.at("b"), kAllAlive));
  bucket.ttl_s = 9;
  const Topology changed = **SetBucket(created, bucket, kAllAlive);
  EXPECT_EQ(changed.buckets.at("b").version, 2U);
  bucket.conflict = causal::Kind::kLww;
  EXPECT_EQ(SetBucket(changed, bucket, kAllAlive).error().code, Code::kConflict);
}

TEST(SetBucket, AnotherNMovesDataAndWaitsItsTurn) {
  Topology now = Sealed(5);
  BucketProperties bucket = now.buckets.at("default");
  bucket.n = 5;
  bucket.r = bucket.w = 3;
  const Next next = SetBucket(now, bucket, kAllAlive);
  ASSERT_TRUE(next && *next) << next.error().message;
  EXPECT_EQ((*next)->buckets.at("default").n, 3U);
  EXPECT_EQ((*next)->buckets.at("default").r, 2U);  // a majority of that
  ASSERT_EQ((*next)->queue.size(), 1U);
  EXPECT_EQ((*next)->queue[0].kind, ChangeKind::kReplication);
  EXPECT_EQ((*next)->queue[0].n, 5U);
  EXPECT_EQ((*next)->queue[0].r, 3U);  // when it is in force
  // Something else may be set meanwhile.
  BucketProperties meanwhile = (*next)->buckets.at("default");
  meanwhile.ttl_s = 7;
  ASSERT_TRUE(SetBucket(**next, meanwhile, kAllAlive).has_value());
  bucket.n = 4;
  EXPECT_EQ(SetBucket(**next, bucket, kAllAlive).error().code, Code::kConflict);
  // Nor may r and w become what the n to come does not allow.
  bucket.n = 3;
  bucket.r = 1;
  bucket.w = 3;
  EXPECT_THAT(SetBucket(**next, bucket, kAllAlive).error().message, HasSubstr("about to become 5"));
  bucket.r = bucket.w = 3;
  bucket.n = 6;
  bucket.r = 2;
  bucket.w = 2;
  bucket.allow_eventual = true;
  EXPECT_THAT(SetBucket(now, bucket, kAllAlive).error().message, HasSubstr("needs as many nodes"));
  bucket.allow_eventual = false;
  // w may not pass the n that is in force meanwhile.
  bucket.n = 5;
  bucket.r = 1;
  bucket.w = 5;
  EXPECT_THAT(SetBucket(now, bucket, kAllAlive).error().message, HasSubstr("change n first"));
}

}  // namespace
}  // namespace lariat::membership
