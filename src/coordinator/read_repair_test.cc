// SPDX-License-Identifier: Apache-2.0
// Eventual reads: they answer at once and bring replicas together afterwards.
#include <gtest/gtest.h>

#include "coordinator/coordinator_test_util.h"

namespace lariat::coordinator {
namespace {

using base::Code;

constexpr TestCluster::Options kEventual{.r = 1, .w = 1, .read_repair = 100};

// Puts at `node`; the writes to `without` are lost.
void PutWithout(TestCluster& cluster, size_t node, std::vector<size_t> without) {
  cluster.fate = [without](size_t, size_t to, Message message) {
    const bool lost = std::find(without.begin(), without.end(), to) != without.end();
    return lost && message == Message::kWrite ? Fate::kRefuse : Fate::kDeliver;
  };
  const auto put = cluster.node(node).Put("k", "v");
  cluster.RunAll();
  EXPECT_TRUE(put->ok());
  cluster.fate = nullptr;
}

size_t Holders(TestCluster& cluster) {
  size_t holders = 0;
  for (size_t i = 0; i < 3; ++i) holders += cluster.node(i).Stored("k").Empty() ? 0 : 1;
  return holders;
}

int CountWrites(TestCluster& cluster, const std::function<void()>& run) {
  int writes = 0;
  cluster.fate = [&writes](size_t, size_t, Message message) {
    writes += message == Message::kWrite ? 1 : 0;
    return Fate::kDeliver;
  };
  run();
  cluster.RunAll();
  cluster.fate = nullptr;
  return writes;
}

TEST(ReadRepair, AnEventualReadBringsTheOthersUpToDateAfterItsAnswer) {
  TestCluster cluster(kEventual);
  PutWithout(cluster, 0, {1, 2});
  ASSERT_EQ(Holders(cluster), 1U);
  const auto got = cluster.node(0).Get("k");
  EXPECT_EQ(got->times, 1) << "answered by the own replica, before the others were asked";
  EXPECT_EQ((*got)->replicas.primaries, 1U);
  cluster.RunAll();
  EXPECT_EQ(Holders(cluster), 3U);
  EXPECT_EQ(cluster.node(0).metrics.read_repairs_async.value(), 2U);
  EXPECT_EQ(cluster.node(0).metrics.read_repairs.value(), 0U);
  EXPECT_EQ(cluster.node(0).owed.size(), 2U) << "by the write; a repair owes nothing";
}

TEST(ReadRepair, ANodeThatLacksAValueGetsItByItsOwnRead) {
  TestCluster cluster(kEventual);
  PutWithout(cluster, 0, {1, 2});
  const auto got = cluster.node(2).Get("k");
  cluster.RunAll();
  EXPECT_TRUE((*got)->values.empty());
  EXPECT_EQ(Holders(cluster), 3U);
}

TEST(ReadRepair, AgreeingReplicasAreNeverWrittenTo) {
  for (const uint32_t percent : {0U, 50U, 100U}) {
    TestCluster cluster({.r = 1, .w = 1, .read_repair = percent});
    cluster.node(0).Put("k", "v");
    cluster.RunAll();
    const int writes = CountWrites(cluster, [&cluster] {
      for (int i = 0; i < 60; ++i) {
        cluster.node(static_cast<size_t>(i) % 3).Get("k");
        cluster.node(static_cast<size_t>(i) % 3).Get("none");
        cluster.RunAll();
      }
    });
    EXPECT_EQ(writes, 0);
  }
}

TEST(ReadRepair, ItsShareIsAPropertyOfTheBucket) {
  for (const uint32_t percent : {0U, 30U, 100U}) {
    TestCluster cluster({.r = 1, .w = 1, .read_repair = percent});
    cluster.node(0).Put("k", "v");
    cluster.RunAll();
    cluster.messages = 0;
    for (int i = 0; i < 1000; ++i) {
      cluster.node(0).Get("k");
      cluster.RunAll();
    }
    // Two digests for each.
    EXPECT_NEAR(static_cast<double>(cluster.messages), 20.0 * percent, percent % 100 * 4)
        << percent;
  }
}

TEST(ReadRepair, WhatDiffersAmongThoseAskedIsAlwaysRepaired) {
  TestCluster cluster({.nodes = 5, .n = 5, .r = 2, .w = 1, .read_repair = 0});
  cluster.fate = [](size_t, size_t, Message message) {
    return message == Message::kWrite ? Fate::kRefuse : Fate::kDeliver;
  };
  cluster.node(0).Put("k", "v");
  cluster.RunAll();
  cluster.fate = nullptr;
  const auto got = cluster.node(0).Get("k");
  cluster.RunAll();
  EXPECT_EQ((*got)->values.size(), 1U);
  EXPECT_EQ(cluster.node(0).metrics.read_repairs_async.value(), 1U);
  EXPECT_EQ(cluster.node(0).metrics.digest_mismatches.value(), 1U);
  size_t holders = 0;
  for (size_t i = 0; i < 5; ++i) holders += cluster.node(i).Stored("k").Empty() ? 0 : 1;
  EXPECT_EQ(holders, 2U);
}

TEST(ReadRepair, AStrictReadStillRepairsBeforeItsAnswer) {
  TestCluster cluster({.read_repair = 100});
  PutWithout(cluster, 0, {1});
  cluster.alive[2] = false;
  const auto got = cluster.node(0).Get("k");
  cluster.RunAll();
  EXPECT_TRUE(got->ok());
  EXPECT_EQ(cluster.node(0).metrics.read_repairs.value(), 1U);
  EXPECT_EQ(cluster.node(0).metrics.read_repairs_async.value(), 0U);
}

TEST(ReadRepair, DeadAndSilentReplicasHoldNothingUp) {
  TestCluster cluster(kEventual);
  PutWithout(cluster, 0, {1, 2});
  cluster.fate = [](size_t, size_t to, Message message) {
    return to == 2 && message == Message::kRead ? Fate::kLoseRequest : Fate::kDeliver;
  };
  const auto got = cluster.node(0).Get("k", {.timeout_ms = 200});
  EXPECT_TRUE(got->ok());
  cluster.Advance(400);
  EXPECT_EQ(Holders(cluster), 2U) << "the one that answered has it now";
  cluster.fate = nullptr;
  cluster.alive[2] = false;
  cluster.messages = 0;
  cluster.node(0).Get("k");
  cluster.RunAll();
  EXPECT_EQ(cluster.messages, 1U);
  EXPECT_EQ(cluster.node(0).coordinator.InFlight(), 0U);
}

}  // namespace
}  // namespace lariat::coordinator
