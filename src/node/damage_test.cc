// SPDX-License-Identifier: Apache-2.0
// Whole nodes with damaged data: a record is refilled from the others, and a node that may have
// lost records answers no reads until it was compared with all of them.
#include <gtest/gtest.h>

#include "node/cluster_test_util.h"
#include "replica/doubt.h"
#include "replica/tree/layout.h"

namespace lariat::node {
namespace {

using base::Code;
using base::Seconds;
using storage::Space;
using Texts = std::vector<std::string>;

class DamageTest : public ClusterTest {
 protected:
  void SetUp() override {
    ThreeNodes();
    bucket_ = machines[0]->topology().buckets.at("default").id;
    key_ = storage::DataKey(bucket_, ring::TokenOf("k").value, "k");
    ASSERT_TRUE(Put(*machines[0], "v"));
    ASSERT_TRUE(time.RunUntil([&] {
      return std::all_of(machines.begin(), machines.end(),
                         [&](const auto& machine) { return !Stored(*machine).empty(); });
    }));
    time.Run(Seconds(5));
  }
  std::string Stored(Machine& machine, Space space = Space::kData) {
    return machine.engine.GetBlocking(space, key_).value_or("");
  }
  std::string ObjectOf(Machine& machine) {
    const std::string bytes = Stored(machine);
    const auto record = storage::ParseRecord(bytes);
    return record ? std::string(record->object) : "damaged";
  }
  void Damage(Machine& machine) {
    std::string bytes = Stored(machine);
    bytes[bytes.size() / 2] ^= 0x10;
    Write(machine, Space::kData, key_, bytes);
  }
  static void Write(Machine& machine, Space space, const std::string& key,
                    const std::string& value) {
    storage::WriteBatch batch;
    batch.Put(space, key, value);
    ASSERT_TRUE(machine.engine.Write(batch).has_value());
  }
  // So that the sums are counted again.
  static void ForgetTrees(Machine& machine, storage::WriteBatch* batch) {
    const auto image = machine.engine.DurableImage();
    for (const auto& [tree_key, value] : image[static_cast<size_t>(Space::kTree)]) {
      batch->Remove(Space::kTree, tree_key);
    }
  }
  // "v2" is acknowledged by the others; the machine has the state before. All are down then.
  void OnlyTheOthersHaveTheNewest(Machine& machine) {
    const std::string older = Stored(machine);
    ASSERT_TRUE(Put(*machines[0], "v2"));
    time.Run(Seconds(5));
    for (auto& any : machines) any->GoDown();
    HasOnly(machine, older);
  }
  static void HasOnly(Machine& machine, const std::string& older, bool in_doubt = false) {
    storage::WriteBatch batch;
    for (const auto& [key, value] :
         machine.engine.DurableImage()[static_cast<size_t>(Space::kData)])
      batch.Put(Space::kData, key, older);
    ForgetTrees(machine, &batch);
    if (in_doubt) {
      batch.Put(Space::kMeta, std::string(replica::kDoubtName),
                replica::EncodeDoubt({1, "a test", {}}));
    }
    ASSERT_TRUE(machine.engine.Write(batch).has_value());
  }
  std::string Why() {
    (void)machines[0]->node().admin(0).Plan();  // somebody looks: it is gathered for a while
    time.Run(Seconds(5));
    return machines[0]->node().admin(0).Plan().why;
  }
  // By those that were there from the start: a newcomer whose join was cancelled knows no more.
  bool Moves() {
    return std::any_of(machines.begin(), machines.begin() + 3, [](const auto& machine) {
      return machine->Formed() && machine->topology().operation;
    });
  }
  // As salvage leaves a store that had an unreadable block with the key.
  static void Lose(Machine& machine, const std::string& key) {
    storage::WriteBatch batch;
    batch.Remove(Space::kData, key);
    ForgetTrees(machine, &batch);
    batch.Put(Space::kMeta, std::string(replica::kDoubtName),
              replica::EncodeDoubt({1, "a test", {}}));
    ASSERT_TRUE(machine.engine.Write(batch).has_value());
  }
  coordinator::RepairStatus Status(Machine& machine) {
    std::optional<coordinator::RepairStatus> status;
    machine.node().healing().Status([&](coordinator::RepairStatus s) { status = std::move(s); });
    EXPECT_TRUE(time.RunUntil([&] { return status.has_value(); }));
    return *status;
  }
  Code ReadHere(Machine& machine) {
    std::optional<Code> code;
    wire::ReadRequest read;
    read.bucket = bucket_;
    read.token = ring::TokenOf("k").value;
    read.key = "k";
    const membership::View& view = *machine.shard().view();
    machine.shard().ports().Read({view, view.self, Seconds(1)}, std::move(read),
                                 [&](wire::ReadReply reply) {
                                   code = reply.outcome.code;
                                   if (*code == Code::kOk && !reply.found) code = Code::kNotFound;
                                 });
    EXPECT_TRUE(time.RunUntil([&] { return code.has_value(); }));
    return *code;
  }
  std::string Unclean(Machine& machine) {
    std::optional<std::string> unclean;
    machine.node().healing().Serve(
        machine.topology().fence, wire::HintsRequest{{key_}},
        [&](wire::Body body) { unclean = std::get<wire::HintsReply>(body).unclean; });
    EXPECT_TRUE(time.RunUntil([&] { return unclean.has_value(); }));
    return *unclean;
  }
  bool InDoubt(Machine& machine) {
    return machine.engine.GetBlocking(Space::kMeta, replica::kDoubtName).has_value();
  }

