// SPDX-License-Identifier: Apache-2.0
// Whole nodes compare their replicas: more nodes than replicas, so each pair shares other ranges.
#include "healing/anti_entropy.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "node/cluster_test_util.h"

namespace lariat::node {
namespace {

using base::Seconds;

class AntiEntropyTest : public ClusterTest {
 protected:
  static constexpr int kNodes = 5;
  static constexpr int kKeys = 80;

  void SetUp() override {
    std::vector<std::string> list;
    for (uint64_t i = 1; i <= kNodes; ++i) list.push_back(Address(i));
    for (uint64_t i = 1; i <= kNodes; ++i) {
      Machine& machine = Add(i, list);
      machine.settings.hints_enabled = false;
      machine.settings.repair_interval_s = 5;
      machine.Start();
    }
    ASSERT_TRUE(time.RunUntil([&] { return AllFormed(); }));
    time.Run(Seconds(1));
    for (int i = 0; i < kKeys; ++i) ASSERT_TRUE(PutKey(*machines[0], Key(i), "old"));
    time.Run(Seconds(1));
  }
  static std::string Key(int i) { return "key" + std::to_string(i); }
  std::string DataKey(const std::string& key) {
    const uint32_t bucket = machines[0]->topology().buckets.at("default").id;
    return storage::DataKey(bucket, ring::TokenOf(key).value, key);
  }
  // The states of the key on the disks, by machine.
  std::map<size_t, std::string> States(const std::string& key) {
    std::map<size_t, std::string> states;
    for (size_t m = 0; m < machines.size(); ++m) {
      auto stored = machines[m]->engine.GetBlocking(storage::Space::kData, DataKey(key));
      if (!stored) continue;
      const auto record = storage::ParseRecord(*stored);
      states[m] = record ? std::string(record->object) : "damaged";
    }
    return states;
  }
  std::set<size_t> Owners(const std::string& key) {
    const auto& view = *machines[0]->shard().view();
    std::set<size_t> owners;
    for (const ring::NodeIndex node : view.ring.Primaries(ring::TokenOf(key), 3).primaries) {
      for (size_t m = 0; m < machines.size(); ++m) {
        if (machines[m]->name == view.MemberAt(node).name) owners.insert(m);
      }
    }
    return owners;
  }
  // Exactly the owners hold it, and the same.
  bool IsWhole(const std::string& key) {
    const auto states = States(key);
    std::set<size_t> holders;
    for (const auto& [m, state] : states) {
      holders.insert(m);
      if (state != states.begin()->second) return false;
    }
    return holders == Owners(key);
  }
  bool AllWhole() {
    for (int i = 0; i < kKeys; ++i) {
      if (!IsWhole(Key(i))) return false;
    }
    return true;
  }
  uint64_t Received() {
    uint64_t received = 0;
    for (auto& machine : machines) {
      for (uint32_t s = 0; s < machine->node().shards(); ++s) {
        received += machine->node().shard(s).metrics().repair_keys_received.value();
      }
    }
    return received;
  }
};

TEST_F(AntiEntropyTest, WhatANodeMissedComesFromTheReplicasOfEachRange) {
  ASSERT_TRUE(AllWhole());
  Machine& away = *machines[3];
  away.GoDown();
  time.Run(Seconds(10));
  uint64_t missed = 0;
  for (int i = 0; i < kKeys; i += 2) {
    ASSERT_TRUE(PutKey(*machines[1], Key(i), "new"));
    missed += Owners(Key(i)).contains(3) ? 1 : 0;
  }
  ASSERT_GT(missed, 10U);
  const uint64_t before = Received();
  away.Start();
  ASSERT_TRUE(time.RunUntil([&] { return away.Formed() && AllWhole(); }));
  time.Run(Seconds(30));
  EXPECT_EQ(Received() - before, missed) << "each once, and nothing else";
  EXPECT_TRUE(AllWhole());
}

TEST_F(AntiEntropyTest, WhatIsPushedToANodeThatHoldsNothingOfItIsRefusedWhereItWouldLand) {
  causal::Object object(causal::Kind::kSiblings);
  object.dvv()->Update({}, {.bytes = "stray"}, {77, 1, 1});
  for (int i = 0; i < kKeys; ++i) {
    for (size_t m = 0; m < machines.size(); ++m) {
      std::optional<base::Status> done;
      const uint32_t bucket = machines[0]->topology().buckets.at("default").id;
      machines[m]->shard().records().Ingest(
          {bucket, ring::TokenOf(Key(i)), Key(i)}, object.Encode(),
          [&](base::Status s) { done = std::move(s); }, healing::IngestWhy::kRepaired);
      ASSERT_TRUE(time.RunUntil([&] { return done.has_value(); }));
      const bool owner = Owners(Key(i)).contains(m);
      EXPECT_EQ(done->has_value(), owner);
      EXPECT_TRUE(owner || done->error().code == base::Code::kStaleEpoch);
    }
  }
  EXPECT_TRUE(AllWhole());
}

// Guards M30.
TEST_F(AntiEntropyTest, RecordsThatAReplicaLostComeBackWithoutAnyRead) {
  // Half of what the node holds is gone, and it does not know.
  Machine& away = *machines[2];
  away.GoDown();
  away.StopLinks();
  uint64_t lost = 0;
  storage::WriteBatch batch;
  for (int i = 0; i < kKeys; i += 2) {
    if (!Owners(Key(i)).contains(2)) continue;
    batch.Remove(storage::Space::kData, DataKey(Key(i)));
    ++lost;
  }
  for (const auto& [key, value] :
       away.engine.DurableImage()[static_cast<size_t>(storage::Space::kTree)]) {
    batch.Remove(storage::Space::kTree, key);  // counted again from what is there
  }
  ASSERT_TRUE(away.engine.Write(batch));
  ASSERT_GT(lost, 10U);
  EXPECT_FALSE(AllWhole());
  const uint64_t before = Received();
  away.Start();
  ASSERT_TRUE(time.RunUntil([&] { return away.Formed() && AllWhole(); }));
  time.Run(Seconds(30));
  EXPECT_EQ(Received() - before, lost);
}

// --- many buckets, of which most hold nothing or do not change ----------------------------------

class ManyBucketsTest : public ClusterTest {
 protected:
  static constexpr uint64_t kBuckets = 60;

