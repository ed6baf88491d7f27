// SPDX-License-Identifier: Apache-2.0
// Hints as a replica keeps them: what is in them, limits, removal, and what a crash leaves.
#include <gtest/gtest.h>

#include <set>

#include "replica/dirty_marks.h"
#include "replica/hint.h"
#include "replica/hint_reader.h"
#include "replica/replica_test_util.h"
#include "storage/record.h"

namespace lariat::replica {
namespace {

using base::Code;
using storage::Space;
using Texts = std::vector<std::string>;

constexpr uint64_t kTarget = 7;

std::string Hex(std::string_view bytes) {
  std::string hex;
  for (const char c : bytes) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    hex += kDigits[static_cast<uint8_t>(c) >> 4];
    hex += kDigits[static_cast<uint8_t>(c) & 15];
  }
  return hex;
}

TEST(Hint, GoldenBytes) {
  const Hint hint = {0x0102030405, 0x1112131415161718, true, "abc"};
  const std::string bytes = EncodeHint(hint);
  EXPECT_EQ(Hex(bytes),
            "0101" + Hex(bytes.substr(2, 4)) + "05040302010000001817161514131211616263");
  EXPECT_EQ(Hex(bytes.substr(2, 4)), "1a858904");
  const auto parsed = ParseHint(bytes);
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->stored_ms, hint.stored_ms);
  EXPECT_EQ(parsed->version, hint.version);
  EXPECT_TRUE(parsed->reference);
  EXPECT_EQ(parsed->record, "abc");
  EXPECT_EQ(Hex(HintKey(kTarget, storage::DataKey(1, 2, "k"))),
            "0000000000000007000000010000000000000002" + Hex("k"));
}

TEST(Hint, DamageIsFound) {
  const std::string good = EncodeHint({5, 6, false, "abc"});
  for (size_t bit = 0; bit < good.size() * 8; ++bit) {
    std::string bad = good;
    bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_FALSE(ParseHint(bad)) << bit;
  }
  for (size_t size = 0; size < good.size(); ++size) EXPECT_FALSE(ParseHint(good.substr(0, size)));
  EXPECT_FALSE(ParseHint(EncodeHint({5, 6, false, ""}))) << "says nothing";
  EXPECT_FALSE(ParseHintKey("short"));
}

// --- a replica's hints --------------------------------------------------------------------------

class HintsTest : public testing::Test {
 protected:
  KeyRef At(const std::string& key, uint64_t target = kTarget) { return {1, {42}, key, target}; }
  std::string DataKeyOf(const std::string& key) { return storage::DataKey(1, 42, key); }
  Code Keep(const std::string& key, std::string object, uint64_t target = kTarget) {
    Written answer;
    world.replica().Write(At(key, target), std::move(object), {.now = world.now},
                          [&](base::Status s) { answer.value = std::move(s); });
    world.loop.RunAll();
    return answer.ok() ? Code::kOk : answer.code();
  }
  Code Owe(const std::string& key, uint64_t target = kTarget) {
    Written answer;
    world.replica().Owe(At(key, target), world.now,
                        [&](base::Status s) { answer.value = std::move(s); });
    world.loop.RunAll();
    return answer.ok() ? Code::kOk : answer.code();
  }
  Texts Kept(const std::string& key, uint64_t target = kTarget) {
    replica::Read answer;
    world.replica().Read(At(key, target), {},
                         [&](base::Result<ReadResult> r) { answer.value = std::move(r); });
    world.loop.RunAll();
    if (!answer.ok()) return {"error"};
    return (*answer.value)->found ? world.ValuesIn((*answer.value)->object) : Texts{"nothing"};
  }
  std::vector<HintPage::Entry> List(uint64_t target = kTarget) {
    HintReader reader(world.engine, world.loop, world.metrics);
    std::vector<HintPage::Entry> all;
    std::string after;
    for (bool done = false; !done;) {
      reader.Next(target, after, {1, 1 << 20}, [&](base::Result<HintPage> page) {
        ASSERT_TRUE(page);
        for (auto& entry : page->entries) all.push_back(std::move(entry));
        after = page->last_key;
        done = page->done;
      });
      world.loop.RunAll();
    }
    return all;
  }
  size_t Remove(const std::vector<HintPage::Entry>& seen, uint64_t target = kTarget) {
    std::vector<HintMark> marks;
    for (const auto& entry : seen)
      marks.push_back({HintKey(target, entry.data_key), entry.version});
    size_t removed = 0;
    world.replica().RemoveHints(marks, [&](base::Result<size_t> r) { removed = r.value_or(99); });
    world.loop.RunAll();
    return removed;
  }
  base::Result<Texts> Hinted(const Texts& keys) {
    Texts data_keys;
    for (const auto& key : keys) data_keys.push_back(DataKeyOf(key));
    base::Result<Texts> found = base::Fail(Code::kInternal, "no answer");
    world.replica().FindHinted(data_keys, [&](base::Result<Texts> r) { found = std::move(r); });
    world.loop.RunAll();
    return found;
  }
  void Boot() {
    world.hints = std::make_shared<HintBudget>();
    world.Start();
    world.replica().RecountHints({0}, {UINT64_MAX});
    world.loop.RunAll();
  }

