// SPDX-License-Identifier: Apache-2.0
// What a replica does with one request and with what it is asked at the same time.
#include "replica/replica.h"

#include <gtest/gtest.h>

#include "replica/replica_test_util.h"

namespace lariat::replica {
namespace {

using base::Code;
using Values = std::vector<std::string>;

TEST(Replica, UpdatesMergesAndReads) {
  World world;
  EXPECT_TRUE(world.Values().empty());
  const auto update = world.Update({.value = "a"});
  const auto write = world.Write("k", PeerObject("b"));
  world.loop.RunAll();
  ASSERT_TRUE(update->ok());
  EXPECT_TRUE(update->durable->has_value());
  EXPECT_TRUE(write->ok());
  EXPECT_EQ(world.Values(), (Values{"a", "b"}));
  EXPECT_EQ(world.Waiting(), 0U);
  // The context of both, as a client would send it back.
  const auto read = world.Read("k");
  world.loop.RunAll();
  const auto object = causal::Object::Decode((*read->value)->object).value();
  const auto resolved = world.Update({.value = "c", .context = object.WholeContext()});
  world.loop.RunAll();
  EXPECT_EQ(world.Values(), Values{"c"});
  EXPECT_EQ(resolved->results, 1);
  EXPECT_EQ(resolved->durables, 1);
}

TEST(Replica, ADigestIsThatOfTheObject) {
  World world;
  world.Update({});
  world.loop.RunAll();
  const auto whole = world.Read("k");
  const auto digest = world.Read("k", true);
  world.loop.RunAll();
  EXPECT_TRUE((*digest->value)->found);
  EXPECT_TRUE((*digest->value)->object.empty());
  EXPECT_EQ((*digest->value)->digest, causal::Object::Digest((*whole->value)->object));
}

TEST(Replica, OneTurnIsOneBatchAndOneSync) {
  World world;
  for (int i = 0; i < 10; ++i) world.Update({.key = std::to_string(i)});
  world.loop.RunAll();
  EXPECT_EQ(world.metrics.write_batches.value(), 1U);
  EXPECT_EQ(world.engine.Stats().syncs, 1U);
}

TEST(ReplicaMustHold, M3_AckOnlyWhenDurable) {
  World world;
  world.plan.hold_syncs = true;
  const auto update = world.Update({.value = "a"});
  const auto write = world.Write("other", PeerObject("b"));
  const auto again = world.Write("other", PeerObject("b"));
  world.loop.RunAll();
  EXPECT_TRUE(update->ok());
  EXPECT_FALSE(update->durable);
  EXPECT_EQ(write->times, 0);
  EXPECT_EQ(again->times, 0) << "what is there already may not be durable yet";
  EXPECT_EQ(world.Waiting(), 2U);
  world.plan.Release();
  world.loop.RunAll();
  EXPECT_TRUE(update->durable->has_value());
  EXPECT_TRUE(write->ok());
  EXPECT_TRUE(again->ok());
  EXPECT_EQ(again->times, 1);
  world.Crash();
  EXPECT_EQ(world.Values(), Values{"a"});
}

TEST(ReplicaMustHold, M3_WithoutSyncTheAckWaitsForTheEngineAlone) {
  World world;
  const auto update = world.Update({.ack_when = AckWhen::kWritten});
  EXPECT_FALSE(update->durable);
  world.loop.RunAll();
  EXPECT_TRUE(update->durable->has_value());
  EXPECT_EQ(world.engine.Stats().syncs, 0U);
  EXPECT_EQ(world.Values(), Values{"v"});
}

// A repeated message must not be acknowledged before the engine has taken the first one.
TEST(ReplicaMustHold, M3_ARepeatedWriteIsNotAcknowledgedBeforeTheFirst) {
  World world;
  world.plan.fail_write = base::Fail(Code::kDiskFull, "full");
  const auto first = world.Write("k", PeerObject("a"), AckWhen::kWritten);
  const auto repeated = world.Write("k", PeerObject("a"), AckWhen::kWritten);
  world.loop.RunAll();
  EXPECT_EQ(first->code(), Code::kDiskFull);
  EXPECT_EQ(repeated->code(), Code::kDiskFull);
}

TEST(ReplicaMustHold, M3_AReadWaitsUntilWhatItReturnsIsDurable) {
  World world;
  world.Update({.value = "old"});
  world.loop.RunAll();
  world.plan.hold_syncs = true;
  world.Update({.value = "new"});
  const auto in_same_turn = world.Read("k");
  world.loop.RunAll();
  const auto later = world.Read("k", true);
  world.loop.RunAll();
  EXPECT_EQ(in_same_turn->times, 0);
  EXPECT_EQ(later->times, 0);
  world.plan.Release();
  world.loop.RunAll();
  ASSERT_TRUE(in_same_turn->ok());
  EXPECT_EQ(world.ValuesIn((*in_same_turn->value)->object), (Values{"old", "new"}));
  EXPECT_TRUE(later->ok());
  EXPECT_EQ(world.metrics.reads_delayed_for_sync.value(), 2U);
}

// After a failed sync nobody knows what is on disk: what the engine still shows may be gone with
// the power, so nobody may count this replica among those that hold it.
TEST(ReplicaMustHold, M3_M37_NothingIsReadAfterAFailedSync) {
  World world;
  world.plan.fail_sync = true;
  world.plan.hold_syncs = true;
  const auto update = world.Update({.value = "a"});
  const auto waiting = world.Read("k");
  world.loop.RunAll();
  world.plan.Release();
  world.loop.RunAll();
  EXPECT_TRUE(update->ok());
  ASSERT_TRUE(update->durable);
  EXPECT_FALSE(update->durable->has_value());
  ASSERT_EQ(waiting->times, 1);
  EXPECT_EQ(waiting->code(), Code::kIo);
  const auto later = world.Read("k");
  const auto refused = world.Update({.value = "b"});
  // A peer sends back what the failed sync was about: there is nothing to write, and no disk has
  // it.
  const auto repeated = world.Write("k", (*update->result)->object);
  world.loop.RunAll();
  EXPECT_EQ(later->code(), Code::kIo);
  EXPECT_EQ(refused->code(), Code::kIo);
  EXPECT_EQ(repeated->code(), Code::kIo);
}

TEST(ReplicaMustHold, M38_AFullDiskRefusesWritesAndServesReads) {
  World world;
  world.Update({.value = "old"});
  world.loop.RunAll();
  world.plan.fail_write = base::Fail(Code::kDiskFull, "full");
  const auto refused = world.Update({.value = "new", .idempotency_key = "i"});
  const auto read = world.Read("k", false, "i");  // meets the refused write in its turn
  world.loop.RunAll();
  EXPECT_EQ(refused->code(), Code::kDiskFull);
  EXPECT_EQ(refused->results, 1);
  EXPECT_EQ(refused->durables, 0);
  ASSERT_TRUE(read->ok()) << read->value->error().message;
  EXPECT_EQ(world.ValuesIn((*read->value)->object), Values{"old"});
  EXPECT_EQ((*read->value)->idempotency_answer, "");
  world.plan.fail_write = {};
  const auto taken = world.Update({.value = "newer"});
  world.loop.RunAll();
  EXPECT_TRUE(taken->ok());
  EXPECT_EQ(world.Values(), (Values{"old", "newer"}));
}

TEST(Replica, AStalledBatchIsParkedAndTriedAgain) {
  World world;
  world.plan.fail_write = base::Fail(Code::kStalled, "wait");
  const auto first = world.Update({.value = "a"});
  world.loop.RunAll();
  const auto second = world.Update({.value = "b"});
  const auto read = world.Read("k");
  world.loop.RunAll();
  world.Tick();
  world.loop.RunAll();
  EXPECT_EQ(first->results + second->results + read->times, 0);
  EXPECT_EQ(world.Waiting(), 2U);
  world.plan.fail_write = {};
  world.Tick();
  world.loop.RunAll();
  EXPECT_TRUE(first->ok());
  EXPECT_TRUE(second->ok());
  EXPECT_TRUE(second->durable->has_value());
  EXPECT_EQ(world.ValuesIn((*read->value)->object), (Values{"a", "b"}));
  EXPECT_EQ(world.Values(), (Values{"a", "b"}));
}

TEST(ReplicaMustHold, M40_WaitingWritesAreBounded) {
  World world;
  world.Start({}, 3);
  world.plan.fail_write = base::Fail(Code::kStalled, "wait");
  for (int i = 0; i < 3; ++i) world.Update({.key = std::to_string(i)});
  const auto update = world.Update({});
  const auto write = world.Write("k", PeerObject("a"));
  EXPECT_EQ(update->code(), Code::kOverloaded);
  EXPECT_EQ(write->code(), Code::kOverloaded);
}

TEST(ReplicaMustHold, M40_AStalledBatchDoesNotGrowForEver) {
  World world;
  world.plan.batch_bytes_max = 5000;
  world.plan.fail_write = base::Fail(Code::kStalled, "wait");
  int taken = 0;
  while (world.Update({.key = std::to_string(taken), .value = std::string(1000, 'v')})->results ==
         0)
    ++taken;
  EXPECT_GE(taken, 4);
  EXPECT_LE(taken, 6);
  EXPECT_EQ(world.Write("k", PeerObject("a"))->code(), Code::kOverloaded);
  EXPECT_EQ(world.Waiting(), static_cast<size_t>(taken)) << "deletes and what waits go on";
  world.plan.fail_write = {};
  world.Tick();
  world.loop.RunAll();
  EXPECT_TRUE(world.Update({.key = "again"})->results == 0);
}

TEST(ReplicaMustHold, M40_WaitingReadsAreBoundedOnOneKeyToo) {
  World world;
  world.Start({}, 3);
  world.plan.miss_memory = true;
  world.plan.hold_gets = true;
  std::vector<std::shared_ptr<Read>> reads;
  for (int i = 0; i < 5; ++i) reads.push_back(world.Read("k"));
  EXPECT_EQ(reads[2]->times, 0);
  ASSERT_EQ(reads[3]->times, 1);
  EXPECT_EQ(reads[3]->code(), Code::kOverloaded);
  EXPECT_EQ(reads[4]->code(), Code::kOverloaded);
  EXPECT_EQ(world.Read("other")->code(), Code::kOverloaded);
  world.plan.Release();
  world.plan.miss_memory = false;
  world.loop.RunAll();
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(reads[i]->ok());
}

TEST(Replica, ConcurrentUpdatesOfAKeyThatIsNotInMemoryKeepTheirOrder) {
  World world;
  world.Update({.value = "0"});
  world.loop.RunAll();
  world.plan.miss_memory = true;
  world.plan.hold_gets = true;
  std::vector<std::shared_ptr<Updated>> updates;
  for (int i = 1; i <= 5; ++i) updates.push_back(world.Update({.value = std::to_string(i)}));
  const auto read = world.Read("k");
  world.loop.RunAll();
  EXPECT_EQ(world.plan.held(), 1U) << "one load for all of them";
  world.plan.Release();
  world.loop.RunAll();
  uint64_t before = 0;
  for (int i = 1; i <= 5; ++i) {
    const auto& update = updates[static_cast<size_t>(i - 1)];
    ASSERT_TRUE(update->ok());
    const auto object = causal::Object::Decode((*update->result)->object).value();
    EXPECT_EQ(object.dvv()->values().size(), static_cast<size_t>(i + 1));
    const uint64_t counter = object.dvv()->values().back().dot.counter;
    EXPECT_GT(counter, before);
    before = counter;
  }
  EXPECT_EQ(world.ValuesIn((*read->value)->object), (Values{"0", "1", "2", "3", "4", "5"}));
}

// Loads, stalls, refusals and merges in random order: every callback comes once, what is readable
// is what was not refused, no dot is used twice.
TEST(ReplicaMustHold, M2_RandomFaultsNeverLoseAnAckOrReuseADot) {
  for (uint64_t seed = 0; seed < 60; ++seed) {
    base::Prng prng(seed);
    World world;
    std::vector<std::pair<std::shared_ptr<Updated>, Put>> updates;
    for (int i = 0; i < 150; ++i) {
      world.plan.miss_memory = prng.Chance(0.4);
      world.plan.hold_syncs = prng.Chance(0.3);
      world.plan.hold_gets = prng.Chance(0.3);
      world.plan.fail_write = {};
      if (prng.Chance(0.2)) world.plan.fail_write = base::Fail(Code::kStalled, "");
      if (prng.Chance(0.1)) world.plan.fail_write = base::Fail(Code::kDiskFull, "");
      Put put{.key = prng.Chance(0.5) ? "a" : "b", .value = std::to_string(i), .siblings_max = 500};
      updates.emplace_back(world.Update(put), put);
      if (prng.Chance(0.2)) world.Write("a", PeerObject("p" + std::to_string(i), 1000 + i));
      if (prng.Chance(0.5)) world.loop.RunAll();
      if (prng.Chance(0.3)) world.plan.Release();
      if (prng.Chance(0.3)) world.Tick();
    }
    world.plan.fail_write = {};
    world.plan.miss_memory = false;
    for (int i = 0; i < 3; ++i) {
      world.plan.Release();
      world.Tick();
      world.loop.RunAll();
    }
    EXPECT_EQ(world.Waiting(), 0U);
    for (const auto& [update, put] : updates) {
      ASSERT_EQ(update->results, 1);
      EXPECT_EQ(update->durables, update->ok() ? 1 : 0);
      const Values values = world.Values(put.key);
      const bool found = std::find(values.begin(), values.end(), put.value) != values.end();
      EXPECT_EQ(found, update->ok()) << "seed " << seed << " value " << put.value;
    }
  }
}

TEST(ReplicaMustHold, M6_ACorruptRecordIsAnErrorAndNeverAbsent) {
  World world;
  world.Update({.value = "a"});
  world.loop.RunAll();
  auto image = world.engine.DurableImage();
  std::string& record = image[0].begin()->second;
  record.back() = static_cast<char>(record.back() ^ 1);
  world.engine.Restore(image);
  const auto read = world.Read("k");
  const auto digest = world.Read("k", true);
  const auto update = world.Update({.value = "b"});
  const auto conditional =
      world.Update({.value = "b", .condition = causal::Condition::kNoLiveValue});
  const auto write = world.Write("k", PeerObject("c"));
  world.loop.RunAll();
  EXPECT_EQ(read->code(), Code::kCorruption);
  EXPECT_EQ(digest->code(), Code::kCorruption);
  EXPECT_EQ(update->code(), Code::kCorruption);
  EXPECT_EQ(conditional->code(), Code::kCorruption);
  EXPECT_EQ(write->code(), Code::kCorruption);
  EXPECT_EQ(world.metrics.replica_read_errors.value(), 5U);
}

TEST(ReplicaMustHold, M6_AFailedReadIsAnErrorFromMemoryAndFromDisk) {
  World world;
  world.Update({.value = "a"});
  world.loop.RunAll();
  for (const bool from_disk : {false, true}) {
    world.plan.miss_memory = from_disk;
    world.plan.fail_read = true;
    const auto read = world.Read("k");
    const auto update = world.Update({.value = "b"});
    const auto absent = world.Read("nothing here");
    world.loop.RunAll();
    EXPECT_EQ(read->code(), Code::kCorruption);
    EXPECT_EQ(update->code(), Code::kCorruption);
    EXPECT_EQ(absent->code(), Code::kCorruption);
    world.plan.fail_read = false;
    EXPECT_EQ(world.Values(), Values{"a"});
  }
}

TEST(Replica, WhatAPeerSendsIsChecked) {
  World world;
  const auto rubbish = world.Write("k", "rubbish");
  const auto empty = world.Write("k", "");
  world.Update({});
  causal::Object lww(causal::Kind::kLww);
  lww.lww()->stamp = causal::HlcStamp::FromWallMs(5);
  const auto other_kind = world.Write("k", lww.Encode());
  const auto update = world.Update({.kind = causal::Kind::kLww});
  world.loop.RunAll();
  EXPECT_EQ(rubbish->code(), Code::kInvalidArgument);
  EXPECT_EQ(empty->code(), Code::kInvalidArgument);
  EXPECT_EQ(other_kind->code(), Code::kConflict);
  EXPECT_EQ(update->code(), Code::kConflict);
  EXPECT_EQ(world.Values(), Values{"v"});
}

// Deletes alone go on, and other writes of the same turn must not take them along.
TEST(Replica, OnANearlyFullDiskDeletesGoOn) {
  World world;
  const auto before = world.Update({.value = "v"});
  world.Write("r", PeerObject("v"));
  world.loop.RunAll();
  auto deleted_there = causal::Object::Decode(PeerObject("v")).value();
  const causal::DotSet seen = deleted_there.dvv()->history();
  deleted_there.dvv()->Update(seen, {.tombstone = true}, {2, 1, 1});
  const std::string tombstone = deleted_there.Encode();
  world.plan.nearly_full = true;
  const auto put = world.Update({.key = "p", .value = "v"});
  const auto replicated = world.Write("q", PeerObject("v"));
  const auto deleted = world.Update({.value = "",
                                     .context = (*before->result)->context,
                                     .idempotency_key = "i",
                                     .tombstone = true});
  std::optional<Code> for_client, for_repair, hint;
  WriteOptions options{.now = world.now, .for_client = true};
  world.replica().Write(World::Ref("r"), tombstone, options, [&](const base::Status& status) {
    for_client = status ? Code::kOk : status.error().code;
  });
  world.replica().Write(
      World::Ref("s"), tombstone, {.now = world.now},
      [&](const base::Status& status) { for_repair = status ? Code::kOk : status.error().code; });
  world.replica().Owe({1, {42}, "k", 9}, world.now, [&](const base::Status& status) {
    hint = status ? Code::kOk : status.error().code;
  });
  world.loop.RunAll();
  EXPECT_EQ(put->code(), Code::kDiskFull);
  EXPECT_EQ(replicated->code(), Code::kDiskFull);
  EXPECT_TRUE(deleted->ok());
  EXPECT_TRUE(deleted->durable->has_value());
  EXPECT_EQ(for_client, Code::kOk);
  EXPECT_EQ(for_repair, Code::kDiskFull) << "repair does not use up what is kept for clients";
  EXPECT_EQ(hint, Code::kDiskFull);
  EXPECT_TRUE(world.Values().empty());
  const auto again = world.Update({.value = "v", .idempotency_key = "i"});
  world.loop.RunAll();
  EXPECT_TRUE((*again->result)->replayed) << "nothing is written for it";
  world.plan.nearly_full = false;
  EXPECT_TRUE(world.Values("p").empty());
  const auto later = world.Update({.key = "p", .value = "v"});
  world.loop.RunAll();
  EXPECT_TRUE(later->ok());
}

}  // namespace
}  // namespace lariat::replica
