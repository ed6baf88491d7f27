// SPDX-License-Identifier: Apache-2.0
#include "membership/detector_core.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>

#include "base/prng.h"

namespace lariat::membership {
namespace {

using base::Millis;
using base::Seconds;

// A detector with its peers in virtual time, ticked each second. A peer's heartbeats come each
// second while `beating`, its probes are answered while `answering`.
class World {
 public:
  struct Peer {
    bool beating = true;
    bool answering = true;
    double loss = 0;
    uint64_t generation = 100;
    uint64_t version = 0;
  };

  explicit World(uint64_t peers, DetectorOptions options = DetectorOptions::ForPeriod(Seconds(1)))
      : core(options) {
    std::vector<DetectorPeer> list;
    for (uint64_t i = 1; i <= peers; ++i) {
      list.push_back({i, base::Duration{0}});
      peer[i] = {};
    }
    core.SetPeers(list, now);
  }

  // A second: heartbeats, a tick, results of its probes.
  void Step() {
    now += Seconds(1);
    for (auto& [number, one] : peer) {
      if (one.beating) core.OnHeartbeat(number, one.generation, ++one.version, now);
    }
    Handle(core.Tick(now));
  }
  void Run(int seconds) {
    for (int i = 0; i < seconds; ++i) Step();
  }
  // Seconds until `node` is in the state; `most` + 1 if never.
  int RunUntil(uint64_t node, PeerState state, int most) {
    for (int i = 0; i <= most; ++i) {
      if (StateOf(node) == state) return i;
      Step();
    }
    return most + 1;
  }
  PeerState StateOf(uint64_t node) { return core.Status(node, now)->state; }
  int Count(DetectorEvent event, uint64_t node) {
    return static_cast<int>(std::count(log.begin(), log.end(), std::pair(event, node)));
  }
  void Handle(std::vector<DetectorAction> actions) {
    while (!actions.empty()) {
      for (const DetectorAction& action : actions) {
        log.emplace_back(action.event, action.node);
        if (action.event != DetectorEvent::kProbe) continue;
        const Peer& asked = peer[action.node];
        core.OnProbe(action.node, asked.answering && !prng.Chance(asked.loss), now);
      }
      actions = core.TakeActions();
    }
  }