  World world;
};

TEST_F(HintsTest, WhatIsKeptForAMemberIsApartFromTheNodesOwn) {
  EXPECT_EQ(Keep("k", PeerObject("a")), Code::kOk);
  EXPECT_EQ(Keep("k", PeerObject("b", 3)), Code::kOk);
  EXPECT_EQ(Keep("k", PeerObject("other", 4), 8), Code::kOk);
  EXPECT_EQ(Kept("k"), (Texts{"a", "b"}));
  EXPECT_EQ(Kept("k", 8), Texts{"other"});
  EXPECT_EQ(world.Values(), Texts());
  const auto hints = List();
  ASSERT_EQ(hints.size(), 1U);
  EXPECT_EQ(hints[0].data_key, DataKeyOf("k"));
  EXPECT_EQ(hints[0].stored_ms, world.now.ms);
  EXPECT_FALSE(hints[0].reference);
}

TEST_F(HintsTest, AReferenceAndAStateForOneMemberAreOneHint) {
  EXPECT_EQ(Owe("k"), Code::kOk);
  const uint64_t version = List()[0].version;
  EXPECT_TRUE(List()[0].object.empty());
  EXPECT_EQ(Kept("k"), Texts{"nothing"});
  EXPECT_EQ(Owe("k"), Code::kOk);
  EXPECT_EQ(List()[0].version, version) << "it is owed already";
  world.hints->SetDelivering(kTarget, true);
  EXPECT_EQ(Owe("k"), Code::kOk);
  EXPECT_NE(List()[0].version, version) << "what is being delivered may be older";
  world.now.ms += 5;
  EXPECT_EQ(Keep("k", PeerObject("a")), Code::kOk);
  const auto hints = List();
  ASSERT_EQ(hints.size(), 1U);
  EXPECT_TRUE(hints[0].reference);
  EXPECT_EQ(hints[0].stored_ms, world.now.ms - 5);
  EXPECT_EQ(Kept("k"), Texts{"a"});
}

TEST_F(HintsTest, AnEventInAHintGetsAnActorOfThisIncarnation) {
  const auto update = [&](const std::string& value) {
    UpdateRequest request;
    request.key = At("k");
    request.change.value.bytes = value;
    request.change.now = world.now;
    auto updated = std::make_shared<Updated>();
    world.replica().Update(
        std::move(request),
        [updated](base::Result<UpdateResult> result) { updated->result = std::move(result); },
        [updated](base::Status status) { updated->durable = std::move(status); });
    world.loop.RunAll();
    return updated;
  };
  const auto first = update("a");
  const auto second = update("b");
  ASSERT_TRUE(first->ok() && second->ok() && *second->durable);
  EXPECT_EQ(ActorOf(*first, "a"), ActorOf(*second, "b")) << "one record, one actor";
  EXPECT_EQ(Remove(List()), 1U);
  const auto third = update("c");
  EXPECT_NE(ActorOf(*third, "c"), ActorOf(*first, "a")) << "a new record";
  Boot();
  const auto fourth = update("d");
  EXPECT_NE(ActorOf(*fourth, "d"), ActorOf(*third, "c")) << "a new incarnation";
  EXPECT_EQ(Kept("k"), (Texts{"c", "d"}));
}

