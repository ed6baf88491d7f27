// SPDX-License-Identifier: Apache-2.0
// Sloppy quorums, fallbacks and what is owed, through coordinators of a whole cluster.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "coordinator/coordinator_test_util.h"

namespace lariat::coordinator {
namespace {

using base::Code;
using Values = std::vector<std::string>;
using Owed = std::vector<std::pair<uint64_t, std::string>>;

constexpr Consistency kSloppy{.sloppy = true};
constexpr Consistency kAny{.level = Level::kAny};

WriteRequest PutOf(const std::string& key, Consistency consistency) {
  WriteRequest put;
  put.key = key;
  put.write.value = "v";
  put.consistency = consistency;
  return put;
}

class Sloppy : public testing::Test {
 protected:
  uint64_t Number(size_t node) { return cluster.view().MemberAt(node).Number(); }
  // The `i`th replica of the key.
  size_t Replica(size_t i) { return cluster.NodesOf(key)[i]; }
  size_t Outsider() {
    for (size_t node = 0; node < 5; ++node) {
      const auto nodes = cluster.NodesOf(key);
      const bool replica = std::find(nodes.begin(), nodes.end(), node) != nodes.end();
      if (!replica && cluster.alive[node]) return node;
    }
    return 0;
  }
  void Kill(std::initializer_list<size_t> replicas) {
    for (const size_t i : replicas) cluster.alive[Replica(i)] = false;
  }
  // How many nodes keep something for the node.
  size_t HintsFor(size_t target) {
    size_t count = 0;
    for (size_t node = 0; node < 5; ++node) {
      count += cluster.node(node).hints.kept.count({Number(target), key});
    }
    return count;
  }
  size_t AllHints() {
    size_t count = 0;
    for (size_t node = 0; node < 5; ++node) count += cluster.node(node).hints.kept.size();
    return count;
  }
  Owed AllOwed() {
    Owed owed;
    for (size_t node = 0; node < 5; ++node) {
      const Owed& own = cluster.node(node).owed;
      owed.insert(owed.end(), own.begin(), own.end());
    }
    return owed;
  }
  WrotePtr PutAt(size_t node, Consistency consistency) {
    const auto put = cluster.node(node).Put(PutOf(key, consistency));
    cluster.RunAll();
    return put;
  }
  GotPtr GetAt(size_t node, Consistency consistency) {
    const auto got = cluster.node(node).Get(key, consistency);
    cluster.RunAll();
    return got;
  }

