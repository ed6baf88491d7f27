// SPDX-License-Identifier: Apache-2.0
#include "membership/formation_core.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <set>

#include "membership/membership_test_util.h"

namespace lariat::membership {
namespace {

using base::Code;

FormationCore::Options OptionsFor(uint64_t number, std::vector<std::string> join) {
  FormationCore::Options options;
  options.self = MakeMember(number);
  options.join = std::move(join);
  options.vnodes = 4;
  return options;
}

FormationCore Alone(uint64_t number) {
  FormationCore core(OptionsFor(number, {}), std::nullopt);
  EXPECT_TRUE(core.TryFound({9, number}));
  return core;
}

// As if the handshake at an address had told who is there; this node itself, too.
void Meet(FormationCore& core, const std::string& address, std::vector<uint64_t> numbers) {
  FormationCore::Place place;
  for (const uint64_t number : numbers) place.nodes.insert(IdOf(number));
  place.complete = true;
  core.OnPlace(address, std::move(place));
}

std::string Bytes(const FormationCore& core) {
  return core.topology() == nullptr ? "" : EncodeTopology(*core.topology());
}

TEST(Formation, AnEmptyListFoundsAtOnce) {
  FormationCore core(OptionsFor(1, {}), std::nullopt);
  EXPECT_EQ(core.topology(), nullptr);
  ASSERT_TRUE(core.TryFound({9, 9}));
  ASSERT_NE(core.topology(), nullptr);
  EXPECT_FALSE(core.TryFound({8, 8}));
  EXPECT_TRUE(core.IsFounder());
  EXPECT_FALSE(core.topology()->sealed);
  EXPECT_EQ(core.topology()->cluster, (base::Uuid{9, 9}));
  EXPECT_EQ(core.topology()->members.size(), 1U);
  EXPECT_EQ(core.topology()->members[0].tokens.size(), 4U);
  EXPECT_EQ(core.topology()->buckets.count("default"), 1U);
  EXPECT_EQ(core.WaitingFor(), "");
}

TEST(Formation, TheListMayNameTheNodeItselfByAnyAlias) {
  FormationCore core(OptionsFor(1, {"localhost:7001", "host.example:7001"}), std::nullopt);
  EXPECT_FALSE(core.TryFound({9, 9}));  // not known before the handshake
  Meet(core, "localhost:7001", {1});
  EXPECT_FALSE(core.TryFound({9, 9}));
  EXPECT_THAT(core.WaitingFor(), testing::HasSubstr("host.example:7001"));
  Meet(core, "host.example:7001", {1});
  EXPECT_TRUE(core.TryFound({9, 9}));
}

// Two addresses of one node are one member, and lists of different texts name the same founder.
TEST(Formation, NodesAreCountedByIdAndNotByAddress) {
  FormationCore first(OptionsFor(1, {"a:1", "b:1", "10.0.0.2:1"}), std::nullopt);
  FormationCore second(OptionsFor(2, {"10.0.0.1:1"}), std::nullopt);
  Meet(first, "a:1", {1});
  Meet(first, "b:1", {2});
  Meet(first, "10.0.0.2:1", {2});
  Meet(second, "10.0.0.1:1", {1});
  EXPECT_FALSE(second.TryFound({8, 8}));
  first.OnJoinRequest(second.MakeJoinRequest(), {});
  ASSERT_TRUE(first.TryFound({9, 9}));
  EXPECT_EQ(first.topology()->members.size(), 2U);
}

TEST(Formation, OneNameMayStandForSeveralNodes) {
  FormationCore first(OptionsFor(1, {"all:1"}), std::nullopt);
  first.OnPlace("all:1", {{IdOf(1)}, false});
  EXPECT_FALSE(first.TryFound({9, 9}));
  Meet(first, "all:1", {1, 2, 3});
  for (const uint64_t number : {2, 3}) {
    EXPECT_FALSE(first.TryFound({9, 9}));
    FormationCore other(OptionsFor(number, {"all:1"}), std::nullopt);
    Meet(other, "all:1", {1, 2, 3});
    first.OnJoinRequest(other.MakeJoinRequest(), {});
  }
  ASSERT_TRUE(first.TryFound({9, 9}));
  EXPECT_EQ(first.topology()->members.size(), 3U);
}

TEST(Formation, WaitsForEverybodyAndSaysForWhom) {
  const std::vector<std::string> list = {"127.0.0.1:7001", "127.0.0.1:7002", "127.0.0.1:7003"};
  FormationCore first(OptionsFor(1, list), std::nullopt);
  FormationCore second(OptionsFor(2, list), std::nullopt);
  FormationCore third(OptionsFor(3, list), std::nullopt);
  Meet(first, list[0], {1});
  Meet(first, list[1], {2});
  EXPECT_FALSE(first.TryFound({9, 9}));
  EXPECT_THAT(first.WaitingFor(), testing::HasSubstr("2 of 3 nodes have met"));
  // Nobody counts who does not know yet for whom it waits.
  first.OnJoinRequest(second.MakeJoinRequest(), {});
  Meet(first, list[2], {3});
  EXPECT_THAT(first.WaitingFor(), testing::HasSubstr(list[1]));
  for (FormationCore* core : {&second, &third}) {
    for (uint64_t i = 1; i <= 3; ++i) Meet(*core, list[i - 1], {i});
  }
  EXPECT_THAT(second.WaitingFor(), testing::HasSubstr("the founder at 127.0.0.1:7001"));
  const auto decision = first.OnJoinRequest(second.MakeJoinRequest(), {});
  EXPECT_FALSE(decision.topology_changed);
  EXPECT_EQ(decision.reply.outcome.code, Code::kUnavailable);
  EXPECT_THAT(first.WaitingFor(), testing::HasSubstr(list[2]));
  EXPECT_THAT(first.WaitingFor(), testing::Not(testing::HasSubstr(list[1])));
  EXPECT_FALSE(first.TryFound({9, 9}));
  // A stranger does not count.
  FormationCore stranger(OptionsFor(4, {list[0]}), std::nullopt);
  Meet(stranger, list[0], {1});
  first.OnJoinRequest(stranger.MakeJoinRequest(), {});
  EXPECT_FALSE(first.TryFound({9, 9}));
  first.OnJoinRequest(third.MakeJoinRequest(), {});
  ASSERT_TRUE(first.TryFound({9, 9}));
  EXPECT_TRUE(first.topology()->sealed);
  EXPECT_EQ(first.topology()->members.size(), 3U);
}

// Lists that differ: no node may make two founders believe that it waits for them.
TEST(Formation, ANodeCountsForOneFounderOnly) {
  FormationCore one(OptionsFor(1, {"c:1"}), std::nullopt);
  FormationCore two(OptionsFor(2, {"c:1"}), std::nullopt);
  FormationCore both(OptionsFor(3, {"a:1", "b:1"}), std::nullopt);
  Meet(one, "c:1", {3});
  Meet(two, "c:1", {3});
  Meet(both, "b:1", {2});
  Meet(both, "a:1", {1});
  for (FormationCore* founder : {&two, &one}) {
    founder->OnJoinRequest(both.MakeJoinRequest(), {});
  }
  EXPECT_FALSE(two.TryFound({8, 8}));
  EXPECT_TRUE(one.TryFound({9, 9}));
}

// A founder that has lost its disk comes back while the others only ask whether they still are
// members: their cluster must not be founded a second time.
TEST(FormationMustHold, M23_MembersOfAClusterAreNotFoundedAnew) {
  FormationCore wiped(OptionsFor(1, {"b:1"}), std::nullopt);
  Meet(wiped, "b:1", {2});
  FormationCore member(OptionsFor(2, {"a:1"}), MakeDocument(2, 4, true));
  Meet(member, "a:1", {1});
  const auto decision = wiped.OnJoinRequest(member.MakeJoinRequest(), {});
  EXPECT_EQ(decision.reply.outcome.code, Code::kUnavailable);
  EXPECT_FALSE(wiped.TryFound({9, 9}));
  EXPECT_EQ(wiped.AskToo().count("127.0.0.1:7002"), 1U);
}

TEST(Formation, WhoHasMovedWhileItWaitedCountsAgain) {
  FormationCore founder(OptionsFor(1, {"b:1"}), std::nullopt);
  Meet(founder, "b:1", {2});
  FormationCore before(OptionsFor(2, {"a:1"}), std::nullopt);
  Meet(before, "a:1", {1});
  founder.OnJoinRequest(before.MakeJoinRequest(), {});
  auto options = OptionsFor(2, {"a:1"});
  options.self.peer = "10.0.0.9:7002";
  FormationCore after(options, std::nullopt);
  Meet(after, "a:1", {1});
  const base::Instant soon = base::Instant() + base::Seconds(1);
  EXPECT_EQ(founder.OnJoinRequest(after.MakeJoinRequest(), soon).reply.outcome.code,
            Code::kConflict);  // or there are two of it
  founder.OnJoinRequest(after.MakeJoinRequest(), soon + base::Seconds(9));
  ASSERT_TRUE(founder.TryFound({9, 9}));
  EXPECT_EQ(founder.topology()->Find(IdOf(2))->peer, "10.0.0.9:7002");
}

// --- any order of start and of messages ----------------------------------------------------------

// Nodes and the messages between them, delivered in any order, lost or repeated; what a node had
// stored comes back after a restart, everything else is forgotten.
class World {
 public:
  World(uint64_t seed, size_t count) : prng_(seed), nodes_(count), joins_(count), stored_(count) {}

