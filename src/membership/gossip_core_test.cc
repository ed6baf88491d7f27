// SPDX-License-Identifier: Apache-2.0
#include "membership/gossip_core.h"

#include <gtest/gtest.h>

#include <set>

#include "base/coding.h"
#include "base/hash.h"
#include "membership/gossip/gossip_test_util.h"

namespace lariat::membership {
namespace {

constexpr uint64_t kNowS = 1'800'000'000;

NodeStates StatesWith(uint64_t epoch, uint64_t fence = 0) {
  NodeStates states;
  states.topology_epoch = epoch;
  states.fence = fence;
  return states;
}

// What `number` says about itself, alone in a SYN.
std::string SynSaying(uint64_t number, uint64_t generation, uint64_t version,
                      std::string_view states = "") {
  GossipWriter writer(GossipKind::kSyn);
  writer.Own({GossipId(number), generation, version, version, states});
  return std::move(writer).Finish();
}

// An ACK2 of one delta about somebody.
std::string Telling(const GossipDelta& delta) {
  GossipWriter writer(GossipKind::kAck2);
  writer.Add(delta);
  return std::move(writer).Finish();
}

class Cluster {
 public:
  Cluster(uint64_t count, uint64_t per_rack, Hierarchy hierarchy = Hierarchy::kAuto) {
    const auto members = GossipMembers(count, per_rack);
    for (uint64_t i = 1; i <= count; ++i) {
      GossipOptions options = GossipOptionsOf(i);
      options.hierarchy = hierarchy;
      nodes_.emplace_back(options, base::Prng(i));
      nodes_.back().SetMembers(members);
    }
  }
  GossipCore& Node(uint64_t number) { return nodes_[number - 1]; }

  void Round() {
    for (uint64_t i = 1; i <= nodes_.size(); ++i) {
      for (const GossipSend& send : Node(i).OnTick()) Deliver(i, send);
    }
  }
  // Rounds until all satisfy; more than `most` is a failure.
  template <typename Predicate>
  int RoundsUntil(Predicate all, int most) {
    for (int round = 0; round <= most; ++round) {
      if (std::all_of(nodes_.begin(), nodes_.end(), all)) return round;
      Round();
    }
    return most + 1;
  }

