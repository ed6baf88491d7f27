// SPDX-License-Identifier: Apache-2.0
// Hints between whole nodes: what one of them missed reaches it when it is back.
#include "healing/healing.h"

#include <gtest/gtest.h>

#include "node/cluster_test_util.h"
#include "replica/hint.h"

namespace lariat::node {
namespace {

using base::Code;
using base::Seconds;

class HandoffTest : public ClusterTest {
 protected:
  void SetUp() override {
    ThreeNodes();
    ASSERT_TRUE(Put(*machines[0], "v"));
    time.Run(Seconds(1));  // all have it, and nobody is owed it
  }
  static uint64_t Number(Machine& machine) { return machine.node().identity().id.high; }
  static uint32_t Bucket(Machine& machine) { return machine.topology().buckets.at("default").id; }
  static ring::NodeIndex IndexOf(Machine& of, Machine& seen_by) {
    return seen_by.shard().view()->by_number.at(Number(of));
  }
  static coordinator::OwedKey Owed(Machine& machine, const std::string& key) {
    return {Bucket(machine), ring::TokenOf(key).value, key};
  }
  void Owe(Machine& holder, Machine& target, const std::string& key) {
    holder.shard().ports().Owe(*holder.shard().view(), IndexOf(target, holder), Owed(holder, key));
  }
  int64_t Pending(Machine& machine) { return machine.node().hint_budget()->hints(); }
  coordinator::RepairStatus Status(Machine& machine) {
    std::optional<coordinator::RepairStatus> status;
    machine.node().healing().Status([&](coordinator::RepairStatus s) { status = std::move(s); });
    EXPECT_TRUE(time.RunUntil([&] { return status.has_value(); }));
    return *status;
  }
  wire::HintsReply AskForHints(Machine& machine, const std::string& key) {
    std::optional<wire::HintsReply> reply;
    const coordinator::OwedKey owed = Owed(machine, key);
    machine.node().healing().Serve(
        machine.topology().fence,
        wire::HintsRequest{{storage::DataKey(owed.bucket, owed.token, key)}},
        [&](wire::Body body) { reply = std::get<wire::HintsReply>(body); });
    EXPECT_TRUE(time.RunUntil([&] { return reply.has_value(); }));
    return *reply;
  }
  // A write that a coordinator hands to a stand-in for the target.
  Code StandIn(Machine& holder, Machine& target, const std::string& key, std::string object) {
    std::optional<wire::WriteReply> reply;
    wire::WriteRequest write;
    write.bucket = Bucket(holder);
    write.token = ring::TokenOf(key).value;
    write.key = key;
    write.object = std::move(object);
    write.hint_for = Number(target);
    const membership::View& view = *holder.shard().view();
    holder.shard().ports().Write({view, view.self, Seconds(1)}, std::move(write),
                                 [&](wire::WriteReply r) { reply = std::move(r); });
    EXPECT_TRUE(time.RunUntil([&] { return reply.has_value(); }));
    return reply->outcome.code;
  }
  static std::string Object(const std::string& value) {
    causal::Object object(causal::Kind::kSiblings);
    object.dvv()->Update({}, {.bytes = value}, {77, 1, 1});
    return object.Encode();
  }
  bool Holds(Machine& machine, const std::string& key) {
    const coordinator::OwedKey owed = Owed(machine, key);
    return machine.engine
        .GetBlocking(storage::Space::kData, storage::DataKey(owed.bucket, owed.token, key))
        .has_value();
  }
};

TEST_F(HandoffTest, AWriteThatOneMissedReachesItWhenItIsBack) {
  Machine& away = *machines[2];
  away.GoDown();
  time.Run(Seconds(10));
  ASSERT_TRUE(Put(*machines[0], "missed"));
  time.Run(Seconds(1));
  const std::string before =
      away.engine
          .GetBlocking(storage::Space::kData,
                       storage::DataKey(Bucket(away), ring::TokenOf("k").value, "k"))
          .value();
  Owe(*machines[0], away, "k");
  time.Run(Seconds(3));
  EXPECT_EQ(Pending(*machines[0]), 1);
  const auto backlog = Status(*machines[0]).hints;
  ASSERT_EQ(backlog.size(), 1U);
  EXPECT_EQ(backlog[0].target, "node3");
  EXPECT_EQ(backlog[0].hints, 1U);
  EXPECT_EQ(backlog[0].state, "waits for it");
  EXPECT_EQ(machines[0]->shard().metrics().hints_pending.value(), 1);
  uint64_t told = 0;
  for (const auto& node : machines[1]->node().admin(0).Status().nodes) {
    told += node.hints_pending_bytes;
  }
  EXPECT_EQ(told, 4096U) << "the others hear of it";
  EXPECT_EQ(AskForHints(*machines[0], "k").hinted.size(), 1U);
  away.Start();
  ASSERT_TRUE(time.RunUntil([&] { return away.Formed() && Pending(*machines[0]) == 0; }));
  time.Run(Seconds(2));
  EXPECT_NE(away.engine
                .GetBlocking(storage::Space::kData,
                             storage::DataKey(Bucket(away), ring::TokenOf("k").value, "k"))
                .value(),
            before);
  EXPECT_EQ(AskForHints(*machines[0], "k").hinted.size(), 0U);
  EXPECT_EQ(machines[0]->shard().metrics().hints_pending.value(), 0);
  EXPECT_TRUE(Status(*machines[0]).hints.empty());
}

TEST_F(HandoffTest, AStandInKeepsAStateAndGivesItToItsMember) {
  Machine& away = *machines[1];
  away.GoDown();
  time.Run(Seconds(10));
  for (int i = 0; i < 50; ++i) {
    EXPECT_EQ(StandIn(*machines[0], away, "key" + std::to_string(i), Object("v")), Code::kOk);
  }
  EXPECT_EQ(Pending(*machines[0]), 50);
  EXPECT_FALSE(Holds(*machines[0], "key7")) << "apart from its own";
  machines[0]->GoDown();
  machines[0]->engine.Crash();
  machines[0]->Start();
  ASSERT_TRUE(time.RunUntil([&] { return machines[0]->Formed() && Pending(*machines[0]) == 50; }));
  away.Start();
  ASSERT_TRUE(time.RunUntil([&] { return away.Formed() && Pending(*machines[0]) == 0; }));
  for (int i = 0; i < 50; ++i) EXPECT_TRUE(Holds(away, "key" + std::to_string(i))) << i;
  EXPECT_FALSE(Holds(*machines[2], "key7"));
}

TEST_F(HandoffTest, M18_LimitsDropReferencesAndMarkTheirRangesAndRefuseStandIns) {
  Machine& away = *machines[1];
  config::Settings settings = machines[0]->settings;
  settings.hints_max_bytes_per_target = 0;
  machines[0]->node().ApplySettings(settings);
  away.GoDown();
  time.Run(Seconds(10));
  EXPECT_EQ(StandIn(*machines[0], away, "a", Object("v")), Code::kUnavailable);
  for (int i = 0; i < 1000; ++i) Owe(*machines[0], away, "key" + std::to_string(i));
  time.Run(Seconds(3));
  EXPECT_EQ(Pending(*machines[0]), 0);
  EXPECT_GT(machines[0]->shard().metrics().repair_ranges_dirty.value(), 200);
  EXPECT_LE(machines[0]->shard().metrics().repair_ranges_dirty.value(), 256);
  ASSERT_TRUE(Put(*machines[0], "healthy")) << "writes go on";
  settings.hints_enabled = false;
  settings.hints_max_bytes_per_target = 1 << 20;
  machines[0]->node().ApplySettings(settings);
  time.Run(Seconds(1));
  EXPECT_EQ(StandIn(*machines[0], away, "a", Object("v")), Code::kUnavailable);
  Owe(*machines[0], away, "k");
  time.Run(Seconds(1));
  EXPECT_EQ(Pending(*machines[0]), 0);
}

TEST_F(HandoffTest, PushesAreJoinedIfTheyAreForThisNodeAndCountWhatTheyChange) {
  Machine& machine = *machines[0];
  const auto push = [&](const std::string& key, std::string object, uint64_t fence) {
    std::optional<wire::RecordPushReply> reply;
    wire::RecordPush request;
    for (int i = 0; i < 100; ++i) {
      const std::string name = key + std::to_string(i);
      request.entries.push_back(
          {storage::DataKey(Bucket(machine), ring::TokenOf(name).value, name), object});
    }
    machine.node().healing().Serve(
        fence, request, [&](wire::Body body) { reply = std::get<wire::RecordPushReply>(body); });
    EXPECT_TRUE(time.RunUntil([&] { return reply.has_value(); }));
    return reply->outcome.code;
  };
  const auto changed = [&] {
    uint64_t count = 0;
    for (uint32_t i = 0; i < machine.node().shards(); ++i) {
      count += machine.node().shard(i).metrics().repair_keys_received.value();
    }
    return count;
  };
  const uint64_t fence = machine.topology().fence;
  EXPECT_EQ(push("a", Object("v"), fence), Code::kOk);
  EXPECT_EQ(changed(), 100U);
  EXPECT_EQ(push("a", Object("v"), fence), Code::kOk);
  EXPECT_EQ(changed(), 100U) << "nothing was new";
  EXPECT_TRUE(Holds(machine, "a99"));
  EXPECT_EQ(push("b", Object("v"), fence + 1), Code::kStaleEpoch);
  EXPECT_EQ(push("c", "rotten", fence), Code::kInvalidArgument);
  EXPECT_FALSE(Holds(machine, "b1"));
}

}  // namespace
}  // namespace lariat::node