  void Step() {
    const size_t i = prng_.Below(nodes_.size());
    if (!nodes_[i]) return Start(i);
    const uint64_t what = prng_.Below(20);
    if (what == 0) return Start(i);
    if (what < 8 || letters_.empty()) return Ask(i);
    const size_t at = prng_.Below(letters_.size());
    const Letter letter = letters_[at];
    if (!prng_.Chance(0.2)) letters_.erase(letters_.begin() + static_cast<std::ptrdiff_t>(at));
    if (!prng_.Chance(0.1)) Deliver(letter);
    if (letters_.size() > 200) letters_.clear();
  }

  bool Formed() const {
    for (const auto& node : nodes_) {
      if (!node || node->topology() == nullptr) return false;
    }
    return true;
  }
  const std::set<base::Uuid>& clusters() const { return clusters_; }
  const FormationCore& node(size_t i) const { return *nodes_[i]; }

 private:
  struct Letter {
    size_t from = 0, to = 0;
    std::variant<wire::JoinRequest, wire::JoinReply, Topology> body;
  };

  void Start(size_t i) {
    std::vector<std::string> join;
    for (size_t k = 0; k < nodes_.size(); ++k) {
      if (k == i && prng_.Chance(0.5)) continue;  // a list may name its own node
      const bool alias = prng_.Chance(0.3);
      const std::string host = alias ? "localhost:" : "127.0.0.1:";
      join.insert(join.begin() + static_cast<std::ptrdiff_t>(prng_.Below(join.size() + 1)),
                  host + std::to_string(7001 + k));
    }
    nodes_[i] = std::make_unique<FormationCore>(OptionsFor(i + 1, join), stored_[i]);
    joins_[i] = join;
    TryFound(i);
  }
  // Meets somebody, and asks whom it has met.
  void Ask(size_t i) {
    if (nodes_[i]->topology() != nullptr) return;
    for (const std::string& address : joins_[i]) {
      const size_t other = PlaceOf(address);
      if (!nodes_[other] || prng_.Chance(0.5)) continue;
      Meet(*nodes_[i], address, {other + 1});
      if (other != i) letters_.push_back({i, other, nodes_[i]->MakeJoinRequest()});
    }
    TryFound(i);
  }
  static size_t PlaceOf(const std::string& address) {
    return std::stoul(address.substr(address.rfind(':') + 1)) - 7001;
  }
  void Store(size_t i) {
    stored_[i] = *nodes_[i]->topology();
    clusters_.insert(stored_[i]->cluster);
  }
  void TryFound(size_t i) {
    if (!nodes_[i]->TryFound({prng_.Next(), prng_.Next()})) return;
    Store(i);
    for (size_t k = 0; k < nodes_.size(); ++k) {
      if (k != i) letters_.push_back({i, k, *nodes_[i]->topology()});
    }
  }
  void Deliver(const Letter& letter) {
    FormationCore* node = nodes_[letter.to].get();
    if (node == nullptr) return;
    if (const auto* request = std::get_if<wire::JoinRequest>(&letter.body)) {
      auto decision = node->OnJoinRequest(*request, {});
      if (decision.topology_changed) Store(letter.to);
      letters_.push_back({letter.to, letter.from, decision.reply});
      TryFound(letter.to);
    } else if (const auto* reply = std::get_if<wire::JoinReply>(&letter.body)) {
      const auto changed = node->OnJoinReply(*reply);
      ASSERT_TRUE(changed) << changed.error().message;
      if (*changed) Store(letter.to);
    } else {
      const auto changed = node->OnDocument(std::get<Topology>(letter.body));
      ASSERT_TRUE(changed);
      if (*changed) Store(letter.to);
    }
  }