TEST_F(HintsTest, OnlyWhatWasSeenIsRemoved) {
  Keep("a", PeerObject("1"));
  Keep("b", PeerObject("1"));
  const auto seen = List();
  Keep("b", PeerObject("2", 3));
  EXPECT_EQ(Remove(seen), 1U);
  EXPECT_EQ(Kept("a"), Texts{"nothing"});
  EXPECT_EQ(Kept("b"), (Texts{"1", "2"}));
  Keep("a", PeerObject("1"));
  EXPECT_EQ(Remove(seen), 0U) << "the same state, but another hint";
  world.plan.miss_memory = true;
  EXPECT_EQ(Remove(List()), 2U);
  EXPECT_EQ(world.hints->hints(), 0);
  EXPECT_EQ(world.hints->bytes(), 0);
}

TEST_F(HintsTest, AHintThatIsOnItsWayIsNotRemoved) {
  Keep("k", PeerObject("1"));
  const auto seen = List();
  world.plan.hold_syncs = true;
  world.replica().Write(At("k"), PeerObject("2", 3), {.now = world.now}, [](base::Status) {});
  EXPECT_EQ(Remove(seen), 0U) << "staged";
  EXPECT_EQ(Remove(List()), 0U) << "not durable";
  world.plan.Release();
  world.loop.RunAll();
  EXPECT_EQ(Remove(List()), 1U);
}

// Guards M18.
TEST_F(HintsTest, LimitsHoldForEachMemberAndInAll) {
  const auto fill = [&](uint64_t target) {
    int kept = 0;
    while (kept < 1000 && Keep("k" + std::to_string(kept), PeerObject("v"), target) == Code::kOk) {
      ++kept;
    }
    return kept;
  };
  world.hints->SetLimits({2000, 5000});
  EXPECT_GT(fill(1), 5);
  EXPECT_LE(world.hints->bytes(), 2000);
  EXPECT_EQ(Owe("more", 1), Code::kUnavailable);
  fill(2);
  fill(3);
  EXPECT_LE(world.hints->bytes(), 5000);
  EXPECT_GT(world.hints->bytes(), 4800);
  int owed = 0;
  while (Owe("owed" + std::to_string(owed), 4) == Code::kOk) ++owed;
  EXPECT_LT(owed, 5);
  EXPECT_EQ(world.metrics.hints_overflowed.value(), 5U);
  EXPECT_EQ(world.Values("own"), Texts()) << "reads and writes of the node's own go on";
  const auto kept = List(1);
  EXPECT_EQ(Remove(kept, 1), kept.size());
  EXPECT_GT(fill(1), 5) << "there is room again";
  world.hints->SetLimits({});
  EXPECT_EQ(Owe("more", 4), Code::kOk);
}

TEST_F(HintsTest, WhatIsStagedCountsTowardsTheLimitAndAFailedBatchGivesItBack) {
  world.hints->SetLimits({250, 5000});
  world.plan.fail_write = base::Fail(Code::kStalled, "wait");
  int refused = 0;
  int failed = 0;
  for (int i = 0; i < 10; ++i) {
    world.replica().Write(At("k" + std::to_string(i)), PeerObject("v"), {.now = world.now},
                          [&](const base::Status& status) {
                            if (status) return;
                            ++(status.error().code == Code::kUnavailable ? refused : failed);
                          });
  }
  world.loop.RunAll();
  EXPECT_GT(refused, 5);
  EXPECT_EQ(world.hints->hints(), 0);
  world.plan.fail_write = base::Fail(Code::kDiskFull, "full");
  world.Tick();
  world.loop.RunAll();
  EXPECT_EQ(refused + failed, 10);
  world.plan.fail_write = {};
  EXPECT_EQ(world.hints->hints(), 0);
  EXPECT_TRUE(world.hints->Targets().empty()) << "nothing is reserved";
  EXPECT_EQ(Keep("k", PeerObject("v")), Code::kOk);
  EXPECT_EQ(world.hints->hints(), 1);
}

TEST_F(HintsTest, EveryHintOfAKeyIsFoundAlsoWhenItIsOnItsWay) {
  EXPECT_EQ(Hinted({"a", "b"}).value(), Texts());
  Keep("a", PeerObject("1"));
  Owe("c", 9);
  EXPECT_EQ(Hinted({"a", "b", "c"}).value(), (Texts{DataKeyOf("a"), DataKeyOf("c")}));
  world.plan.hold_syncs = true;
  world.plan.fail_write = base::Fail(Code::kStalled, "wait");
  world.replica().Write(At("b", 11), PeerObject("1"), {.now = world.now}, [](base::Status) {});
  EXPECT_EQ(Hinted({"b"}).value(), Texts{DataKeyOf("b")}) << "staged";
  world.plan.fail_write = {};
  world.Tick();
  EXPECT_EQ(Hinted({"b"}).value(), Texts{DataKeyOf("b")}) << "not durable";
  world.plan.Release();
  world.loop.RunAll();
  world.plan.miss_memory = true;
  world.plan.hold_gets = true;
  world.replica().Write(At("d", 12), PeerObject("1"), {.now = world.now}, [](base::Status) {});
  Texts found;
  world.replica().FindHinted({DataKeyOf("d")}, [&](base::Result<Texts> r) { found = *r; });
  world.loop.RunAll();
  world.plan.Release();
  world.loop.RunAll();
  EXPECT_EQ(found, Texts{DataKeyOf("d")}) << "waits for the disk";
}