  base::Prng prng{11};
  base::Instant now{Seconds(1000)};
  DetectorCore core;
  std::map<uint64_t, Peer> peer;
  std::vector<std::pair<DetectorEvent, uint64_t>> log;
};

TEST(Detector, ADeadPeerIsConvictedInThreeToFivePeriods) {
  World world(3);
  world.Run(60);
  world.peer[2] = {false, false};
  EXPECT_TRUE(world.core.IsUsable(2));
  const int seconds = world.RunUntil(2, PeerState::kDead, 20);
  EXPECT_GE(seconds, 3);
  EXPECT_LE(seconds, 5);
  EXPECT_FALSE(world.core.IsUsable(2));
  EXPECT_TRUE(world.core.IsUsable(1));
  EXPECT_EQ(world.Count(DetectorEvent::kConvicted, 2), 1);
  EXPECT_GT(world.core.Status(2, world.now)->phi, 3);
  EXPECT_LT(world.core.Status(1, world.now)->phi, 1);
}

TEST(Detector, SilenceAloneConvictsNobody) {
  World world(2);
  world.Run(20);
  world.peer[2].beating = false;
  world.Run(300);
  EXPECT_TRUE(world.core.IsUsable(2));
  EXPECT_EQ(world.Count(DetectorEvent::kConvicted, 2), 0);
  EXPECT_GT(world.Count(DetectorEvent::kProbe, 2), 10);
}

TEST(Detector, AProbeWithoutResultFailsInItsTime) {
  World world(1);
  world.Run(20);
  // Nobody reports the results.
  int convictions = 0;
  for (int i = 0; i < 20; ++i) {
    world.now += Seconds(1);
    for (const DetectorAction& action : world.core.Tick(world.now)) {
      convictions += action.event == DetectorEvent::kConvicted ? 1 : 0;
    }
  }
  EXPECT_EQ(convictions, 1);
  EXPECT_FALSE(world.core.IsUsable(1));
}

TEST(Detector, DuplicateReportsDoNotShrinkTheMean) {
  World world(1);
  for (int second = 0; second < 200; ++second) {
    // Each heartbeat is heard from twenty others, too.
    for (int i = 0; i < 20; ++i) {
      world.now += Millis(100);
      world.core.OnHeartbeat(1, 100, static_cast<uint64_t>(second) + 1, world.now);
    }
    world.Handle(world.core.Tick(world.now));
  }
  world.now += Seconds(4);
  EXPECT_LT(world.core.Status(1, world.now)->phi, 8) << "heartbeats come each two seconds";
}

TEST(Detector, ARestartIsNoLongInterval) {
  World world(1);
  world.Run(60);
  world.peer[1] = {false, false};
  world.Run(600);
  EXPECT_EQ(world.StateOf(1), PeerState::kDead);
  world.peer[1] = {true, true, 0, 200, 0};
  EXPECT_LE(world.RunUntil(1, PeerState::kAlive, 5), 1);
  world.Run(20);
  world.peer[1] = {false, false};
  EXPECT_LE(world.RunUntil(1, PeerState::kDead, 20), 5);
}

TEST(Detector, LossAndJitterConvictNobody) {
  World world(20);
  for (int second = 0; second < 3000; ++second) {
    world.now += Millis(world.prng.Between(800, 1200));
    for (auto& [number, one] : world.peer) {
      ++one.version;
      if (!world.prng.Chance(0.05)) world.core.OnHeartbeat(number, 100, one.version, world.now);
      one.loss = 0.1;  // of the question or the answer
    }
    world.Handle(world.core.Tick(world.now));
  }
  EXPECT_EQ(world.core.stats().convictions, 0U);
}

TEST(DetectorMustHold, M26_ALocalPauseConvictsNobody) {
  for (const bool timers_first : {false, true}) {
    World world(5);
    world.Run(60);
    const uint64_t before = world.core.stats().convictions;
    world.now += Seconds(30);
    // What a stopped process finds when it wakes: its own probes ran out of time.
    if (timers_first) {
      for (uint64_t i = 1; i <= 5; ++i) world.core.OnProbe(i, false, world.now);
    }
    world.Handle(world.core.Tick(world.now));
    EXPECT_EQ(world.core.stats().local_pauses, 1U);
    world.Run(30);
    EXPECT_EQ(world.core.stats().convictions, before);
    EXPECT_EQ(world.core.stats().suspicions, 0U);
    // Those thirty seconds are no interval either.
    world.peer[3] = {false, false};
    EXPECT_LE(world.RunUntil(3, PeerState::kDead, 20), 5);
  }
}

TEST(DetectorMustHold, M26_WhoDiedDuringThePauseIsConvictedAfterIt) {
  World world(5);
  world.Run(60);
  world.now += Seconds(30);
  world.peer[4] = {false, false};
  EXPECT_LE(world.RunUntil(4, PeerState::kDead, 20), 6);
}

TEST(DetectorMustHold, M27_AOneWayLinkEndsInABoundedTime) {
  World world(20);
  world.Run(60);
  world.peer[7].answering = false;  // its heartbeats go on to come, through others
  const int seconds = world.RunUntil(7, PeerState::kUnreachable, 30);
  EXPECT_LE(seconds, 10);
  EXPECT_FALSE(world.core.IsUsable(7));
  EXPECT_EQ(world.Count(DetectorEvent::kUnreachable, 7), 1);
  // It stays so while heartbeats come, and is dead when they end.
  world.Run(60);
  EXPECT_EQ(world.StateOf(7), PeerState::kUnreachable);
  world.peer[7].beating = false;
  EXPECT_LE(world.RunUntil(7, PeerState::kDead, 20), 12);
  world.peer[7] = {true, true, 0, 100, 10000};
  EXPECT_LE(world.RunUntil(7, PeerState::kAlive, 20), 6);
}

TEST(DetectorMustHold, M27_AFailedRequestIsLookedAtNext) {
  DetectorOptions options = DetectorOptions::ForPeriod(Seconds(1));
  options.direct_check_after = Seconds(100000);
  World world(500, options);
  world.Run(5);
  world.peer[400].answering = false;
  world.core.OnDirectFailure(400, world.now);
  world.core.OnDirectFailure(300, world.now);
  EXPECT_LE(world.RunUntil(400, PeerState::kUnreachable, 20), 5);
  EXPECT_EQ(world.StateOf(300), PeerState::kAlive);
  EXPECT_EQ(world.Count(DetectorEvent::kProbe, 300), 1);
  EXPECT_EQ(world.Count(DetectorEvent::kProbe, 200), 0);
}

TEST(Detector, AReportIsCheckedNotBelieved) {
  World world(3);
  world.Run(20);
  world.now += Millis(1500);
  world.core.OnReport(1, 100, world.now);
  EXPECT_EQ(world.StateOf(1), PeerState::kSuspect);
  world.Handle(world.core.TakeActions());
  EXPECT_EQ(world.StateOf(1), PeerState::kAlive);
  world.peer[2].answering = false;
  world.core.OnReport(2, 99, world.now);
  EXPECT_EQ(world.StateOf(2), PeerState::kAlive) << "about an earlier run";
  world.core.OnReport(2, 100, world.now);
  world.Handle(world.core.TakeActions());
  EXPECT_EQ(world.StateOf(2), PeerState::kDead) << "although its heartbeats were fresh";
}

TEST(Detector, AFlappingPeerWaitsLongerEachTimeButNotForEver) {
  World world(1);
  world.Run(30);
  int last = 0;
  for (int flap = 0; flap < 10; ++flap) {
    world.peer[1] = {false, false, 0, 100, world.peer[1].version};
    ASSERT_LE(world.RunUntil(1, PeerState::kDead, 30), 30);
    world.peer[1].beating = world.peer[1].answering = true;
    const int seconds = world.RunUntil(1, PeerState::kAlive, 200);
    EXPECT_GE(seconds + 1, last) << "flap " << flap;
    EXPECT_LE(seconds, flap == 0 ? 2 : 66) << "the first is forgiven";
    last = seconds;
    world.Run(5);
  }
  EXPECT_GE(last, 30);
  world.Run(1000);
  world.peer[1] = {false, false, 0, 100, world.peer[1].version};
  ASSERT_LE(world.RunUntil(1, PeerState::kDead, 30), 30);
  world.peer[1].beating = world.peer[1].answering = true;
  EXPECT_LE(world.RunUntil(1, PeerState::kAlive, 200), 2) << "a quiet time forgets";
}

TEST(Detector, ProbesAreBounded) {
  DetectorOptions options = DetectorOptions::ForPeriod(Seconds(1));
  options.probes_per_tick = 20;
  World world(1000, options);
  world.Run(10);
  for (auto& [number, one] : world.peer) one = {false, false, 0, 100, one.version};
  for (int i = 0; i < 10; ++i) {
    const size_t before = world.core.stats().probes_failed + world.core.stats().probes_ok;
    world.Step();
    EXPECT_LE(world.core.stats().probes_failed + world.core.stats().probes_ok - before, 20U);
  }
  EXPECT_LE(world.RunUntil(1000, PeerState::kDead, 300), 120) << "all in the end";
}

TEST(Detector, MembersComeAndGo) {
  World world(3);
  world.Run(20);
  world.peer.erase(2);
  world.core.SetPeers({{1, {}}, {3, {}}, {9, {}}}, world.now);
  EXPECT_FALSE(world.core.Status(2, world.now));
  EXPECT_FALSE(world.core.IsUsable(2));
  EXPECT_TRUE(world.core.IsUsable(9)) << "a new one begins with a grace";
  world.core.OnHeartbeat(2, 100, 99, world.now);
  world.core.OnProbe(2, false, world.now);
  world.peer[9] = {false, false};
  EXPECT_LE(world.RunUntil(9, PeerState::kDead, 20), 7) << "and is not kept for ever";
}

}  // namespace
}  // namespace lariat::membership
