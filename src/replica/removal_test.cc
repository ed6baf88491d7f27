// SPDX-License-Identifier: Apache-2.0
// Records that are removed or folded, if they are still what somebody saw.
#include <gtest/gtest.h>

#include "replica/replica_test_util.h"

namespace lariat::replica {
namespace {

using base::Code;
using storage::Space;
using Texts = std::vector<std::string>;
using States = std::vector<RecordState>;

// World::Ref: bucket 1, token 42.
std::string DataKeyOf(const std::string& key) { return storage::DataKey(1, 42, key); }

class RemovalTest : public testing::Test, public World {
 protected:
  using Answer = std::shared_ptr<std::optional<base::Result<States>>>;
  Answer Start(std::vector<RecordVersion> records, bool fold = false) {
    auto answer = std::make_shared<std::optional<base::Result<States>>>();
    const auto may = [this] { return allowed; };
    const auto done = [answer](base::Result<States> states) {
      EXPECT_FALSE(*answer) << "answered once";
      *answer = std::move(states);
    };
    if (fold) {
      replica().FoldIf(std::move(records), may, done);
    } else {
      replica().RemoveIf(std::move(records), may, done);
    }
    return answer;
  }
  base::Result<States> Finish(const Answer& answer) {
    loop.RunAll();
    EXPECT_TRUE(*answer);
    return **answer;
  }
  States Remove(const Texts& keys) {
    std::vector<RecordVersion> records;
    for (const std::string& key : keys) records.push_back({DataKeyOf(key), {}});
    return Finish(Start(std::move(records))).value_or(States{});
  }
  base::Hash128 DigestOf(const std::string& key) {
    const auto answer = Read(key, true);
    loop.RunAll();
    return (*answer->value)->digest;
  }

