// SPDX-License-Identifier: Apache-2.0
// Requests through coordinators of a whole cluster while its topology changes under them.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <span>

#include "coordinator/coordinator_test_util.h"

namespace lariat::coordinator {
namespace {

using base::Code;
using membership::Phase;
using Lists = membership::View::Replicas;
using Values = std::vector<std::string>;

constexpr TestCluster::Options kOneJoins{.nodes = 4, .spare = 1};
constexpr TestCluster::Options kTwoJoin{.nodes = 5, .spare = 2};

bool Has(const std::vector<ring::NodeIndex>& list, ring::NodeIndex node) {
  return std::find(list.begin(), list.end(), node) != list.end();
}

// A key of which node4 (index 3) becomes a replica, and who loses it then.
std::string MovingKey(const TestCluster& cluster) {
  return cluster.KeyWhere([](const Lists& lists) { return Has(lists.other, 3); });
}
size_t LoserOf(const TestCluster& cluster, const std::string& key) {
  const Lists lists = cluster.ListsOf(key);
  for (const ring::NodeIndex node : lists.read) {
    if (!Has(lists.other, node)) return node;
  }
  ADD_FAILURE() << "nobody loses it";
  return 0;
}

int Updates(TestCluster& cluster, size_t nodes) {
  int updates = 0;
  for (size_t i = 0; i < nodes; ++i) updates += cluster.node(i).updates;
  return updates;
}

Values Stored(TestNode& node, const std::string& key) {
  Values values;
  const causal::Object stored = node.Stored(key);  // the values point into it
  for (const auto& value : stored.LiveValues({})) values.push_back(value.value->bytes);
  return values;
}

// --- two lists -----------------------------------------------------------------------------------

TEST(MovingMustHold, M20_AWriteIsDoneWhenBothListsHoldIt) {
  TestCluster cluster(kOneJoins);
  cluster.SetTopology(cluster.Moving(Phase::kPrepare));
  const std::string key = MovingKey(cluster);
  const size_t loser = LoserOf(cluster, key);
  const Lists lists = cluster.ListsOf(key);
  const auto all = cluster.node(loser).Put(key, "all");
  cluster.RunAll();
  ASSERT_TRUE(all->ok());
  EXPECT_EQ(Stored(cluster.node(3), key), Values{"all"});
  // Two of the read list hold the next one, but only one of the other.
  const size_t kept = lists.read[0] == loser ? lists.read[1] : lists.read[0];
  cluster.fate = [kept](size_t, size_t to, Message message) {
    return message == Message::kWrite && to != kept ? Fate::kLoseRequest : Fate::kDeliver;
  };
  const auto half = cluster.node(loser).Put(key, "half");
  cluster.Advance(3000);
  EXPECT_EQ(half->code(), Code::kUnknown);
  EXPECT_EQ(half->value->error().needed, 2U);
  EXPECT_EQ(half->value->error().alive, 1U);
}

TEST(MovingMustHold, M20_TooFewOfTheOtherListIsSaidAtOnce) {
  TestCluster cluster(kTwoJoin);
  cluster.SetTopology(cluster.Moving(Phase::kStream));
  const std::string key = cluster.KeyWhere(
      [](const Lists& lists) { return Has(lists.other, 3) && Has(lists.other, 4); });
  cluster.alive[3] = cluster.alive[4] = false;
  const size_t messages = cluster.messages;
  const size_t at = cluster.ListsOf(key).read[0];
  const auto put = cluster.node(at).Put(key, "v");
  const auto got = cluster.node(at).Get(key);
  EXPECT_EQ(put->code(), Code::kInsufficientReplicas);
  EXPECT_EQ(got->code(), Code::kInsufficientReplicas);
  EXPECT_EQ(got->value->error().alive, 1U);
  EXPECT_EQ(cluster.messages, messages);
  // What one replica says may vanish anyhow.
  const auto one = cluster.node(at).Get(key, {.r = 1});
  cluster.RunAll();
  EXPECT_TRUE(one->ok());
}

TEST(MovingMustHold, M20_AStrictReadLeavesWhatItShowsWithTheNewOwners) {
  for (const int64_t r : {1, 2}) {
    TestCluster cluster(kTwoJoin);
    const std::string key = cluster.KeyWhere(
        [](const Lists& lists) { return Has(lists.other, 3) && Has(lists.other, 4); });
    const size_t at = cluster.NodesOf(key)[0];
    cluster.node(at).Put(key, "v");
    cluster.RunAll();
    cluster.SetTopology(cluster.Moving(Phase::kStream));
    const auto got = cluster.node(at).Get(key, {.r = r});
    cluster.RunAll();
    ASSERT_TRUE(got->ok());
    EXPECT_EQ((*got)->values.at(0).bytes, "v");
    EXPECT_EQ((*got)->replicas.primaries, r);
    const size_t holders =
        Stored(cluster.node(3), key).size() + Stored(cluster.node(4), key).size();
    EXPECT_EQ(holders, r == 1 ? 0U : 1U);
  }
}

// n changes from `n` to `to`: both lists have their own, and a majority is one of the list's.
membership::Topology ReplicationOf(const TestCluster& cluster, uint32_t to, Phase phase) {
  membership::Topology topology = cluster.Moving(phase);
  topology.operation->change.kind = membership::ChangeKind::kReplication;
  topology.operation->change.bucket = "default";
  topology.operation->change.n = to;
  return topology;
}

TEST(MovingMustHold, M20_MajoritiesAreThoseOfEachListWhileNChanges) {
  struct Case {
    uint32_t n, to;
    Phase phase;
    Level level;
  };
  // By the bucket's r and w, which are majorities, and by the level of that name.
  for (const Level level : {Level::kBucketDefault, Level::kQuorum}) {
    for (const Case& c : {Case{3, 5, Phase::kStream, level}, Case{3, 5, Phase::kSwitch, level},
                          Case{1, 3, Phase::kStream, level}, Case{1, 3, Phase::kSwitch, level},
                          Case{5, 3, Phase::kStream, level}, Case{5, 3, Phase::kSwitch, level}}) {
      const uint32_t quorum = c.n / 2 + 1;
      TestCluster cluster({.nodes = 5, .n = c.n, .r = quorum, .w = quorum});
      cluster.SetTopology(ReplicationOf(cluster, c.to, c.phase));
      const auto owners = cluster.view().ring.Primaries(ring::TokenOf("k"), 5).primaries;
      const uint32_t read_n = c.phase == Phase::kSwitch ? c.to : c.n;
      const uint32_t other_n = c.phase == Phase::kSwitch ? c.n : c.to;
      const size_t enough = std::max(read_n, other_n) / 2 + 1;
      // As few as may be: the first in the ring, which are in both lists.
      cluster.fate = [&](size_t, size_t to, Message message) {
        const auto kept = std::span(owners).first(enough);
        const bool lost = std::find(kept.begin(), kept.end(), to) == kept.end();
        return message == Message::kWrite && lost ? Fate::kLoseRequest : Fate::kDeliver;
      };
      const auto write = [&](const std::string& value) {
        WriteRequest request;
        request.key = "k";
        request.write.value = value;
        request.consistency.level = c.level;
        return cluster.node(owners[0]).Put(std::move(request));
      };
      const auto put = write("v");
      cluster.RunAll();
      ASSERT_TRUE(put->ok()) << c.n << "->" << c.to;
      EXPECT_EQ((*put)->replicas.primaries, std::min<size_t>(enough, read_n));
      // Whoever reads asks one of them.
      for (size_t at = 0; at < 5; ++at) {
        const auto got = cluster.node(at).Get("k", {.level = c.level});
        cluster.RunAll();
        ASSERT_TRUE(got->ok());
        EXPECT_EQ((*got)->values.size(), 1U) << c.n << "->" << c.to << " read at " << at;
      }
      cluster.fate = [&](size_t, size_t to, Message message) {
        const auto kept = std::span(owners).first(enough - 1);
        const bool lost = std::find(kept.begin(), kept.end(), to) == kept.end();
        return message == Message::kWrite && lost ? Fate::kLoseRequest : Fate::kDeliver;
      };
      const auto few = write("w");
      cluster.Advance(3000);
      EXPECT_EQ(few->code(), Code::kUnknown) << c.n << "->" << c.to;
    }
  }
}

TEST(Moving, ANewOwnerForwardsUntilItIsRead) {
  TestCluster cluster(kOneJoins);
  cluster.SetTopology(cluster.Moving(Phase::kStream));
  const std::string key = MovingKey(cluster);
  const auto filling = cluster.node(3).Put(key, "v");
  cluster.RunAll();
  EXPECT_TRUE(filling->ok());
  EXPECT_EQ(cluster.node(3).updates, 0);
  EXPECT_EQ(Updates(cluster, 4), 1);
  cluster.SetTopology(cluster.Moving(Phase::kSwitch));
  const auto filled = cluster.node(3).Put(key, "w");
  cluster.RunAll();
  EXPECT_TRUE(filled->ok());
  EXPECT_EQ(cluster.node(3).updates, 1);
  const size_t loser = LoserOf(cluster, key);
  const int before = cluster.node(loser).updates;
  const auto lost = cluster.node(loser).Put(key, "x");
  cluster.RunAll();
  EXPECT_TRUE(lost->ok());
  EXPECT_EQ(cluster.node(loser).updates, before);
}

TEST(Moving, WhoIsDrainedIsAskedLast) {
  TestCluster cluster({.nodes = 5});
  const std::string key = cluster.KeyNotOn(0);
  const auto nodes = cluster.NodesOf(key);
  std::vector<size_t> asked;
  cluster.fate = [&](size_t from, size_t to, Message message) {
    if (from == 0 && message != Message::kWrite) asked.push_back(to);
    return Fate::kDeliver;
  };
  cluster.draining[nodes[0]] = true;
  const auto put = cluster.node(0).Put(key, "v");
  cluster.RunAll();
  EXPECT_TRUE(put->ok());
  EXPECT_EQ(asked, std::vector<size_t>{nodes[1]});
  asked.clear();
  EXPECT_EQ(cluster.node(0).Values(key), Values{"v"});
  EXPECT_EQ(asked, (std::vector<size_t>{nodes[1], nodes[2]}));
  // Conditional writes have to meet, so they still go to the first.
  asked.clear();
  WriteRequest request;
  request.key = key;
  request.write.if_match = "*";
  const auto conditional = cluster.node(0).Put(request);
  cluster.RunAll();
  EXPECT_TRUE(conditional->ok());
  EXPECT_EQ(asked, std::vector<size_t>{nodes[0]});
}

// --- other topologies ----------------------------------------------------------------------------

TEST(MovingMustHold, M20_ACoordinatorThatIsBehindPlansAgainWithTheSameEvent) {
  TestCluster cluster(kOneJoins);
  const std::string key = MovingKey(cluster);
  const size_t behind = LoserOf(cluster, key);
  for (size_t i = 0; i < 4; ++i) {
    if (i != behind) cluster.SetTopology(i, cluster.Moving(Phase::kPrepare));
  }
  TestNode& node = cluster.node(behind);
  const auto put = node.Put(key, "v");
  cluster.RunAll();
  EXPECT_EQ(put->times, 0) << "nobody takes it by the old lists";
  cluster.Advance(20);
  ASSERT_TRUE(put->ok());
  EXPECT_EQ(Updates(cluster, 4), 1);
  EXPECT_EQ(Stored(cluster.node(3), key), Values{"v"});
  EXPECT_GE(node.reconciles, 1);
  EXPECT_EQ(node.metrics.requests_planned_again.value(), 1U);
  EXPECT_GE(cluster.node((behind + 1) % 3).metrics.replica_stale.value(), 1U);
  cluster.Advance(1000);
  for (const size_t i : cluster.ListsOf(key).read) {
    EXPECT_EQ(Stored(cluster.node(i), key), Values{"v"}) << i;
  }
}

// At the end the coordinator is no replica any more: it made the event, but it does not count.
TEST(MovingMustHold, M20_ACoordinatorThatIsNoReplicaAnyMoreDoesNotCount) {
  TestCluster cluster(kOneJoins);
  const std::string key = MovingKey(cluster);
  const size_t loser = LoserOf(cluster, key);
  for (size_t i = 0; i < 4; ++i) {
    if (i != loser) cluster.SetTopology(i, cluster.After());
  }
  cluster.fate = [](size_t, size_t to, Message message) {
    return message == Message::kWrite && to == 3 ? Fate::kLoseRequest : Fate::kDeliver;
  };
  const auto put = cluster.node(loser).Put(key, "v");
  cluster.Advance(100);
  ASSERT_TRUE(put->ok());
  EXPECT_EQ((*put)->replicas.primaries, 2U);
  EXPECT_EQ(Updates(cluster, 4), 1);
  for (const size_t i : cluster.ListsOf(key).other) {
    EXPECT_EQ(Stored(cluster.node(i), key).size(), i == 3 ? 0U : 1U) << i;
  }
}

TEST(MovingMustHold, M20_ReplicasThatAreBehindAreToldAndAskedAgain) {
  TestCluster cluster(kOneJoins);
  const std::string key = MovingKey(cluster);
  const size_t ahead = cluster.NodesOf(key)[0];
  cluster.SetTopology(ahead, cluster.Moving(Phase::kPrepare));
  TestNode& node = cluster.node(ahead);
  const auto put = node.Put(key, "v");
  const auto got = node.Get(key);
  cluster.Advance(50);
  EXPECT_TRUE(put->ok());
  EXPECT_TRUE(got->ok());
  EXPECT_EQ(Updates(cluster, 4), 1);
  EXPECT_GE(node.metrics.requests_sent_again.value(), 2U);
  EXPECT_EQ(node.metrics.requests_planned_again.value(), 0U);
  for (size_t i = 0; i < 4; ++i) EXPECT_NE(cluster.node(i).view->next, std::nullopt);
}

// Views reach the shards of one node one after another.
TEST(MovingMustHold, M20_AnUpdateThatItsOwnShardRefusesIsPlannedAgainWhole) {
  for (const bool shard_is_ahead : {false, true}) {
    TestCluster cluster(kOneJoins);
    const std::string key = MovingKey(cluster);
    TestNode& node = cluster.node(cluster.NodesOf(key)[0]);
    const membership::Topology next = cluster.Moving(Phase::kPrepare);
    for (size_t i = 0; i < 4; ++i) {
      if (&cluster.node(i) != &node) cluster.SetTopology(i, next);
    }
    if (!shard_is_ahead) cluster.SetTopology(node.index, next);
    node.mute = true;
    node.fence = shard_is_ahead ? next.fence : cluster.Before().fence;
    WriteRequest request;
    request.key = key;
    request.write.value = "v";
    request.write.content_type = "text/plain";
    const auto put = node.Put(std::move(request));
    const auto removed = node.Delete({.key = key});
    cluster.Advance(25);
    EXPECT_EQ(put->times, 0);
    EXPECT_EQ(Updates(cluster, 4), 0);
    cluster.SetTopology(node.index, next);
    cluster.Advance(50);
    ASSERT_TRUE(put->ok());
    EXPECT_TRUE(removed->ok());
    EXPECT_EQ(Updates(cluster, 4), 1 + ((*removed)->version.empty() ? 0 : 1));
    const causal::Object stored = cluster.node(3).Stored(key);
    for (const auto& value : stored.LiveValues({})) {
      EXPECT_EQ(value.value->bytes, "v");
      EXPECT_EQ(value.value->content_type, "text/plain");
    }
  }
}

TEST(MovingMustHold, M20_AForwardedWriteThatIsRefusedIsPlannedAgain) {
  TestCluster cluster(kOneJoins);
  const std::string key = MovingKey(cluster);
  TestNode& outside = cluster.node(3);
  for (size_t i = 0; i < 3; ++i) cluster.SetTopology(i, cluster.After());
  const auto put = outside.Put(key, "v");
  WriteRequest request;
  request.key = key;
  request.write.value = "w";
  request.idempotency_key = "i";
  const auto once = outside.Put(request);
  cluster.Advance(50);
  EXPECT_TRUE(put->ok());
  EXPECT_TRUE(once->ok());
  EXPECT_EQ(Updates(cluster, 4), 2);
  EXPECT_GE(outside.updates, 1) << "it is a replica now and needs nobody";
  EXPECT_EQ(outside.coordinator.InFlight(), 0U);
}

TEST(MovingMustHold, M20_AReadUnderWayStartsAgainOnTheNewLists) {
  TestCluster cluster(kOneJoins);
  const std::string key = MovingKey(cluster);
  const size_t loser = LoserOf(cluster, key);
  TestNode& node = cluster.node(loser);
  node.Put(key, "v");
  cluster.RunAll();
  const auto first = node.Get(key);   // its requests are on the way
  const auto riding = node.Get(key);  // waits for the next flight
  cluster.SetTopology(cluster.After());
  cluster.Advance(10);
  for (const auto& got : {first, riding}) {
    ASSERT_EQ(got->times, 1);
    ASSERT_TRUE(got->ok());
    EXPECT_EQ((*got)->values.at(0).bytes, "v");
  }
  EXPECT_EQ(node.metrics.requests_planned_again.value(), 1U);
  EXPECT_EQ(node.coordinator.InFlight(), 0U);
}

TEST(MovingMustHold, M17_M20_WithoutAgreementTheDeadlineEndsItWithADefiniteOutcome) {
  TestCluster cluster(kOneJoins);
  const std::string key = MovingKey(cluster);
  const size_t loser = LoserOf(cluster, key);
  for (size_t i = 0; i < 4; ++i) {
    cluster.node(i).mute = true;
    if (i != loser) cluster.SetTopology(i, cluster.Moving(Phase::kPrepare));
  }
  TestNode& node = cluster.node(loser);
  const auto put = node.Put(key, "v");  // the event is made, nobody else takes it
  const auto removed = node.Delete({.key = key});
  const auto got = node.Get(key);
  TestNode& other = cluster.node(3);
  other.fence = 1;  // its own shard lags for ever
  const auto read = other.Get(key);
  cluster.SetTopology(3, cluster.Before());
  const auto forwarded = other.Put(key, "w");
  cluster.Advance(1900);
  EXPECT_EQ(put->times + removed->times + got->times + forwarded->times, 0);
  cluster.Advance(400);
  EXPECT_EQ(put->code(), Code::kUnknown);
  EXPECT_EQ(removed->code(), Code::kUnavailable);
  EXPECT_EQ(got->code(), Code::kTimeout);
  EXPECT_EQ(forwarded->code(), Code::kUnavailable);
  EXPECT_EQ(read->times, 1);
  EXPECT_EQ(Updates(cluster, 4), 1);
  // Waits grow, so a long quarrel costs little.
  EXPECT_LT(node.reconciles, 100);
  EXPECT_EQ(node.coordinator.InFlight() + other.coordinator.InFlight(), 0U);
  const int reconciles = node.reconciles;
  cluster.Advance(2000);
  EXPECT_EQ(node.reconciles, reconciles) << "after the deadline nothing is tried any more";
}

// --- all of it -----------------------------------------------------------------------------------

// Two nodes join while clients write and read at all nodes, each of which learns of each step at
// its own time, and messages get lost. Whatever was acknowledged or shown is there in the end.
class JoinUnderLoad {
 public:
  explicit JoinUnderLoad(uint64_t seed) : prng_(seed), cluster_(kTwoJoin) {
    cluster_.fate = [this](size_t, size_t to, Message message) {
      const double lost = message != Message::kWrite ? 0.03 : (to >= 3 ? 0.6 : 0.1);
      if (!prng_.Chance(lost)) return Fate::kDeliver;
      return prng_.Chance(0.5) ? Fate::kLoseRequest : Fate::kLoseReply;
    };
  }

