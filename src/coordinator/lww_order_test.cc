// SPDX-License-Identifier: Apache-2.0
// Last writer wins: what was acknowledged first gives way, whatever the clocks say.
#include <gtest/gtest.h>

#include "coordinator/coordinator_test_util.h"

namespace lariat::coordinator {
namespace {

using base::Code;
using Values = std::vector<std::string>;

class LwwOrder : public ::testing::Test {
 protected:
  explicit LwwOrder(TestCluster::Options options = {.kind = causal::Kind::kLww})
      : cluster(options), nodes(cluster.NodesOf("k")) {}

  TestNode& Replica(size_t i) { return cluster.node(nodes[i]); }
  // By a clock that is so far ahead, seen by all replicas but this one.
  void PutAhead(const std::string& value, size_t unseen_by, int64_t ahead_ms = 500) {
    cluster.wall.ms += ahead_ms;
    cluster.fate = [this, unseen_by](size_t, size_t to, Message) {
      return to == nodes[unseen_by] ? Fate::kLoseRequest : Fate::kDeliver;
    };
    const WrotePtr wrote = Replica((unseen_by + 1) % 3).Put("k", value);
    cluster.RunAll();
    EXPECT_TRUE(wrote->ok());
    cluster.wall.ms -= ahead_ms;
    cluster.fate = nullptr;
  }
  Values Read(size_t i) { return Replica(i).Values("k"); }
  uint64_t Restamped(size_t i) { return Replica(i).metrics.registers_restamped.value(); }

  TestCluster cluster;
  std::vector<ring::NodeIndex> nodes;
};

TEST_F(LwwOrder, AWriteThroughASlowClockWinsOverAnEarlierOne) {
  PutAhead("first", 0);
  const WrotePtr second = Replica(0).Put("k", "second");
  cluster.RunAll();
  ASSERT_TRUE(second->ok());
  EXPECT_EQ((*second)->replicas.primaries, 2U);
  for (size_t i = 0; i < 3; ++i) EXPECT_EQ(Read(i), Values{"second"}) << i;
  EXPECT_EQ(Restamped(0), 1U);
  // The context tells of the stamp that it has now.
  WriteRequest third;
  third.key = "k";
  third.write.value = "third";
  third.write.if_match = (*second)->context;
  const WrotePtr matched = Replica(1).Put(std::move(third));
  cluster.RunAll();
  EXPECT_TRUE(matched->ok());
  EXPECT_EQ(Read(2), Values{"third"});
}

TEST_F(LwwOrder, UndisturbedWritesAreSentOnce) {
  for (const char* value : {"a", "b", "c"}) {
    Replica(0).Put("k", value);
    cluster.RunAll();
  }
  EXPECT_EQ(Restamped(0), 0U);
  EXPECT_EQ(cluster.messages, 6U);
}

TEST_F(LwwOrder, SoDoesADelete) {
  PutAhead("first", 0);
  WriteRequest request;
  request.key = "k";
  const WrotePtr removed = Replica(0).Delete(std::move(request));
  cluster.RunAll();
  ASSERT_TRUE(removed->ok());
  for (size_t i = 0; i < 3; ++i) EXPECT_EQ(Read(i), Values{}) << i;
}

TEST_F(LwwOrder, TwoReplicasOrderItWhileTheThirdIsAway) {
  PutAhead("first", 0);
  cluster.alive[nodes[2]] = false;
  const WrotePtr second = Replica(0).Put("k", "second");
  cluster.RunAll();
  ASSERT_TRUE(second->ok());
  EXPECT_EQ(Read(1), Values{"second"});
}

// A read that was given the value may return it with the replica that is away: no other stamp then.
TEST_F(LwwOrder, WhatAReadWasGivenIsLeftUnknown) {
  PutAhead("first", 0);
  cluster.alive[nodes[2]] = false;
  bool read = false;
  cluster.fate = [&](size_t from, size_t, Message message) {
    if (from == nodes[0] && message == Message::kWrite && !read) {
      read = true;
      Replica(1).Get("k");
    }
    return Fate::kDeliver;
  };
  const WrotePtr second = Replica(0).Put("k", "second");
  cluster.RunAll();
  EXPECT_TRUE(read);
  EXPECT_EQ(second->code(), Code::kUnknown);
  EXPECT_EQ(Replica(0).metrics.registers_unsettled.value(), 1U);
}

// The third replica took the second write before the first: then it came first for them both.
TEST_F(LwwOrder, AConcurrentWriteThatTwoReplicasHeldComesFirst) {
  PutAhead("first", 0);
  cluster.fate = [this](size_t, size_t to, Message) {
    return to == nodes[2] ? Fate::kLoseRequest : Fate::kDeliver;
  };
  const WrotePtr second = Replica(0).Put("k", "second");
  cluster.RunAll();
  EXPECT_TRUE(second->ok());
  EXPECT_EQ(Restamped(0), 1U);
}

TEST_F(LwwOrder, ConditionsAndRepeatsAreAboveWhatTheyRead) {
  PutAhead("first", 0);
  WriteRequest put;
  put.key = "k";
  put.write.value = "once";
  put.idempotency_key = "id";
  for (int i = 0; i < 2; ++i) {
    const WrotePtr wrote = Replica(0).Put(put);
    cluster.RunAll();
    ASSERT_TRUE(wrote->ok());
    EXPECT_EQ((*wrote)->replayed, i == 1);
    EXPECT_EQ(Read(1), Values{"once"});
  }
  put.write.value = "there";
  put.idempotency_key.reset();
  put.write.if_match = "*";
  const WrotePtr wrote = Replica(0).Put(put);
  cluster.RunAll();
  ASSERT_TRUE(wrote->ok());
  EXPECT_EQ(Read(2), Values{"there"});
  EXPECT_EQ(Restamped(0), 0U);
}

TEST_F(LwwOrder, AClientsOwnStampsAreLeftAsTheyAre) {
  PutAhead("first", 0);
  WriteRequest put;
  put.key = "k";
  put.write.value = "stamped";
  put.write.client_timestamp_ms = cluster.wall.ms;
  const WrotePtr wrote = Replica(0).Put(std::move(put));
  cluster.RunAll();
  EXPECT_TRUE(wrote->ok());
  EXPECT_EQ(Read(1), Values{"first"}) << "the greater stamp, as the client asked for";
}

// What a client was shown comes before what it writes then, through whatever node.
TEST_F(LwwOrder, AContextIsAFloor) {
  PutAhead("first", 0);
  const GotPtr got = Replica(1).Get("k");
  cluster.RunAll();
  Replica(0).Put("k", "second", (*got)->context);
  cluster.RunAll();
  EXPECT_EQ(Read(1), Values{"second"});
  EXPECT_EQ(Restamped(0), 0U);
}

class LwwOrderAll : public LwwOrder {
 protected:
  LwwOrderAll() : LwwOrder({.r = 1, .w = 3, .kind = causal::Kind::kLww}) {}
};

TEST_F(LwwOrderAll, WithAllReplicasTheOwnRecordOrders) {
  cluster.wall.ms += 500;
  Replica(1).Put("k", "first");
  cluster.RunAll();
  cluster.wall.ms -= 500;
  const WrotePtr second = Replica(0).Put("k", "second");
  cluster.RunAll();
  EXPECT_TRUE(second->ok());
  EXPECT_EQ(Restamped(0), 0U);
  EXPECT_EQ(Read(2), Values{"second"});
}

}  // namespace
}  // namespace lariat::coordinator
