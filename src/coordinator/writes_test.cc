// SPDX-License-Identifier: Apache-2.0
// Writes through coordinators of a whole cluster: contexts, deletes, conditions, limits, expiry.
#include <gtest/gtest.h>

#include <limits>

#include "coordinator/coordinator_test_util.h"

namespace lariat::coordinator {
namespace {

using base::Code;
using Values = std::vector<std::string>;

causal::Context Decoded(const std::string& context, const std::string& key) {
  return causal::DecodeContext(context, "default", key).value();
}

TEST(Writes, PutGetDelete) {
  TestCluster cluster;
  TestNode& node = cluster.node(0);
  const auto put = node.Put("k", "v");
  cluster.RunAll();
  ASSERT_TRUE(put->ok());
  EXPECT_EQ((*put)->replicas.primaries, 2U);
  EXPECT_EQ((*put)->version, (Version{{"node1", 1}}));
  const auto got = cluster.node(2).Get("k");
  cluster.RunAll();
  ASSERT_TRUE(got->ok());
  EXPECT_EQ((*got)->values.at(0).bytes, "v");
  EXPECT_EQ((*got)->timestamp, (*put)->timestamp);
  const auto removed = cluster.node(1).Delete({.key = "k", .write = {.context = (*got)->context}});
  cluster.RunAll();
  EXPECT_TRUE(removed->ok());
  EXPECT_TRUE(node.Values("k").empty());
  for (size_t i = 0; i < 3; ++i) EXPECT_EQ(cluster.node(i).Stored("k").StoredValues(), 1U);
  EXPECT_EQ(node.coordinator.InFlight(), 0U);
}

TEST(WritesMustHold, M10_APutReplysContextDoesNotCoverUnseenSiblings) {
  TestCluster cluster;
  cluster.node(0).Put("k", "unseen");
  cluster.RunAll();
  for (size_t i = 0; i < 3; ++i) {
    const auto put = cluster.node(i).Put("k", "mine" + std::to_string(i));
    cluster.RunAll();
    const causal::Context context = Decoded((*put)->context, "k");
    const causal::Object stored = cluster.node(i).Stored("k");
    for (const auto& value : stored.dvv()->values()) {
      const bool own = value.value.bytes == "mine" + std::to_string(i);
      EXPECT_EQ(context.seen.Contains(value.dot), own) << value.value.bytes;
    }
    const auto next = cluster.node((i + 1) % 3).Put("k", "mine", (*put)->context);
    cluster.RunAll();
    EXPECT_TRUE(next->ok());
  }
  EXPECT_EQ(cluster.node(0).Values("k"), (Values{"mine", "mine", "mine", "unseen"}));
}

TEST(WritesMustHold, M8_TwoWritersWithTheirReplyContextsStayTwoSiblings) {
  TestCluster cluster;
  std::optional<std::string> contexts[2];
  size_t most = 0;
  for (int round = 0; round < 10000; ++round) {
    const size_t writer = static_cast<size_t>(round % 2);
    const auto put = cluster.node(static_cast<size_t>(round * 7 % 3))
                         .Put("k", std::to_string(round), contexts[writer]);
    cluster.RunAll();
    ASSERT_TRUE(put->ok());
    contexts[writer] = (*put)->context;
    ASSERT_LT((*put)->context.size(), 1000U);
    if (round % 100 == 0) most = std::max(most, cluster.node(0).Values("k").size());
  }
  most = std::max(most, cluster.node(0).Values("k").size());
  EXPECT_LE(most, 2U);
  EXPECT_EQ(cluster.node(1).Values("k"), (Values{"9998", "9999"}));
}

TEST(WritesMustHold, M11_ADeleteWithoutContextReadsAndCoversEverything) {
  TestCluster cluster;
  // A sibling on the others only: the deleting node has not seen it.
  cluster.node(0).Put("k", "everywhere");
  cluster.RunAll();
  cluster.fate = [](size_t, size_t to, Message message) {
    return to == 0 && message == Message::kWrite ? Fate::kLoseRequest : Fate::kDeliver;
  };
  cluster.node(1).Put("k", "not on node1");
  cluster.RunAll();
  cluster.fate = nullptr;
  EXPECT_EQ(cluster.node(0).Stored("k").StoredValues(), 1U);
  const auto removed = cluster.node(0).Delete({.key = "k"});
  cluster.RunAll();
  ASSERT_TRUE(removed->ok());
  EXPECT_TRUE(cluster.node(2).Values("k").empty());
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(cluster.node(i).Stored("k").LiveValues(cluster.wall).size(), 0U) << i;
  }
}

TEST(WritesMustHold, M11_ADeleteThatCannotReadDoesNothing) {
  TestCluster cluster;
  cluster.node(0).Put("k", "v");
  cluster.RunAll();
  cluster.fate = [](size_t, size_t, Message message) {
    return message == Message::kRead ? Fate::kLoseRequest : Fate::kDeliver;
  };
  const auto removed = cluster.node(0).Delete({.key = "k"});
  cluster.Advance(3000);
  EXPECT_EQ(removed->code(), Code::kUnavailable);  // definitely not done
  cluster.fate = nullptr;
  EXPECT_EQ(cluster.node(0).Values("k"), Values{"v"});
}

TEST(Writes, ADeleteOfNothingMakesNoEvent) {
  TestCluster cluster;
  const auto removed = cluster.node(0).Delete({.key = "k"});
  cluster.RunAll();
  ASSERT_TRUE(removed->ok());
  EXPECT_EQ(cluster.node(0).updates, 0);
  EXPECT_TRUE(cluster.node(0).Stored("k").Empty());
}

// The context of a delete that covers some values leaves the others.
TEST(WritesMustHold, M11_ADeleteWithContextLeavesWhatItHasNotSeen) {
  TestCluster cluster;
  const auto seen = cluster.node(0).Put("k", "seen");
  cluster.RunAll();
  cluster.node(1).Put("k", "unseen");
  cluster.RunAll();
  cluster.node(2).Delete({.key = "k", .write = {.context = (*seen)->context}});
  cluster.RunAll();
  EXPECT_EQ(cluster.node(0).Values("k"), Values{"unseen"});
}

// --- conditions ----------------------------------------------------------------------------------

WrotePtr PutIf(TestNode& node, const std::string& value, std::optional<std::string> if_match,
               bool if_none_match_any = false) {
  WriteRequest request;
  request.key = "k";
  request.write.value = value;
  request.write.if_match = std::move(if_match);
  request.write.if_none_match_any = if_none_match_any;
  return node.Put(std::move(request));
}

TEST(Writes, ConditionsMeetAtOneReplica) {
  TestCluster cluster;
  std::vector<WrotePtr> puts;
  for (size_t i = 0; i < 3; ++i) {
    puts.push_back(PutIf(cluster.node(i), "v" + std::to_string(i), std::nullopt, true));
  }
  cluster.RunAll();
  int won = 0;
  for (const auto& put : puts) {
    won += put->ok() ? 1 : 0;
    if (!put->ok()) {
      EXPECT_EQ(put->code(), Code::kPreconditionFailed);
    }
  }
  EXPECT_EQ(won, 1);
  EXPECT_EQ(cluster.node(0).Values("k").size(), 1U);
}

TEST(Writes, IfMatchNeedsAContextThatCoversAll) {
  TestCluster cluster;
  const auto missing = PutIf(cluster.node(1), "v", "*");
  cluster.RunAll();
  EXPECT_EQ(missing->code(), Code::kPreconditionFailed);
  const auto first = PutIf(cluster.node(1), "a", std::nullopt, true);
  cluster.RunAll();
  const auto second = PutIf(cluster.node(2), "b", (*first)->context);
  cluster.RunAll();
  ASSERT_TRUE(second->ok());
  EXPECT_EQ(cluster.node(0).Values("k"), Values{"b"});
  const auto stale = PutIf(cluster.node(0), "c", (*first)->context);
  cluster.RunAll();
  EXPECT_EQ(stale->code(), Code::kPreconditionFailed);
  const auto any = PutIf(cluster.node(0), "d", "*");
  cluster.RunAll();
  ASSERT_TRUE(any->ok());
  EXPECT_EQ(cluster.node(0).Values("k"), Values{"d"});
  const auto both = PutIf(cluster.node(0), "e", "*", true);
  EXPECT_EQ(both->code(), Code::kInvalidArgument);
}

TEST(Writes, ADeleteMayHaveACondition) {
  TestCluster cluster;
  const auto put = cluster.node(0).Put("k", "a");
  cluster.RunAll();
  cluster.node(1).Put("k", "b", (*put)->context);
  cluster.RunAll();
  const auto stale = cluster.node(2).Delete({.key = "k", .write = {.if_match = (*put)->context}});
  cluster.RunAll();
  EXPECT_EQ(stale->code(), Code::kPreconditionFailed);
  const auto any = cluster.node(2).Delete({.key = "k", .write = {.if_match = "*"}});
  cluster.RunAll();
  EXPECT_TRUE(any->ok());
  EXPECT_TRUE(cluster.node(0).Values("k").empty());
}

// --- what is refused -----------------------------------------------------------------------------

TEST(WritesMustHold, M9_ForeignAndAlteredContextsAreRefusedAndChangeNothing) {
  TestCluster cluster;
  const auto put = cluster.node(0).Put("k", "v");
  cluster.RunAll();
  const std::string good = (*put)->context;
  const size_t messages = cluster.messages;
  base::Prng prng(1);
  for (int i = 0; i < 300; ++i) {
    std::string bad = good;
    bad[prng.Below(bad.size())] = static_cast<char>(' ' + prng.Below(95));
    if (bad == good) continue;
    EXPECT_EQ(cluster.node(0).Put("k", "x", bad)->code(), Code::kInvalidArgument) << bad;
    EXPECT_EQ(cluster.node(0).Delete({.key = "k", .write = {.context = bad}})->code(),
              Code::kInvalidArgument);
    EXPECT_EQ(PutIf(cluster.node(0), "x", bad)->code(), Code::kInvalidArgument);
  }
  EXPECT_EQ(cluster.node(0).Put("other key", "x", good)->code(), Code::kInvalidArgument);
  EXPECT_EQ(cluster.messages, messages);
  EXPECT_EQ(cluster.node(0).Values("k"), Values{"v"});
}

// A context names its kind; one of the other kind is well-formed and was never given out here.
TEST(WritesMustHold, M9_AContextOfTheOtherKindOfBucketIsRefused) {
  causal::Context lww;
  lww.lww_stamp = causal::HlcStamp::FromWallMs(5);
  lww.lww_node = 1;
  causal::Context siblings;
  siblings.seen.Add({{1, 1, 1}, 1});
  for (const auto kind : {causal::Kind::kSiblings, causal::Kind::kLww}) {
    TestCluster cluster({.kind = kind});
    const auto& other = kind == causal::Kind::kLww ? siblings : lww;
    const auto put = cluster.node(0).Put("k", "v", causal::EncodeContext(other, "default", "k"));
    cluster.RunAll();
    EXPECT_EQ(put->code(), Code::kInvalidArgument);
    EXPECT_EQ(cluster.messages, 0U);
  }
}

TEST(Writes, WhatIsRefusedBeforeAnythingIsSent) {
  TestCluster cluster;
  TestNode& node = cluster.node(0);
  const auto code = [&](const std::function<void(WriteRequest*)>& spoil) {
    WriteRequest request;
    request.key = "k";
    request.write.value = "v";
    spoil(&request);
    const auto put = node.Put(std::move(request));
    return put->code();
  };
  EXPECT_EQ(code([](WriteRequest* p) { p->key = ""; }), Code::kInvalidArgument);
  EXPECT_EQ(code([](WriteRequest* p) { p->key = std::string(257, 'k'); }), Code::kInvalidArgument);
  EXPECT_EQ(code([](WriteRequest* p) { p->bucket = "a/b"; }), Code::kInvalidArgument);
  EXPECT_EQ(code([](WriteRequest* p) { p->bucket = "none"; }), Code::kNotFound);
  EXPECT_EQ(code([](WriteRequest* p) { p->write.value = std::string((1 << 20) + 1, 'v'); }),
            Code::kTooLarge);
  EXPECT_EQ(code([](WriteRequest* p) { p->write.content_type = std::string(257, 't'); }),
            Code::kInvalidArgument);
  EXPECT_EQ(code([](WriteRequest* p) { p->write.ttl_s = -1; }), Code::kInvalidArgument);
  EXPECT_EQ(code([](WriteRequest* p) { p->idempotency_key = ""; }), Code::kInvalidArgument);
  EXPECT_EQ(code([](WriteRequest* p) { p->idempotency_key = std::string(129, 'i'); }),
            Code::kInvalidArgument);
  EXPECT_EQ(code([](WriteRequest* p) { p->write.client_timestamp_ms = 5; }),
            Code::kInvalidArgument);
  EXPECT_EQ(code([](WriteRequest* p) { p->consistency.w = 4; }), Code::kInvalidArgument);
  EXPECT_EQ(code([](WriteRequest* p) { p->consistency.level = Level::kSerial; }),
            Code::kInvalidArgument);
  EXPECT_EQ(cluster.messages, 0U);
  EXPECT_EQ(node.updates, 0);
  EXPECT_EQ(node.coordinator.InFlight(), 0U);
}

TEST(Writes, TooFewAliveIsSaidAtOnceWithNumbers) {
  TestCluster cluster;
  cluster.alive = {true, false, false};
  const auto put = cluster.node(0).Put("k", "v");
  const auto removed = cluster.node(0).Delete({.key = "k"});
  const auto got = cluster.node(0).Get("k");
  for (const auto& error : {put->value->error(), removed->value->error(), got->value->error()}) {
    EXPECT_EQ(error.code, Code::kInsufficientReplicas);
    EXPECT_EQ(error.needed, 2U);
    EXPECT_EQ(error.alive, 1U);
  }
  EXPECT_EQ(cluster.messages, 0U);
  EXPECT_EQ(cluster.node(0).updates, 0);
  EXPECT_TRUE(cluster.node(0).Stored("k").Empty());
}

// They may also go while the read before a delete is under way: still nothing is done.
TEST(WritesMustHold, M17_ReplicasThatGoDuringTheReadLeaveADefiniteOutcome) {
  TestCluster cluster;
  cluster.node(0).Put("k", "v");
  cluster.RunAll();
  cluster.fate = [&cluster](size_t, size_t, Message message) {
    if (message == Message::kRead) cluster.alive = {true, false, false};
    return Fate::kDeliver;
  };
  const int before = cluster.node(0).updates;
  const auto removed = cluster.node(0).Delete({.key = "k"});
  cluster.Advance(3000);
  EXPECT_EQ(removed->code(), Code::kInsufficientReplicas);
  EXPECT_EQ(removed->value->error().alive, 1U);
  EXPECT_EQ(cluster.node(0).updates, before);
}

TEST(WritesMustHold, M17_MissingAcksAreUnknownAndARefusedEventIsDefinite) {
  TestCluster cluster;
  cluster.fate = [](size_t, size_t, Message) { return Fate::kLoseRequest; };
  const auto late = cluster.node(0).Put("k", "v");
  cluster.Advance(3000);
  EXPECT_EQ(late->code(), Code::kUnknown);
  EXPECT_EQ(late->times, 1);
  cluster.fate = [](size_t, size_t, Message) { return Fate::kRefuse; };
  const auto alone = cluster.node(0).Put("k", "v");
  cluster.RunAll();
  EXPECT_EQ(alone->code(), Code::kUnknown);  // the event is in its own replica
  cluster.fate = nullptr;
  cluster.node(0).plan.fail_write = base::Fail(Code::kDiskFull, "full");
  const auto refused = cluster.node(0).Put("k", "w");
  cluster.RunAll();
  EXPECT_EQ(refused->code(), Code::kDiskFull);
  EXPECT_EQ(cluster.node(0).coordinator.InFlight(), 0U);
}

TEST(WritesMustHold, M40_RequestsAndBytesInFlightAreBounded) {
  TestCluster cluster;
  config::Settings settings;
  settings.limits_in_flight_requests = 3;
  settings.limits_in_flight_bytes = 100;
  TestNode& node = cluster.node(0);
  node.coordinator.ApplySettings(settings);
  const auto large = node.Put("a", std::string(90, 'v'));
  EXPECT_EQ(node.Put("b", std::string(11, 'v'))->code(), Code::kOverloaded);
  const auto fits = node.Put("c", std::string(10, 'v'));
  const auto read = node.Get("d");
  EXPECT_EQ(node.Get("e")->code(), Code::kOverloaded);
  EXPECT_EQ(node.Delete({.key = "f"})->code(), Code::kOverloaded);
  EXPECT_EQ(node.coordinator.InFlight(), 3U);
  cluster.RunAll();
  EXPECT_TRUE(large->ok() && fits->ok() && read->ok());
  EXPECT_EQ(node.coordinator.InFlight(), 0U);
  const auto later = node.Put("b", std::string(100, 'v'));
  cluster.RunAll();
  EXPECT_TRUE(later->ok());
}

// --- expiry --------------------------------------------------------------------------------------

int64_t ExpiryOfPut(TestCluster& cluster, std::optional<int64_t> ttl_s) {
  WriteRequest request;
  request.key = "ttl";
  request.write.value = "v";
  request.write.ttl_s = ttl_s;
  const auto last = cluster.node(0).Get("ttl");
  cluster.RunAll();
  if (!(*last)->context.empty()) request.write.context = (*last)->context;
  cluster.node(0).Put(std::move(request));
  cluster.RunAll();
  return cluster.node(0).Stored("ttl").dvv()->values().at(0).value.expires_ms;
}

TEST(WritesMustHold, M14_ExpiryIsAbsoluteAndSaturates) {
  TestCluster cluster({.ttl_s = 60});
  const int64_t now = cluster.wall.ms;
  constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
  EXPECT_EQ(ExpiryOfPut(cluster, std::nullopt), now + 60'000);
  EXPECT_EQ(ExpiryOfPut(cluster, 0), 0);
  EXPECT_EQ(ExpiryOfPut(cluster, 1), now + 1000);
  EXPECT_EQ(ExpiryOfPut(cluster, int64_t{1} << 31), now + (int64_t{1} << 31) * 1000);
  EXPECT_EQ(ExpiryOfPut(cluster, kMax), kMax);
  EXPECT_EQ(ExpiryOfPut(cluster, kMax / 1000), kMax);
  EXPECT_EQ(ExpiryOfPut(cluster, kMax / 1000 + 1), kMax);
  const int64_t last_exact = (kMax - now) / 1000 - 1;
  EXPECT_EQ(ExpiryOfPut(cluster, last_exact), now + last_exact * 1000);
  TestCluster endless({.ttl_s = std::numeric_limits<uint64_t>::max()});
  EXPECT_EQ(ExpiryOfPut(endless, std::nullopt), kMax);
}

TEST(WritesMustHold, M14_ExpiredIsNotFoundEverywhereAndUncoversNothing) {
  TestCluster cluster;
  const auto older = cluster.node(0).Put("k", "older");
  cluster.RunAll();
  WriteRequest request;
  request.key = "k";
  request.write.value = "short-lived";
  request.write.ttl_s = 1;
  request.write.context = (*older)->context;
  cluster.node(1).Put(std::move(request));
  cluster.RunAll();
  EXPECT_EQ(cluster.node(2).Values("k"), Values{"short-lived"});
  cluster.wall.ms += 1000;
  for (size_t i = 0; i < 3; ++i) EXPECT_TRUE(cluster.node(i).Values("k").empty());
  const auto got = cluster.node(0).Get("k");
  cluster.RunAll();
  EXPECT_FALSE((*got)->context.empty());
  const auto created = PutIf(cluster.node(0), "new", std::nullopt, true);
  cluster.RunAll();
  EXPECT_TRUE(created->ok());
  EXPECT_EQ(cluster.node(1).Values("k"), Values{"new"});
}

TEST(Writes, LastWriterWinsTakesTheClientsTime) {
  TestCluster cluster({.kind = causal::Kind::kLww});
  const auto put = [&](size_t node, const std::string& value, std::optional<int64_t> at_ms) {
    WriteRequest request;
    request.key = "k";
    request.write.value = value;
    request.write.client_timestamp_ms = at_ms;
    const auto answer = cluster.node(node).Put(std::move(request));
    cluster.RunAll();
    return answer->code();
  };
  EXPECT_EQ(put(0, "new", cluster.wall.ms - 10), Code::kOk);
  EXPECT_EQ(put(1, "old", cluster.wall.ms - 20), Code::kOk);
  EXPECT_EQ(cluster.node(2).Values("k"), Values{"new"});
  EXPECT_EQ(put(1, "future", cluster.wall.ms + 60'000), Code::kInvalidArgument);
  EXPECT_EQ(put(1, "past 1970", -5), Code::kInvalidArgument);
  EXPECT_EQ(put(1, "far", std::numeric_limits<int64_t>::max()), Code::kInvalidArgument);
  EXPECT_EQ(put(2, "newest", std::nullopt), Code::kOk);
  EXPECT_EQ(cluster.node(0).Values("k"), Values{"newest"});
}

}  // namespace
}  // namespace lariat::coordinator