  uint32_t bucket_ = 0;
  std::string key_;
};

// Guards M39.
TEST_F(DamageTest, ARecordIsRefilledFromTheOthersWhichNeverSeeTheDamage) {
  const std::string whole = ObjectOf(*machines[0]);
  Damage(*machines[1]);
  const std::string damaged = Stored(*machines[1]);
  EXPECT_EQ(ReadHere(*machines[1]), Code::kCorruption);
  EXPECT_EQ(Values(*machines[1]), Texts{"v"}) << "another replica is asked";
  ASSERT_TRUE(time.RunUntil([&] { return Status(*machines[1]).scrub.refilled == 1; }));
  for (auto& machine : machines) EXPECT_EQ(ObjectOf(*machine), whole);
  EXPECT_EQ(Stored(*machines[1], Space::kQuarantine), damaged);
  EXPECT_EQ(ReadHere(*machines[1]), Code::kOk);
  EXPECT_EQ(Status(*machines[0]).scrub.damaged, 0U);
}

TEST_F(DamageTest, ARecordIsFoundWhoseLeafWasCountedWithoutIt) {
  const std::string whole = ObjectOf(*machines[0]);
  machines[1]->GoDown();
  Lose(*machines[1], "");
  Damage(*machines[1]);
  machines[1]->Start();
  ASSERT_TRUE(time.RunUntil([&] { return machines[1]->Formed(); }));
  time.Run(Seconds(180));
  EXPECT_EQ(ObjectOf(*machines[1]), whole);
  EXPECT_EQ(Status(*machines[1]).scrub.refilled, 1U);
}

// Guards M39.
TEST_F(DamageTest, ANodeInDoubtAnswersNoReadsUntilItWasComparedWithAllOthers) {
  Machine& other = *machines[1];
  Machine& lost = *machines[2];
  other.GoDown();
  lost.GoDown();
  Lose(lost, key_);
  lost.Start();
  ASSERT_TRUE(time.RunUntil([&] { return lost.Formed(); }));
  time.Run(Seconds(30));
  EXPECT_EQ(ObjectOf(lost), ObjectOf(*machines[0])) << "the one that is there has given it";
  EXPECT_EQ(ReadHere(lost), Code::kUnavailable);
  EXPECT_TRUE(InDoubt(lost));
  EXPECT_NE(Unclean(lost).find("in doubt"), std::string::npos);
  for (const auto& range : Status(lost).ranges) EXPECT_EQ(range.state, "doubt");
  EXPECT_GT(lost.shard().metrics().doubt_ranges.value(), 0);
  other.Start();
  ASSERT_TRUE(time.RunUntil([&] { return !InDoubt(lost); }));
  time.Run(Seconds(2));
  EXPECT_EQ(ReadHere(lost), Code::kOk);
  EXPECT_EQ(Unclean(lost), "");
  EXPECT_EQ(lost.shard().metrics().doubt_ranges.value(), 0);
  EXPECT_EQ(Values(lost), Texts{"v"});
}

TEST_F(DamageTest, AllNodesInDoubtHealEachOther) {
  for (auto& machine : machines) machine->GoDown();
  for (auto& machine : machines) Lose(*machine, machine == machines[0] ? "" : key_);
  for (auto& machine : machines) machine->Start();
  ASSERT_TRUE(time.RunUntil([&] { return AllFormed(); }));
  EXPECT_EQ(ReadHere(*machines[0]), Code::kUnavailable);
  ASSERT_TRUE(time.RunUntil([&] {
    return std::none_of(machines.begin(), machines.end(),
                        [&](const auto& machine) { return InDoubt(*machine); });
  }));
  time.Run(Seconds(2));
  for (auto& machine : machines) EXPECT_EQ(ReadHere(*machine), Code::kOk);
  EXPECT_EQ(Values(*machines[1]), Texts{"v"});
}

TEST_F(DamageTest, ANodeAloneEndsItsDoubtByItself) {
  Machine& alone = Add(9, {});
  alone.Start();
  ASSERT_TRUE(time.RunUntil([&] { return alone.Formed(); }));
  alone.GoDown();
  Lose(alone, "");
  alone.Start();
  ASSERT_TRUE(time.RunUntil([&] { return alone.Formed(); }));
  EXPECT_EQ(ReadHere(alone), Code::kUnavailable);
  ASSERT_TRUE(time.RunUntil([&] { return !InDoubt(alone); }));
}

// Start-up ends after the engine has said that the log was cut, and is made again.
TEST_F(DamageTest, ALogThatWasCutIsNotForgottenByWhoeverHasToTakeNote) {
  Machine& cut = *machines[1];
  cut.GoDown();
  cut.engine.SpoilApart();
  Write(cut, Space::kMeta, std::string(storage::kLogCutKey), "1");
  ASSERT_TRUE(topology::LoadCluster(cut.engine).value().votes.lost);
  EXPECT_TRUE(cut.engine.Stats().log_truncated) << "half of them have taken note";
  const auto tree = cut.engine.GetBlocking(Space::kTree, replica::TreeHeadKey());
  const auto head = replica::DecodeTreeHead(*tree);
  cut.Start();
  EXPECT_TRUE(InDoubt(cut));
  EXPECT_TRUE(cut.engine.GetBlocking(Space::kMeta, "register_lost").has_value());
  EXPECT_FALSE(cut.engine.Stats().log_truncated);
  // If it dies here, the trees are not believed either.
  const auto noted = cut.engine.GetBlocking(Space::kTree, replica::TreeHeadKey());
  EXPECT_EQ(replica::DecodeTreeHead(*noted)->shards, 0U);
  EXPECT_EQ(replica::DecodeTreeHead(*noted)->generation, head->generation);
  ASSERT_TRUE(time.RunUntil([&] { return cut.Formed() && !InDoubt(cut); }));
  EXPECT_EQ(Values(cut), Texts{"v"});
}

TEST_F(DamageTest, NothingMovesBeforeADoubtHasEnded) {
  Machine& doubtful = *machines[2];
  const std::string older = Stored(doubtful);
  OnlyTheOthersHaveTheNewest(*machines[1]);
  HasOnly(doubtful, older, true);
  doubtful.settings.repair_keep_tree = false;  // so that it does not end
  for (auto& machine : machines) machine->Start();
  ASSERT_TRUE(time.RunUntil([&] { return AllFormed(); }));
  time.Run(Seconds(5));
  Machine& fourth = Add(4, {Address(1)});
  fourth.Start();
  time.Run(Seconds(20));
  EXPECT_FALSE(Moves());
  EXPECT_NE(Why().find("'node3' may have lost records and is compared with the others first"),
            std::string::npos)
      << Why();
  doubtful.GoDown();
  doubtful.settings.repair_keep_tree = true;
  doubtful.Start();
  const auto is_in = [&] {
    if (!fourth.Formed() || fourth.topology().operation) return false;
    return fourth.topology().FindByName("node4")->state == membership::MemberState::kNormal;
  };
  ASSERT_TRUE(time.RunUntil(is_in)) << Why();
  EXPECT_FALSE(InDoubt(doubtful));
  time.Run(Seconds(2));
  for (auto& machine : machines) EXPECT_EQ(Values(*machine), (Texts{"v", "v2"}));
}

// Its doubt ends all the same, and then the change goes on.
TEST_F(DamageTest, ANodeInDoubtGivesNothingToAChangeUnderWay) {
  Machine& doubtful = *machines[2];
  const std::string older = Stored(doubtful);
  OnlyTheOthersHaveTheNewest(*machines[1]);
  HasOnly(doubtful, older, true);
  machines[0]->Start();
  machines[1]->Start();
  ASSERT_TRUE(time.RunUntil([&] { return machines[0]->Formed() && machines[1]->Formed(); }));
  Machine& fourth = Add(4, {Address(1)});
  fourth.Start();
  ASSERT_TRUE(time.RunUntil([&] { return Moves(); })) << "it does not wait for who is down";
  doubtful.settings.repair_keep_tree = false;  // so that it does not end
  doubtful.Start();
  time.Run(Seconds(20));
  EXPECT_NE(Why().find("may have lost records"), std::string::npos) << Why();
  EXPECT_TRUE(Moves());
  EXPECT_TRUE(InDoubt(doubtful));
  EXPECT_EQ(doubtful.shard().metrics().stream_sent_bytes.value(), 0U);
  doubtful.GoDown();
  doubtful.settings.repair_keep_tree = true;
  doubtful.Start();
  ASSERT_TRUE(time.RunUntil([&] { return fourth.Formed() && !Moves(); })) << Why();
  EXPECT_FALSE(InDoubt(doubtful));
  time.Run(Seconds(2));
  for (size_t i = 0; i < 3; ++i) EXPECT_EQ(Values(*machines[i]), (Texts{"v", "v2"})) << i;
}

// Of the two that had the newest state one cannot read it, and the other may have lost it.
// Guards M39.
TEST_F(DamageTest, ARefillDoesNotBelieveANodeInDoubt) {
  const std::string older = Stored(*machines[2]);
  OnlyTheOthersHaveTheNewest(*machines[0]);
  HasOnly(*machines[2], older, true);
  machines[2]->settings.repair_keep_tree = false;  // its doubt does not end
  Damage(*machines[1]);
  const std::string damaged = Stored(*machines[1]);
  for (auto& machine : machines) machine->Start();
  ASSERT_TRUE(time.RunUntil([&] { return AllFormed(); }));
  EXPECT_TRUE(time.RunUntil([&] { return Status(*machines[1]).scrub.damaged > 0; }));
  time.Run(Seconds(60));
  EXPECT_EQ(Stored(*machines[1]), damaged);
  EXPECT_EQ(ReadHere(*machines[1]), Code::kCorruption);
}

}  // namespace
}  // namespace lariat::node
