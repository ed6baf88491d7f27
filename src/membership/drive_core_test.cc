// SPDX-License-Identifier: Apache-2.0
#include "membership/drive_core.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "base/prng.h"
#include "membership/membership_test_util.h"

namespace lariat::membership {
namespace {

using testing::HasSubstr;

constexpr ring::AllocationOptions kAllocation{16, 3};

// A cluster whose members answer, adopt what is decided and stream when they are told to.
class Driven : public testing::Test {
 protected:
  Driven() {
    now = MakeDocument(0, 1, true);
    for (uint64_t i = 1; i <= 4; ++i) Grow(i);
  }
  void Grow(uint64_t number) {
    Take(AskToJoin(now, MakeMember(number), "", asked));
    RunToTheEnd();
    ASSERT_EQ(now.Find(IdOf(number))->state, MemberState::kNormal);
  }
  void Take(const Next& next) {
    ASSERT_TRUE(next.has_value() && next->has_value());
    now = **next;
  }
  // What everybody would report.
  void Report() {
    for (const base::Uuid& id : Participants(now)) {
      if (silent.contains(id.low)) {
        reports.erase(id);
        continue;
      }
      wire::ProgressReply& report = reports[id];
      report.fence = lagging.contains(id.low) ? now.fence - 1 : now.fence;
      const bool streams = now.operation && now.operation->phase == Phase::kStream;
      report.change = streams ? now.operation->change.number : 0;
      report.ranges_total = streams ? 4 : 0;
      report.ranges_done = streams ? (streaming.contains(id.low) ? 3 : 4) : 0;
    }
  }
  bool Step() {
    Report();
    const Drive drive = DriveOn(now, reports, asked, kAllocation);
    waiting_for = drive.waiting_for;
    if (!drive.next) return false;
    EXPECT_EQ(drive.next->epoch, now.epoch + 1);
    EXPECT_TRUE(DecodeTopology(EncodeTopology(*drive.next)));
    now = *drive.next;
    return true;
  }
  int RunToTheEnd() {
    int steps = 0;
    while (Step()) ++steps;
    return steps;
  }
  size_t Tokens(uint64_t number) { return now.Find(IdOf(number))->tokens.size(); }