  base::Prng prng_;
  std::vector<std::unique_ptr<FormationCore>> nodes_;
  std::vector<std::vector<std::string>> joins_;
  std::vector<std::optional<Topology>> stored_;
  std::vector<Letter> letters_;
  std::set<base::Uuid> clusters_;
};

TEST(Formation, AnyOrderOfStartsAndMessagesGivesOneCluster) {
  for (uint64_t seed = 0; seed < 150; ++seed) {
    const size_t count = 2 + seed % 5;
    World world(seed, count);
    int steps = 0;
    for (; steps < 20000 && !world.Formed(); ++steps) world.Step();
    ASSERT_TRUE(world.Formed()) << "seed " << seed;
    EXPECT_EQ(world.clusters().size(), 1U) << "seed " << seed;
    for (size_t i = 0; i < count; ++i) {
      EXPECT_EQ(Bytes(world.node(i)), Bytes(world.node(0))) << "seed " << seed;
    }
    EXPECT_EQ(world.node(0).topology()->members.size(), count);
    EXPECT_TRUE(world.node(0).topology()->sealed);
    MakeView(*world.node(0).topology(), IdOf(count));
  }
}

// --- a cluster that is still open ---------------------------------------------------------------

TEST(Formation, ALateNodeJoinsAnOpenClusterThroughAnyMember) {
  FormationCore founder = Alone(1);
  FormationCore second(OptionsFor(2, {"127.0.0.1:7001"}), std::nullopt);
  auto decision = founder.OnJoinRequest(second.MakeJoinRequest(), {});
  ASSERT_TRUE(decision.topology_changed);
  ASSERT_TRUE(second.OnJoinReply(decision.reply).value());
  EXPECT_EQ(Bytes(second), Bytes(founder));
  EXPECT_EQ(founder.topology()->epoch, 2U);

  // The third knows only the second, which may not add it.
  FormationCore third(OptionsFor(3, {"127.0.0.1:7002"}), std::nullopt);
  decision = second.OnJoinRequest(third.MakeJoinRequest(), {});
  EXPECT_FALSE(decision.topology_changed);
  EXPECT_EQ(decision.reply.outcome.code, Code::kUnavailable);
  EXPECT_EQ(decision.reply.ask_instead, "127.0.0.1:7001");
  EXPECT_FALSE(third.OnJoinReply(decision.reply).value());
  EXPECT_EQ(third.AskToo().count("127.0.0.1:7001"), 1U);
  decision = founder.OnJoinRequest(third.MakeJoinRequest(), {});
  ASSERT_TRUE(decision.topology_changed);
  ASSERT_TRUE(third.OnJoinReply(decision.reply).value());
  EXPECT_TRUE(second.OnDocument(*founder.topology()).value());
  EXPECT_EQ(Bytes(second), Bytes(third));
  // Asked again, the founder repeats itself and changes nothing.
  decision = founder.OnJoinRequest(third.MakeJoinRequest(), {});
  EXPECT_FALSE(decision.topology_changed);
  EXPECT_EQ(decision.reply.document, Bytes(founder));
}

TEST(Formation, AfterTheSealTheMembersHaveToAgreeOnANewcomer) {
  FormationCore founder = Alone(1);
  EXPECT_TRUE(founder.Seal());
  EXPECT_FALSE(founder.Seal());
  const std::string before = Bytes(founder);
  FormationCore late(OptionsFor(2, {"127.0.0.1:7001"}), std::nullopt);
  const auto decision = founder.OnJoinRequest(late.MakeJoinRequest(), {});
  ASSERT_TRUE(decision.newcomer);
  EXPECT_EQ(decision.newcomer->name, "node2");
  EXPECT_FALSE(decision.topology_changed);
  EXPECT_EQ(Bytes(founder), before);
}

TEST(Formation, WhoTakesANodesPlaceNeverFoundsAClusterOfItsOwn) {
  auto options = OptionsFor(1, {});
  options.replaces = "node7";
  FormationCore core(options, std::nullopt);
  EXPECT_FALSE(core.TryFound({1, 2}));
  EXPECT_EQ(core.MakeJoinRequest().replaces, "node7");
  EXPECT_THAT(core.WaitingFor(), testing::HasSubstr("node7"));
}

TEST(Formation, ASecondNodeOfTheSameNameIsRefused) {
  FormationCore founder = Alone(1);
  auto options = OptionsFor(2, {"127.0.0.1:7001"});
  options.self.name = "node1";
  FormationCore twin(options, std::nullopt);
  const auto decision = founder.OnJoinRequest(twin.MakeJoinRequest(), {});
  EXPECT_EQ(decision.reply.outcome.code, Code::kConflict);
  EXPECT_FALSE(decision.topology_changed);
}

// The same before the cluster is formed: two copies of one data directory, or one name twice in the
// static list, must not be founded.
TEST(FormationMustHold, M4_TwinsAreRefusedBeforeTheClusterIsFormed) {
  const std::vector<std::string> list = {"127.0.0.1:7001", "127.0.0.1:7002", "127.0.0.1:7003"};
  for (const bool same_id : {false, true}) {
    for (const uint64_t twin_of : {1, 2}) {
      FormationCore founder(OptionsFor(1, list), std::nullopt);
      FormationCore second(OptionsFor(2, list), std::nullopt);
      const auto meet_all = [&list](FormationCore& core) {
        for (uint64_t i = 1; i <= 3; ++i) Meet(core, list[i - 1], {i});
      };
      meet_all(founder);
      meet_all(second);
      founder.OnJoinRequest(second.MakeJoinRequest(), {});
      auto options = OptionsFor(3, list);
      if (same_id) {
        options.self.id = IdOf(twin_of);
      } else {
        options.self.name = "node" + std::to_string(twin_of);
      }
      FormationCore twin(options, std::nullopt);
      const auto decision = founder.OnJoinRequest(twin.MakeJoinRequest(), {});
      EXPECT_EQ(decision.reply.outcome.code, Code::kConflict) << same_id << twin_of;
      EXPECT_FALSE(founder.TryFound({9, 9}));
      // Started again under its own name it is welcome.
      FormationCore mended(OptionsFor(3, list), std::nullopt);
      meet_all(mended);
      founder.OnJoinRequest(mended.MakeJoinRequest(), {});
      EXPECT_TRUE(founder.TryFound({9, 9}));
    }
  }
}

TEST(Formation, MalformedRequestsAndRepliesChangeNothing) {
  FormationCore founder = Alone(1);
  EXPECT_EQ(founder.OnJoinRequest({"rubbish", 1, "", {}, {}}, {}).reply.outcome.code,
            Code::kInvalidArgument);
  FormationCore joiner(OptionsFor(2, {"127.0.0.1:7001"}), std::nullopt);
  const auto refused = joiner.OnJoinReply({{}, "rubbish", ""});
  ASSERT_FALSE(refused);
  EXPECT_EQ(joiner.topology(), nullptr);
}

TEST(Formation, ADocumentWithoutThisNodeIsNotAdopted) {
  FormationCore joiner(OptionsFor(5, {"127.0.0.1:7001"}), std::nullopt);
  EXPECT_FALSE(joiner.OnDocument(MakeDocument(3)).value());
  EXPECT_EQ(joiner.topology(), nullptr);
}

// A founder with an old data directory may hand out a list that has lost this node. A member
// cannot take it: nothing would be left of it.
TEST(FormationMustHold, M4_AMemberIsNotForgottenByADocument) {
  FormationCore member(OptionsFor(2, {}), MakeDocument(2, 2));
  Topology without = MakeDocument(4, 3);
  without.members.erase(without.members.begin() + 1);
  const std::string before = Bytes(member);
  const auto refused = member.OnDocument(without);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kConflict);
  EXPECT_EQ(Bytes(member), before);
}

TEST(Formation, AnotherClustersDocumentIsRefused) {
  FormationCore founder = Alone(1);
  Topology other = MakeDocument(2, 7);
  const auto refused = founder.OnDocument(other);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kConflict);
}