// --- restarts -----------------------------------------------------------------------------------

TEST_F(HintsTest, ARestartKeepsHintsAndCountsThemOnceWhateverHappensMeanwhile) {
  for (int i = 0; i < 40; ++i) Keep("k" + std::to_string(i), PeerObject("v"), 1 + i % 3);
  Owe("k0", 2);
  const int64_t bytes = world.hints->bytes();
  Boot();
  EXPECT_EQ(Hinted({"k1"}).has_value(), true) << "the count has ended by then";
  EXPECT_EQ(world.hints->hints(), 41);
  EXPECT_EQ(world.hints->bytes(), bytes);
  EXPECT_EQ(world.hints->Targets().size(), 3U);
  EXPECT_EQ(world.hints->Targets()[0].oldest_ms, world.now.ms);

  // Changes while the first page is being read, before, in and behind it.
  world.hints = std::make_shared<HintBudget>();
  world.Start();
  world.plan.hold_gets = true;  // scans too
  world.replica().RecountHints({0}, {UINT64_MAX});
  std::vector<HintPage::Entry> none;
  Keep("k0", PeerObject("w", 3), 1);
  Keep("new", PeerObject("w", 3), 3);
  Owe("k5", 3);
  EXPECT_FALSE(Hinted({"k1"})) << "not counted yet";
  const Texts before = Kept("k1", 2);
  world.plan.Release();
  world.loop.RunAll();
  EXPECT_EQ(before, Texts{"v"});
  EXPECT_EQ(world.hints->hints(), 42);
  Keep("sync", PeerObject("v"), 1);
  int64_t found = 0;
  for (const auto& [key, value] : world.engine.DurableImage()[static_cast<size_t>(Space::kHints)]) {
    found += static_cast<int64_t>(key.size() + value.size());
  }
  EXPECT_EQ(world.hints->bytes(), found);
}

TEST_F(HintsTest, AShardCountsItsOwnTokensOnly) {
  const auto keep = [&](uint64_t token, uint64_t target) {
    for (const uint32_t bucket : {1U, 2U, UINT32_MAX}) {
      world.replica().Write({bucket, {token}, "k", target}, PeerObject("v"), {.now = world.now},
                            [](base::Status) {});
    }
  };
  for (const uint64_t token : {0UL, 9UL, 10UL, 15UL, 20UL, 21UL, UINT64_MAX}) {
    for (const uint64_t target : {1UL, 2UL, UINT64_MAX}) keep(token, target);
  }
  world.loop.RunAll();
  world.hints = std::make_shared<HintBudget>();
  world.Start();
  world.replica().RecountHints({10}, {20});
  world.loop.RunAll();
  EXPECT_EQ(world.hints->hints(), 3 * 3 * 3);
  EXPECT_TRUE(Hinted({"k"}).has_value());
}

// Every acknowledged hint survives a crash after any number of engine writes; what was removed may
// come back, and nothing else does.
// Guards M3.
TEST_F(HintsTest, ACrashAtAnyMomentLosesNoAcknowledgedHint) {
  for (int crash_after = 0; crash_after < 12; ++crash_after) {
    World fresh;
    std::set<std::string> acknowledged;
    int step = 0;
    const auto write = [&](const std::string& key) {
      fresh.replica().Write({1, {42}, key, kTarget}, PeerObject(key), {.now = fresh.now},
                            [&acknowledged, key](const base::Status& status) {
                              if (status) acknowledged.insert(key);
                            });
      // Some are caught by the crash before their sync, or before the batch was written.
      fresh.plan.hold_syncs = step++ >= crash_after;
      if (step <= crash_after + 1) fresh.loop.RunAll();
    };
    for (int i = 0; i < 12; ++i) write("k" + std::to_string(i));
    EXPECT_GE(acknowledged.size(), static_cast<size_t>(crash_after));
    fresh.Crash();
    fresh.plan.Release();
    fresh.loop.RunAll();
    for (const std::string& key : acknowledged) {
      replica::Read answer;
      fresh.replica().Read({1, {42}, key, kTarget}, {},
                           [&](base::Result<ReadResult> r) { answer.value = std::move(r); });
      fresh.loop.RunAll();
      ASSERT_TRUE(answer.ok());
      EXPECT_TRUE((*answer.value)->found) << key << " after " << crash_after;
    }
  }
}