  void Go() {
    Load(4);
    Step(cluster_.Moving(Phase::kPrepare));
    // Who is given up copies to all; more than the repair layer would do, and enough here.
    Copy();
    Step(cluster_.Moving(Phase::kStream));
    Step(cluster_.Moving(Phase::kSwitch));
    Step(cluster_.After());
    Load(4);
    cluster_.fate = nullptr;
    cluster_.Advance(1000);
    Collect();
    for (const auto& [key, values] : promised_) {
      std::multiset<std::string> held;
      const Lists lists = cluster_.ListsOf(key);
      for (const size_t i : lists.other.empty() ? lists.read : lists.other) {
        for (const std::string& value : Stored(cluster_.node(i), key)) held.insert(value);
      }
      const Values found = cluster_.node(prng_.Below(5)).Values(key);
      for (const std::string& value : values) {
        EXPECT_GE(held.count(value), 2U) << key << " " << value;
        EXPECT_EQ(std::count(found.begin(), found.end(), value), 1) << key << " " << value;
      }
    }
    EXPECT_LE(Updates(cluster_, 5), writes_);
    EXPECT_GT(acknowledged_, 5);
    for (size_t i = 0; i < 5; ++i) EXPECT_EQ(cluster_.node(i).coordinator.InFlight(), 0U);
  }

