// SPDX-License-Identifier: Apache-2.0
// The hash trees of a replica against a count of its records: while it runs, after crashes at any
// point, and after starts that must not trust what is stored.
#include <gtest/gtest.h>

#include "replica/tree/tree_test_util.h"

namespace lariat::replica {
namespace {

using base::Code;
using merkle::LeafSum;
using storage::Space;

// Few leaves with several keys each, one of them at the border of two shards.
KeyRef RefOf(int key, uint32_t bucket = 1) {
  const uint64_t leaf = std::array<uint64_t, 4>{0, 3, 32767, 65535}[key % 4];
  const uint64_t within = base::Hash64(std::to_string(key)) >> 16;
  return {bucket, {leaf << merkle::kLeafShift | within}, "k" + std::to_string(key)};
}
std::string DataKeyOf(const KeyRef& ref) {
  return storage::DataKey(ref.bucket, ref.token.value, ref.key);
}

class TreeTest : public testing::Test, public World {
 protected:
  void Put(const KeyRef& ref, const std::string& value, bool tombstone = false,
           int64_t expires_ms = 0) {
    UpdateRequest request;
    request.key = ref;
    request.change.value.bytes = value;
    request.change.value.tombstone = tombstone;
    request.change.value.expires_ms = expires_ms;
    request.change.now = now;
    replica().Update(
        std::move(request), [](auto) {}, [](auto) {});
  }
  void Merge(const KeyRef& ref, const std::string& value, uint64_t peer) {
    replica().Write(ref, PeerObject(value, peer), {}, [](auto) {});
  }
  void Remove(const KeyRef& ref) {
    replica().RemoveIf(
        {{DataKeyOf(ref), {}}}, [] { return true; }, [](auto) {});
  }
  // A start that loads what is stored, and reads no record.
  void RestartWithoutWalk() {
    plan.kept_in_crash = SIZE_MAX;
    tree_bytes_per_s = 0;
    Crash();
    tree_bytes_per_s = 1 << 30;
    World::Settle();
  }
  void Settle() {
    replica().SetTreeRate(tree_bytes_per_s);
    World::Settle();
  }
  void ExpectTrue(const std::string& trace = "") {
    EXPECT_EQ(LeavesOf(replica(), trace), CountLeaves(engine, loop)) << trace;
  }
  LeafCheck Check(uint32_t bucket, uint32_t leaf) {
    std::optional<base::Result<LeafCheck>> answer;
    replica().CheckLeaf(bucket, leaf,
                        [&](base::Result<LeafCheck> check) { answer = std::move(check); });
    loop.RunAll();
    EXPECT_TRUE(answer && *answer);
    return answer && *answer ? std::move(**answer) : LeafCheck{};
  }
};

TEST_F(TreeTest, FollowsEveryChangeOfARecord) {
  Settle();
  Put(RefOf(1), "a");
  Put(RefOf(5), "b");
  Put(RefOf(1), "c");  // a sibling, staged twice in one batch
  Merge(RefOf(1), "d", 2);
  Merge(RefOf(2), "e", 2);
  Put(RefOf(1, 7), "f", false, 5'000);
  Put(RefOf(3), "", true);
  loop.RunAll();
  ExpectTrue("written");
  const auto counts = replica().tree().CountsOf(1);
  EXPECT_EQ(counts.keys, 4U);
  EXPECT_EQ(counts.tombstones, 1U);
  EXPECT_EQ(replica().tree().CountsOf(7).expiring, 1U);
  Tick();
  EXPECT_EQ(metrics.tombstones.value(), 1);
  EXPECT_EQ(metrics.tree_leaves_unknown.value(), 0);
  EXPECT_GT(metrics.tree_bytes.value(), 0);
  Remove(RefOf(3));
  Remove(RefOf(1));
  loop.RunAll();
  ExpectTrue("removed");
  Tick();
  EXPECT_EQ(metrics.tombstones.value(), 0);
  EXPECT_EQ(metrics.tree_corrections.value(), 0U);
}

TEST_F(TreeTest, ABucketWithoutRecordsIsToldFromOneThatIsNotKnown) {
  const auto holds_nothing = [this](uint32_t bucket) {
    return replica().tree().HoldNothing(bucket, 0, merkle::kLeaves - 1);
  };
  EXPECT_FALSE(holds_nothing(1)) << "not read yet";
  Settle();
  EXPECT_TRUE(holds_nothing(1));
  EXPECT_TRUE(replica().tree().LeavesIfAny(1, 0, merkle::kLeaves - 1).empty());
  const uint64_t version = replica().tree().VersionOf(1);
  Put(RefOf(5), "b");
  loop.RunAll();
  EXPECT_FALSE(holds_nothing(1));
  EXPECT_TRUE(holds_nothing(7));
  const uint64_t written = replica().tree().VersionOf(1);
  EXPECT_GT(written, version);
  Put(RefOf(1, 7), "f");
  loop.RunAll();
  EXPECT_EQ(replica().tree().VersionOf(1), written);
  EXPECT_EQ(replica().tree().LeavesIfAny(1, 0, merkle::kLeaves - 1).size(), merkle::kLeaves);
  Remove(RefOf(5));
  loop.RunAll();
  EXPECT_GT(replica().tree().VersionOf(1), written);
}

TEST_F(TreeTest, EqualContentMakesEqualSums) {
  Settle();
  Merge(RefOf(1), "a", 2);
  Merge(RefOf(1), "b", 3);
  Merge(RefOf(2), "c", 2);
  loop.RunAll();
  World other;
  other.Settle();
  for (const auto& [key, value, peer] : {std::tuple(2, "c", 2), {1, "b", 3}, {1, "a", 2}}) {
    other.replica().Write(RefOf(key), PeerObject(value, peer), {}, [](auto) {});
    other.loop.RunAll();
  }
  EXPECT_EQ(LeavesOf(replica()), LeavesOf(other.replica()));
}

TEST_F(TreeTest, ARefusedBatchLeavesNoTrace) {
  Settle();
  Put(RefOf(1), "a");
  loop.RunAll();
  const Leaves before = LeavesOf(replica());
  plan.fail_write = base::Fail(Code::kDiskFull, "full");
  Put(RefOf(1), "b");
  Put(RefOf(2), "c");
  loop.RunAll();
  EXPECT_EQ(LeavesOf(replica()), before);
  plan.fail_write = {};
  Put(RefOf(2), "d");
  loop.RunAll();
  ExpectTrue();
  RestartWithoutWalk();
  ExpectTrue("restarted");
}

TEST_F(TreeTest, AStalledBatchIsCountedOnceItIsWritten) {
  Settle();
  plan.fail_write = base::Fail(Code::kStalled, "wait");
  Put(RefOf(1), "a");
  loop.RunAll();
  Settle();
  EXPECT_TRUE(LeavesOf(replica()).empty());
  Put(RefOf(5), "b");  // the same leaf, into the batch that waits
  loop.RunAll();
  Settle();
  plan.fail_write = {};
  Settle();
  ExpectTrue();
  EXPECT_EQ(LeavesOf(replica()).size(), 1U);
  RestartWithoutWalk();
  ExpectTrue("restarted");
}

// Every prefix of what was written may be what a crash leaves; the trees stand by it without a
// record having been read.
TEST_F(TreeTest, IsRightAfterACrashBetweenWriteAndSync) {
  for (size_t kept = 0; kept <= 8; ++kept) {
    engine.Restore({});
    Start();
    Settle();
    plan.hold_syncs = true;
    for (int step = 0; step < 8; ++step) {
      Put(RefOf(step % 3), std::to_string(step));
      if (step % 2 == 1) Merge(RefOf(4 + step), "m", 2);
      loop.RunAll();
    }
    plan.kept_in_crash = kept;
    Crash();
    plan.Release();
    replica().Tick({});
    loop.RunAll();
    ExpectTrue(std::to_string(kept) + " batches kept");
    EXPECT_EQ(metrics.tree_corrections.value(), 0U);
  }
}

TEST_F(TreeTest, WritesBeforeTheLeavesAreLoadedCount) {
  Settle();
  for (int key = 0; key < 8; ++key) Put(RefOf(key), "old");
  loop.RunAll();
  Crash();
  plan.hold_gets = true;  // scans too
  replica().Tick({});
  Put(RefOf(1), "new");
  Put(RefOf(9), "new");
  Put(RefOf(1, 5), "another bucket");
  Remove(RefOf(2));
  loop.RunAll();
  EXPECT_FALSE(replica().LeafSums(1, 3, 3)[0].known);
  EXPECT_TRUE(engine.GetBlocking(Space::kData, DataKeyOf(RefOf(1, 5)))) << "nothing waits";
  plan.Release();
  replica().Tick({});
  loop.RunAll();
  ExpectTrue("loaded");
  RestartWithoutWalk();
  ExpectTrue("restarted");
}

TEST_F(TreeTest, ACrashWhileLoadingLosesNothing) {
  Settle();
  for (int key = 0; key < 8; ++key) Put(RefOf(key), "old");
  loop.RunAll();
  for (int round = 0; round < 3; ++round) {
    Crash();
    plan.hold_gets = true;
    replica().Tick({});
    Put(RefOf(1), "new" + std::to_string(round));
    loop.RunAll();
    plan.hold_gets = false;
  }
  RestartWithoutWalk();
  ExpectTrue();
}

TEST_F(TreeTest, TheJournalEndsInPages) {
  Settle();
  tree.journal_bytes_max = 500;
  Crash();
  Settle();
  const auto entries = [this](size_t key_size) {
    loop.RunAll();
    size_t found = 0;
    for (const auto& [key, value] : engine.DurableImage()[static_cast<size_t>(Space::kTree)]) {
      found += key.size() == key_size ? 1 : 0;
    }
    return found;
  };
  const size_t page_key = TreePageKey({}, 0).size(), journal_key = TreeJournalKey(0, {}).size();
  for (int step = 0; step < 100; ++step) {
    Put(RefOf(step % 24), std::to_string(step));
    EXPECT_LE(entries(journal_key), 12U);
  }
  EXPECT_EQ(entries(page_key), 3U) << "of four leaves two share a page";
  RestartWithoutWalk();
  ExpectTrue();
  EXPECT_EQ(entries(journal_key), 0U) << "earlier runs' entries go as soon as they were read";
  EXPECT_EQ(metrics.tree_corrections.value(), 0U);
}

TEST_F(TreeTest, WhatCannotBeUnderstoodIsReadAgain) {
  Settle();
  for (int key = 0; key < 8; ++key) Put(RefOf(key), "v");
  loop.RunAll();
  storage::MemoryEngine::Image image = engine.DurableImage();
  for (auto& [key, value] : image[static_cast<size_t>(Space::kTree)]) {
    if (ParseTreeJournalKey(key)) value.pop_back();
  }
  engine.Restore(std::move(image));
  RestartWithoutWalk();
  EXPECT_FALSE(replica().LeafSums(1, 3, 3)[0].known);
  Settle();
  ExpectTrue("read");
  RestartWithoutWalk();
  ExpectTrue("restarted");
}

TEST_F(TreeTest, DataWithoutATreeIsReadOnce) {
  for (int key = 0; key < 40; ++key) Put(RefOf(key, key % 3 + 1), "v");
  loop.RunAll();
  storage::MemoryEngine::Image image = engine.DurableImage();
  image[static_cast<size_t>(Space::kTree)].clear();
  engine.Restore(std::move(image));
  Start();
  EXPECT_FALSE(replica().LeafSums(1, 3, 3)[0].known);
  Put(RefOf(1), "meanwhile");
  Tick();
  EXPECT_GT(metrics.tree_leaves_unknown.value(), 0);
  Settle();
  ExpectTrue("walked");
  EXPECT_EQ(metrics.tree_leaves_unknown.value(), 0);
  EXPECT_EQ(metrics.tree_corrections.value(), 0U);
  RestartWithoutWalk();
  ExpectTrue("restarted");
}

TEST_F(TreeTest, AnotherNumberOfShardsOrACutLogStartsAnew) {
  Settle();
  for (int key = 0; key < 12; ++key) Put(RefOf(key), "v");
  loop.RunAll();
  for (int round = 0; round < 2; ++round) {
    // As shard 0 of 2, which writes to its own keys only, then as the only one again.
    tree.shards = 2;
    Crash();
    EXPECT_FALSE(replica().LeafSums(1, 3, 3)[0].known);
    EXPECT_TRUE(replica().LeafSums(1, 65535, 65535)[0].known) << "of the other shard";
    Settle();
    Put(RefOf(1), "w" + std::to_string(round));
    loop.RunAll();
    EXPECT_EQ(LeavesOf(replica()), CountLeaves(engine, loop, ring::SliceOf(0, 2)));
    tree.shards = 1;
    Crash();
    EXPECT_FALSE(replica().LeafSums(1, 3, 3)[0].known);
    Settle();
    ExpectTrue("one shard again");
  }
  tree.log_truncated = true;
  RestartWithoutWalk();  // stores that the trees begin anew
  EXPECT_FALSE(replica().LeafSums(1, 3, 3)[0].known);
  tree.log_truncated = false;
  RestartWithoutWalk();
  EXPECT_FALSE(replica().LeafSums(1, 3, 3)[0].known) << "a second start does not forget";
  Settle();
  ExpectTrue("read");
}

TEST_F(TreeTest, ARunWithoutTreesIsNotTrusted) {
  Settle();
  Put(RefOf(1), "a");
  loop.RunAll();
  tree.keep = false;
  Crash();
  Put(RefOf(1), "b");  // before the first tick
  loop.RunAll();
  Settle();
  EXPECT_FALSE(replica().LeafSums(1, 3, 3)[0].known);
  EXPECT_EQ(Check(1, 3).records, 1U);
  EXPECT_FALSE(replica().LeafSums(1, 3, 3)[0].known);
  tree.keep = true;
  RestartWithoutWalk();
  EXPECT_FALSE(replica().LeafSums(1, 3, 3)[0].known);
  Settle();
  ExpectTrue();
}

TEST_F(TreeTest, PartsOfTwoShardsAddUp) {
  // 3 shards: their borders cut leaves 21845 and 43690.
  const uint64_t border = ring::SliceOf(0, 3).last.value;
  const KeyRef below{1, {border}, "below"}, above{1, {border + 1}, "above"};
  Settle();
  for (const KeyRef& ref : {below, above}) Put(ref, "v");
  loop.RunAll();
  const auto image = engine.DurableImage();
  LeafSum whole;
  for (uint32_t shard = 0; shard < 3; ++shard) {
    engine.Restore(image);
    tree = {true, shard, 3, false, 1 << 20};
    Start();
    Settle();
    const LeafPart part = replica().LeafSums(1, 21845, 21845)[0];
    EXPECT_TRUE(part.known);
    EXPECT_EQ(part.sum.keys, shard < 2 ? 1U : 0U);
    whole += part.sum;
  }
  EXPECT_EQ(whole, (CountLeaves(engine, loop)[{1, 21845}]));
}

TEST_F(TreeTest, ACheckFindsWhatTheTreeDoesNotKnow) {
  Settle();
  for (int key = 0; key < 8; ++key) Put(RefOf(key), "v");
  loop.RunAll();
  EXPECT_EQ(Check(1, 3).sums, TreeUpkeep::Settled::kMatched);
  EXPECT_EQ(Check(1, 3).records, 2U);
  engine.Forget(Space::kData, DataKeyOf(RefOf(1)));
  EXPECT_EQ(Check(1, 3).sums, TreeUpkeep::Settled::kCorrected);
  EXPECT_EQ(metrics.tree_corrections.value(), 1U);
  ExpectTrue();
  RestartWithoutWalk();
  ExpectTrue("the correction is stored");
}

// A page is read, then records before, in and behind it change while the next one is on its way.
TEST_F(TreeTest, ACheckIsExactWhileTheLeafChanges) {
  Settle();
  base::Prng prng(7);
  const auto ref = [](uint64_t i) { return KeyRef{1, {i}, "k"}; };
  for (int i = 0; i < 600; ++i) Put(ref(i), std::string(2000, 'x'));  // several pages
  loop.RunAll();
  for (int round = 0; round < 20; ++round) {
    std::optional<LeafCheck> check;
    plan.hold_gets = true;
    replica().CheckLeaf(1, 0, [&](base::Result<LeafCheck> done) { check = std::move(*done); });
    while (!check) {
      for (int i = 0; i < 10; ++i) {
        const KeyRef at = ref(prng.Below(700));
        if (prng.Chance(0.3)) {
          Remove(at);
        } else {
          Put(at, std::string(1000, 'y'));
        }
      }
      if (prng.Chance(0.5)) loop.RunAll();
      plan.Release();
      plan.hold_gets = true;
      loop.RunAll();
    }
    EXPECT_EQ(check->sums, TreeUpkeep::Settled::kMatched);
    plan.Release();
    loop.RunAll();
  }
  EXPECT_EQ(metrics.tree_corrections.value(), 0U);
  ExpectTrue();
}

TEST_F(TreeTest, ADamagedRecordIsReplacedAndQuarantined) {
  Settle();
  Put(RefOf(1), "v");
  Put(RefOf(5), "w");
  loop.RunAll();
  const Leaves before = LeavesOf(replica());
  const std::string key = DataKeyOf(RefOf(1));
  std::string bytes = *engine.GetBlocking(Space::kData, key);
  const std::string object(storage::ParseRecord(bytes)->object);
  bytes[10] ^= 1;
  storage::WriteBatch batch;
  batch.Put(Space::kData, key, bytes);
  ASSERT_TRUE(engine.Write(batch));
  const LeafCheck check = Check(1, 3);
  ASSERT_EQ(check.damaged.size(), 1U);
  EXPECT_EQ(check.damaged[0].data_key, key);
  EXPECT_EQ(check.sums, TreeUpkeep::Settled::kUnchecked);
  EXPECT_EQ(LeavesOf(replica()), before) << "what the others have too";

  const auto replace = [&](const std::string& damaged) {
    std::optional<base::Result<RecordState>> state;
    replica().Replace(key, damaged, object, [&](auto done) { state = std::move(done); });
    loop.RunAll();
    return state->value();
  };
  EXPECT_EQ(replace(bytes + "x"), RecordState::kDifferent);
  EXPECT_EQ(replace(check.damaged[0].bytes), RecordState::kDone);
  EXPECT_EQ(replace(check.damaged[0].bytes), RecordState::kDifferent);
  EXPECT_EQ(engine.GetBlocking(Space::kQuarantine, key), bytes);
  const std::string healed = *engine.GetBlocking(Space::kData, key);
  EXPECT_EQ(storage::ParseRecord(healed)->object, object);
  EXPECT_FALSE(storage::ParseRecord(healed)->own_actor) << "it may have been another one";
  EXPECT_FALSE(replica().LeafSums(1, 3, 3)[0].known);
  RestartWithoutWalk();
  EXPECT_FALSE(replica().LeafSums(1, 3, 3)[0].known) << "not forgotten in a crash";
  Settle();
  EXPECT_EQ(LeavesOf(replica()), before);
  ExpectTrue();
}

TEST_F(TreeTest, TheWalkKeepsToItsRate) {
  for (int key = 0; key < 200; ++key) Put(RefOf(key), std::string(10'000, 'v'));  // 2 MB
  loop.RunAll();
  tree.log_truncated = true;
  tree_bytes_per_s = 1 << 20;
  Crash();
  loop.RunAll();
  const base::Instant start = time;
  for (int i = 0; i < 2000 && replica().tree().UnknownLeaves() > 0; ++i) {
    Tick();
    loop.RunAll();
  }
  EXPECT_EQ(replica().tree().UnknownLeaves(), 0U);
  EXPECT_GT(time - start, base::Seconds(1));
  EXPECT_LT(time - start, base::Seconds(4));
  ExpectTrue();
}

TEST_F(TreeTest, AnUnreadableDiskLeavesLeavesUnknownUntilItIsRead) {
  for (int key = 0; key < 8; ++key) Put(RefOf(key), "v");
  loop.RunAll();
  for (const bool truncated : {false, true}) {
    tree.log_truncated = truncated;
    Crash();
    plan.fail_read = true;
    for (int i = 0; i < 5; ++i) Tick(), loop.RunAll();
    EXPECT_FALSE(replica().LeafSums(1, 3, 3)[0].known);
    plan.fail_read = false;
    time += base::Seconds(20);
    Settle();
    time += base::Seconds(20);
    Settle();
    ExpectTrue();
  }
}

// Anything in any order, with crashes and restarts anywhere.
TEST_F(TreeTest, StaysRightThroughRandomHistories) {
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    base::Prng prng(seed);
    engine.Restore({});
    tree = {};
    tree.journal_bytes_max = seed % 2 == 0 ? 400 : 1 << 20;
    Start();
    for (int step = 0; step < 120; ++step) {
      const KeyRef ref = RefOf(static_cast<int>(prng.Below(12)), 1 + prng.Below(2));
      const uint64_t what = prng.Below(100);
      plan.fail_write = {};
      if (prng.Chance(0.1)) plan.fail_write = base::Fail(Code::kStalled, "wait");
      if (prng.Chance(0.05)) plan.fail_write = base::Fail(Code::kDiskFull, "full");
      plan.fail_read = prng.Chance(0.05);
      plan.miss_memory = prng.Chance(0.3);
      if (what < 35) {
        Put(ref, std::to_string(step), prng.Chance(0.2), prng.Chance(0.2) ? 7'000 : 0);
      } else if (what < 55) {
        Merge(ref, "m", 2 + prng.Below(3));
      } else if (what < 65) {
        Remove(ref);
      } else if (what < 80) {
        loop.RunAll();
      } else if (what < 90) {
        Tick();
      } else if (what < 94) {
        plan.hold_syncs = prng.Chance(0.5);
        plan.hold_gets = prng.Chance(0.3);
        if (!plan.hold_syncs && !plan.hold_gets) plan.Release();
      } else {
        plan.kept_in_crash = prng.Below(10);
        tree.keep = !prng.Chance(0.1);
        tree.log_truncated = prng.Chance(0.1);
        plan.fail_read = false;
        Crash();
      }
    }
    plan.fail_write = {};
    plan.fail_read = plan.miss_memory = false;
    plan.Release();
    if (!tree.keep) {
      tree.keep = true;
      Crash();
    }
    time += base::Seconds(20);
    Settle();
    time += base::Seconds(20);
    Settle();
    ExpectTrue("seed " + std::to_string(seed));
    tree.log_truncated = false;
    RestartWithoutWalk();
    ExpectTrue("restarted, seed " + std::to_string(seed));
    EXPECT_EQ(metrics.tree_corrections.value(), 0U) << seed;
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace lariat::replica
