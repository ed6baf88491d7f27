// SPDX-License-Identifier: Apache-2.0
// The events that a replica makes: actors, siblings, conditions, idempotency, stamps.
#include <gtest/gtest.h>

#include <set>

#include "replica/replica.h"
#include "replica/replica_test_util.h"

namespace lariat::replica {
namespace {

using base::Code;
using Values = std::vector<std::string>;

causal::Context ContextOf(const Updated& updated) { return (*updated.result)->context; }

TEST(ReplicaMustHold, M2_ARefusedBatchEndsTheIncarnation) {
  World world;
  const auto first = world.Update({.value = "a"});
  world.loop.RunAll();
  world.plan.fail_write = base::Fail(Code::kDiskFull, "full");
  const auto refused = world.Update({.value = "b"});
  world.loop.RunAll();
  world.plan.fail_write = {};
  const auto next = world.Update({.value = "c"});
  world.loop.RunAll();
  EXPECT_FALSE(refused->ok());
  EXPECT_NE(ActorOf(*next, "c"), ActorOf(*first, "a"));
  EXPECT_EQ(ActorOf(*first, "a").incarnation + 1, ActorOf(*next, "c").incarnation);
  EXPECT_EQ(world.metrics.incarnations.value(), 2U);
}

TEST(Replica, OneRecordKeepsItsActorDuringOneIncarnation) {
  World world;
  const auto first = world.Update({.value = "a"});
  const auto second = world.Update({.value = "b"});
  const auto other = world.Update({.key = "other", .value = "c"});
  world.loop.RunAll();
  EXPECT_EQ(ActorOf(*first, "a"), ActorOf(*second, "b"));
  EXPECT_NE(ActorOf(*first, "a"), ActorOf(*other, "c"));
}

TEST(ReplicaMustHold, M4_ARestartMintsNewActors) {
  World world;
  const auto before = world.Update({.value = "a"});
  world.loop.RunAll();
  world.Start();
  const auto after = world.Update({.value = "b"});
  world.loop.RunAll();
  EXPECT_NE(ActorOf(*before, "a"), ActorOf(*after, "b"));
  EXPECT_EQ(world.Values(), (Values{"a", "b"}));
}

TEST(ReplicaMustHold, M2_M4_CrashesAndOldImagesNeverReuseADot) {
  for (uint64_t seed = 0; seed < 40; ++seed) {
    base::Prng prng(seed);
    World world;
    auto old_image = world.engine.DurableImage();
    for (int i = 0; i < 120; ++i) {
      world.Update({.value = std::to_string(i), .siblings_max = 500});  // World keeps the dots
      if (prng.Chance(0.5)) world.loop.RunAll();
      world.plan.hold_syncs = prng.Chance(0.5);
      if (prng.Chance(0.3)) world.plan.Release();
      if (prng.Chance(0.1)) old_image = world.engine.DurableImage();
      if (prng.Chance(0.1)) world.Crash();
      if (prng.Chance(0.05)) {
        world.engine.Restore(old_image);
        world.Start();
      }
    }
  }
}

TEST(ReplicaMustHold, M5_AForgottenRecordLearnedAgainGetsANewActor) {
  World world;
  const auto before = world.Update({.value = "a"});
  world.loop.RunAll();
  const std::string at_peer = (*before->result)->object;
  world.engine.Restore({});  // the record is gone, the process goes on
  const auto learned = world.Write("k", at_peer);
  world.loop.RunAll();
  ASSERT_TRUE(learned->ok());
  const auto after = world.Update({.value = "b", .context = ContextOf(*before)});
  world.loop.RunAll();
  EXPECT_NE(ActorOf(*before, "a"), ActorOf(*after, "b"));
  EXPECT_EQ(world.Values(), Values{"b"});
}

TEST(ReplicaMustHold, M5_AForgottenRecordWrittenBlindGetsANewActor) {
  World world;
  const auto before = world.Update({.value = "a"});
  world.loop.RunAll();
  world.engine.Restore({});
  const auto after = world.Update({.value = "b"});
  const auto learned = world.Write("k", (*before->result)->object);
  world.loop.RunAll();
  EXPECT_TRUE(learned->ok());
  EXPECT_EQ(world.Values(), (Values{"a", "b"}));
}

TEST(ReplicaMustHold, M8_TheSiblingLimitRefusesAndStoresNothing) {
  World world;
  for (int i = 0; i < 3; ++i) world.Update({.value = std::to_string(i), .siblings_max = 3});
  world.loop.RunAll();
  const auto image = world.engine.DurableImage();
  const auto refused = world.Update({.value = "3", .idempotency_key = "i", .siblings_max = 3});
  world.loop.RunAll();
  EXPECT_EQ(refused->code(), Code::kTooManySiblings);
  EXPECT_EQ(world.engine.DurableImage(), image);
  EXPECT_EQ(world.metrics.siblings_refused.value(), 1U);
  const auto read = world.Read("k");
  world.loop.RunAll();
  const auto seen = causal::Object::Decode((*read->value)->object).value().WholeContext();
  const auto resolved = world.Update({.value = "all", .context = seen, .siblings_max = 3});
  world.loop.RunAll();
  EXPECT_TRUE(resolved->ok());
  EXPECT_EQ(world.Values(), Values{"all"});
}

TEST(ReplicaMustHold, M8_TheSizeLimitRefusesAndStoresNothing) {
  World world;
  const std::string value(1000, 'v');
  world.replica().SetRecordLimits({.object_bytes = 3500, .siblings_warn = 2});
  for (int i = 0; i < 3; ++i) world.Update({.value = value});
  world.loop.RunAll();
  EXPECT_EQ(world.Values().size(), 3U);
  EXPECT_EQ(world.metrics.siblings_warned.value(), 1U);
  const auto image = world.engine.DurableImage();
  const auto refused = world.Update({.value = value, .idempotency_key = "i"});
  world.loop.RunAll();
  EXPECT_EQ(refused->code(), Code::kObjectTooLarge);
  EXPECT_EQ(world.engine.DurableImage(), image);
  EXPECT_EQ(world.metrics.objects_refused.value(), 1U);
  EXPECT_GT(world.metrics.object_bytes_max.value(), 3000);
  const auto small = world.Update({.value = "small"});
  world.loop.RunAll();
  EXPECT_TRUE(small->ok()) << "it is about bytes, not about values";
}

// What nodes took at the same time adds up. It is joined, and shrunk by whoever resolves it.
TEST(ReplicaMustHold, M8_MoreThanTheSizeLimitIsJoinedAndCanBeMadeLess) {
  World world;
  world.replica().SetRecordLimits({.object_bytes = 1500});
  world.Update({.value = std::string(1000, 'a')});
  for (const uint64_t peer : {2U, 3U}) world.Write("k", PeerObject(std::string(1000, 'b'), peer));
  world.loop.RunAll();
  ASSERT_EQ(world.Values().size(), 3U);
  const auto read = world.Read("k");
  world.loop.RunAll();
  const auto object = causal::Object::Decode((*read->value)->object).value();
  const auto blind = world.Update({.value = "blind"});
  world.loop.RunAll();
  EXPECT_EQ(blind->code(), Code::kObjectTooLarge);
  // Two of three are resolved: more than the limit is left, but less than there was.
  causal::Context two;
  for (size_t i = 0; i < 2; ++i) two.seen.Add(object.dvv()->values()[i].dot);
  const auto less = world.Update({.value = std::string(1000, 'c'), .context = two});
  world.loop.RunAll();
  EXPECT_TRUE(less->ok());
  EXPECT_EQ(world.Values().size(), 2U);
  const auto gone = world.Update({.value = "", .tombstone = true});
  world.loop.RunAll();
  EXPECT_TRUE(gone->ok()) << "a delete is always taken";
}

TEST(ReplicaMustHold, M10_AnUpdatesContextDoesNotCoverUnseenSiblings) {
  World world;
  const auto other = world.Update({.value = "unseen"});
  const auto blind = world.Update({.value = "mine"});
  world.loop.RunAll();
  const causal::Context context = ContextOf(*blind);
  const auto object = causal::Object::Decode((*blind->result)->object).value();
  for (const causal::DottedValue& value : object.dvv()->values()) {
    EXPECT_EQ(context.seen.Contains(value.dot), value.value.bytes == "mine");
  }
  world.Update({.value = "mine 2", .context = context});
  world.loop.RunAll();
  EXPECT_EQ(world.Values(), (Values{"unseen", "mine 2"}));
}

TEST(Replica, AContextOfEventsThatNeverWereIsRefused) {
  World world;
  const auto update = world.Update({.value = "a"});
  world.loop.RunAll();
  causal::Context forged = ContextOf(*update);
  forged.seen.Add({ActorOf(*update, "a"), 50});
  const auto refused = world.Update({.value = "b", .context = forged});
  world.loop.RunAll();
  EXPECT_EQ(refused->code(), Code::kInvalidArgument);
  EXPECT_EQ(world.Values(), Values{"a"});
}

// --- idempotency ---------------------------------------------------------------------------------

TEST(ReplicaMustHold, M7_OneIdempotencyKeyIsOneDot) {
  World world;
  const auto first = world.Update({.value = "a", .idempotency_key = "i"});
  world.loop.RunAll();
  const auto again = world.Update({.value = "b", .idempotency_key = "i"});
  const auto other = world.Update({.value = "c", .idempotency_key = "j"});
  world.loop.RunAll();
  ASSERT_TRUE(again->ok());
  EXPECT_FALSE((*first->result)->replayed);
  EXPECT_TRUE((*again->result)->replayed);
  EXPECT_FALSE((*other->result)->replayed);
  EXPECT_EQ((*again->result)->idempotency_answer, "answer of a");
  EXPECT_EQ(world.Values(), (Values{"a", "c"}));
  world.Start();
  const auto after_restart = world.Update({.value = "d", .idempotency_key = "i"});
  const auto read = world.Read("k", false, "i");
  world.loop.RunAll();
  EXPECT_TRUE((*after_restart->result)->replayed);
  EXPECT_EQ((*read->value)->idempotency_answer, "answer of a");
}

TEST(ReplicaMustHold, M7_BothInOneTurnAreOneDot) {
  World world;
  world.plan.miss_memory = true;
  const auto first = world.Update({.value = "a", .idempotency_key = "i"});
  const auto again = world.Update({.value = "b", .idempotency_key = "i"});
  world.loop.RunAll();
  EXPECT_FALSE((*first->result)->replayed);
  ASSERT_TRUE(again->ok());
  EXPECT_TRUE((*again->result)->replayed);
  EXPECT_EQ(world.Values(), Values{"a"});
}

TEST(ReplicaMustHold, M7_RepeatsUnderRandomDelaysAreOneDot) {
  for (uint64_t seed = 0; seed < 40; ++seed) {
    base::Prng prng(seed);
    World world;
    std::vector<std::shared_ptr<Updated>> updates;
    for (int i = 0; i < 60; ++i) {
      world.plan.miss_memory = prng.Chance(0.6);
      world.plan.hold_gets = prng.Chance(0.5);
      world.plan.hold_syncs = prng.Chance(0.3);
      const std::string key(1, static_cast<char>('a' + prng.Below(6)));
      updates.push_back(world.Update({.value = key, .idempotency_key = key}));
      if (prng.Chance(0.3)) world.loop.RunAll();
      if (prng.Chance(0.2)) world.plan.Release();
    }
    world.plan.miss_memory = false;
    for (int i = 0; i < 10; ++i) {
      world.plan.Release();
      world.loop.RunAll();
    }
    for (const auto& update : updates) {
      EXPECT_EQ(update->results, 1);
      EXPECT_EQ(update->durables, 1);
    }
    EXPECT_EQ(world.Waiting(), 0U);
    const Values values = world.Values();
    EXPECT_EQ(std::set<std::string>(values.begin(), values.end()).size(), values.size());
  }
}

TEST(ReplicaMustHold, M40_RepeatsWaitingForTheirTurnAreBounded) {
  World world;
  world.Start({}, 3);
  world.plan.miss_memory = true;
  world.plan.hold_gets = true;
  std::vector<std::shared_ptr<Updated>> updates;
  for (int i = 0; i < 4; ++i) updates.push_back(world.Update({.idempotency_key = "i"}));
  EXPECT_EQ(updates[2]->results, 0);
  EXPECT_EQ(updates[3]->code(), Code::kOverloaded);
}

// The earlier answer is worth something only when what it tells of is: not before the sync.
TEST(ReplicaMustHold, M3_M7_AReplayWaitsForTheFirstWritesSync) {
  World world;
  world.plan.hold_syncs = true;
  const auto first = world.Update({.value = "a", .idempotency_key = "i"});
  const auto same_turn = world.Update({.value = "a", .idempotency_key = "i"});
  world.loop.RunAll();
  const auto later = world.Update({.value = "a", .idempotency_key = "i"});
  world.loop.RunAll();
  EXPECT_TRUE(first->ok());
  EXPECT_EQ(same_turn->results, 0);
  EXPECT_EQ(later->results, 0);
  world.plan.Release();
  world.loop.RunAll();
  for (const auto& replay : {same_turn, later}) {
    ASSERT_TRUE(replay->ok());
    EXPECT_EQ(replay->results, 1);
    EXPECT_EQ(replay->durables, 1);
    EXPECT_EQ((*replay->result)->idempotency_answer, "answer of a");
  }
}

TEST(ReplicaMustHold, M3_M7_AReplayOfARefusedWriteIsNoSuccess) {
  World world;
  world.plan.fail_write = base::Fail(Code::kDiskFull, "full");
  const auto first = world.Update({.value = "a", .idempotency_key = "i"});
  const auto replay = world.Update({.value = "a", .idempotency_key = "i"});
  world.loop.RunAll();
  EXPECT_FALSE(first->ok());
  ASSERT_EQ(replay->results, 1);
  EXPECT_FALSE(replay->ok());
  world.plan.fail_write = {};
  const auto retried = world.Update({.value = "a", .idempotency_key = "i"});
  world.loop.RunAll();
  ASSERT_TRUE(retried->ok());
  EXPECT_FALSE((*retried->result)->replayed);
}

TEST(ReplicaMustHold, M6_AnUnreadableAnswerIsNotNeverAsked) {
  World world;
  world.Update({.value = "a", .idempotency_key = "i"});
  world.loop.RunAll();
  world.plan.fail_read = true;
  const auto again = world.Update({.value = "b", .idempotency_key = "i"});
  const auto read = world.Read("k", false, "i");
  world.loop.RunAll();
  EXPECT_EQ(again->code(), Code::kCorruption);
  EXPECT_EQ(read->code(), Code::kCorruption);
}

TEST(Replica, AReplicatedAnswerIsStoredWithItsObject) {
  World world;
  const auto write = world.Write("k", PeerObject("a"), AckWhen::kSynced, "i", "the answer");
  const auto repeated = world.Write("k", PeerObject("a"), AckWhen::kSynced, "i", "the answer");
  world.loop.RunAll();
  EXPECT_TRUE(write->ok());
  EXPECT_TRUE(repeated->ok());
  const auto replay = world.Update({.value = "a", .idempotency_key = "i"});
  world.loop.RunAll();
  EXPECT_TRUE((*replay->result)->replayed);
  EXPECT_EQ((*replay->result)->idempotency_answer, "the answer");
  // The same key for another record is another request.
  const auto other = world.Update({.key = "k2", .value = "a", .idempotency_key = "i"});
  world.loop.RunAll();
  EXPECT_FALSE((*other->result)->replayed);
}

// --- conditions ---------------------------------------------------------------------------------

TEST(Replica, ConditionsAreJudgedOneAfterTheOther) {
  World world;
  world.plan.miss_memory = true;
  const auto first = world.Update({.value = "a", .condition = causal::Condition::kNoLiveValue});
  const auto second = world.Update({.value = "b", .condition = causal::Condition::kNoLiveValue});
  world.loop.RunAll();
  EXPECT_TRUE(first->ok());
  EXPECT_EQ(second->code(), Code::kPreconditionFailed);
  EXPECT_EQ(second->durables, 0);

  const causal::Context seen = ContextOf(*first);
  const Put swap{.value = "c", .context = seen, .condition = causal::Condition::kContextCoversAll};
  const auto winner = world.Update(swap);
  const auto loser = world.Update(swap);
  world.loop.RunAll();
  EXPECT_TRUE(winner->ok());
  EXPECT_EQ(loser->code(), Code::kPreconditionFailed);
  EXPECT_EQ(world.Values(), Values{"c"});

  const auto gone = world.Update({.value = "", .context = ContextOf(*winner), .tombstone = true});
  const auto any = world.Update({.value = "d", .condition = causal::Condition::kAnyLiveValue});
  const auto covers = world.Update({.value = "d",
                                    .context = ContextOf(*winner),
                                    .condition = causal::Condition::kContextCoversAll});
  const auto none = world.Update({.value = "e", .condition = causal::Condition::kNoLiveValue});
  world.loop.RunAll();
  EXPECT_TRUE(gone->ok());
  EXPECT_EQ(any->code(), Code::kPreconditionFailed);
  EXPECT_EQ(covers->code(), Code::kPreconditionFailed);
  EXPECT_TRUE(none->ok());
  EXPECT_EQ(world.metrics.tombstones_written.value(), 1U);
}

TEST(ReplicaMustHold, M14_AnExpiredValueIsNoLiveValue) {
  World world;
  world.Update({.value = "a", .expires_ms = world.now.ms + 10});
  world.loop.RunAll();
  const auto early = world.Update({.value = "b", .condition = causal::Condition::kNoLiveValue});
  world.loop.RunAll();
  EXPECT_EQ(early->code(), Code::kPreconditionFailed);
  world.now.ms += 10;
  EXPECT_TRUE(world.Values().empty());
  const auto late = world.Update({.value = "b", .condition = causal::Condition::kNoLiveValue});
  world.loop.RunAll();
  EXPECT_TRUE(late->ok());
}

// --- last writer wins ---------------------------------------------------------------------------

Put Lww(std::string value, std::optional<int64_t> timestamp_ms = std::nullopt) {
  return {
      .value = std::move(value), .kind = causal::Kind::kLww, .client_timestamp_ms = timestamp_ms};
}

causal::HlcStamp StampOf(const Updated& updated) { return ContextOf(updated).lww_stamp; }

TEST(ReplicaMustHold, M36_StampsGrowOverClockSetBackAndRestart) {
  World world;
  causal::HlcStamp last;
  const auto write = [&](const char* value) {
    const auto update = world.Update(Lww(value));
    world.loop.RunAll();
    ASSERT_TRUE(update->ok());
    EXPECT_GT(StampOf(*update), last) << value;
    last = StampOf(*update);
    EXPECT_EQ(world.Values(), Values{value});
  };
  write("a");
  write("b");
  world.now.ms -= 500'000;
  write("c");
  const causal::HlcStamp floor = world.clock->last();
  world.Start(floor);
  write("d");
  // Even where the floor is lost: the record itself is a floor.
  world.now.ms += 500'000;
  world.Start();
  write("e");
  // And then it is one for every other record.
  const auto other = world.Update({.key = "other", .value = "x", .kind = causal::Kind::kLww});
  world.loop.RunAll();
  ASSERT_TRUE(other->ok());
  EXPECT_GT(StampOf(*other), last);
}

TEST(ReplicaMustHold, M36_NoStampIsGivenOutAboveTheDurableLimit) {
  World world;
  Clock clock(causal::HlcStamp::FromWallMs(1000), 1000);
  EXPECT_EQ(clock.Next({900}).error().code, Code::kUnavailable);
  clock.SetLimit(causal::HlcStamp::FromWallMs(1100));
  const auto first = clock.Next({900});
  ASSERT_TRUE(first);
  EXPECT_GT(*first, causal::HlcStamp::FromWallMs(1000));
  EXPECT_TRUE(clock.Next({1099}));
  EXPECT_EQ(clock.Next({1100}).error().code, Code::kUnavailable);
  clock.SetLimit(causal::HlcStamp::FromWallMs(500));  // a limit never goes back
  EXPECT_EQ(clock.limit(), causal::HlcStamp::FromWallMs(1100));
}

TEST(ReplicaMustHold, M36_FutureStampsAreRefused) {
  World world;
  const auto now = world.Update(Lww("now"));
  for (const int64_t ahead : {int64_t{1001}, int64_t{1} << 50, INT64_MAX - world.now.ms}) {
    const auto future = world.Update(Lww("future", world.now.ms + ahead));
    world.loop.RunAll();
    EXPECT_EQ(future->code(), Code::kInvalidArgument) << ahead;
  }
  causal::Object peer(causal::Kind::kLww);
  peer.lww()->stamp = causal::HlcStamp::FromWallMs(world.now.ms + 1001);
  peer.lww()->value.bytes = "peer";
  const auto refused = world.Write("k", peer.Encode());
  peer.lww()->stamp = causal::HlcStamp::FromWallMs(world.now.ms + 1000);
  const auto taken = world.Write("k", peer.Encode());
  world.loop.RunAll();
  EXPECT_EQ(refused->code(), Code::kInvalidArgument);
  EXPECT_TRUE(taken->ok());
  EXPECT_EQ(world.metrics.clock_refused.value(), 4U);
  EXPECT_EQ(world.Values(), Values{"peer"});
  const auto after = world.Update(Lww("after"));
  world.loop.RunAll();
  EXPECT_EQ(world.Values(), Values{"after"});
  EXPECT_GT(StampOf(*after), peer.lww()->stamp);
}

TEST(Replica, TheGreaterClientTimestampWins) {
  World world;
  world.Update(Lww("new", world.now.ms - 10));
  const auto old = world.Update(Lww("old", world.now.ms - 20));
  world.loop.RunAll();
  EXPECT_TRUE(old->ok());
  EXPECT_EQ(world.Values(), Values{"new"});
}

}  // namespace
}  // namespace lariat::replica
