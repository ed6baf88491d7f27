// SPDX-License-Identifier: Apache-2.0
#include "membership/peer_watch_core.h"

#include <gtest/gtest.h>

#include <map>

#include "membership/gossip/gossip_test_util.h"

namespace lariat::membership {
namespace {

using base::Seconds;

// Nodes that gossip and probe each other in virtual time, a second per round.
class Cluster {
 public:
  Cluster(uint64_t count, uint64_t per_rack) {
    members_ = GossipMembers(count, per_rack);
    for (uint64_t i = 1; i <= count; ++i) Start(i, 100);
  }
  void Start(uint64_t number, uint64_t generation) {
    nodes_.erase(GossipId(number));
    auto& node = nodes_.emplace(GossipId(number), Make(number, generation)).first->second;
    node.SetMembers(members_, now_.instant);
  }
  void Kill(uint64_t number) { nodes_.erase(GossipId(number)); }
  void Cut(uint64_t from, uint64_t to) { cut_ = {GossipId(from), GossipId(to)}; }

  void Round() {
    now_.instant += Seconds(1);
    now_.wall.ms += 1000;
    for (auto& [id, node] : nodes_) {
      WatchActions actions = node.OnTick(now_.instant);
      for (GossipSend& send : actions.syns) Deliver(id, send);
      Handle(id, std::move(actions.detector));
    }
  }
  void Rounds(int count) {
    for (int i = 0; i < count; ++i) Round();
  }
  PeerState StateOf(uint64_t observer, uint64_t node) {
    return Node(observer).Status(GossipId(node).high, now_.instant)->state;
  }
  int RoundsUntilAll(uint64_t node, PeerState state, int most) {
    for (int round = 0; round <= most; ++round) {
      bool all = true;
      for (auto& [id, watch] : nodes_) {
        if (id == GossipId(node)) continue;
        all = all && watch.Status(GossipId(node).high, now_.instant)->state == state;
      }
      if (all) return round;
      Round();
    }
    return most + 1;
  }
  PeerWatchCore& Node(uint64_t number) { return nodes_.at(GossipId(number)); }
  uint64_t Convictions() {
    uint64_t sum = 0;
    for (auto& [id, node] : nodes_) sum += node.detector().stats().convictions;
    return sum;
  }

 private:
  PeerWatchCore Make(uint64_t number, uint64_t generation) {
    return PeerWatchCore(GossipOptionsOf(number, generation),
                         DetectorOptions::ForPeriod(Seconds(1)), base::Prng(number));
  }
  bool Passes(const base::Uuid& from, const base::Uuid& to) {
    return nodes_.contains(to) && std::pair(from, to) != cut_;
  }
  void Deliver(const base::Uuid& from, const GossipSend& send) {
    if (!Passes(from, send.to)) return;
    const auto ack = nodes_.at(send.to).OnSyn(from, send.frame, now_);
    if (!ack || !Passes(send.to, from)) return;
    const auto ack2 = nodes_.at(from).OnAck(send.to, *ack, now_);
    if (ack2 && Passes(from, send.to)) nodes_.at(send.to).OnAck2(from, *ack2, now_);
  }
  void Handle(const base::Uuid& id, std::vector<DetectorAction> actions) {
    while (!actions.empty()) {
      for (const DetectorAction& action : actions) {
        if (action.event != DetectorEvent::kProbe) continue;
        base::Uuid to;
        for (auto& [other, node] : nodes_) {
          if (other.high == action.node) to = other;
        }
        nodes_.at(id).OnProbe(action.node, Passes(id, to) && Passes(to, id), now_.instant);
      }
      actions = nodes_.at(id).TakeActions();
    }
  }

  WatchNow now_{base::Instant(Seconds(1000)), kGossipNow};
  std::shared_ptr<const MemberList> members_;
  std::map<base::Uuid, PeerWatchCore> nodes_;
  std::pair<base::Uuid, base::Uuid> cut_;
};

TEST(PeerWatch, ADeadNodeIsConvictedByAllAndTakenBackWhenItStartsAgain) {
  for (const uint64_t count : {3, 20}) {
    Cluster cluster(count, 100);
    cluster.Rounds(40);
    EXPECT_EQ(cluster.Convictions(), 0U);
    cluster.Kill(2);
    EXPECT_LE(cluster.RoundsUntilAll(2, PeerState::kDead, 20), count == 3 ? 6 : 12);
    cluster.Start(2, 200);
    EXPECT_LE(cluster.RoundsUntilAll(2, PeerState::kAlive, 20), 10);
  }
}

TEST(PeerWatch, InAHierarchyTheRackTellsAndTheOthersProbe) {
  Cluster cluster(100, 10);
  ASSERT_TRUE(cluster.Node(1).gossip().hierarchical());
  cluster.Rounds(60);
  EXPECT_EQ(cluster.Convictions(), 0U);
  cluster.Kill(37);
  EXPECT_LE(cluster.RoundsUntilAll(37, PeerState::kDead, 40), 16);
  cluster.Start(37, 200);
  EXPECT_LE(cluster.RoundsUntilAll(37, PeerState::kAlive, 40), 16);
  cluster.Rounds(20);
  EXPECT_TRUE(cluster.Node(38).gossip().Find(GossipId(38))->states.convictions.empty())
      << "what was told is taken back";
}

TEST(PeerWatchMustHold, M27_OneDirectionOfALinkLost) {
  Cluster cluster(5, 100);
  cluster.Rounds(20);
  cluster.Cut(2, 1);  // 1 hears nothing of 2 directly, its questions reach it
  cluster.Rounds(15);
  EXPECT_EQ(cluster.StateOf(1, 2), PeerState::kUnreachable);
  EXPECT_EQ(cluster.StateOf(2, 1), PeerState::kUnreachable);
  EXPECT_EQ(cluster.StateOf(3, 2), PeerState::kAlive);
  EXPECT_EQ(cluster.StateOf(3, 1), PeerState::kAlive);
  cluster.Cut(0, 0);
  cluster.Rounds(15);
  EXPECT_EQ(cluster.StateOf(1, 2), PeerState::kAlive);
}

TEST(PeerWatch, CountsForTheMetrics) {
  Cluster cluster(3, 100);
  cluster.Rounds(10);
  cluster.Kill(3);
  cluster.Rounds(10);
  telemetry::Metrics metrics;
  cluster.Node(1).Publish(&metrics);
  cluster.Node(1).Publish(&metrics);
  EXPECT_EQ(metrics.gossip_rounds.value(), 20U);
  EXPECT_EQ(metrics.peer_convictions.value(), 1U);
  EXPECT_GE(metrics.peer_probes[telemetry::ProbeOutcome::kFailed].value(), 2U);
  EXPECT_GT(metrics.gossip_bytes_sent.value(), 1000U);
}

}  // namespace
}  // namespace lariat::membership