 private:
  static constexpr uint64_t kKeys = 30;  // many, so that reads do not mend everything

  void Load(int requests) {
    for (; requests > 0; --requests) {
      TestNode& node = cluster_.node(prng_.Below(5));
      const std::string key = "key" + std::to_string(prng_.Below(kKeys));
      if (prng_.Chance(0.5)) {
        const std::string value = std::to_string(++writes_);
        WriteRequest request;
        request.key = key;
        request.write.value = value;
        request.consistency.timeout_ms = 300;
        puts_.push_back({key, value, node.Put(std::move(request))});
      } else {
        gets_.emplace_back(key, node.Get(key, {.timeout_ms = 300}));
      }
      cluster_.Advance(static_cast<int64_t>(prng_.Below(4)) * 5);
    }
  }
  void Step(const membership::Topology& topology) {
    std::vector<size_t> nodes = {0, 1, 2, 3, 4};
    while (!nodes.empty()) {
      const size_t at = prng_.Below(nodes.size());
      // A quarrel may have brought it there already.
      if (cluster_.node(nodes[at]).view->topology.epoch < topology.epoch) {
        cluster_.SetTopology(nodes[at], topology);
      }
      nodes.erase(nodes.begin() + static_cast<std::ptrdiff_t>(at));
      Load(6);
    }
  }
  void Copy() {
    for (uint64_t k = 0; k < kKeys; ++k) {
      const std::string key = "key" + std::to_string(k);
      const Lists lists = cluster_.ListsOf(key);
      for (const size_t from : lists.read) {
        const causal::Object object = cluster_.node(from).Stored(key);
        if (object.Empty()) continue;
        for (const size_t to : lists.other) cluster_.node(to).Keep(key, object.Encode());
      }
    }
    cluster_.RunAll();
  }
  void Collect() {
    for (const auto& [key, value, put] : puts_) {
      ASSERT_EQ(put->times, 1);
      if (!put->ok()) continue;
      ++acknowledged_;
      promised_[key].insert(value);
    }
    for (const auto& [key, got] : gets_) {
      ASSERT_EQ(got->times, 1);
      if (!got->ok()) continue;
      for (const ShownValue& value : (*got)->values) promised_[key].insert(value.bytes);
    }
  }

  struct Put {
    std::string key, value;
    WrotePtr wrote;
  };
  base::Prng prng_;
  TestCluster cluster_;
  std::vector<Put> puts_;
  std::vector<std::pair<std::string, GotPtr>> gets_;
  std::map<std::string, std::set<std::string>> promised_;
  int writes_ = 0;
  int acknowledged_ = 0;
};

TEST(MovingMustHold, M20_NothingAcknowledgedOrShownIsLostByAJoinUnderLoad) {
  for (uint64_t seed = 0; seed < 60 && !testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE(seed);
    JoinUnderLoad(seed).Go();
  }
}

}  // namespace
}  // namespace lariat::coordinator