TEST(Formation, MovedAddressesAreCorrectedAndSpread) {
  auto options = OptionsFor(2, {});
  options.self.peer = "127.0.0.1:9999";
  FormationCore core(options, MakeDocument(2));
  EXPECT_TRUE(core.RefreshOwnAddresses());
  EXPECT_FALSE(core.RefreshOwnAddresses());
  EXPECT_EQ(core.topology()->Find(IdOf(2))->peer, "127.0.0.1:9999");
  EXPECT_EQ(core.topology()->Find(IdOf(2))->info_version, 1U);
  Topology other = MakeDocument(2);
  EXPECT_TRUE(MergeTopology(*core.topology(), &other).value());
  EXPECT_EQ(other.Find(IdOf(2))->peer, "127.0.0.1:9999");
}

TEST(FormationMustHold, M23_ARemovedIdentityIsToldThatItCannotReturn) {
  FormationCore core(OptionsFor(2, {}), MakeDocument(3, 4, true));
  Topology without = MakeDocument(3, 5, true);
  std::erase_if(without.members, [](const Member& m) { return m.id == IdOf(2); });
  without.removed.push_back({IdOf(2), "node2", 5});
  EXPECT_FALSE(core.OnDocument(without));
  EXPECT_THAT(core.expelled(), testing::HasSubstr("epoch 5"));
  EXPECT_EQ(core.WaitingFor(), core.expelled());
  EXPECT_EQ(EncodeTopology(core.expelled_by()), EncodeTopology(without));
  EXPECT_FALSE(core.OnDocument(MakeDocument(3, 6, true)));
  EXPECT_EQ(core.topology()->epoch, 4U);
}

TEST(FormationMustHold, M23_AMemberThatIsGivenUpCannotReturn) {
  Topology without = MakeDocument(3, 5, true);
  without.members[1].given_up = true;
  FormationCore core(OptionsFor(2, {}), MakeDocument(3, 4, true));
  EXPECT_FALSE(core.OnDocument(without));
  EXPECT_THAT(core.expelled(), testing::HasSubstr("went on without it"));
  EXPECT_EQ(core.topology()->epoch, 4U);
  FormationCore forgetful(OptionsFor(2, {}), std::nullopt);
  EXPECT_FALSE(forgetful.OnDocument(without));
  EXPECT_EQ(forgetful.topology(), nullptr);
  FormationCore other(OptionsFor(3, {}), MakeDocument(3, 4, true));
  EXPECT_TRUE(other.OnDocument(without).value());
}

}  // namespace
}  // namespace lariat::membership
