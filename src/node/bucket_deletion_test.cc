// SPDX-License-Identifier: Apache-2.0
// Whole nodes delete buckets: gone for clients at once, from the disks in time, for ever; and what
// nodes of an older build have to do with it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "healing/deleted_buckets.h"
#include "node/cluster_test_util.h"

namespace lariat::node {
namespace {

using base::Code;
using base::Seconds;
using testing::HasSubstr;

class DeletionTest : public ClusterTest {
 protected:
  static constexpr int kKeys = 60;

  template <typename Start>
  auto Ask(Start start) {
    using Result = base::Result<coordinator::ChangeTicket>;
    std::optional<Result> answer;
    start([&](Result result) { answer = std::move(result); });
    EXPECT_TRUE(time.RunUntil([&] { return answer.has_value(); }));
    return answer.value_or(base::Fail(Code::kUnknown, "not answered"));
  }
  base::Result<coordinator::ChangeTicket> Delete(Machine& machine, const std::string& bucket) {
    return Ask([&](auto done) { machine.node().admin(0).DeleteBucket(bucket, {}, done); });
  }
  base::Status Finalize(Machine& machine) {
    const auto answer = Ask([&](auto done) {
      machine.node().admin(0).FinalizeUpgrade({}, [done](const base::Status& status) mutable {
        if (status) return done(coordinator::ChangeTicket{});
        done(base::Fail(status.error()));
      });
    });
    return answer ? base::Status() : base::Fail(answer.error());
  }
  Code PutIn(Machine& machine, const std::string& bucket, const std::string& key) {
    std::optional<Code> answer;
    coordinator::WriteRequest put;
    put.bucket = bucket;
    put.key = key;
    put.write.value = "value of " + key;
    machine.coordinator().Write(
        put, [&](auto reply) { answer = reply ? Code::kOk : reply.error().code; });
    EXPECT_TRUE(time.RunUntil([&] { return answer.has_value(); }));
    return answer.value_or(Code::kUnknown);
  }
  // kOk: it has a value.
  Code GetFrom(Machine& machine, const std::string& bucket, const std::string& key) {
    std::optional<Code> answer;
    machine.coordinator().Get({bucket, key, {}}, [&](auto reply) {
      answer = !reply ? reply.error().code : reply->values.empty() ? Code::kNotFound : Code::kOk;
    });
    EXPECT_TRUE(time.RunUntil([&] { return answer.has_value(); }));
    return answer.value_or(Code::kUnknown);
  }
  static std::string Key(int i) { return "key" + std::to_string(i); }
  uint32_t Fill(const std::string& bucket) {
    EXPECT_TRUE(AddBucket(*machines[0], bucket));
    for (int i = 0; i < kKeys; ++i) EXPECT_EQ(PutIn(*machines[i % 2], bucket, Key(i)), Code::kOk);
    return machines[0]->topology().buckets.at(bucket).id;
  }
  template <typename Image>
  static auto& DataOf(Image& image) {
    return image[static_cast<size_t>(storage::Space::kData)];
  }
  // What a machine's disk has of a bucket.
  static size_t Stored(Machine& machine, uint32_t id) {
    size_t records = 0;
    for (const auto& [key, value] : DataOf(machine.engine.DurableImage())) {
      records += storage::ParseDataKey(key)->bucket == id ? 1 : 0;
    }
    return records;
  }
  bool NobodyStores(uint32_t id) {
    for (auto& machine : machines) {
      if (!machine->Formed() || Stored(*machine, id) > 0) return false;
    }
    return true;
  }
  std::string StateOf(Machine& machine, uint64_t task) {
    for (const auto& each : machine.node().admin(0).Tasks()) {
      if (each.task == task) return each.state;
    }
    return "";
  }
  uint64_t Dropped() {
    uint64_t dropped = 0;
    for (auto& machine : machines) {
      for (uint32_t s = 0; s < machine->node().shards(); ++s) {
        dropped += machine->node().shard(s).metrics().deleted_bucket_dropped.value();
      }
    }
    return dropped;
  }
};

TEST_F(DeletionTest, IsGoneAtOnceAndFromTheDisksInTime) {
  ThreeNodes();
  const uint32_t id = Fill("carts");
  Fill("other");
  const auto ticket = Delete(*machines[1], "carts");
  ASSERT_TRUE(ticket) << ticket.error().message;
  for (auto& machine : machines) {
    EXPECT_FALSE(machine->coordinator().Bucket("carts")) << "on every node";
    EXPECT_EQ(GetFrom(*machine, "carts", Key(1)), Code::kNotFound);
    EXPECT_EQ(PutIn(*machine, "carts", Key(1)), Code::kNotFound);
  }
  EXPECT_EQ(StateOf(*machines[0], ticket->task), "running");
  // The name may be used at once, and shows nothing of what was there.
  ASSERT_TRUE(AddBucket(*machines[2], "carts"));
  const uint32_t again = machines[2]->topology().buckets.at("carts").id;
  EXPECT_NE(again, id);
  for (int i = 0; i < kKeys; ++i) {
    EXPECT_EQ(GetFrom(*machines[i % 3], "carts", Key(i)), Code::kNotFound);
  }
  EXPECT_EQ(PutIn(*machines[0], "carts", Key(7)), Code::kOk);
  ASSERT_TRUE(time.RunUntil([&] { return NobodyStores(id); }));
  ASSERT_TRUE(time.RunUntil([&] { return StateOf(*machines[0], ticket->task) == "done"; }));
  for (auto& machine : machines) {
    EXPECT_EQ(Stored(*machine, again), 1U);
    EXPECT_EQ(Stored(*machine, machine->topology().buckets.at("other").id), size_t{kKeys});
    for (uint32_t s = 0; s < machine->node().shards(); ++s) {
      EXPECT_EQ(machine->node().shard(s).replica().tree().CountsOf(id).keys, 0U);
    }
  }
  EXPECT_EQ(Delete(*machines[0], "default").error().code, Code::kConflict);
  EXPECT_EQ(Delete(*machines[0], "none").error().code, Code::kNotFound);
}

// The node that was away still has all of it, and its hash trees say so.
TEST_F(DeletionTest, NothingComesBackFromANodeThatWasAway) {
  ThreeNodes();
  for (auto& machine : machines) machine->settings.repair_interval_s = 5;
  const uint32_t id = Fill("carts");
  Machine& away = *machines[2];
  away.GoDown();
  time.Run(Seconds(5));
  EXPECT_EQ(PutIn(*machines[0], "carts", "late"), Code::kOk);  // hinted
  const auto ticket = Delete(*machines[0], "carts");
  ASSERT_TRUE(ticket) << ticket.error().message;
  ASSERT_TRUE(AddBucket(*machines[0], "carts"));
  ASSERT_EQ(PutIn(*machines[0], "carts", "new"), Code::kOk);
  time.Run(Seconds(10));
  EXPECT_EQ(Stored(*machines[0], id) + Stored(*machines[1], id), 0U) << "nobody is waited for";
  EXPECT_EQ(StateOf(*machines[0], ticket->task), "running") << "but the one that is away";
  EXPECT_GE(Stored(away, id), size_t{kKeys} / 2);
  away.Start();
  ASSERT_TRUE(time.RunUntil([&] { return away.Formed() && NobodyStores(id); }));
  ASSERT_TRUE(time.RunUntil([&] { return StateOf(*machines[0], ticket->task) == "done"; }));
  std::optional<base::Result<coordinator::ChangeTicket>> repair;
  machines[1]->node().admin(0).Repair({}, [&](auto taken) { repair = std::move(taken); });
  time.Run(Seconds(60));
  ASSERT_TRUE(repair && *repair);
  EXPECT_TRUE(NobodyStores(id)) << "also after comparisons";
  for (auto& machine : machines) {
    for (int i = 0; i < kKeys; ++i) {
      ASSERT_EQ(GetFrom(*machine, "carts", Key(i)), Code::kNotFound);
    }
    EXPECT_EQ(GetFrom(*machine, "carts", "late"), Code::kNotFound);
    EXPECT_EQ(GetFrom(*machine, "carts", "new"), Code::kOk);
    EXPECT_EQ(machine->node().hint_budget()->hints(), 0);
  }
}

// What is under way when the bucket goes is dropped where it lands, and nobody is told of an error.
TEST_F(DeletionTest, WhatComesLateIsDroppedAndCounted) {
  ThreeNodes();
  const uint32_t id = Fill("carts");
  ASSERT_TRUE(Delete(*machines[0], "carts"));
  ASSERT_TRUE(time.RunUntil([&] { return NobodyStores(id); }));
  causal::Object object(causal::Kind::kLww);
  object.lww()->stamp.packed = uint64_t{5} << 16;
  object.lww()->value.bytes = "stray";
  for (const auto why :
       {healing::IngestWhy::kMoved, healing::IngestWhy::kRepaired, healing::IngestWhy::kHinted}) {
    std::optional<base::Status> done;
    machines[1]->shard().records().Ingest(
        {id, ring::TokenOf("k"), "k"}, object.Encode(),
        [&](base::Status s) { done = std::move(s); }, why);
    ASSERT_TRUE(time.RunUntil([&] { return done.has_value(); }));
    EXPECT_TRUE(*done) << done->error().message;
  }
  EXPECT_EQ(Dropped(), 3U);
  EXPECT_TRUE(NobodyStores(id));
  // The checker that the tests here rest on sees a record that is there.
  auto planted = machines[1]->engine.DurableImage();
  DataOf(planted)[storage::DataKey(id, 7, "k")] = "x";
  machines[1]->engine.Restore(std::move(planted));
  EXPECT_FALSE(NobodyStores(id));
}

TEST_F(DeletionTest, GoesOnAfterARestart) {
  ThreeNodes();
  const uint32_t id = Fill("carts");
  Machine& machine = *machines[0];
  machine.GoDown();
  machine.settings.stream_clean_bytes_per_s = 1;
  machine.Start();
  ASSERT_TRUE(time.RunUntil([&] { return machine.Formed(); }));
  time.Run(Seconds(2));
  const auto ticket = Delete(*machines[1], "carts");
  ASSERT_TRUE(ticket) << ticket.error().message;
  time.Run(Seconds(10));
  machine.GoDown();
  machine.engine.Crash();
  machine.settings.stream_clean_bytes_per_s = 1 << 20;
  machine.Start();
  ASSERT_TRUE(time.RunUntil([&] { return NobodyStores(id); }));
  ASSERT_TRUE(time.RunUntil([&] { return StateOf(*machines[1], ticket->task) == "done"; }));
  machine.GoDown();
  machine.Start();
  ASSERT_TRUE(time.RunUntil([&] { return machine.Formed(); }));
  time.Run(Seconds(3));
  EXPECT_EQ(StateOf(machine, ticket->task), "done") << "it remembers";
}

// --- older builds --------------------------------------------------------------------------------

TEST_F(DeletionTest, IsOffWhileANodeIsOfAnOlderBuild) {
  const std::vector<std::string> list = {Address(1), Address(2), Address(3)};
  for (uint64_t i = 1; i <= 3; ++i) Add(i, list).feature_level = i == 3 ? 0 : 1;
  for (auto& machine : machines) machine->Start();
  ASSERT_TRUE(time.RunUntil([&] { return AllFormed(); }));
  time.Run(Seconds(2));
  EXPECT_EQ(machines[0]->topology().feature_level, 0U);
  const uint32_t id = Fill("carts");
  const auto refused = Delete(*machines[0], "carts");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kConflict);
  EXPECT_THAT(refused.error().message, HasSubstr("'node3' (level 0)"));
  EXPECT_EQ(Finalize(*machines[0]).error().code, Code::kConflict);
  auto status = machines[0]->node().admin(0).Status();
  EXPECT_THAT(status.upgrade, HasSubstr("older builds run on 'node3'"));
  EXPECT_EQ(status.nodes[2].feature_level, 0);
  EXPECT_EQ(status.nodes[0].feature_level, 1);

  machines[2]->GoDown();
  machines[2]->feature_level = 1;
  machines[2]->Start();
  ASSERT_TRUE(time.RunUntil([&] { return AllFormed(); }));
  time.Run(Seconds(3));
  const auto early = Delete(*machines[0], "carts");
  ASSERT_FALSE(early);
  EXPECT_THAT(early.error().message, HasSubstr("finalize-upgrade"));
  const base::Status finalized = Finalize(*machines[1]);
  ASSERT_TRUE(finalized) << finalized.error().message;
  ASSERT_TRUE(Finalize(*machines[1])) << "again is no error";
  status = machines[0]->node().admin(0).Status();
  EXPECT_EQ(status.feature_level, membership::kFeatureLevel);
  EXPECT_EQ(status.upgrade, "");
  EXPECT_EQ(GetFrom(*machines[2], "carts", Key(3)), Code::kOk);
  ASSERT_TRUE(Delete(*machines[0], "carts"));
  ASSERT_TRUE(time.RunUntil([&] { return NobodyStores(id); }));
}

}  // namespace
}  // namespace lariat::node