  TestCluster cluster{{.nodes = 5}};
  std::string key = "k";
};

void ExpectTookPart(const WrotePtr& put, uint32_t primaries, uint32_t fallbacks) {
  ASSERT_TRUE(put->ok()) << put->value->error().message;
  EXPECT_EQ((*put)->replicas.primaries, primaries);
  EXPECT_EQ((*put)->replicas.fallbacks, fallbacks);
}

// Guards M16.
TEST_F(Sloppy, LiveNodesStandInForDeadReplicas) {
  Kill({1, 2});
  const auto put = PutAt(Replica(0), kSloppy);
  ExpectTookPart(put, 1, 1);
  EXPECT_EQ(HintsFor(Replica(1)), 1U);
  EXPECT_EQ(HintsFor(Replica(2)), 1U);
  EXPECT_EQ(cluster.node(Replica(0)).metrics.sloppy_acks.value(), 1U);
  EXPECT_TRUE(AllOwed().empty());
  // Forwarded, the same.
  const auto forwarded = PutAt(Outsider(), kSloppy);
  ExpectTookPart(forwarded, 1, 1);
  EXPECT_EQ(AllHints(), 2U);
}

TEST_F(Sloppy, NobodyStandsInWhereAllAreAlive) {
  ExpectTookPart(PutAt(Replica(0), kSloppy), 2, 0);
  EXPECT_EQ(AllHints(), 0U);
  EXPECT_EQ((*GetAt(Outsider(), kSloppy))->replicas.primaries, 2U);
}

TEST_F(Sloppy, M16_AStrictQuorumCountsPrimariesOnly) {
  Kill({1, 2});
  const auto put = PutAt(Replica(0), {});
  EXPECT_EQ(put->code(), Code::kInsufficientReplicas);
  EXPECT_EQ(put->value->error().needed, 2U);
  EXPECT_EQ(put->value->error().alive, 1U);
  const auto got = GetAt(Outsider(), {});
  EXPECT_EQ(got->code(), Code::kInsufficientReplicas);
  // Those that fail under way are not replaced either.
  cluster.alive.assign(5, true);
  const size_t down = Replica(1);
  cluster.fate = [&](size_t, size_t to, Message) {
    return to == down || to == Replica(2) ? Fate::kRefuse : Fate::kDeliver;
  };
  EXPECT_EQ(PutAt(Replica(0), {})->code(), Code::kUnknown);
  EXPECT_EQ(GetAt(Replica(0), {})->code(), Code::kUnavailable);
  EXPECT_EQ(AllHints(), 0U);
  // pw and pr are strict in a sloppy quorum too.
  cluster.fate = nullptr;
  Kill({1, 2});
  const auto primaries = PutAt(Replica(0), {.pw = 2, .sloppy = true});
  EXPECT_EQ(primaries->code(), Code::kInsufficientReplicas);
  EXPECT_EQ(primaries->value->error().needed, 2U);
  EXPECT_EQ(primaries->value->error().alive, 1U);
  EXPECT_EQ(GetAt(Replica(0), {.pr = 2, .sloppy = true})->code(), Code::kInsufficientReplicas);
  EXPECT_EQ(AllHints(), 0U);
  ExpectTookPart(PutAt(Replica(0), {.w = 3, .pw = 1, .sloppy = true}), 1, 2);
}

TEST_F(Sloppy, AReplicaThatDiesUnderWayIsStoodInFor) {
  cluster.fate = [&](size_t, size_t to, Message) {
    return to == Replica(1) ? Fate::kRefuse : Fate::kDeliver;
  };
  ExpectTookPart(PutAt(Replica(0), {.w = 3, .sloppy = true}), 2, 1);
  EXPECT_EQ(HintsFor(Replica(1)), 1U);
  const auto got = GetAt(Replica(0), {.r = 3, .sloppy = true});
  ASSERT_TRUE(got->ok());
  EXPECT_EQ((*got)->replicas.primaries, 2U);
  EXPECT_EQ((*got)->replicas.fallbacks, 1U);
  EXPECT_TRUE(AllOwed().empty());
}

TEST_F(Sloppy, ANodeWithoutRoomForHintsIsPassedOver) {
  Kill({2});
  const auto spares = cluster.view().ring.Fallbacks(ring::TokenOf(key), 3);
  cluster.node(spares[0]).hints.full = true;
  ExpectTookPart(PutAt(Replica(0), {.w = 3, .sloppy = true}), 2, 1);
  EXPECT_EQ(cluster.node(spares[1]).hints.kept.count({Number(Replica(2)), key}), 1U);
  cluster.node(spares[1]).hints.full = true;
  const auto lost = PutAt(Replica(0), {.w = 3, .sloppy = true});
  EXPECT_EQ(lost->code(), Code::kUnknown);
  EXPECT_EQ(AllOwed(), (Owed{{Number(Replica(2)), key}}));
}

TEST_F(Sloppy, WithAllReplicasDeadTheNodeThatIsAskedCoordinates) {
  Kill({0, 1, 2});
  const auto first = PutAt(Outsider(), kSloppy);
  ExpectTookPart(first, 0, 2);
  EXPECT_EQ(cluster.node(Outsider()).hints.kept.count({Number(Replica(0)), key}), 1U);
  EXPECT_EQ(HintsFor(Replica(1)), 1U);
  EXPECT_EQ(HintsFor(Replica(2)), 0U) << "nobody is left";
  EXPECT_EQ(cluster.node(Outsider()).metrics.sloppy_acks.value(), 2U);
  EXPECT_TRUE(AllOwed().empty());
  const auto got = GetAt(Outsider(), kSloppy);
  ASSERT_TRUE(got->ok());
  ASSERT_EQ((*got)->values.size(), 1U);
  EXPECT_EQ((*got)->replicas.primaries, 0U);
  EXPECT_EQ((*got)->replicas.fallbacks, 2U);
  // It covers what it was shown.
  auto next = PutOf(key, kSloppy);
  next.write.context = (*got)->context;
  next.write.value = "new";
  const auto second = cluster.node(Outsider()).Put(next);
  cluster.RunAll();
  EXPECT_TRUE(second->ok());
  EXPECT_EQ((*GetAt(Outsider(), kSloppy))->values.at(0).bytes, "new");
  const auto removed = cluster.node(Outsider()).Delete({.key = key, .consistency = kSloppy});
  cluster.RunAll();
  EXPECT_TRUE(removed->ok());
  EXPECT_TRUE((*GetAt(Outsider(), kSloppy))->values.empty());
}

TEST_F(Sloppy, AnyIsMetByOneStandIn) {
  Kill({0, 1, 2});
  cluster.alive[Outsider()] = false;  // one node of five is left
  ExpectTookPart(PutAt(Outsider(), kAny), 0, 1);
  EXPECT_EQ(GetAt(Outsider(), kAny)->code(), Code::kInvalidArgument);
  const auto put = PutAt(Outsider(), kSloppy);
  EXPECT_EQ(put->code(), Code::kInsufficientReplicas);
  EXPECT_EQ(put->value->error().needed, 2U);
  EXPECT_EQ(put->value->error().alive, 1U);
}

TEST_F(Sloppy, AnyPrefersAReplica) {
  Kill({0, 1});
  ExpectTookPart(PutAt(Outsider(), kAny), 1, 0);
  EXPECT_EQ(cluster.node(Replica(2)).Stored(key).StoredValues(), 1U);
}

TEST_F(Sloppy, ConditionsAndRepeatsNeedAReplica) {
  Kill({0, 1, 2});
  WriteRequest condition = PutOf(key, kAny);
  condition.write.if_none_match_any = true;
  WriteRequest repeat = PutOf(key, kAny);
  repeat.idempotency_key = "once";
  for (WriteRequest* request : {&condition, &repeat}) {
    const auto put = cluster.node(Outsider()).Put(*request);
    cluster.RunAll();
    EXPECT_EQ(put->code(), Code::kUnavailable);
    EXPECT_THAT(put->value->error().message, testing::HasSubstr("conditional"));
  }
  EXPECT_EQ(AllHints(), 0U);
  // With one alive the event may be made, but the condition is judged by replicas.
  cluster.alive[Replica(0)] = true;
  const auto put = cluster.node(Outsider()).Put(condition);
  cluster.RunAll();
  EXPECT_EQ(put->code(), Code::kInsufficientReplicas);
  cluster.alive[Replica(1)] = true;
  condition.consistency = {.w = 3, .sloppy = true};
  const auto judged = cluster.node(Outsider()).Put(condition);
  cluster.RunAll();
  ExpectTookPart(judged, 2, 1);
}

TEST_F(Sloppy, AWriteThatCertainlyReachedNobodyIsCoordinatedHere) {
  cluster.fate = [](size_t, size_t, Message message) {
    return message == Message::kForward ? Fate::kRefuse : Fate::kDeliver;
  };
  const size_t here = Outsider();
  EXPECT_EQ(PutAt(here, {})->code(), Code::kUnavailable) << "a strict one is not";
  ExpectTookPart(PutAt(here, kSloppy), 1, 1);
  EXPECT_EQ(cluster.node(here).hints.kept.size(), 1U);
  // One that may have been reached is unknown, and made once at most.
  cluster.fate = [](size_t, size_t, Message message) {
    return message == Message::kForward ? Fate::kLoseReply : Fate::kDeliver;
  };
  const auto lost = cluster.node(here).Put(PutOf("k", {.sloppy = true, .timeout_ms = 100}));
  cluster.Advance(300);
  EXPECT_EQ(lost->code(), Code::kUnknown);
  EXPECT_EQ(cluster.node(here).hints.kept.size(), 1U);
}

TEST_F(Sloppy, WithoutHintsNobodyStandsIn) {
  cluster.settings.hints_enabled = false;
  for (size_t i = 0; i < 5; ++i) cluster.node(i).coordinator.ApplySettings(cluster.settings);
  Kill({1, 2});
  const auto put = PutAt(Replica(0), kSloppy);
  EXPECT_EQ(put->code(), Code::kInsufficientReplicas);
  EXPECT_THAT(put->value->error().message, testing::HasSubstr("hints.enabled"));
  ExpectTookPart(PutAt(Replica(0), {.w = 1, .sloppy = true}), 1, 0);
  EXPECT_EQ(AllHints(), 0U);
  Kill({0});
  EXPECT_EQ(PutAt(Outsider(), kAny)->code(), Code::kInsufficientReplicas);
}

TEST(SloppyBucket, IsTheDefaultOfItsRequests) {
  TestCluster cluster({.nodes = 5, .sloppy = true});
  const auto nodes = cluster.NodesOf("k");
  cluster.alive[nodes[1]] = cluster.alive[nodes[2]] = false;
  const auto put = cluster.node(nodes[0]).Put("k", "v");
  const auto strict = cluster.node(nodes[0]).Put(PutOf("k", {.sloppy = false}));
  cluster.RunAll();
  ExpectTookPart(put, 1, 1);
  EXPECT_EQ(strict->code(), Code::kInsufficientReplicas);
  const auto got = cluster.node(nodes[0]).Get("k");
  cluster.RunAll();
  ASSERT_TRUE(got->ok());
  EXPECT_EQ((*got)->replicas.fallbacks, 1U);
}

// --- what is owed --------------------------------------------------------------------------------

TEST_F(Sloppy, AHealthyWriteOwesNothing) {
  PutAt(Replica(0), {});
  PutAt(Outsider(), {.level = Level::kAll});
  cluster.Advance(20000);
  EXPECT_TRUE(AllOwed().empty());
}

TEST_F(Sloppy, ADeadReplicaIsOwedRightAfterTheAnswerOnce) {
  Kill({2});
  ExpectTookPart(PutAt(Replica(0), {}), 2, 0);
  EXPECT_EQ(cluster.node(Replica(0)).owed, (Owed{{Number(Replica(2)), key}}));
  cluster.Advance(20000);
  EXPECT_EQ(AllOwed().size(), 1U);
}

TEST_F(Sloppy, ASilentReplicaIsOwedAtTheDeadlineOnce) {
  cluster.fate = [&](size_t, size_t to, Message message) {
    return message == Message::kWrite && to == Replica(1) ? Fate::kLoseReply : Fate::kDeliver;
  };
  ExpectTookPart(PutAt(Replica(0), {.timeout_ms = 1000}), 2, 0);
  cluster.Advance(900);
  EXPECT_TRUE(AllOwed().empty());
  cluster.Advance(1000);
  EXPECT_EQ(cluster.node(Replica(0)).owed, (Owed{{Number(Replica(1)), key}}));
}

TEST_F(Sloppy, M17_AWriteThatIsUnknownOwesWhatIsMissing) {
  cluster.fate = [&](size_t, size_t to, Message message) {
    if (message != Message::kWrite) return Fate::kDeliver;
    return to == Replica(1) ? Fate::kRefuse : Fate::kLoseRequest;
  };
  const auto put = cluster.node(Replica(0)).Put(PutOf(key, {.timeout_ms = 1000}));
  cluster.RunAll();
  EXPECT_EQ(put->times, 0);
  cluster.Advance(1500);
  EXPECT_EQ(put->code(), Code::kUnknown);
  Owed expected{{Number(Replica(1)), key}, {Number(Replica(2)), key}};
  EXPECT_EQ(AllOwed(), expected);
}

TEST_F(Sloppy, AWriteBackThatFailsOwesNothing) {
  PutAt(Replica(0), {});
  cluster.fate = [](size_t, size_t, Message message) {
    return message == Message::kWrite ? Fate::kRefuse : Fate::kDeliver;
  };
  cluster.node(Replica(0)).owed.clear();
  const auto put = PutAt(Replica(0), {});
  EXPECT_EQ(put->code(), Code::kUnknown);
  EXPECT_EQ(AllOwed().size(), 2U);
  const auto got = GetAt(Replica(0), {});
  cluster.Advance(20000);
  EXPECT_EQ(got->code(), Code::kUnavailable);
  EXPECT_EQ(AllOwed().size(), 2U);
}

// --- a range that moves --------------------------------------------------------------------------

class MovingSloppy : public testing::Test {
 protected:
  MovingSloppy() {
    key = cluster.KeyWhere([](const membership::View::Replicas& of) {
      return of.other.size() == 3 && of.other != of.read;
    });
    lists = cluster.ListsOf(key);
    cluster.SetTopology(cluster.Moving(membership::Phase::kPrepare));
  }
  bool InBoth(ring::NodeIndex node) const {
    return std::find(lists.other.begin(), lists.other.end(), node) != lists.other.end();
  }
  WrotePtr PutAt(size_t node, Consistency consistency) {
    const auto put = cluster.node(node).Put(PutOf(key, consistency));
    cluster.RunAll();
    return put;
  }