TEST_F(HintsTest, ADamagedHintIsSeenAndCanBeRemoved) {
  Keep("k", PeerObject("v"));
  storage::WriteBatch batch;
  batch.Put(Space::kHints, HintKey(kTarget, DataKeyOf("k")), "rotten");
  ASSERT_TRUE(world.engine.Write(batch));
  EXPECT_EQ(Kept("k"), Texts{"error"}) << "never taken for absent";
  EXPECT_EQ(Keep("k", PeerObject("w")), Code::kCorruption);
  const auto hints = List();
  ASSERT_EQ(hints.size(), 1U);
  EXPECT_EQ(hints[0].version, 0U);
  EXPECT_EQ(Remove(hints), 1U);
  EXPECT_EQ(Keep("k", PeerObject("w")), Code::kOk);
}

// --- dirty marks --------------------------------------------------------------------------------

class DirtyMarksTest : public testing::Test {
 protected:
  void Boot() {
    marks = std::make_unique<DirtyMarks>(world.engine, world.loop);
    marks->Load();
    world.loop.RunAll();
  }
  bool Mark(const DirtyMark& mark) {
    bool durable = false;
    marks->Mark({mark}, world.now, [&](const base::Status& s) { durable = s.has_value(); });
    world.loop.RunAll();
    return durable;
  }
  World world;
  std::unique_ptr<DirtyMarks> marks;
};

TEST_F(DirtyMarksTest, AreDurableAndSayWhichTokens) {
  Boot();
  const DirtyMark mark = DirtyMark::Of(7, 3, 0xab00000000000001);
  EXPECT_EQ(mark.part, 0xab);
  EXPECT_TRUE(mark.Range().Contains({0xab00000000000000}));
  EXPECT_TRUE(mark.Range().Contains({0xabffffffffffffff}));
  EXPECT_FALSE(mark.Range().Contains({0xac00000000000000}));
  EXPECT_FALSE(mark.Range().Contains({0xaaffffffffffffff}));
  EXPECT_EQ(mark.Range().Share(), 1.0 / 256);
  EXPECT_TRUE(Mark(mark));
  EXPECT_TRUE(Mark({UINT64_MAX, UINT32_MAX, 255}));
  EXPECT_TRUE(world.engine.GetBlocking(Space::kMeta, "dirty/0000000000000007/00000003/ab"));
  world.Crash();
  Boot();
  ASSERT_EQ(marks->List().size(), 2U);
  EXPECT_EQ(marks->List()[0].mark, mark);
  EXPECT_EQ(marks->List()[0].since_ms, world.now.ms);
}

TEST_F(DirtyMarksTest, WhatWasSetAgainStaysWhenWhatWasSeenIsCleared) {
  Boot();
  Mark({7, 3, 1});
  Mark({7, 3, 2});
  const auto seen = marks->List();
  Mark({7, 3, 2});
  marks->Clear(seen);
  world.loop.RunAll();
  Mark({7, 3, 3});
  world.Crash();
  Boot();
  ASSERT_EQ(marks->List().size(), 2U);
  EXPECT_EQ(marks->List()[0].mark.part, 2);
  EXPECT_EQ(marks->List()[1].mark.part, 3);
}

TEST_F(DirtyMarksTest, WhatTheEngineAskedToWaitWithIsTriedAgain) {
  Boot();
  world.plan.fail_write = base::Fail(Code::kStalled, "wait");
  EXPECT_FALSE(Mark({7, 3, 1}));
  EXPECT_EQ(marks->size(), 1U);
  world.plan.fail_write = {};
  marks->Tick();
  world.loop.RunAll();
  world.Crash();
  Boot();
  EXPECT_EQ(marks->size(), 1U);
}

}  // namespace
}  // namespace lariat::replica