  void SetUp() override {
    ThreeNodes();
    for (uint64_t i = 1; i < kBuckets; ++i) {
      ASSERT_TRUE(AddBucket(*machines[0], "b" + std::to_string(i)));
    }
    time.Run(Seconds(70));  // no other comparison is due for long
  }
  // What a repair that the first node is asked for costs all nodes.
  struct Cost {
    uint64_t comparisons = 0, hashes_made = 0, keys_listed = 0, syncs = 0;
  };
  Cost Sum() {
    Cost sum;
    for (auto& machine : machines) {
      const telemetry::Metrics& metrics = machine->shard().metrics();
      sum.comparisons += metrics.repair_sessions.value();
      sum.hashes_made += metrics.repair_spans_hashed.value();
      sum.keys_listed += metrics.repair_keys_compared.value();
      sum.syncs += machine->engine.Stats().syncs;
    }
    return sum;
  }
  Cost Repair() {
    const Cost before = Sum();
    std::optional<base::Result<coordinator::ChangeTicket>> ticket;
    machines[0]->node().admin(0).Repair({}, [&](auto reply) { ticket = std::move(reply); });
    const auto done = [&] {
      if (!ticket || !*ticket) return false;
      const auto tasks = machines[0]->node().healing().TasksSeen();
      return !tasks->empty() && tasks->front().task == (*ticket)->task &&
             tasks->front().state == "done";
    };
    EXPECT_TRUE(time.RunUntil(done));
    time.Run(Seconds(2));  // what is stored once a second
    const Cost after = Sum();
    return {after.comparisons - before.comparisons, after.hashes_made - before.hashes_made,
            after.keys_listed - before.keys_listed, after.syncs - before.syncs};
  }
};

TEST_F(ManyBucketsTest, ARepairCostsWhatHasChanged) {
  Cost cost = Repair();
  EXPECT_EQ(cost.comparisons, 2 * kBuckets);
  EXPECT_EQ(cost.hashes_made, 0U) << "there is no record";
  EXPECT_LT(cost.syncs, kBuckets) << "not one for each comparison";
  ASSERT_TRUE(PutKey(*machines[0], "k", "v"));
  time.Run(Seconds(1));
  const uint64_t first = Repair().hashes_made;
  EXPECT_GT(first, 0U);
  EXPECT_LE(first, 4U) << "of one bucket, on both sides of two pairs";
  cost = Repair();
  EXPECT_EQ(cost.comparisons, 2 * kBuckets);
  EXPECT_EQ(cost.hashes_made, 0U) << "nothing has changed";
  EXPECT_EQ(cost.keys_listed, 0U);
}

}  // namespace
}  // namespace lariat::node
