// SPDX-License-Identifier: Apache-2.0
#include "membership/topology.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>

#include "membership/membership_test_util.h"

namespace lariat::membership {
namespace {

using base::Code;

// Merges without changing its arguments.
Topology Merged(const Topology& theirs, Topology mine) {
  EXPECT_TRUE(MergeTopology(theirs, &mine).has_value());
  return mine;
}

Topology RandomDocument(base::Prng* prng) {
  // The founder alone changes the list, so the list follows from the epoch.
  const uint64_t epoch = 1 + prng->Below(4);
  Topology document = MakeDocument(epoch + 1, epoch, prng->Chance(0.3));
  for (Member& member : document.members) {
    member.info_version = prng->Below(4);
    member.peer += "/" + std::to_string(member.info_version);
  }
  // All else that is decided follows from the epoch too.
  document.fence = epoch;
  BucketProperties bucket = MakeBucket("b" + std::to_string(epoch), epoch);
  document.buckets.emplace(bucket.name, bucket);
  const Change change = {.number = epoch, .node = IdOf(1), .name = "node1", .asked_ms = 5};
  if (epoch > 1) document.queue.push_back(change);
  if (epoch > 2) {
    document.operation = {change, Phase::kStream, 7};
    for (Member& member : document.members) member.next_tokens = member.tokens;
  }
  document.members[0].given_up = epoch % 2 == 0;
  document.finished.push_back({change, true, 9});
  document.removed.push_back({IdOf(90 + epoch), "gone", epoch});
  return document;
}

TEST(Topology, RoundTripIsCanonical) {
  base::Prng prng(1);
  for (int i = 0; i < 200; ++i) {
    const Topology document = RandomDocument(&prng);
    const std::string bytes = EncodeTopology(document);
    const auto decoded = DecodeTopology(bytes);
    ASSERT_TRUE(decoded);
    EXPECT_EQ(EncodeTopology(*decoded), bytes);
    EXPECT_EQ(decoded->cluster, document.cluster);
    EXPECT_EQ(decoded->epoch, document.epoch);
    EXPECT_EQ(decoded->founder, document.founder);
    EXPECT_EQ(decoded->sealed, document.sealed);
    EXPECT_EQ(decoded->buckets, document.buckets);
    EXPECT_EQ(decoded->fence, document.fence);
    EXPECT_EQ(decoded->operation, document.operation);
    EXPECT_EQ(decoded->queue, document.queue);
    EXPECT_EQ(decoded->finished, document.finished);
    EXPECT_EQ(decoded->removed, document.removed);
    ASSERT_EQ(decoded->members.size(), document.members.size());
    for (size_t m = 0; m < document.members.size(); ++m) {
      EXPECT_EQ(decoded->members[m].tokens, document.members[m].tokens);
      EXPECT_EQ(decoded->members[m].peer, document.members[m].peer);
      EXPECT_EQ(decoded->members[m].info_version, document.members[m].info_version);
      EXPECT_EQ(decoded->members[m].given_up, document.members[m].given_up);
    }
  }
}

TEST(Topology, RefusesWhatBreaksARule) {
  const std::vector<std::pair<const char*, std::function<void(Topology*)>>> breaks = {
      {"no cluster", [](Topology* t) { t->cluster = {}; }},
      {"unsorted members", [](Topology* t) { std::swap(t->members[0], t->members[1]); }},
      {"a member twice", [](Topology* t) { t->members[1] = t->members[0]; }},
      {"a token twice", [](Topology* t) { t->members[1].tokens[2] = t->members[0].tokens[2]; }},
      {"two members with one number", [](Topology* t) { t->members[1].id.high = IdOf(1).high; }},
      {"two members with one name", [](Topology* t) { t->members[1].name = "node1"; }},
      {"unsorted tokens",
       [](Topology* t) { std::swap(t->members[0].tokens[0], t->members[0].tokens[1]); }},
      {"a token twice in a member",
       [](Topology* t) { t->members[0].tokens[1] = t->members[0].tokens[0]; }},
      {"nil id", [](Topology* t) { t->members[0].id = {}; }},
      {"no name", [](Topology* t) { t->members[0].name.clear(); }},
      {"long name", [](Topology* t) { t->members[0].name = std::string(257, 'n'); }},
      {"long address", [](Topology* t) { t->members[0].peer = std::string(513, 'p'); }},
      {"state 0", [](Topology* t) { t->members[0].state = static_cast<MemberState>(0); }},
      {"state 5", [](Topology* t) { t->members[0].state = static_cast<MemberState>(5); }},
      {"weight 0", [](Topology* t) { t->members[0].weight = 0; }},
      {"weight 101", [](Topology* t) { t->members[0].weight = 101; }},
      {"weight nan", [](Topology* t) { t->members[0].weight = std::nan(""); }},
      {"weight inf",
       [](Topology* t) { t->members[0].weight = std::numeric_limits<double>::infinity(); }},
      {"impossible bucket", [](Topology* t) { t->buckets.begin()->second.w = 9; }},
      {"bucket id of another name", [](Topology* t) { t->buckets.begin()->second.id ^= 1; }},
      {"bucket name", [](Topology* t) { t->buckets.begin()->second.name = "a/b"; }},
      {"conflict kind",
       [](Topology* t) { t->buckets.begin()->second.conflict = static_cast<causal::Kind>(9); }},
      {"durability",
       [](Topology* t) { t->buckets.begin()->second.durability = static_cast<Durability>(0); }},
      {"a bucket twice", [](Topology* t) { t->buckets.emplace("x", t->buckets.begin()->second); }},
  };
  ASSERT_TRUE(DecodeTopology(EncodeTopology(MakeDocument(3))));
  for (const auto& [what, spoil] : breaks) {
    Topology document = MakeDocument(3);
    spoil(&document);
    EXPECT_FALSE(DecodeTopology(EncodeTopology(document))) << what;
  }
}

// Whatever is accepted keeps the rules: a view can be made of it.
TEST(TopologyMustHold, M41_NoiseAndMutationsNeverBreakARule) {
  base::Prng prng(2);
  const std::string good = EncodeTopology(MakeDocument(4));
  for (int i = 0; i < 20000; ++i) {
    std::string bytes = good;
    if (i % 4 == 0) {
      bytes.assign(prng.Below(64), '\0');
      for (char& c : bytes) c = static_cast<char>(prng.Next());
    }
    for (uint64_t changes = prng.Below(4); changes > 0 && !bytes.empty(); --changes) {
      const size_t at = prng.Below(bytes.size());
      if (prng.Chance(0.3)) {
        bytes.erase(at, 1 + prng.Below(3));
      } else if (prng.Chance(0.2)) {
        bytes.insert(at, bytes.substr(prng.Below(bytes.size()), prng.Below(40)));
      } else {
        bytes[at] = static_cast<char>(bytes[at] ^ (1 << prng.Below(8)));
      }
    }
    const auto document = DecodeTopology(bytes);
    if (!document || document->members.empty()) continue;
    const auto again = DecodeTopology(EncodeTopology(*document));
    ASSERT_TRUE(again);
    const auto view = MakeView(*again, again->members.front().id);
    EXPECT_EQ(view->by_number.size(), document->members.size());
  }
}

TEST(Topology, MemberBytesRoundTripAndAreChecked) {
  const Member member = MakeMember(5);
  const auto decoded = DecodeMember(EncodeMember(member));
  ASSERT_TRUE(decoded);
  EXPECT_EQ(EncodeMember(*decoded), EncodeMember(member));
  EXPECT_FALSE(DecodeMember(""));
  EXPECT_FALSE(DecodeMember("\xff\xff\xff"));
  EXPECT_FALSE(DecodeMember(EncodeMember(member).substr(0, 7)));
}

TEST(MergeTopology, IsIdempotent) {
  base::Prng prng(3);
  for (int i = 0; i < 500; ++i) {
    const Topology a = RandomDocument(&prng);
    Topology b = RandomDocument(&prng);
    Topology same = a;
    EXPECT_FALSE(MergeTopology(a, &same).value());
    const std::string before = EncodeTopology(b);
    const bool changed = MergeTopology(a, &b).value();
    EXPECT_EQ(changed, EncodeTopology(b) != before);
    EXPECT_FALSE(MergeTopology(a, &b).value());
  }
}

TEST(MergeTopology, IsCommutativeAndAssociative) {
  base::Prng prng(4);
  for (int i = 0; i < 2000; ++i) {
    const Topology a = RandomDocument(&prng);
    const Topology b = RandomDocument(&prng);
    const Topology c = RandomDocument(&prng);
    EXPECT_EQ(EncodeTopology(Merged(a, b)), EncodeTopology(Merged(b, a)));
    // Of lists that do not contain each other nothing can be said: here they do, by epoch.
    if (a.sealed || b.sealed || c.sealed) continue;
    const Topology left = Merged(a, Merged(b, c));
    const Topology right = Merged(Merged(a, b), c);
    EXPECT_EQ(EncodeTopology(left), EncodeTopology(right));
  }
}

TEST(MergeTopology, RefusesAnotherCluster) {
  Topology mine = MakeDocument(2);
  Topology theirs = MakeDocument(3, 9);
  theirs.cluster = {1, 1};
  const std::string before = EncodeTopology(mine);
  const auto merged = MergeTopology(theirs, &mine);
  ASSERT_FALSE(merged);
  EXPECT_EQ(merged.error().code, Code::kConflict);
  EXPECT_EQ(EncodeTopology(mine), before);
}

TEST(MergeTopology, WhatIsDecidedComesWholeWithTheGreaterEpoch) {
  Topology mine = MakeDocument(2, 3, true);
  Topology theirs = MakeDocument(2, 4, true);
  theirs.buckets.at("default") = MakeBucket("default", 2, 6);
  theirs.queue.push_back({.number = 4, .kind = ChangeKind::kLeave, .node = IdOf(2)});
  EXPECT_FALSE(MergeTopology(mine, &theirs).value());
  EXPECT_EQ(theirs.buckets.at("default").editor, 6U);
  EXPECT_TRUE(MergeTopology(theirs, &mine).value());
  EXPECT_EQ(EncodeTopology(mine), EncodeTopology(theirs));
}

TEST(Topology, VotersAreAllButThoseThatJoin) {
  Topology document = MakeDocument(3);
  document.members[1].state = MemberState::kJoining;
  document.members[2].state = MemberState::kLeaving;
  EXPECT_EQ(document.Voters(), (std::vector<base::Uuid>{IdOf(1), IdOf(3)}));
}

TEST(Topology, NobodyWaitsForWhatTheRunningChangeTakesOutOrIsGivenUp) {
  Topology document = MakeDocument(3);
  EXPECT_EQ(document.TakenOutBy(IdOf(2)), nullptr);
  document.queue.push_back({.kind = ChangeKind::kRemove, .node = IdOf(2)});
  EXPECT_EQ(document.TakenOutBy(IdOf(2)), &document.queue[0]);
  EXPECT_FALSE(document.IsGone(IdOf(2)));  // that can be cancelled
  document.members[1].given_up = true;
  EXPECT_TRUE(document.IsGone(IdOf(2)));
  document.operation = {{.kind = ChangeKind::kReplace, .node = IdOf(7), .replaced = IdOf(3)}};
  EXPECT_EQ(document.TakenOutBy(IdOf(3)), &document.operation->change);
  EXPECT_TRUE(document.IsGone(IdOf(3)));
  EXPECT_FALSE(document.IsGone(IdOf(7)));
}

// Node 4 joins a ring of three: where it takes a place, both lists count, and the switch turns
// them.
TEST(View, NamesOldAndNewReplicasWhileARangeMoves) {
  Topology document = MakeDocument(4);
  const BucketProperties& bucket = document.buckets.at("default");
  for (Member& member : document.members) member.next_tokens = member.tokens;
  document.members[3].tokens.clear();
  document.members[3].next_tokens = {{500000}, {2500000}};
  EXPECT_TRUE(MakeView(document, IdOf(1))->ReplicasOf({5}, bucket).other.empty());
  document.operation = {{.kind = ChangeKind::kJoin, .node = IdOf(4)}, Phase::kPrepare, 0};
  const auto before = MakeView(document, IdOf(1));
  document.operation->phase = Phase::kSwitch;
  const auto after = MakeView(document, IdOf(1));
  size_t moving = 0;
  for (uint64_t token = 0; token < 4000000; token += 1000) {
    const View::Replicas old_first = before->ReplicasOf({token}, bucket);
    const View::Replicas new_first = after->ReplicasOf({token}, bucket);
    ASSERT_EQ(old_first.read.size(), 3U);
    const bool listed = std::count(old_first.read.begin(), old_first.read.end(), 0U) +
                            std::count(old_first.other.begin(), old_first.other.end(), 0U) >
                        0;
    EXPECT_EQ(before->IsReplica({token}, bucket), listed);
    EXPECT_EQ(after->IsReplica({token}, bucket), listed);
    EXPECT_EQ(std::count(old_first.read.begin(), old_first.read.end(), 3U), 0);
    if (old_first.other.empty()) {
      EXPECT_EQ(old_first.read, new_first.read);
      continue;
    }
    ++moving;
    EXPECT_EQ(old_first.other, new_first.read);
    EXPECT_EQ(old_first.read, new_first.other);
    EXPECT_EQ(std::count(new_first.read.begin(), new_first.read.end(), 3U), 1);
  }
  EXPECT_GT(moving, 0U);
}

TEST(View, MoreReplicasOfABucketAreAnotherList) {
  Topology document = MakeDocument(3);
  BucketProperties& bucket = document.buckets.at("default");
  bucket.n = 2;
  for (Member& member : document.members) member.next_tokens = member.tokens;
  document.operation = {{.kind = ChangeKind::kReplication, .bucket = "default", .n = 3}};
  const auto replicas = MakeView(document, IdOf(1))->ReplicasOf({5}, bucket);
  EXPECT_EQ(replicas.read.size(), 2U);
  EXPECT_EQ(replicas.other.size(), 3U);
}

TEST(MergeTopology, AddressesGoByInfoVersionWhicheverListWins) {
  Topology older = MakeDocument(2, 1);
  older.members[0].peer = "10.0.0.9:1";
  older.members[0].info_version = 3;
  Topology newer = MakeDocument(3, 2);
  newer.members[1].peer = "10.0.0.8:1";
  newer.members[1].info_version = 1;
  for (const Topology& merged : {Merged(older, newer), Merged(newer, older)}) {
    EXPECT_EQ(merged.epoch, 2U);
    ASSERT_EQ(merged.members.size(), 3U);
    EXPECT_EQ(merged.members[0].peer, "10.0.0.9:1");
    EXPECT_EQ(merged.members[0].info_version, 3U);
    EXPECT_EQ(merged.members[1].peer, "10.0.0.8:1");
  }
}

// A founder whose data directory was put back to before the seal adds a node: its list has the
// greater epoch, yet the others hold data by the sealed one.
TEST(TopologyMustHold, M4_ASealIsNeverUndone) {
  const Topology sealed = MakeDocument(2, 2, true);
  const Topology rolled_back = MakeDocument(3, 5, false);
  for (const Topology& merged : {Merged(rolled_back, sealed), Merged(sealed, rolled_back)}) {
    EXPECT_TRUE(merged.sealed);
    EXPECT_EQ(merged.epoch, 2U);
    EXPECT_EQ(merged.members.size(), 2U);
  }
}

TEST(View, KnowsItselfAndItsMembers) {
  const Topology document = MakeDocument(3);
  const auto view = MakeView(document, IdOf(2));
  EXPECT_EQ(view->MemberAt(view->self).name, "node2");
  EXPECT_EQ(view->ring.size(), 3U);
  for (ring::NodeIndex i = 0; i < 3; ++i) {
    EXPECT_EQ(view->by_number.at(view->MemberAt(i).Number()), i);
  }
  EXPECT_NE(view->FindBucket("default"), nullptr);
  EXPECT_EQ(view->FindBucket("other"), nullptr);
  EXPECT_NE(view->digest, MakeView(MakeDocument(4), IdOf(2))->digest);
}

}  // namespace
}  // namespace lariat::membership
