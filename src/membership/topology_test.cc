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
  document.buckets.clear();
  for (const char* name : {"a", "b", "c", "d"}) {
    if (prng->Chance(0.4)) continue;
    BucketProperties bucket = MakeBucket(name, 1 + prng->Below(3), 1 + prng->Below(3));
    document.buckets.emplace(bucket.name, bucket);
  }
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
    ASSERT_EQ(decoded->members.size(), document.members.size());
    for (size_t m = 0; m < document.members.size(); ++m) {
      EXPECT_EQ(decoded->members[m].tokens, document.members[m].tokens);
      EXPECT_EQ(decoded->members[m].peer, document.members[m].peer);
      EXPECT_EQ(decoded->members[m].info_version, document.members[m].info_version);
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

TEST(MergeTopology, ABucketKeepsItsKind) {
  Topology mine = MakeDocument(2);
  Topology theirs = mine;
  BucketProperties& changed = theirs.buckets.at("default");
  changed.version = 9;
  changed.conflict = causal::Kind::kLww;
  EXPECT_FALSE(MergeTopology(theirs, &mine).value());
  EXPECT_EQ(mine.buckets.at("default").conflict, causal::Kind::kSiblings);
}

TEST(MergeTopology, GreaterVersionThenEditorWinsABucket) {
  Topology mine = MakeDocument(2);
  mine.buckets.at("default") = MakeBucket("default", 2, 5);
  Topology theirs = mine;
  theirs.buckets.at("default") = MakeBucket("default", 1, 9);
  EXPECT_FALSE(MergeTopology(theirs, &mine).value());
  theirs.buckets.at("default") = MakeBucket("default", 2, 6);
  EXPECT_TRUE(MergeTopology(theirs, &mine).value());
  EXPECT_EQ(mine.buckets.at("default").editor, 6U);
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
