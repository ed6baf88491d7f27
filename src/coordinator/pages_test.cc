// SPDX-License-Identifier: Apache-2.0
// Lists through coordinators of a whole cluster: what pages have in common and what they lack, and
// that they stay right while replicas disagree, die and are replaced.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <set>

#include "coordinator/coordinator_test_util.h"

namespace lariat::coordinator {
namespace {

using base::Code;
using membership::Phase;
using Keys = std::vector<std::string>;

std::string Key(size_t i) { return "key" + std::to_string(i); }

void Fill(TestCluster& cluster, size_t keys) {
  for (size_t i = 0; i < keys; ++i) {
    const auto put = cluster.node(0).Put(Key(i), "v" + std::to_string(i));
    cluster.RunAll();
    ASSERT_TRUE(put->ok());
  }
}

// All pages from any node, each page by the next one; `between` runs before each page.
Keys Walk(
    TestCluster& cluster, ListRequest request, size_t nodes = 3,
    const std::function<void(size_t page)>& between = [](size_t) {}) {
  Keys keys;
  size_t page = 0;
  do {
    between(page);
    const auto listed = cluster.node(page % nodes).List(request);
    cluster.Advance(20);
    if (!listed->ok()) cluster.Advance(3000);
    if (!listed->ok()) return {"error " + (listed->value ? listed->value->error().message : "")};
    for (const ListedKey& key : (*listed)->keys) keys.push_back(key.key);
    EXPECT_LE((*listed)->keys.size(), static_cast<size_t>(request.limit));
    request.cursor = (*listed)->cursor;
    if (++page > 10000) return {"it does not end"};
  } while (!request.cursor.empty());
  return keys;
}

Keys Sorted(Keys keys) {
  std::sort(keys.begin(), keys.end());
  return keys;
}
Keys Expected(size_t keys) {
  Keys all;
  for (size_t i = 0; i < keys; ++i) all.push_back(Key(i));
  return Sorted(all);
}

TEST(Pages, AWalkShowsEveryKeyOnceInTokenOrder) {
  TestCluster cluster;
  Fill(cluster, 257);
  for (const int64_t limit : {1, 7, 100, 1000}) {
    const Keys keys = Walk(cluster, {.limit = limit});
    EXPECT_EQ(Sorted(keys), Expected(257)) << limit;
    EXPECT_TRUE(std::is_sorted(keys.begin(), keys.end(), [](const auto& a, const auto& b) {
      return ring::TokenOf(a) < ring::TokenOf(b);
    }));
  }
}

TEST(Pages, WorkOverManyRangesToo) {
  TestCluster cluster({.nodes = 7, .n = 3});
  Fill(cluster, 200);
  EXPECT_EQ(Sorted(Walk(cluster, {.limit = 13}, 7)), Expected(200));
}

TEST(Pages, HaveWhatAGetShows) {
  TestCluster cluster;
  const auto a = cluster.node(0).Put("k", "one");
  cluster.RunAll();
  const auto b = cluster.node(1).Put("k", "two");
  cluster.RunAll();
  ListRequest request;
  request.values = true;
  const auto listed = cluster.node(2).List(request);
  const auto got = cluster.node(2).Get("k");
  cluster.RunAll();
  ASSERT_TRUE(listed->ok());
  ASSERT_EQ((*listed)->keys.size(), 1U);
  const GetReply& shown = (*listed)->keys[0].shown;
  ASSERT_EQ(shown.values.size(), 2U);
  EXPECT_EQ(shown.context, (*got)->context);
  EXPECT_EQ(shown.version, (*got)->version);
}

TEST(Pages, LeaveOutWhatIsDeletedOrExpired) {
  TestCluster cluster;
  Fill(cluster, 3);
  WriteRequest dead;
  dead.key = Key(1);
  cluster.node(0).Delete(dead);
  cluster.RunAll();
  WriteRequest brief;
  brief.key = "brief";
  brief.write.value = "v";
  brief.write.ttl_s = 1;
  cluster.node(0).Put(brief);
  cluster.RunAll();
  EXPECT_EQ(Sorted(Walk(cluster, {})), (Keys{"brief", Key(0), Key(2)}));
  cluster.wall.ms += 2000;
  for (const bool values : {false, true}) {
    EXPECT_EQ(Sorted(Walk(cluster, {.values = values})), (Keys{Key(0), Key(2)}));
  }
}

TEST(Pages, ShowAWriteThatOneOfTheReplicasMissed) {
  for (size_t lacks = 0; lacks < 3; ++lacks) {
    TestCluster cluster;
    Fill(cluster, 20);
    cluster.fate = [lacks](size_t, size_t to, Message message) {
      return message == Message::kWrite && to == lacks ? Fate::kLoseRequest : Fate::kDeliver;
    };
    const auto put = cluster.node((lacks + 1) % 3).Put("late", "v");
    WriteRequest gone;
    gone.key = Key(5);
    const auto removed = cluster.node((lacks + 1) % 3).Delete(gone);
    cluster.RunAll();
    ASSERT_TRUE(put->ok());
    ASSERT_TRUE(removed->ok());
    cluster.fate = nullptr;
    Keys expected = Expected(20);
    expected.erase(std::find(expected.begin(), expected.end(), Key(5)));
    expected.emplace_back("late");
    EXPECT_EQ(Sorted(Walk(cluster, {.limit = 4})), expected) << lacks;
  }
}

// --- planted: what the checks above have to find
// ---------------------------------------------------

// Keys that pages of these replicas show, by a merge that is given what `spoil` makes of them.
Keys MergedWalk(const std::vector<Keys>& replicas, size_t entries_max,
                const std::function<void(std::vector<wire::ScanReply>&)>& spoil) {
  Keys shown;
  std::string from = PositionOf({0}, "");
  do {
    std::vector<wire::ScanReply> pages;
    for (const Keys& replica : replicas) {
      wire::ScanReply page;
      for (const std::string& key : replica) {
        const std::string position = PositionOf({0}, key);
        if (position < from) continue;
        if (page.entries.size() == entries_max) {
          page.next = position;
          break;
        }
        page.entries.push_back({position, base::HashOf128(key), true, ""});
      }
      pages.push_back(std::move(page));
    }
    spoil(pages);
    MergedPages merged = MergePages(std::move(pages), true, {1000, 1000});
    for (const JudgedKey& key : merged.keys) shown.emplace_back(KeyAt(key.position));
    from = merged.next;
  } while (!from.empty());
  return shown;
}

// Half of the keys on one replica only, in runs, so that their pages end at different places.
std::vector<Keys> UnevenReplicas(Keys* all) {
  std::vector<Keys> replicas(2);
  for (int i = 100; i < 400; ++i) {
    const std::string key = std::to_string(i);
    all->push_back(key);
    if (i % 40 >= 10) replicas[0].push_back(key);
    if (i % 40 < 30) replicas[1].push_back(key);
  }
  return replicas;
}

TEST(PagesPlanted, AMergeThatKeepsToTheShortestPageShowsEachKeyOnce) {
  Keys all;
  const auto replicas = UnevenReplicas(&all);
  for (const size_t entries : {1, 3, 10, 1000}) {
    EXPECT_EQ(MergedWalk(replicas, entries, [](auto&) {}), all) << entries;
  }
}

TEST(PagesPlanted, APageThatEmitsPastATruncatedSourceIsFound) {
  Keys all;
  const auto replicas = UnevenReplicas(&all);
  const Keys shown = MergedWalk(replicas, 10, [](std::vector<wire::ScanReply>& pages) {
    // The truncated one passes for complete, as far as the other one looked.
    if (pages[1].next.empty()) return;
    pages[0].next = pages[1].next;
  });
  EXPECT_NE(shown, all);
}

TEST(PagesPlanted, ACursorThatForgetsAReplicaIsFound) {
  Keys all;
  const auto replicas = UnevenReplicas(&all);
  const Keys shown = MergedWalk(
      replicas, 10, [](std::vector<wire::ScanReply>& pages) { pages.erase(pages.begin()); });
  EXPECT_NE(shown, all);
}

// --- trouble -------------------------------------------------------------------------------------

TEST(Pages, AskAnotherReplicaForOneThatFailsOrIsSlow) {
  for (const Fate fate : {Fate::kRefuse, Fate::kLoseRequest}) {
    for (size_t bad = 0; bad < 3; ++bad) {
      TestCluster cluster;
      Fill(cluster, 50);
      cluster.fate = [bad, fate](size_t, size_t to, Message message) {
        return message == Message::kScan && to == bad ? fate : Fate::kDeliver;
      };
      ListRequest request;
      request.values = true;
      Keys keys;
      do {
        const auto listed = cluster.node(0).List(request);
        cluster.Advance(500);
        ASSERT_TRUE(listed->ok());
        for (const ListedKey& key : (*listed)->keys) keys.push_back(key.key);
        request.cursor = (*listed)->cursor;
      } while (!request.cursor.empty());
      EXPECT_EQ(Sorted(keys), Expected(50));
    }
  }
}

TEST(Pages, SayWhenTooFewReplicasAreAlive) {
  TestCluster cluster;
  Fill(cluster, 5);
  cluster.alive[1] = cluster.alive[2] = false;
  const auto listed = cluster.node(0).List({});
  EXPECT_EQ(listed->code(), Code::kInsufficientReplicas);
  EXPECT_EQ(Sorted(Walk(cluster, {.consistency = {.r = 1}}, 1)), Expected(5));
}

TEST(Pages, KeepTheirTime) {
  TestCluster cluster;
  Fill(cluster, 5);
  cluster.fate = [](size_t, size_t, Message message) {
    return message == Message::kScan ? Fate::kLoseRequest : Fate::kDeliver;
  };
  const auto listed = cluster.node(0).List({});
  cluster.Advance(3000);
  EXPECT_EQ(listed->code(), Code::kTimeout);
  EXPECT_EQ(listed->times, 1);
}

TEST(PagesMustHold, M20_AKeyThatLivesDuringAWalkIsShownOnceWhileNodesJoin) {
  TestCluster cluster({.nodes = 5, .spare = 2});
  Fill(cluster, 120);
  const Keys keys = Walk(cluster, {.limit = 9}, 5, [&](size_t page) {
    if (page == 2) cluster.SetTopology(cluster.Moving(Phase::kPrepare));
    if (page == 4) cluster.SetTopology(cluster.Moving(Phase::kStream));
    // The newcomers get what they gain, as the streams would bring it.
    for (size_t i = 0; page == 6 && i < 120; ++i) {
      const auto lists = cluster.ListsOf(Key(i));
      const std::string object = cluster.node(lists.read[0]).Stored(Key(i)).Encode();
      for (const ring::NodeIndex node : lists.other) cluster.node(node).Keep(Key(i), object);
    }
    cluster.RunAll();
    if (page == 7) cluster.SetTopology(cluster.Moving(Phase::kSwitch));
    if (page == 9) cluster.SetTopology(cluster.After());
  });
  EXPECT_EQ(Sorted(keys), Expected(120));
}

TEST(Pages, ArePlannedAnewWhenTheTopologyChangesUnderThem) {
  TestCluster cluster({.nodes = 4, .spare = 1});
  Fill(cluster, 30);
  // The coordinator is behind; one replica after the other has moved on.
  for (size_t i = 1; i < 4; ++i) cluster.SetTopology(i, cluster.Moving(Phase::kPrepare));
  const auto listed = cluster.node(0).List({});
  cluster.Advance(100);
  ASSERT_TRUE(listed->ok());
  EXPECT_EQ((*listed)->keys.size(), 30U);
  EXPECT_GT(cluster.node(0).metrics.requests_planned_again.value(), 0U);
}

TEST(Pages, GoOnOverAGraveyardWithEmptyPages) {
  TestCluster cluster({.nodes = 1, .n = 1, .r = 1, .w = 1});
  for (size_t i = 0; i < 12000; ++i) {
    cluster.node(0).Put(Key(i), "v");
    if (i % 100 == 99) cluster.RunAll();
  }
  cluster.RunAll();
  for (size_t i = 0; i < 12000; ++i) {
    WriteRequest gone;
    gone.key = Key(i);
    cluster.node(0).Delete(gone);
    if (i % 100 == 99) cluster.RunAll();
  }
  cluster.RunAll();
  const auto first = cluster.node(0).List({});
  cluster.RunAll();
  ASSERT_TRUE(first->ok());
  EXPECT_TRUE((*first)->keys.empty());
  EXPECT_FALSE((*first)->cursor.empty());
  EXPECT_LE(cluster.node(0).metrics.list_keys_examined.value(), 10000U);
  EXPECT_EQ(Walk(cluster, {}, 1), Keys());
}

// --- bounds and cursors --------------------------------------------------------------------------

ListRequest Prefix(std::string prefix) {
  ListRequest request;
  request.bounds = KeyBounds{std::move(prefix), "", std::nullopt};
  return request;
}

TEST(Pages, ListAHashTagByPrefixAndRangeInByteOrder) {
  TestCluster cluster;
  Fill(cluster, 20);
  for (const std::string key : {"{t}b1", "{t}a2", "{t}a1", "{u}a1", "{t}", "x{t}a"}) {
    cluster.node(0).Put(key, "v");
    cluster.RunAll();
  }
  EXPECT_EQ(Walk(cluster, Prefix("{t}")), (Keys{"{t}", "{t}a1", "{t}a2", "{t}b1"}));
  EXPECT_EQ(Walk(cluster, Prefix("{t}a")), (Keys{"{t}a1", "{t}a2"}));
  EXPECT_EQ(Walk(cluster, Prefix("x{t}")), (Keys{"x{t}a"}));
  EXPECT_EQ(Walk(cluster, Prefix("{none}")), Keys());
  ListRequest range = Prefix("");
  range.bounds = KeyBounds{"", "{t}a2", "{t}b1"};
  EXPECT_EQ(Walk(cluster, range), (Keys{"{t}a2"}));
  range.bounds = KeyBounds{"", "b", "a"};
  EXPECT_EQ(Walk(cluster, range), Keys());
  range.limit = 1;
  range.bounds = KeyBounds{"", "{t}", "{t}b9"};
  EXPECT_EQ(Walk(cluster, range), (Keys{"{t}", "{t}a1", "{t}a2", "{t}b1"}));
}

TEST(Pages, RefuseWhatWouldSpanPartitions) {
  TestCluster cluster;
  for (const KeyBounds& bounds :
       {KeyBounds{"user:", "", {}}, KeyBounds{"", "{a}", "{b}"}, KeyBounds{"", "{a}x", {}},
        KeyBounds{"{}x", "", {}}, KeyBounds{"{open", "", {}}}) {
    ListRequest request;
    request.bounds = bounds;
    const auto listed = cluster.node(0).List(request);
    EXPECT_EQ(listed->code(), Code::kInvalidArgument);
    EXPECT_NE(listed->value->error().message.find("hash tag"), std::string::npos);
  }
}

TEST(Pages, RefuseCursorsOfOthersAndDamagedOnes) {
  TestCluster cluster;
  Fill(cluster, 10);
  const auto listed = cluster.node(0).List({.limit = 2});
  cluster.RunAll();
  ASSERT_TRUE(listed->ok());
  const std::string cursor = (*listed)->cursor;
  ASSERT_FALSE(cursor.empty());
  ListRequest other = Prefix("{t}");
  other.cursor = cursor;
  EXPECT_EQ(cluster.node(0).List(other)->code(), Code::kInvalidArgument);
  for (size_t i = 0; i < cursor.size(); ++i) {
    std::string garbled = cursor;
    garbled[i] = garbled[i] == 'A' ? 'B' : 'A';
    if (garbled == cursor) continue;
    const auto refused = cluster.node(0).List({.cursor = garbled});
    cluster.RunAll();
    EXPECT_EQ(refused->code(), Code::kInvalidArgument) << i;
  }
  for (const std::string& garbled :
       std::vector<std::string>{"x", "====", "AAAA", cursor.substr(1)}) {
    EXPECT_EQ(cluster.node(0).List({.cursor = garbled})->code(), Code::kInvalidArgument);
  }
  EXPECT_EQ(cluster.node(0).List({.limit = 0})->code(), Code::kInvalidArgument);
  EXPECT_EQ(cluster.node(0).List({.limit = 1001})->code(), Code::kInvalidArgument);
}

TEST(Pages, WithATokenAsCursorEndBehindIt) {
  TestCluster cluster;
  Fill(cluster, 40);
  for (size_t i = 0; i < 25; ++i) {
    cluster.node(0).Put("{tag}" + std::to_string(i), "v");
    cluster.RunAll();
  }
  std::multiset<std::string> shown;
  uint64_t next = 0;
  size_t pages = 0;
  do {
    ListRequest request;
    request.limit = 10;
    request.from_token = next;
    const auto listed = cluster.node(pages++ % 3).List(request);
    cluster.Advance(20);
    ASSERT_TRUE(listed->ok());
    for (const ListedKey& key : (*listed)->keys) shown.insert(key.key);
    next = (*listed)->next_token;
  } while (next != 0 && pages < 100);
  EXPECT_EQ(shown.size(), 65U);
  EXPECT_EQ(std::set<std::string>(shown.begin(), shown.end()).size(), 65U);
}

TEST(Pages, AreLimitedInNumber) {
  TestCluster cluster;
  cluster.settings.limits_list_pages = 2;
  cluster.node(0).coordinator.ApplySettings(cluster.settings);
  Fill(cluster, 5);
  const auto a = cluster.node(0).List({});
  const auto b = cluster.node(0).List({});
  const auto c = cluster.node(0).List({});
  EXPECT_EQ(c->code(), Code::kOverloaded);
  EXPECT_EQ(cluster.node(0).metrics.list_pages_refused.value(), 1U);
  cluster.RunAll();
  EXPECT_TRUE(a->ok());
  EXPECT_TRUE(b->ok());
  EXPECT_EQ(cluster.node(0).coordinator.InFlight(), 0U);
}

}  // namespace
}  // namespace lariat::coordinator
