// SPDX-License-Identifier: Apache-2.0
// Reads through coordinators of a whole cluster: flights, repair, hedges, outcomes.
#include <gtest/gtest.h>

#include "coordinator/coordinator_test_util.h"

namespace lariat::coordinator {
namespace {

using base::Code;
using Values = std::vector<std::string>;

Fate LoseWrites(size_t, size_t, Message message) {
  return message == Message::kWrite ? Fate::kLoseRequest : Fate::kDeliver;
}

std::string ValueOf(const GotPtr& got) {
  return got->ok() && !(*got)->values.empty() ? (*got)->values[0].bytes : "nothing";
}

TEST(Reads, OneFlightServesWhoeverCameBeforeItsStart) {
  TestCluster cluster;
  TestNode& node = cluster.node(0);
  node.Put("k", "v");
  cluster.RunAll();
  cluster.messages = 0;
  std::vector<GotPtr> reads;
  for (int i = 0; i < 10; ++i) reads.push_back(node.Get("k"));
  cluster.RunAll();
  for (const auto& read : reads) {
    EXPECT_EQ(ValueOf(read), "v");
    EXPECT_EQ(read->times, 1);
  }
  // The first flew alone; the nine that came while it was under way shared the second flight.
  EXPECT_EQ(cluster.messages, 2U);
  EXPECT_EQ(node.metrics.reads_coalesced.value(), 9U);
  EXPECT_EQ(node.coordinator.InFlight(), 0U);
}

// The first flight has read its replicas before the write was done; who asks after the write was
// acknowledged must not get its answer.
TEST(ReadsMustHold, M15_AReadAfterAWriteNeverRidesAnOlderFlight) {
  TestCluster cluster;
  TestNode& node = cluster.node(0);
  const auto old = node.Put("k", "old");
  cluster.RunAll();
  bool lose = true;
  cluster.fate = [&lose](size_t, size_t, Message message) {
    return lose && message == Message::kRead ? Fate::kLoseReply : Fate::kDeliver;
  };
  const auto early = node.Get("k");  // its replica has answered, its answer is lost for now
  lose = false;
  cluster.RunAll();
  EXPECT_EQ(early->times, 0);
  const auto write = cluster.node(1).Put("k", "new", (*old)->context);
  cluster.RunAll();
  ASSERT_TRUE(write->ok());
  const auto late = node.Get("k");
  cluster.Advance(100);
  EXPECT_EQ(early->times, 1);
  EXPECT_EQ(ValueOf(late), "new");
}

TEST(Reads, FlightsOfOtherKeysLevelsAndTimeoutsAreApart) {
  TestCluster cluster;
  TestNode& node = cluster.node(0);
  const auto a = node.Get("a");
  const auto b = node.Get("b");
  const auto all = node.Get("a", {.level = Level::kAll});
  const auto quick = node.Get("a", {.timeout_ms = 50});
  const auto same = node.Get("a", {.level = Level::kQuorum});
  EXPECT_EQ(node.metrics.reads_coalesced.value(), 1U);
  cluster.RunAll();
  EXPECT_TRUE(a->ok() && b->ok() && all->ok() && quick->ok() && same->ok());
  EXPECT_EQ((*all)->replicas.primaries, 3U);
}

TEST(Reads, ARequestMadeInACallbackStartsItsOwnFlight) {
  TestCluster cluster;
  TestNode& node = cluster.node(0);
  int answered = 0;
  node.coordinator.Get({"default", "k", {}}, [&](const base::Result<GetReply>& first) {
    EXPECT_TRUE(first);
    ++answered;
    node.coordinator.Get({"default", "k", {}}, [&](const base::Result<GetReply>& second) {
      EXPECT_TRUE(second);
      ++answered;
    });
  });
  cluster.RunAll();
  EXPECT_EQ(answered, 2);
}

TEST(Reads, WhoWaitsForAFlightThatFailsGetsItsOwn) {
  TestCluster cluster;
  TestNode& node = cluster.node(0);
  cluster.fate = [](size_t, size_t, Message) { return Fate::kLoseRequest; };
  const auto first = node.Get("k", {.timeout_ms = 500});
  cluster.Advance(400);
  const auto second = node.Get("k", {.timeout_ms = 500});
  EXPECT_EQ(first->times, 0);
  cluster.fate = nullptr;
  cluster.Advance(150);
  EXPECT_EQ(first->code(), Code::kTimeout);
  EXPECT_TRUE(second->ok());
  EXPECT_EQ(node.coordinator.InFlight(), 0U);
}

TEST(ReadsMustHold, M17_WhoWaitsForAFlightKeepsItsOwnDeadline) {
  TestCluster cluster;
  TestNode& node = cluster.node(0);
  cluster.fate = [](size_t, size_t, Message) { return Fate::kLoseRequest; };
  const auto first = node.Get("k", {.timeout_ms = 500});
  cluster.Advance(100);
  const auto second = node.Get("k", {.timeout_ms = 500});
  cluster.Advance(100);
  const auto third = node.Get("k", {.timeout_ms = 500});
  cluster.Advance(305);
  EXPECT_EQ(first->code(), Code::kTimeout);
  EXPECT_EQ(second->times, 0);
  cluster.Advance(100);
  EXPECT_EQ(second->code(), Code::kTimeout);
  EXPECT_EQ(second->value->error().needed, 2U);
  EXPECT_EQ(third->times, 0);
  cluster.Advance(100);
  EXPECT_EQ(third->code(), Code::kTimeout);
  EXPECT_EQ(node.coordinator.InFlight(), 0U);
  cluster.Advance(1000);
  EXPECT_EQ(first->times + second->times + third->times, 3);
}

TEST(ReadsMustHold, M15_WhatWasReadOnceIsReadAgain) {
  TestCluster cluster;
  cluster.fate = LoseWrites;
  const auto unknown = cluster.node(0).Put("k", "v");
  cluster.Advance(3000);
  EXPECT_EQ(unknown->code(), Code::kUnknown);
  cluster.fate = nullptr;
  EXPECT_EQ(cluster.node(0).Values("k"), Values{"v"});
  // The one replica that had it alone is gone.
  cluster.alive[0] = false;
  EXPECT_EQ(cluster.node(1).Values("k"), Values{"v"});
  EXPECT_EQ(cluster.node(2).Values("k"), Values{"v"});
  EXPECT_EQ(cluster.node(0).metrics.read_repairs.value(), 1U);
}

TEST(ReadsMustHold, M15_WhatCannotBeHeldIsNotShown) {
  TestCluster cluster;
  cluster.fate = LoseWrites;
  cluster.node(0).Put("k", "v");
  cluster.Advance(3000);
  const auto got = cluster.node(0).Get("k");
  cluster.Advance(10000);
  ASSERT_EQ(got->times, 1);
  EXPECT_FALSE(got->ok());
}

// Writers whose outcome is unknown, readers at all nodes: once a reader has seen a value, later
// readers see it too.
TEST(ReadsMustHold, M15_NoNewOldInversionUnderLoss) {
  for (uint64_t seed = 0; seed < 30; ++seed) {
    base::Prng prng(seed);
    TestCluster cluster;
    std::string context;
    uint64_t newest_seen = 0;
    for (uint64_t i = 1; i <= 60; ++i) {
      cluster.fate = [&prng](size_t, size_t, Message) {
        return prng.Chance(0.3) ? (prng.Chance(0.5) ? Fate::kLoseRequest : Fate::kLoseReply)
                                : Fate::kDeliver;
      };
      const auto got = cluster.node(prng.Below(3)).Get("k", {.timeout_ms = 100});
      cluster.Advance(250);
      ASSERT_EQ(got->times, 1);
      if (got->ok()) {
        uint64_t newest = 0;
        for (const auto& value : (*got)->values) newest = std::max(newest, std::stoul(value.bytes));
        EXPECT_GE(newest, newest_seen) << "seed " << seed;
        newest_seen = newest;
        context = (*got)->context;
      }
      WriteRequest put;
      put.key = "k";
      put.write.value = std::to_string(i);
      if (!context.empty()) put.write.context = context;
      put.consistency.timeout_ms = 100;
      cluster.node(prng.Below(3)).Put(std::move(put));
      cluster.Advance(250);
    }
    EXPECT_GT(newest_seen, 0U);
  }
}

TEST(Reads, ALateReplicaIsHedged) {
  TestCluster cluster;
  TestNode& node = cluster.node(0);
  node.Put("k", "v");
  cluster.RunAll();
  int reads = 0;
  cluster.fate = [&reads](size_t, size_t, Message message) {
    return message == Message::kRead && reads++ == 0 ? Fate::kLoseRequest : Fate::kDeliver;
  };
  const auto got = node.Get("k");
  cluster.Advance(20);
  EXPECT_EQ(got->times, 0);
  cluster.Advance(30);
  EXPECT_EQ(ValueOf(got), "v");
  EXPECT_EQ(node.metrics.reads_hedged.value(), 1U);
}

TEST(ReadsMustHold, M6_AReplicaThatCannotReadIsReplacedNotBelieved) {
  TestCluster cluster;
  TestNode& node = cluster.node(0);
  node.Put("k", "v");
  cluster.RunAll();
  node.plan.fail_read = true;
  EXPECT_EQ(node.Values("k"), Values{"v"});
  cluster.node(1).plan.fail_read = true;
  const auto got = node.Get("k");
  cluster.RunAll();
  EXPECT_EQ(got->code(), Code::kUnavailable);
}

TEST(ReadsMustHold, M17_ALateReadIsATimeoutWithNumbers) {
  TestCluster cluster;
  cluster.fate = [](size_t, size_t, Message) { return Fate::kLoseRequest; };
  const auto got = cluster.node(0).Get("k", {.timeout_ms = 200});
  cluster.RunAll();
  cluster.Advance(195);
  EXPECT_EQ(got->times, 0);
  cluster.Advance(10);
  ASSERT_EQ(got->times, 1);
  EXPECT_EQ(got->code(), Code::kTimeout);
  EXPECT_EQ(got->value->error().needed, 2U);
  EXPECT_EQ(got->value->error().alive, 1U);
}

TEST(Reads, SiblingsAreShownWithTheirVersions) {
  TestCluster cluster;
  cluster.node(0).Put("k", "a");
  cluster.RunAll();
  cluster.node(1).Put("k", "b");
  cluster.RunAll();
  const auto got = cluster.node(2).Get("k");
  cluster.RunAll();
  ASSERT_EQ((*got)->values.size(), 2U);
  EXPECT_EQ((*got)->version, (Version{{"node1", 1}, {"node2", 1}}));
  EXPECT_EQ((*got)->values[0].version.size(), 1U);
  const auto resolved = cluster.node(2).Put("k", "c", (*got)->context);
  cluster.RunAll();
  EXPECT_TRUE(resolved->ok());
  EXPECT_EQ(cluster.node(0).Values("k"), Values{"c"});
}

TEST(Reads, WhatIsRefusedBeforeAnythingIsSent) {
  TestCluster cluster;
  TestNode& node = cluster.node(0);
  EXPECT_EQ(node.Get("")->code(), Code::kInvalidArgument);
  EXPECT_EQ(node.Get("k", {.r = 4})->code(), Code::kInvalidArgument);
  EXPECT_EQ(node.Get("k", {.level = Level::kAny})->code(), Code::kInvalidArgument);
  EXPECT_EQ(node.Get("k", {.timeout_ms = 0})->code(), Code::kInvalidArgument);
  EXPECT_EQ(cluster.messages, 0U);
}

}  // namespace
}  // namespace lariat::coordinator
