// SPDX-License-Identifier: Apache-2.0
// Which node makes the event: forwarding, repeated requests, the seal of a young cluster.
#include <gtest/gtest.h>

#include <set>

#include "coordinator/coordinator_test_util.h"

namespace lariat::coordinator {
namespace {

using base::Code;
using Values = std::vector<std::string>;

constexpr TestCluster::Options kFive{.nodes = 5};

int Updates(TestCluster& cluster, size_t nodes) {
  int updates = 0;
  for (size_t i = 0; i < nodes; ++i) updates += cluster.node(i).updates;
  return updates;
}

TEST(Routing, AWriteIsForwardedToTheFirstReplica) {
  TestCluster cluster(kFive);
  const std::string key = cluster.KeyNotOn(0);
  std::vector<size_t> forwards;
  cluster.fate = [&](size_t from, size_t to, Message message) {
    if (message == Message::kForward) {
      EXPECT_EQ(from, 0U);
      forwards.push_back(to);
    }
    return Fate::kDeliver;
  };
  WriteRequest request;
  request.key = key;
  request.write.value = "v";
  request.write.content_type = "text/plain";
  request.write.ttl_s = 100;
  const auto put = cluster.node(0).Put(request);
  cluster.RunAll();
  ASSERT_TRUE(put->ok());
  EXPECT_EQ(forwards, std::vector<size_t>{cluster.NodesOf(key).front()});
  EXPECT_EQ(Updates(cluster, 5), 1);
  EXPECT_EQ(cluster.node(0).metrics.requests_forwarded.value(), 1U);
  const auto got = cluster.node(0).Get(key);
  cluster.RunAll();
  EXPECT_EQ((*got)->values.at(0).bytes, "v");
  EXPECT_EQ((*got)->values.at(0).content_type, "text/plain");
  EXPECT_EQ((*got)->values.at(0).expires_ms, cluster.wall.ms + 100'000);
  // The forwarded reply's context is the client's to use.
  const auto next = cluster.node(0).Put(key, "w", (*put)->context);
  cluster.RunAll();
  EXPECT_TRUE(next->ok());
  EXPECT_EQ(cluster.node(0).Values(key), Values{"w"});
  const auto removed = cluster.node(0).Delete({.key = key});
  cluster.RunAll();
  EXPECT_TRUE(removed->ok());
  EXPECT_TRUE(cluster.node(0).Values(key).empty());
}

TEST(RoutingMustHold, M7_OnlyWhatWasNotSentIsTriedElsewhere) {
  TestCluster cluster(kFive);
  const std::string key = cluster.KeyNotOn(0);
  const auto nodes = cluster.NodesOf(key);
  std::vector<size_t> forwards;
  cluster.fate = [&](size_t, size_t to, Message message) {
    if (message != Message::kForward) return Fate::kDeliver;
    forwards.push_back(to);
    return to == nodes[2] ? Fate::kDeliver : Fate::kRefuse;
  };
  const auto put = cluster.node(0).Put(key, "v");
  cluster.RunAll();
  EXPECT_TRUE(put->ok());
  EXPECT_EQ(forwards, std::vector<size_t>(nodes.begin(), nodes.end()));
  EXPECT_EQ(Updates(cluster, 5), 1);
  cluster.fate = [](size_t, size_t, Message) { return Fate::kRefuse; };
  const auto unsent = cluster.node(0).Put(key, "v");
  cluster.RunAll();
  EXPECT_EQ(unsent->code(), Code::kUnavailable);
  EXPECT_EQ(Updates(cluster, 5), 1);
}

TEST(RoutingMustHold, M7_M17_ALostForwardIsUnknownAndNotRepeated) {
  for (const Fate lost : {Fate::kLoseRequest, Fate::kLoseReply}) {
    TestCluster cluster(kFive);
    const std::string key = cluster.KeyNotOn(0);
    int forwards = 0;
    cluster.fate = [&](size_t, size_t, Message message) {
      if (message != Message::kForward) return Fate::kDeliver;
      ++forwards;
      return lost;
    };
    const auto put = cluster.node(0).Put(key, "v");
    cluster.Advance(3000);
    EXPECT_EQ(put->code(), Code::kUnknown);
    EXPECT_EQ(put->times, 1);
    EXPECT_EQ(forwards, 1);
    EXPECT_EQ(Updates(cluster, 5), lost == Fate::kLoseReply ? 1 : 0);
    EXPECT_EQ(cluster.node(0).coordinator.InFlight(), 0U);
  }
}

TEST(Routing, ErrorsOfTheCoordinatingReplicaComeBackAsTheyAre) {
  TestCluster cluster(kFive);
  const std::string key = cluster.KeyNotOn(0);
  const size_t first = cluster.NodesOf(key).front();
  cluster.node(first).plan.fail_write = base::Fail(Code::kDiskFull, "full");
  const auto refused = cluster.node(0).Put(key, "v");
  cluster.RunAll();
  EXPECT_EQ(refused->code(), Code::kDiskFull);
  cluster.node(first).plan.fail_write = {};
  WriteRequest request;
  request.key = key;
  request.write.if_match = "*";
  const auto condition = cluster.node(0).Put(request);
  cluster.RunAll();
  EXPECT_EQ(condition->code(), Code::kPreconditionFailed);
}

TEST(Routing, AForwardToANodeWithoutTheKeyIsRefused) {
  TestCluster cluster(kFive);
  const std::string key = cluster.KeyNotOn(1);
  wire::ForwardedWrite request;
  request.bucket = "default";
  request.key = key;
  request.w = 2;
  request.timeout_ms = 100;
  std::optional<Code> code;
  cluster.node(1).coordinator.OnForwarded(
      request, [&](const wire::ForwardedWriteReply& reply) { code = reply.outcome.code; });
  cluster.RunAll();
  EXPECT_EQ(code, Code::kStaleEpoch);
  EXPECT_EQ(Updates(cluster, 5), 0);
}

TEST(RoutingMustHold, M41_AMalformedForwardIsRefused) {
  TestCluster cluster;
  const auto code = [&](const std::function<void(wire::ForwardedWrite*)>& spoil) {
    wire::ForwardedWrite request;
    request.bucket = "default";
    request.key = "k";
    request.w = 2;
    request.timeout_ms = 100;
    spoil(&request);
    std::optional<Code> answer;
    cluster.node(1).coordinator.OnForwarded(
        request, [&](const wire::ForwardedWriteReply& reply) { answer = reply.outcome.code; });
    cluster.RunAll();
    return answer.value_or(Code::kInternal);
  };
  EXPECT_EQ(code([](auto*) {}), Code::kOk);
  EXPECT_EQ(code([](auto* r) { r->key = ""; }), Code::kInvalidArgument);
  EXPECT_EQ(code([](auto* r) { r->bucket = "\xff"; }), Code::kInvalidArgument);
  EXPECT_EQ(code([](auto* r) { r->w = 0; }), Code::kInvalidArgument);
  EXPECT_EQ(code([](auto* r) { r->w = 1u << 31; }), Code::kInvalidArgument);
  EXPECT_EQ(code([](auto* r) { r->timeout_ms = -1; }), Code::kInvalidArgument);
  EXPECT_EQ(code([](auto* r) { r->timeout_ms = INT64_MAX; }), Code::kInvalidArgument);
  EXPECT_EQ(code([](auto* r) { r->write.ttl_s = -1; }), Code::kInvalidArgument);
  EXPECT_EQ(code([](auto* r) { r->write.context = "x"; }), Code::kInvalidArgument);
}

// --- repeated requests ---------------------------------------------------------------------------

WrotePtr PutOnce(TestNode& node, const std::string& key, const std::string& value,
                 const std::string& idempotency_key) {
  WriteRequest request;
  request.key = key;
  request.write.value = value;
  request.idempotency_key = idempotency_key;
  return node.Put(std::move(request));
}

TEST(RoutingMustHold, M7_ARepeatGetsTheFirstAnswerAndMakesNoEvent) {
  TestCluster cluster(kFive);
  const std::string key = cluster.KeyNotOn(0);
  const auto first = PutOnce(cluster.node(0), key, "a", "i");
  cluster.RunAll();
  ASSERT_TRUE(first->ok());
  EXPECT_FALSE((*first)->replayed);
  for (size_t i = 0; i < 5; ++i) {
    cluster.wall.ms += 1000;
    const auto again = PutOnce(cluster.node(i), key, "b", "i");
    cluster.RunAll();
    ASSERT_TRUE(again->ok()) << again->value->error().message;
    EXPECT_TRUE((*again)->replayed);
    EXPECT_EQ((*again)->context, (*first)->context);
    EXPECT_EQ((*again)->version, (*first)->version);
    EXPECT_EQ((*again)->timestamp, (*first)->timestamp);
  }
  EXPECT_EQ(cluster.node(0).Values(key), Values{"a"});
}

TEST(RoutingMustHold, M7_ARepeatAtTheSameTimeMakesNoEvent) {
  TestCluster cluster;
  for (size_t i = 0; i < 3; ++i) {
    cluster.node(i).plan.miss_memory = true;
  }
  std::vector<WrotePtr> puts;
  for (size_t i = 0; i < 6; ++i) puts.push_back(PutOnce(cluster.node(i % 3), "k", "v", "i"));
  cluster.RunAll();
  int fresh = 0;
  for (const auto& put : puts) {
    ASSERT_TRUE(put->ok());
    fresh += (*put)->replayed ? 0 : 1;
  }
  EXPECT_EQ(fresh, 1);
  EXPECT_EQ(cluster.node(0).Values("k"), Values{"v"});
}

TEST(RoutingMustHold, M7_TheRepeatFindsTheAnswerWithoutTheFirstCoordinator) {
  TestCluster cluster;
  const auto first = PutOnce(cluster.node(0), "k", "a", "i");
  cluster.RunAll();
  ASSERT_TRUE(first->ok());
  const size_t gone = cluster.NodesOf("k").front();
  cluster.alive[gone] = false;
  const size_t other = (gone + 1) % 3;
  const auto again = PutOnce(cluster.node(other), "k", "b", "i");
  cluster.RunAll();
  ASSERT_TRUE(again->ok());
  EXPECT_TRUE((*again)->replayed);
  EXPECT_EQ(cluster.node(other).Values("k"), Values{"a"});
}

// The first try reached one replica and was answered "unknown". The repeat says yes only when as
// many replicas hold the event as the write asked for.
TEST(RoutingMustHold, M3_M7_ARepeatedSuccessMeansThatWReplicasHoldIt) {
  for (const uint32_t w : {2U, 3U}) {
    TestCluster cluster({.r = 4 - w, .w = w});
    const size_t first = cluster.NodesOf("k").front();
    cluster.fate = [](size_t, size_t, Message message) {
      return message == Message::kWrite ? Fate::kLoseRequest : Fate::kDeliver;
    };
    const auto unknown = PutOnce(cluster.node(first), "k", "v", "i");
    cluster.Advance(3000);
    EXPECT_EQ(unknown->code(), Code::kUnknown);
    const auto too_early = PutOnce(cluster.node(first), "k", "v", "i");
    cluster.Advance(3000);
    EXPECT_FALSE(too_early->ok()) << "w=" << w;
    cluster.fate = nullptr;
    const auto repeated = PutOnce(cluster.node(first), "k", "v", "i");
    cluster.Advance(100);
    ASSERT_TRUE(repeated->ok()) << "w=" << w;
    EXPECT_TRUE((*repeated)->replayed);
    uint32_t holders = 0;
    for (size_t i = 0; i < 3; ++i) {
      holders += cluster.node(i).Stored("k").StoredValues() == 1 ? 1 : 0;
    }
    EXPECT_GE(holders, w);
  }
}

// --- a young cluster -----------------------------------------------------------------------------

TEST(Routing, TheFirstWriteSealsTheCluster) {
  TestCluster cluster({.sealed = false});
  TestNode& node = cluster.node(0);
  EXPECT_TRUE(node.Values("k").empty());
  EXPECT_EQ(node.seals, 0);
  node.seal_result = base::Fail(Code::kUnavailable, "the founder is away");
  const auto refused = node.Put("k", "v");
  cluster.RunAll();
  EXPECT_EQ(refused->code(), Code::kUnavailable);
  EXPECT_EQ(node.updates, 0);
  node.seal_result = {};
  const auto first = node.Put("k", "v");
  const auto second = node.Put("k2", "v");
  cluster.RunAll();
  EXPECT_TRUE(first->ok());
  EXPECT_TRUE(second->ok());
  EXPECT_EQ(node.seals, 2);
  EXPECT_EQ(node.coordinator.InFlight(), 0U);
}

TEST(Routing, WithoutAClusterNothingIsServed) {
  TestCluster cluster;
  TestNode& node = cluster.node(0);
  node.coordinator.SetView(nullptr);
  EXPECT_EQ(node.Put("k", "v")->code(), Code::kUnavailable);
  EXPECT_EQ(node.Get("k")->code(), Code::kUnavailable);
  EXPECT_EQ(node.Delete({.key = "k"})->code(), Code::kUnavailable);
  EXPECT_TRUE(node.coordinator.Buckets().empty());
  EXPECT_EQ(node.coordinator.InFlight(), 0U);
}

TEST(Routing, BucketsAreCheckedBeforeTheyAreSpread) {
  TestCluster cluster;
  TestNode& node = cluster.node(0);
  const auto set = [&](membership::BucketProperties bucket) {
    Code code = Code::kInternal;
    node.coordinator.SetBucket(std::move(bucket), {}, [&](const base::Status& status) {
      code = status ? Code::kOk : status.error().code;
    });
    return code;
  };
  EXPECT_EQ(set(membership::MakeBucket("new")), Code::kOk);
  auto impossible = membership::MakeBucket("new");
  impossible.w = 9;
  EXPECT_EQ(set(impossible), Code::kInvalidArgument);
  config::Settings settings;
  settings.limits_buckets = 1;
  node.coordinator.ApplySettings(settings);
  EXPECT_EQ(set(membership::MakeBucket("new")), Code::kTooLarge);
  EXPECT_EQ(set(membership::MakeBucket("default")), Code::kOk);
  ASSERT_EQ(node.buckets_set.size(), 2U);
  EXPECT_EQ(node.coordinator.Bucket("nope").error().code, Code::kNotFound);
  EXPECT_EQ(node.coordinator.Bucket("no/pe").error().code, Code::kInvalidArgument);
  EXPECT_EQ(node.coordinator.Buckets().size(), 1U);
}

}  // namespace
}  // namespace lariat::coordinator
