// SPDX-License-Identifier: Apache-2.0
// Nodes that come back with other addresses, and what a node waits for while it knows nobody.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "node/cluster_test_util.h"

namespace lariat::node {
namespace {

using base::Code;
using testing::HasSubstr;

class AddressesTest : public ClusterTest {
 protected:
  void AllGoDown() {
    for (auto& machine : machines) machine->GoDown();
    time.Run(base::Seconds(1));
  }
  bool AllSeeAll() {
    for (auto& machine : machines) {
      if (!machine->Formed() || machine->shard().peers().PeersAlive() + 1 != machines.size())
        return false;
    }
    return true;
  }
  bool AllKnowAllAddresses() {
    for (auto& asked : machines) {
      for (auto& machine : machines) {
        if (asked->topology().FindByName(machine->name)->peer != machine->address) return false;
      }
    }
    return true;
  }
  // A write that needs all replicas.
  base::Result<coordinator::WriteReply> PutAll(Machine& machine) {
    std::optional<base::Result<coordinator::WriteReply>> answer;
    coordinator::WriteRequest put;
    put.bucket = "default";
    put.key = "k";
    put.write.value = "v";
    put.consistency.w = 3;
    machine.coordinator().Write(put, [&](auto reply) { answer = std::move(reply); });
    EXPECT_TRUE(time.RunUntil([&] { return answer.has_value(); }));
    return *answer;
  }
  std::string Reasons(Machine& machine) {
    std::string text;
    for (const std::string& reason : machine.node().admin(0).Health().reasons) text += reason + ";";
    return text;
  }
};

TEST_F(AddressesTest, AllMoveAndFindEachOtherByIdentity) {
  ThreeNodes();
  ASSERT_TRUE(Put(*machines[0], "v"));
  AllGoDown();
  std::vector<std::string> list;
  for (uint64_t i = 0; i < 3; ++i) list.push_back(machines[i]->address = Address(101 + i));
  for (auto& machine : machines) {
    machine->settings.cluster_join = list;
    machine->Start();
  }
  ASSERT_TRUE(time.RunUntil([&] { return AllSeeAll() && AllKnowAllAddresses(); }));
  for (auto& machine : machines) {
    EXPECT_EQ(Values(*machine), std::vector<std::string>{"v"});
    EXPECT_EQ(machine->Stored(), machines[0]->Stored());
    EXPECT_EQ(Reasons(*machine), "");
  }
}

// Long after it has given up asking those that it knew, by one address that some of them have.
TEST_F(AddressesTest, WhoReachesNobodyKeepsAskingWhereItWasToldToJoin) {
  ThreeNodes();
  AllGoDown();
  for (uint64_t i = 0; i < 3; ++i) machines[i]->address = Address(101 + i);
  machines[0]->settings.cluster_join = {};
  machines[1]->settings.cluster_join = machines[2]->settings.cluster_join = {Address(101)};
  machines[1]->Start();
  time.Run(base::Seconds(100));
  EXPECT_TRUE(machines[1]->Formed());
  EXPECT_THAT(Reasons(*machines[1]), HasSubstr("'node1' at 10.0.0.1:1"));
  machines[2]->Start();
  machines[0]->Start();
  ASSERT_TRUE(time.RunUntil([&] { return AllSeeAll() && AllKnowAllAddresses(); }));
  EXPECT_EQ(Reasons(*machines[1]), "");
}

// The name of a whole service, this node among those that it stands for.
TEST_F(AddressesTest, OneNameMayStandForAllNodes) {
  net.names["all:1"] = {};
  for (uint64_t i = 1; i <= 3; ++i) Add(i, {"all:1"}).Start();
  time.Run(base::Seconds(5));
  EXPECT_FALSE(machines[0]->Formed());
  EXPECT_THAT(Reasons(*machines[0]), HasSubstr("all:1: no such host"));
  net.names["all:1"] = {Address(1), Address(2), Address(3)};
  ASSERT_TRUE(time.RunUntil([&] { return AllFormed() && AllSeeAll(); }));
  EXPECT_EQ(machines[0]->topology().members.size(), 3U);
}

TEST_F(AddressesTest, NamesOfOneNodeAreOneNodeAndOneFamilyIsEnough) {
  net.names["a:1"] = {Address(1), "[::1]:1"};
  net.names["b:1"] = {"[::2]:1", Address(2)};
  net.names["alias:1"] = {Address(1)};
  for (uint64_t i = 1; i <= 2; ++i) Add(i, {"a:1", "b:1", "alias:1"}).Start();
  ASSERT_TRUE(time.RunUntil([&] { return AllFormed() && AllSeeAll(); }));
  EXPECT_EQ(machines[0]->topology().members.size(), 2U);
}

// It would count as two replicas, one of which stores nothing.
TEST_F(AddressesTest, ANodeAtTheAddressOfAnotherIsNotTakenForIt) {
  ThreeNodes();
  ASSERT_TRUE(PutAll(*machines[2]));
  machines[0]->GoDown();
  machines[1]->GoDown();
  machines[0]->address = machines[1]->address;
  machines[0]->Start();
  ASSERT_TRUE(time.RunUntil([&] {
    const auto& topology = machines[2]->topology();
    return topology.FindByName("node1")->peer == machines[0]->address &&
           machines[2]->shard().peers().PeersAlive() == 1;
  }));
  const auto put = PutAll(*machines[2]);
  ASSERT_FALSE(put);
  EXPECT_EQ(put.error().code, Code::kInsufficientReplicas);
  EXPECT_EQ(put.error().alive, 2U);
}

TEST_F(AddressesTest, NotReadyWhileNothingCanBeServed) {
  ThreeNodes();
  AllGoDown();
  machines[0]->Start();
  ASSERT_TRUE(time.RunUntil([&] { return machines[0]->Formed(); }));
  time.Run(base::Seconds(1));
  EXPECT_THAT(Reasons(*machines[0]), HasSubstr("no request of any bucket"));
  EXPECT_THAT(Reasons(*machines[0]), HasSubstr("'node2' at 10.0.0.2:1"));
  EXPECT_THAT(machines[0]->node().admin(0).Plan().why, HasSubstr("'node3' at 10.0.0.3:1"));
  machines[1]->Start();
  ASSERT_TRUE(time.RunUntil([&] { return Reasons(*machines[0]).empty(); }));
  EXPECT_TRUE(Put(*machines[0], "v"));
  machines[1]->GoDown();  // a node that has served leaves that to the requests
  time.Run(base::Seconds(20));
  EXPECT_EQ(Reasons(*machines[0]), "");
}

TEST_F(AddressesTest, ASingleNodeWaitsForNobody) {
  Add(1, {Address(1)}).Start();
  ASSERT_TRUE(time.RunUntil([&] { return machines[0]->Formed(); }));
  EXPECT_EQ(Reasons(*machines[0]), "");
}

TEST_F(AddressesTest, ABucketOfOneReplicaIsEnough) {
  ThreeNodes();
  membership::BucketProperties bucket;
  bucket.name = "one";
  bucket.n = bucket.r = bucket.w = 1;
  std::optional<base::Status> done;
  machines[0]->coordinator().SetBucket(bucket, {}, [&](base::Status s) { done = std::move(s); });
  ASSERT_TRUE(time.RunUntil([&] { return done.has_value(); }));
  AllGoDown();
  machines[0]->Start();
  ASSERT_TRUE(time.RunUntil([&] { return machines[0]->Formed(); }));
  time.Run(base::Seconds(1));
  EXPECT_EQ(Reasons(*machines[0]), "");
}

// Two of the three that would have to agree do not vote, which it takes the third some seconds to
// find out; the newcomer has to hear why, however long that takes.
TEST_F(AddressesTest, ANewcomerHearsWhyItIsNotTakenIn) {
  ThreeNodes();
  ASSERT_TRUE(Put(*machines[0], "v"));
  const auto lose_votes = [&](Machine& machine) {
    machine.StopLinks();
    machine.engine.Crash();
    storage::WriteBatch batch;
    batch.Put(storage::Space::kMeta, "register_lost", "1");
    ASSERT_TRUE(machine.engine.Write(batch));
    machine.Start();
    net.CloseAll();
  };
  lose_votes(*machines[1]);
  machines[2]->GoDown();
  ASSERT_TRUE(time.RunUntil(
      [&] { return machines[1]->Formed() && machines[0]->shard().peers().PeersAlive() == 1; }));
  Machine& newcomer = Add(4, {Address(1), Address(2)});
  newcomer.settings.cluster_replace = "node3";
  newcomer.Start();
  ASSERT_TRUE(time.RunUntil([&] {
    return Reasons(newcomer).find("node 'node2' does not vote") != std::string::npos;
  })) << Reasons(newcomer);
  EXPECT_THAT(newcomer.node().admin(0).Plan().why, HasSubstr("does not vote"));
  EXPECT_THAT(Reasons(newcomer), HasSubstr("the place of 'node3'"));
}

}  // namespace
}  // namespace lariat::node