 private:
  void Deliver(uint64_t from, const GossipSend& send) {
    for (uint64_t to = 1; to <= nodes_.size(); ++to) {
      if (GossipId(to) != send.to) continue;
      const auto ack = Node(to).OnSyn(GossipId(from), send.frame, kGossipNow);
      ASSERT_TRUE(ack);
      const auto ack2 = Node(from).OnAck(GossipId(to), *ack, kGossipNow);
      ASSERT_TRUE(ack2);
      EXPECT_TRUE(Node(to).OnAck2(GossipId(from), *ack2, kGossipNow));
    }
  }
  std::vector<GossipCore> nodes_;
};

TEST(Gossip, AnExchangeTellsBothSidesEverything) {
  const auto members = GossipMembers(4);
  GossipCore a = MakeGossip(1, members), b = MakeGossip(2, members), c = MakeGossip(3, members),
             d = MakeGossip(4, members);
  c.SetStates(StatesWith(3));
  d.SetStates(StatesWith(4));
  Exchange(&a, 1, &c, 3);
  Exchange(&b, 2, &d, 4);
  Exchange(&a, 1, &b, 2);
  ASSERT_TRUE(a.Find(GossipId(4)));
  EXPECT_EQ(a.Find(GossipId(4))->states, StatesWith(4));
  ASSERT_TRUE(b.Find(GossipId(3)));
  EXPECT_EQ(b.Find(GossipId(3))->states, StatesWith(3));
  EXPECT_EQ(b.Find(GossipId(1))->generation, 100U);
}

TEST(Gossip, NewsComeOncePerHeartbeat) {
  const auto members = GossipMembers(3);
  GossipCore a = MakeGossip(1, members), b = MakeGossip(2, members), c = MakeGossip(3, members);
  Exchange(&a, 1, &b, 2);
  Exchange(&a, 1, &c, 3);
  EXPECT_EQ(a.TakeNews().size(), 2U);
  Exchange(&b, 2, &c, 3);
  c.TakeNews();
  const std::string syn = SynTo(&a, GossipId(3));
  c.OnSyn(GossipId(1), syn, kGossipNow);
  const auto first = c.TakeNews();
  ASSERT_EQ(first.size(), 1U);
  EXPECT_EQ(first[0].id, GossipId(1));
  EXPECT_FALSE(first[0].states_changed);
  c.OnSyn(GossipId(1), syn, kGossipNow);
  EXPECT_TRUE(c.TakeNews().empty()) << "the same frame again";
}

TEST(Gossip, StatesOfOneNodeAreOneUnit) {
  const auto members = GossipMembers(3);
  GossipCore a = MakeGossip(1, members), b = MakeGossip(2, members), c = MakeGossip(3, members);
  for (uint64_t i = 1; i <= 50; ++i) {
    EXPECT_TRUE(a.SetStates(StatesWith(i, 1000 + i)));
    EXPECT_FALSE(a.SetStates(StatesWith(i, 1000 + i)));
    if (i % 3 == 0) Exchange(&a, 1, &b, 2);
    if (i % 5 == 0) Exchange(&b, 2, &c, 3);
    const auto view = c.Find(GossipId(1));
    EXPECT_TRUE(!view || view->states.topology_epoch == 0 ||
                view->states.fence == 1000 + view->states.topology_epoch);
  }
  EXPECT_EQ(c.Find(GossipId(1))->states, StatesWith(48, 1048));
}

TEST(Gossip, AHeartbeatWithoutStatesIsNotTakenByThoseWhoForgotThem) {
  const auto members = GossipMembers(3);
  GossipCore a = MakeGossip(1, members), b = MakeGossip(2, members);
  EXPECT_TRUE(b.OnAck2(GossipId(1), Telling({GossipId(3), 100, 9, 4, std::nullopt}), kGossipNow));
  EXPECT_FALSE(b.Find(GossipId(3)));
  EXPECT_TRUE(b.OnAck2(GossipId(1), Telling({GossipId(3), 100, 9, 4, ""}), kGossipNow));
  EXPECT_EQ(b.Find(GossipId(3))->version, 9U);
}

TEST(GossipMustHold, M23_OnlyMembersAreInGossip) {
  GossipCore a = MakeGossip(1, GossipMembers(3)), b = MakeGossip(2, GossipMembers(2));
  GossipCore removed = MakeGossip(3, GossipMembers(3));
  Exchange(&a, 1, &removed, 3);
  ASSERT_TRUE(a.Find(GossipId(3)));
  Exchange(&a, 1, &b, 2);
  EXPECT_FALSE(b.Find(GossipId(3))) << "said about one who is no member";
  EXPECT_FALSE(b.OnSyn(GossipId(3), SynSaying(3, 100, 1), kGossipNow)) << "said by him";
  EXPECT_EQ(b.stats().Dropped(GossipDrop::kNotMember), 1U);
  a.SetMembers(GossipMembers(2));
  EXPECT_FALSE(a.Find(GossipId(3))) << "forgotten with his membership";
  EXPECT_TRUE(a.Find(GossipId(2))) << "others are kept";
}

TEST(GossipMustHold, M24_GenerationsGrowOverRestartsAndClocksThatGoBack) {
  const base::WallTime now{kNowS * 1000};
  EXPECT_EQ(NextGeneration(0, now), kNowS);
  EXPECT_EQ(NextGeneration(kNowS, now), kNowS + 1);
  EXPECT_EQ(NextGeneration(kNowS + 5000, now), kNowS + 5001) << "the clock went back";
  EXPECT_EQ(NextGeneration(5, {-3}), 6U);
  EXPECT_EQ(NextGeneration(0, {0}), 1U);
  EXPECT_EQ(NextGeneration(kNowS + 10 * kGenerationLeadMaxS, now), kNowS)
      << "nobody could take a successor of that";
}

TEST(GossipMustHold, M24_AGenerationOfTheFarFutureIsRefusedByTheClockAlone) {
  const auto members = GossipMembers(3);
  GossipCore a = MakeGossip(1, members);
  const base::WallTime now{kNowS * 1000};
  EXPECT_TRUE(a.OnSyn(GossipId(2), SynSaying(2, kNowS + kGenerationLeadMaxS + 1, 1), now));
  EXPECT_FALSE(a.Find(GossipId(2)));
  EXPECT_EQ(a.stats().Dropped(GossipDrop::kFarFuture), 1U);
  EXPECT_TRUE(a.OnSyn(GossipId(2), SynSaying(2, kNowS + kGenerationLeadMaxS, 1), now));
  EXPECT_TRUE(a.Find(GossipId(2)));
}

TEST(GossipMustHold, M24_GenerationsOfClocksThatWereAheadTogetherAreTakenBack) {
  const auto members = GossipMembers(2);
  const uint64_t ahead_s = kNowS + 10 * kGenerationLeadMaxS;
  GossipOptions options = GossipOptionsOf(1);
  options.generation = ahead_s;
  GossipCore a(options, base::Prng(1));
  a.SetMembers(members);
  a.OnSyn(GossipId(2), SynSaying(2, ahead_s, 7), {static_cast<int64_t>(ahead_s) * 1000});
  ASSERT_TRUE(a.Find(GossipId(2)));
  const base::WallTime right{kNowS * 1000};
  a.ForgetFuture(right);
  EXPECT_EQ(a.generation(), kNowS);
  EXPECT_FALSE(a.Find(GossipId(2)));
  a.OnSyn(GossipId(2), SynSaying(2, kNowS + 1, 1), right);
  ASSERT_TRUE(a.Find(GossipId(2)));
  EXPECT_EQ(a.Find(GossipId(2))->generation, kNowS + 1);
  a.ForgetFuture(right);
  EXPECT_TRUE(a.Find(GossipId(2))) << "what is not of the future is kept";
  EXPECT_EQ(a.generation(), kNowS);
}

TEST(GossipMustHold, M24_PeersThatRanForYearsAreAccepted) {
  const auto members = GossipMembers(2);
  constexpr uint64_t kYear = 366 * 86400;
  GossipCore a = MakeGossip(1, members);
  // Started three years ago, 95 million heartbeats old.
  a.OnSyn(GossipId(2), SynSaying(2, kNowS - 3 * kYear, 95'000'000), kGossipNow);
  ASSERT_TRUE(a.Find(GossipId(2)));
  EXPECT_EQ(a.Find(GossipId(2))->version, 95'000'000U);
  // It starts again: a generation three years above the last one seen.
  a.OnSyn(GossipId(2), SynSaying(2, kNowS, 1), kGossipNow);
  EXPECT_EQ(a.Find(GossipId(2))->generation, kNowS);
  // An echo of its earlier run changes nothing.
  a.OnSyn(GossipId(2), SynSaying(2, kNowS - 3 * kYear, 99'000'000), kGossipNow);
  EXPECT_EQ(a.Find(GossipId(2))->version, 1U);
}

TEST(GossipMustHold, M25_FlippedBitsAreDroppedAndCounted) {
  const auto members = GossipMembers(2);
  GossipCore a = MakeGossip(1, members), b = MakeGossip(2, members);
  a.SetStates(StatesWith(5, 6));
  const std::string syn = SynTo(&a, GossipId(2));
  for (size_t bit = 0; bit < syn.size() * 8; ++bit) {
    std::string flipped = syn;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_FALSE(b.OnSyn(GossipId(1), flipped, kGossipNow));
  }
  EXPECT_EQ(b.stats().Dropped(GossipDrop::kBadChecksum), syn.size() * 8);
  EXPECT_FALSE(b.Find(GossipId(1)));
}

TEST(Gossip, OnlyTheNodeItselfRaisesItsState) {
  const auto members = GossipMembers(3);
  GossipCore a = MakeGossip(1, members, 100), b = MakeGossip(2, members);
  // Others remember a later run than ours: our stored generation was lost.
  const auto remembered = Telling({GossipId(1), kNowS, 500, 500, ""});
  a.OnAck2(GossipId(2), remembered, kGossipNow);
  EXPECT_EQ(a.generation(), kNowS + 1);
  b.OnAck2(GossipId(3), remembered, kGossipNow);
  a.SetStates(StatesWith(9));
  Exchange(&a, 1, &b, 2);
  EXPECT_EQ(b.Find(GossipId(1))->states, StatesWith(9));
  // The same by a digest.
  GossipWriter syn(GossipKind::kSyn);
  syn.Own({GossipId(2), 100, 50, 50, ""});
  syn.Add(GossipDigest{GossipId(1), kNowS + 20, 1});
  a.OnSyn(GossipId(2), std::move(syn).Finish(), kGossipNow);
  EXPECT_EQ(a.generation(), kNowS + 21);
  // Nobody drives it into the far future.
  a.OnAck2(GossipId(2), Telling({GossipId(1), kNowS + kGenerationLeadMaxS + 9, 1, 1, ""}),
           kGossipNow);
  EXPECT_EQ(a.generation(), kNowS + 21);
  EXPECT_EQ(a.stats().Dropped(GossipDrop::kFarFuture), 1U);
}

TEST(Gossip, BrokenStatesRefuseThatNodeOnly) {
  const auto members = GossipMembers(4);
  GossipCore a = MakeGossip(1, members);
  GossipWriter writer(GossipKind::kAck2);
  const std::string large(kGossipStateBytesMax + 1, 'x');
  writer.Add(GossipDelta{GossipId(3), 100, 1, 1, large});
  writer.Add(GossipDelta{GossipId(4), 100, kGossipVersionMax + 1, 1, ""});
  writer.Add(GossipDelta{GossipId(2), 100, 1, 1, ""});
  EXPECT_TRUE(a.OnAck2(GossipId(2), std::move(writer).Finish(), kGossipNow));
  EXPECT_FALSE(a.Find(GossipId(3)));
  EXPECT_FALSE(a.Find(GossipId(4)));
  EXPECT_TRUE(a.Find(GossipId(2)));
  EXPECT_EQ(a.stats().Dropped(GossipDrop::kBadState), 2U);
}

TEST(Gossip, NobodySpeaksForAnotherInTheFirstPerson) {
  GossipCore a = MakeGossip(1, GossipMembers(3));
  EXPECT_FALSE(a.OnSyn(GossipId(2), SynSaying(3, 100, 1), kGossipNow));
  EXPECT_EQ(a.stats().Dropped(GossipDrop::kMalformed), 1U);
}

TEST(Gossip, UnknownStatesPassThroughOlderNodes) {
  const auto members = GossipMembers(3);
  GossipCore old = MakeGossip(1, members), later = MakeGossip(2, members);
  std::string bytes = EncodeStates(StatesWith(4));
  base::ByteWriter(&bytes).Varint(99);
  base::ByteWriter(&bytes).Sized("of a later version");
  old.OnSyn(GossipId(3), SynSaying(3, 100, 1, bytes), kGossipNow);
  EXPECT_EQ(old.Find(GossipId(3))->states, StatesWith(4));
  const auto ack = later.OnSyn(GossipId(1), SynTo(&old, GossipId(2)), kGossipNow);
  const auto ack2 = old.OnAck(GossipId(2), *ack, kGossipNow);
  EXPECT_NE(ack2->find("of a later version"), std::string::npos);
}

TEST(Gossip, AChangeReachesAllInLogarithmicallyManyRounds) {
  for (const auto hierarchy : {Hierarchy::kOff, Hierarchy::kOn}) {
    Cluster cluster(128, 16, hierarchy);
    const auto everybody = [](const GossipCore& node) {
      for (uint64_t i = 1; i <= 128; ++i) {
        if (!node.Find(GossipId(i))) return false;
      }
      return true;
    };
    EXPECT_LE(cluster.RoundsUntil(everybody, 30), 30);
    cluster.Node(77).SetStates(StatesWith(42));
    const auto knows = [](const GossipCore& node) {
      return node.Find(GossipId(77))->states == StatesWith(42);
    };
    EXPECT_LE(cluster.RoundsUntil(knows, 20), 20);
  }
}

TEST(Gossip, FramesStayInTheirLimitAndTakeTurns) {
  const auto members = GossipMembers(400);
  GossipOptions options = GossipOptionsOf(1);
  options.frame_bytes = 4096;
  options.hierarchy = Hierarchy::kOff;
  options.fanout = 1;
  GossipCore a(options, base::Prng(1));
  a.SetMembers(members);
  std::set<base::Uuid> mentioned;
  for (int round = 0; round < 6; ++round) {
    const std::vector<GossipSend> sends = a.OnTick();
    ASSERT_EQ(sends.size(), 1U);
    const std::string& syn = sends[0].frame;
    EXPECT_LE(syn.size(), 4096U);
    GossipDrop why;
    const auto frame = ReadGossipFrame(syn, GossipKind::kSyn, &why);
    for (const GossipDigest& digest : frame->digests) mentioned.insert(digest.id);
  }
  EXPECT_EQ(mentioned.size(), 399U);
}

TEST(Gossip, WhatChangedGoesFirst) {
  const auto members = GossipMembers(400);
  GossipOptions options = GossipOptionsOf(1);
  options.frame_bytes = 4096;
  options.hierarchy = Hierarchy::kOff;
  GossipCore a(options, base::Prng(1));
  a.SetMembers(members);
  GossipWriter all(GossipKind::kAck2);
  for (uint64_t i = 2; i <= 400; ++i) all.Add(GossipDelta{GossipId(i), 100, 1, 1, ""});
  a.OnAck2(GossipId(2), std::move(all).Finish(), kGossipNow);
  for (int i = 0; i < 100; ++i) a.OnTick();
  a.OnSyn(GossipId(300), SynSaying(300, 100, 7, EncodeStates(StatesWith(3))), kGossipNow);
  GossipDrop why;
  const std::vector<GossipSend> sends = a.OnTick();
  const auto frame = ReadGossipFrame(sends.at(0).frame, GossipKind::kSyn, &why);
  ASSERT_FALSE(frame->digests.empty());
  EXPECT_EQ(frame->digests[0].id, GossipId(300));
  // Pushed in an ACK to one who did not mention it.
  const auto ack = a.OnSyn(GossipId(2), SynSaying(2, 100, 1), kGossipNow);
  const auto reply = ReadGossipFrame(*ack, GossipKind::kAck, &why);
  ASSERT_FALSE(reply->deltas.empty());
  EXPECT_EQ(reply->deltas[0].id, GossipId(300));
}

TEST(Gossip, TheUnusableAreAskedSeldomAndRelayNothing) {
  const auto members = GossipMembers(10, 5);
  GossipOptions options = GossipOptionsOf(1);
  options.hierarchy = Hierarchy::kOn;
  GossipCore a(options, base::Prng(1));
  a.SetMembers(members);
  a.SetUsable(GossipId(2), false);
  int asked = 0, others = 0;
  for (int i = 0; i < 900; ++i) {
    for (const GossipSend& send : a.OnTick()) ++(send.to == GossipId(2) ? asked : others);
  }
  EXPECT_GT(asked, 30);
  EXPECT_LT(asked, 200) << "about one round in nine";
  EXPECT_GE(others, 900);
}

TEST(Gossip, InAHierarchyMostRoundsStayInTheRack) {
  const auto members = GossipMembers(100, 10);
  GossipOptions options = GossipOptionsOf(5);
  GossipCore a(options, base::Prng(3));
  a.SetMembers(members);
  ASSERT_TRUE(a.hierarchical()) << "more than 64 members";
  const uint32_t rack = members->RackOf(*members->Find(GossipId(5)));
  const auto relays = members->Rack(rack).first(2);
  const bool relay = members->Id(relays[0]) == GossipId(5) || members->Id(relays[1]) == GossipId(5);
  int inside = 0, outside = 0;
  for (int i = 0; i < 1000; ++i) {
    for (const GossipSend& send : a.OnTick()) ++(a.IsNear(send.to) ? inside : outside);
  }
  EXPECT_GE(inside, 990);
  EXPECT_GT(outside, 0);
  EXPECT_LT(outside, relay ? 1100 : 150);
}

TEST(Gossip, OneSeedOneCourse) {
  Cluster first(20, 5), second(20, 5);
  for (int i = 0; i < 10; ++i) {
    first.Round();
    second.Round();
  }
  for (uint64_t i = 1; i <= 20; ++i) {
    EXPECT_EQ(first.Node(i).stats().bytes_sent, second.Node(i).stats().bytes_sent);
    EXPECT_EQ(SynTo(&first.Node(i), GossipId(i % 20 + 1)),
              SynTo(&second.Node(i), GossipId(i % 20 + 1)));
  }
}

}  // namespace
}  // namespace lariat::membership