  TestCluster cluster{{.nodes = 7, .spare = 1}};
  std::string key;
  membership::View::Replicas lists;
};

TEST_F(MovingSloppy, AStandInCountsInBothListsWhereItsReplicaDoes) {
  // All but one of the replicas in both lists are dead.
  size_t here = lists.read.size();
  std::vector<ring::NodeIndex> dead;
  for (size_t i = 0; i < lists.read.size(); ++i) {
    if (!InBoth(lists.read[i])) continue;
    if (here == lists.read.size()) {
      here = i;
    } else {
      dead.push_back(lists.read[i]);
    }
  }
  ASSERT_EQ(dead.size(), 1U);
  cluster.alive[dead[0]] = false;
  const ring::NodeIndex coordinator = lists.read[here];
  const auto strict = PutAt(coordinator, {.w = 3});
  EXPECT_EQ(strict->code(), Code::kInsufficientReplicas);
  ExpectTookPart(PutAt(coordinator, {.w = 3, .sloppy = true}), 2, 1);
  const auto got = cluster.node(coordinator).Get(key, {.r = 3, .sloppy = true});
  cluster.RunAll();
  ASSERT_TRUE(got->ok());
  EXPECT_EQ((*got)->values.size(), 1U);
  EXPECT_EQ((*got)->replicas.fallbacks, 1U);
}

TEST_F(MovingSloppy, AWriteGoesOnWhenTheListsChangeUnderWay) {
  const ring::NodeIndex here = lists.read[0];
  cluster.SetTopology(cluster.Before());
  cluster.alive[lists.read[1]] = false;
  // All but the coordinator have the newer topology already.
  for (size_t i = 0; i < 7; ++i) {
    if (i != here) cluster.SetTopology(i, cluster.Moving(membership::Phase::kPrepare));
  }
  const auto put = PutAt(here, {.w = 3, .sloppy = true});
  cluster.Advance(500);
  EXPECT_EQ(put->times, 1);
  ExpectTookPart(put, 2, 1);
  EXPECT_EQ(cluster.node(here).updates, 1) << "one client write is one event";
}

}  // namespace
}  // namespace lariat::coordinator