  bool allowed = true;
};

TEST_F(RemovalTest, ForgetsRecordsThatNobodyWorksOn) {
  for (const char* key : {"a", "b", "c"}) Write(key, PeerObject("v"));
  loop.RunAll();
  EXPECT_EQ(Remove({"a", "x", "b"}),
            (States{RecordState::kDone, RecordState::kAbsent, RecordState::kDone}));
  EXPECT_TRUE(Values("a").empty());
  EXPECT_TRUE(Values("b").empty());
  EXPECT_EQ(Values("c"), Texts{"v"});
  Crash();
  EXPECT_TRUE(Values("a").empty()) << "done means durable";
}

TEST_F(RemovalTest, SkipsWhatIsBeingWritten) {
  for (const char* key : {"staged", "synced", "loading"}) Write(key, PeerObject("old"));
  loop.RunAll();
  plan.hold_syncs = true;
  Write("synced", PeerObject("new", 3));
  loop.RunAll();  // in the engine, its sync is under way
  plan.hold_gets = true;
  plan.miss_memory = true;
  Write("loading", PeerObject("new", 3));
  plan.miss_memory = false;
  Write("staged", PeerObject("new", 3));
  EXPECT_EQ(Remove({"staged", "synced", "loading"}), States(3, RecordState::kBusy));
  plan.Release();
  loop.RunAll();
  for (const char* key : {"staged", "synced", "loading"}) {
    EXPECT_EQ(Values(key), (Texts{"old", "new"})) << key;
  }
}

TEST_F(RemovalTest, RemovesOnlyWhatWasSeen) {
  Write("a", PeerObject("v"));
  loop.RunAll();
  const base::Hash128 seen = DigestOf("a");
  Write("a", PeerObject("later", 3));
  loop.RunAll();
  EXPECT_EQ(Finish(Start({{DataKeyOf("a"), seen}})), States{RecordState::kDifferent});
  EXPECT_EQ(Values("a"), (Texts{"v", "later"}));
  EXPECT_EQ(Finish(Start({{DataKeyOf("a"), DigestOf("a")}})), States{RecordState::kDone});
  EXPECT_TRUE(Values("a").empty());
}

TEST_F(RemovalTest, AsksAgainWhenTheRecordIsThere) {
  Write("a", PeerObject("v"));
  loop.RunAll();
  plan.miss_memory = true;
  plan.hold_gets = true;
  const Answer answer = Start({{DataKeyOf("a"), {}}});
  loop.RunAll();
  EXPECT_FALSE(*answer);
  allowed = false;
  plan.Release();
  EXPECT_EQ(Finish(answer).error().code, Code::kStaleEpoch);
  EXPECT_EQ(Values("a"), Texts{"v"});
}

// A write that comes while the record is looked at waits behind it, and begins anew.
TEST_F(RemovalTest, AWriteBehindARemovalIsAWriteToNothing) {
  const auto first = Update({.value = "a"});
  loop.RunAll();
  plan.miss_memory = true;
  plan.hold_gets = true;
  const Answer answer = Start({{DataKeyOf("k"), {}}});
  const auto second = Update({.value = "b"});
  plan.Release();
  EXPECT_EQ(Finish(answer), States{RecordState::kDone});
  plan.miss_memory = false;
  EXPECT_NE(ActorOf(*first, "a"), ActorOf(*second, "b"));
  EXPECT_EQ(Values("k"), Texts{"b"});
}

TEST_F(RemovalTest, GoesOnWhileTheDiskIsNearlyFull) {
  Write("a", PeerObject("v"));
  loop.RunAll();
  plan.nearly_full = true;
  EXPECT_EQ(Finish(Start({{DataKeyOf("a"), {}}})), States{RecordState::kDone});
  EXPECT_TRUE(Values("a").empty());
}

TEST_F(RemovalTest, AnEngineThatRefusesRemovesNothing) {
  Write("a", PeerObject("v"));
  loop.RunAll();
  plan.fail_write = base::Fail(Code::kDiskFull, "full");
  EXPECT_EQ(Finish(Start({{DataKeyOf("a"), {}}})).error().code, Code::kDiskFull);
  plan.fail_write = base::Fail(Code::kStalled, "wait");
  const Answer answer = Start({{DataKeyOf("a"), {}}});
  loop.RunAll();
  EXPECT_FALSE(*answer);
  plan.fail_write = {};
  Tick();
  EXPECT_EQ(Finish(answer), States{RecordState::kDone});
  EXPECT_TRUE(Values("a").empty());
}

TEST_F(RemovalTest, AReadErrorIsAnError) {
  Write("a", PeerObject("v"));
  loop.RunAll();
  plan.fail_read = true;
  EXPECT_EQ(Finish(Start({{DataKeyOf("a"), {}}})).error().code, Code::kCorruption);
  plan.fail_read = false;
  EXPECT_EQ(Values("a"), Texts{"v"});
}

TEST_F(RemovalTest, FoldKeepsTheValuesAndForgetsTheRest) {
  const auto first = Update({.value = "a"});
  loop.RunAll();
  const causal::Actor actor = ActorOf(*first, "a");
  // A peer overwrites the value, so the own actor is history.
  auto object = causal::Object::Decode((*first->result)->object).value();
  object.dvv()->Update(object.dvv()->history(), {.bytes = "b"}, {2, 1, 1});
  Write("k", object.Encode());
  loop.RunAll();
  const base::Hash128 seen = DigestOf("k");
  EXPECT_EQ(Finish(Start({{DataKeyOf("k"), base::Hash128{1, 1}}}, true)),
            States{RecordState::kDifferent});
  EXPECT_EQ(Finish(Start({{DataKeyOf("k"), seen}}, true)), States{RecordState::kDone});
  EXPECT_EQ(Values("k"), Texts{"b"});
  ASSERT_TRUE(object.Fold());
  EXPECT_EQ(DigestOf("k"), causal::Object::Digest(object.Encode()));
  // The own actor was folded, so it is not continued (M2): its dots would begin anew.
  const auto next = Update({.value = "c"});
  loop.RunAll();
  EXPECT_NE(ActorOf(*next, "c"), actor);
  EXPECT_EQ(Values("k"), (Texts{"c", "b"}));
}

TEST_F(RemovalTest, FoldKeepsAnOwnActorThatHasAValue) {
  Write("k", PeerObject("old"));
  loop.RunAll();
  causal::Context seen;
  seen.seen.Add({{2, 1, 1}, 1});
  const auto first = Update({.value = "a", .context = seen});
  loop.RunAll();
  EXPECT_EQ(Finish(Start({{DataKeyOf("k"), DigestOf("k")}}, true)), States{RecordState::kDone});
  EXPECT_EQ(Finish(Start({{DataKeyOf("k"), DigestOf("k")}}, true)), States{RecordState::kDone})
      << "nothing is left to be folded";
  const auto second = Update({.value = "b"});
  loop.RunAll();
  EXPECT_EQ(ActorOf(*first, "a"), ActorOf(*second, "b"));
}

}  // namespace
}  // namespace lariat::replica