  Topology now;
  Asked asked{{1000},
              [this](const base::Uuid& id) { return !dead.contains(id.low); },
              [this](const base::Uuid& id) { return doubtful.contains(id.low); }};
  Reports reports;
  std::set<uint64_t> dead, silent, lagging, streaming, doubtful;
  std::string waiting_for;
};

TEST_F(Driven, AJoinGoesThroughItsPhases) {
  Take(AskToJoin(now, MakeMember(5), "", asked));
  const uint64_t fence = now.fence;
  ASSERT_TRUE(Step());
  EXPECT_EQ(now.operation->phase, Phase::kPrepare);
  EXPECT_GT(now.fence, fence);
  EXPECT_TRUE(now.Find(IdOf(5))->tokens.empty());
  EXPECT_EQ(now.Find(IdOf(5))->next_tokens.size(), 16U);
  const uint64_t prepared = now.fence;
  ASSERT_TRUE(Step());
  EXPECT_EQ(now.operation->phase, Phase::kStream);
  EXPECT_EQ(now.fence, prepared);  // the same replicas as before
  ASSERT_TRUE(Step());
  EXPECT_EQ(now.operation->phase, Phase::kSwitch);
  EXPECT_GT(now.fence, prepared);
  ASSERT_TRUE(Step());
  EXPECT_FALSE(now.operation);
  EXPECT_EQ(now.Find(IdOf(5))->state, MemberState::kNormal);
  EXPECT_EQ(Tokens(5), 16U);
  EXPECT_TRUE(now.finished.back().done);
  EXPECT_FALSE(Step());
  EXPECT_EQ(waiting_for, "");
}

TEST_F(Driven, M20_NoStepBeforeEveryReplicaKnowsTheLastOne) {
  Take(AskToJoin(now, MakeMember(5), "", asked));
  ASSERT_TRUE(Step());
  lagging = {2};
  EXPECT_FALSE(Step());
  EXPECT_THAT(waiting_for, HasSubstr("node2"));
  lagging = {};
  silent = {3};
  EXPECT_FALSE(Step());
  EXPECT_THAT(waiting_for, HasSubstr("node3"));
  silent = {};
  ASSERT_TRUE(Step());
  streaming = {5};
  EXPECT_FALSE(Step());
  EXPECT_THAT(waiting_for, HasSubstr("3 of 4 ranges"));
  streaming = {};
  ASSERT_TRUE(Step());
  EXPECT_EQ(now.operation->phase, Phase::kSwitch);
  lagging = {1};
  EXPECT_FALSE(Step());
}

TEST_F(Driven, M21_OneChangeAtATimeInTheOrderTheyCame) {
  Take(AskToJoin(now, MakeMember(5), "", asked));
  Take(AskToJoin(now, MakeMember(6), "", asked));
  ASSERT_TRUE(Step());
  EXPECT_EQ(now.operation->change.node, IdOf(5));
  EXPECT_EQ(now.queue.size(), 1U);
  RunToTheEnd();
  EXPECT_EQ(now.members.size(), 6U);
  EXPECT_TRUE(now.queue.empty());
}

TEST_F(Driven, ADeadNewcomerDoesNotHoldUpTheOthers) {
  Take(AskToJoin(now, MakeMember(5), "", asked));
  Take(AskToJoin(now, MakeMember(6), "", asked));
  dead = {5};
  RunToTheEnd();
  EXPECT_EQ(now.Find(IdOf(5))->state, MemberState::kJoining);
  EXPECT_EQ(now.Find(IdOf(6))->state, MemberState::kNormal);
  EXPECT_THAT(waiting_for, HasSubstr("node 'node5' is down"));
}

TEST_F(Driven, ALeaverHandsOverAndIsGoneForEver) {
  Take(AskForChange(now, {.kind = ChangeKind::kLeave, .node = IdOf(2)}, asked));
  ASSERT_TRUE(Step());
  EXPECT_EQ(now.Find(IdOf(2))->state, MemberState::kLeaving);
  RunToTheEnd();
  EXPECT_EQ(now.Find(IdOf(2)), nullptr);
  EXPECT_NE(now.FindRemoved(IdOf(2)), nullptr);
}

TEST_F(Driven, NobodyWaitsForTheDeadNodeThatIsRemoved) {
  dead = silent = {2};
  Take(AskForChange(now, {.kind = ChangeKind::kRemove, .node = IdOf(2)}, asked));
  RunToTheEnd();
  EXPECT_EQ(now.Find(IdOf(2)), nullptr);
}

TEST_F(Driven, AReplacementTakesTheSameTokens) {
  const std::vector<ring::Token> tokens = now.Find(IdOf(2))->tokens;
  dead = silent = {2};
  Take(AskToJoin(now, MakeMember(5), "node2", asked));
  RunToTheEnd();
  EXPECT_EQ(now.Find(IdOf(2)), nullptr);
  EXPECT_EQ(now.Find(IdOf(5))->tokens, tokens);
}

TEST_F(Driven, AWeightScalesTheTokens) {
  Take(AskForChange(now, {.kind = ChangeKind::kReweight, .node = IdOf(2), .weight = 2}, asked));
  RunToTheEnd();
  EXPECT_EQ(now.Find(IdOf(2))->weight, 2);
  EXPECT_EQ(Tokens(2), 32U);
}

TEST_F(Driven, ReplicationOfABucketChangesWhenItsDataHasMoved) {
  BucketProperties bucket = now.buckets.at("default");
  bucket.n = 4;
  bucket.r = bucket.w = 3;
  Take(SetBucket(now, bucket, asked));
  ASSERT_TRUE(Step());
  EXPECT_EQ(now.buckets.at("default").n, 3U);
  EXPECT_EQ(now.NextN(now.buckets.at("default")), 4U);
  RunToTheEnd();
  EXPECT_EQ(now.buckets.at("default").n, 4U);
}

TEST_F(Driven, AStagedChangeWaitsToBeCommitted) {
  Change change{.kind = ChangeKind::kLeave, .node = IdOf(2)};
  change.committed = false;
  Take(AskForChange(now, change, asked));
  EXPECT_FALSE(Step());
  EXPECT_THAT(waiting_for, HasSubstr("commit"));
  const Topology after = AfterAll(now, kAllocation);
  EXPECT_EQ(after.Find(IdOf(2)), nullptr);
  EXPECT_NE(now.Find(IdOf(2)), nullptr);
}

TEST_F(Driven, NothingMovesWhileAMemberIsInDoubt) {
  doubtful = {3};
  Take(AskToJoin(now, MakeMember(5), "", asked));
  Take(AskForChange(now, {.kind = ChangeKind::kLeave, .node = IdOf(3)}, asked));
  Take(AskForChange(now, {.kind = ChangeKind::kReweight, .node = IdOf(1), .weight = 2}, asked));
  EXPECT_FALSE(Step());
  EXPECT_THAT(waiting_for, HasSubstr("'node3' may have lost records and is compared with the "
                                     "others first"));
  dead = {3};  // what it holds is not believed, and nobody knows when it is back
  EXPECT_TRUE(Step());
  dead = {};
  doubtful = {};
  RunToTheEnd();
  EXPECT_EQ(now.members.size(), 4U);
}

// The doubt of 3 waits for 4, which is dead: its removal is the way out.
TEST_F(Driven, TheRemovalOfADeadMemberDoesNotWaitForADoubt) {
  doubtful = {3};
  dead = silent = {4};
  Take(AskForChange(now, {.kind = ChangeKind::kRemove, .node = IdOf(4)}, asked));
  RunToTheEnd();
  EXPECT_EQ(now.Find(IdOf(4)), nullptr) << waiting_for;
}

TEST_F(Driven, NorDoesTheReplacementOfADeadMember) {
  doubtful = {3, 5};
  dead = silent = {4};
  Take(AskToJoin(now, MakeMember(5), "node4", asked));
  RunToTheEnd();
  EXPECT_EQ(now.Find(IdOf(4)), nullptr) << waiting_for;
}

// With racks, node 6 does not only take the place of 4: it takes some of 3's, too.
TEST_F(Driven, ARemovalWaitsIfRecordsWouldBeCopiedFromTheMemberInDoubtAlone) {
  Member other = MakeMember(6);
  other.rack = "another rack";
  doubtful = {1, 2, 3};
  dead = silent = {4};
  Take(AskToJoin(now, other, "node4", asked));
  EXPECT_FALSE(Step());
  EXPECT_THAT(waiting_for, HasSubstr("would be copied from it alone"));
  doubtful = {};
  RunToTheEnd();
  EXPECT_EQ(now.Find(IdOf(4)), nullptr) << waiting_for;
}

// Node 4 dies while ranges move.
class LeftOut : public Driven {
 protected:
  LeftOut() {
    Take(AskForChange(now, {.kind = ChangeKind::kReweight, .node = IdOf(2), .weight = 2}, asked));
    EXPECT_TRUE(Step());
    dead = silent = {4};
    EXPECT_FALSE(Step());
    EXPECT_THAT(waiting_for, HasSubstr("node 'node4' does not answer"));
  }
  const Change removal{.kind = ChangeKind::kRemove, .node = IdOf(4)};
};

TEST_F(LeftOut, M23_WhoIsLeftOutOfAStepIsGivenUpBefore) {
  Take(AskForChange(now, removal, asked));
  const uint64_t fence = now.fence;
  const uint64_t task = now.queue[0].number;
  ASSERT_TRUE(Step());
  EXPECT_EQ(now.operation->phase, Phase::kPrepare);
  EXPECT_TRUE(now.Find(IdOf(4))->given_up);
  EXPECT_GT(now.fence, fence);  // it answers nobody who knows that
  const Next cancelled = CancelChange(now, task, {1});
  ASSERT_FALSE(cancelled);
  EXPECT_EQ(cancelled.error().code, base::Code::kConflict);
  EXPECT_THAT(cancelled.error().message, HasSubstr("cannot return; its removal goes on"));
  dead = {};  // a process that says that it is out, which is no reason to wait
  RunToTheEnd();
  EXPECT_EQ(now.Find(IdOf(4)), nullptr);
  EXPECT_NE(now.FindRemoved(IdOf(4)), nullptr);
  EXPECT_EQ(now.Find(IdOf(2))->weight, 2);
}

TEST_F(LeftOut, M23_NobodyIsGivenUpWhoMayReturn) {
  Change staged = removal;
  staged.committed = false;
  Take(AskForChange(now, staged, asked));
  EXPECT_FALSE(Step());
  Take(CommitStaged(now));
  dead = {};
  EXPECT_FALSE(Step());  // it lives, and will answer
  silent = {};
  RunToTheEnd();
  EXPECT_EQ(now.Find(IdOf(2))->weight, 2);
  EXPECT_FALSE(now.Find(IdOf(4))->given_up);
  EXPECT_THAT(waiting_for, HasSubstr("alive again"));
  Take(CancelChange(now, now.queue[0].number, {1}));
}

TEST_F(LeftOut, WhoFetchesFromItBeginsAnew) {
  dead = silent = {};
  ASSERT_TRUE(Step());
  ASSERT_EQ(now.operation->phase, Phase::kStream);
  dead = silent = {4};
  Take(AskForChange(now, removal, asked));
  ASSERT_TRUE(Step());
  EXPECT_TRUE(now.Find(IdOf(4))->given_up);
  EXPECT_EQ(now.operation->phase, Phase::kPrepare);
  lagging = {1};
  EXPECT_FALSE(Step());
  lagging = {};
  RunToTheEnd();
  EXPECT_EQ(now.Find(IdOf(4)), nullptr);
}

TEST_F(LeftOut, AReplacementOfItMayStillBeCancelled) {
  Take(AskToJoin(now, MakeMember(5), "node4", asked));
  ASSERT_TRUE(Step());
  ASSERT_TRUE(now.Find(IdOf(4))->given_up);
  Take(CancelChange(now, now.queue[0].number, {1}));
  dead = {};
  RunToTheEnd();
  EXPECT_TRUE(now.Find(IdOf(4))->given_up);
  const Next heavier =
      AskForChange(now, {.kind = ChangeKind::kReweight, .node = IdOf(4), .weight = 2}, asked);
  EXPECT_THAT(heavier.error().message, HasSubstr("remove or replace it"));
  Take(AskToJoin(now, MakeMember(6), "node4", asked));
  RunToTheEnd();
  EXPECT_EQ(now.Find(IdOf(4)), nullptr);
  EXPECT_EQ(now.Find(IdOf(6))->state, MemberState::kNormal);
}

TEST_F(Driven, CancellingTheRemovalOfAMemberThatNobodyLeftOutBringsItBack) {
  dead = silent = {4};
  Take(AskForChange(now, {.kind = ChangeKind::kRemove, .node = IdOf(4)}, asked));
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(Step());
  EXPECT_EQ(now.operation->phase, Phase::kSwitch);
  Take(CancelChange(now, 0, {1}));
  RunToTheEnd();
  EXPECT_EQ(now.Find(IdOf(4))->state, MemberState::kNormal);
  EXPECT_FALSE(now.Find(IdOf(4))->given_up);
}

// Cancelled at any moment, the cluster is what it was before, whatever the change was.
TEST_F(Driven, CancelLeadsBackFromEveryPhase) {
  const std::vector<Change> changes = {
      {.kind = ChangeKind::kLeave, .node = IdOf(2)},
      {.kind = ChangeKind::kReweight, .node = IdOf(2), .weight = 3},
      {.kind = ChangeKind::kJoin, .node = IdOf(5)},
  };
  const Topology before = now;
  for (const Change& change : changes) {
    for (int steps = 1; steps <= 3; ++steps) {
      now = before;
      if (change.kind == ChangeKind::kJoin) {
        Take(AskToJoin(now, MakeMember(5), "", asked));
      } else {
        Take(AskForChange(now, change, asked));
      }
      for (int i = 0; i < steps; ++i) ASSERT_TRUE(Step());
      Take(CancelChange(now, 0, {1}));
      RunToTheEnd();
      EXPECT_FALSE(now.operation);
      EXPECT_FALSE(now.finished.back().done);
      ASSERT_EQ(now.members.size(), before.members.size());
      for (size_t i = 0; i < now.members.size(); ++i) {
        EXPECT_EQ(now.members[i].tokens, before.members[i].tokens);
        EXPECT_EQ(now.members[i].state, MemberState::kNormal);
        EXPECT_EQ(now.members[i].weight, before.members[i].weight);
      }
    }
  }
}

// Two neighbouring steps share a list in which reads and writes of both have their quorum: what
// one reads, the other writes.
TEST_F(Driven, M20_NeighbouringStepsShareAQuorum) {
  Take(AskToJoin(now, MakeMember(5), "", asked));
  std::vector<Topology> steps{now};
  while (Step()) steps.push_back(now);
  ASSERT_EQ(steps.size(), 5U);
  base::Prng prng(3);
  const BucketProperties& bucket = now.buckets.at("default");
  const auto ids = [](const View& view, const std::vector<ring::NodeIndex>& nodes) {
    std::set<base::Uuid> found;
    for (const ring::NodeIndex node : nodes) found.insert(view.MemberAt(node).id);
    return found;
  };
  for (size_t i = 0; i + 1 < steps.size(); ++i) {
    const auto a = MakeView(steps[i], IdOf(1));
    const auto b = MakeView(steps[i + 1], IdOf(1));
    for (int k = 0; k < 300; ++k) {
      const ring::Token token{prng.Next()};
      const View::Replicas ra = a->ReplicasOf(token, bucket);
      const View::Replicas rb = b->ReplicasOf(token, bucket);
      const auto writes_cover = [&ids](const View& w, const View::Replicas& writer, const View& r,
                                       const View::Replicas& reader) {
        const auto read = ids(r, reader.read);
        return read == ids(w, writer.read) || read == ids(w, writer.other);
      };
      EXPECT_TRUE(writes_cover(*a, ra, *b, rb)) << i;
      EXPECT_TRUE(writes_cover(*b, rb, *a, ra)) << i;
    }
  }
}

}  // namespace
}  // namespace lariat::membership
