// SPDX-License-Identifier: Apache-2.0
// The client against nodes that answer as they are told. Where a checker returns what is wrong, a
// planted bug has to make it complain.
#include <gtest/gtest.h>
#include <lariat/client.h>

#include <future>

#include "client/engine.h"
#include "client/fake_cluster_test_util.h"

namespace lariat::client {
namespace {

using std::chrono::milliseconds;
using testing::FakeCluster;
using testing::FakeReply;
using testing::FakeRequest;
using testing::Gate;
using testing::WaitUntil;

FakeReply Found(const std::string& value, const std::string& context = "C1") {
  return {200, "X-Context: " + context + "\r\n", value, false, {}};
}
FakeReply Made(const std::string& context = "C1") {
  return {201, "X-Context: " + context + "\r\nX-Version: [(node1,1)]\r\n", "{}", false, {}};
}
FakeReply Refused(int status, const std::string& code) {
  return {status, "", R"({"error":{"code":")" + code + R"(","message":"because"}})", false, {}};
}
FakeReply Dropped() { return {0, "", "", true, {}}; }

TEST(ClientTest, GetsPutsAndDeletes) {
  FakeCluster cluster(3, [](const FakeRequest& request) -> FakeReply {
    if (request.method == "PUT") return Made("C1");
    if (request.method == "DELETE") return {204, "", "", false, {}};
    if (request.target == "/buckets/default/kv/none") return Refused(404, "not_found");
    return Found("hello");
  });
  Client client(cluster.Options());
  Blocking sync(client);
  PutOptions options;
  options.consistency = Consistency::All;
  options.ttl = 5;
  const Result<Written> put = sync.Put({"users", "ada"}, "hello", options);
  ASSERT_TRUE(put.ok());
  EXPECT_EQ(put->context, "C1");
  EXPECT_EQ(put->version, "[(node1,1)]");
  EXPECT_EQ(put.outcome(), Outcome::Done);
  const Result<Read> read = sync.Get({"users", "ada"});
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->value(), "hello");
  EXPECT_TRUE(sync.Delete("k").ok());
  EXPECT_EQ(sync.Get("none").code(), Code::NotFound);
  const std::vector<FakeRequest> asked = cluster.Asked();
  ASSERT_EQ(asked.size(), 4U);
  EXPECT_EQ(asked[0].target, "/buckets/users/kv/ada");
  EXPECT_EQ(asked[0].Header("Consistency"), "ALL");
  EXPECT_EQ(asked[0].Header("X-TTL"), "5");
  EXPECT_EQ(asked[0].body, "hello");
  EXPECT_EQ(asked[0].Header("Idempotency-Key").size(), 36U);
  EXPECT_EQ(asked[0].node, 0U);  // the first owner, while none has more to do
  EXPECT_NE(asked[2].Header("Idempotency-Key"), asked[0].Header("Idempotency-Key"));
}

TEST(ClientTest, SpeaksTheRedisProtocolToo) {
  FakeCluster cluster(2, [](const FakeRequest& request) -> FakeReply {
    FakeReply reply;
    reply.raw = request.method == "LARIAT.GET"
                    ? "%2\r\n+value\r\n$5\r\nhello\r\n+context\r\n+C1\r\n"
                    : "%1\r\n+context\r\n+C2\r\n";
    return reply;
  });
  ClientOptions options = cluster.Options();
  options.protocol = Protocol::Redis;
  Client client(options);
  Blocking sync(client);
  EXPECT_EQ(sync.Put("k", "hello")->context, "C2");
  EXPECT_EQ(sync.Get("k")->value(), "hello");
  EXPECT_TRUE(sync.Delete("k").ok());
  const std::vector<FakeRequest> asked = cluster.Asked();
  ASSERT_EQ(asked.size(), 3U);
  EXPECT_EQ(asked[0].method, "LARIAT.PUT");
  EXPECT_EQ(asked[0].Header("IDEMPOTENCY").size(), 36U);
  EXPECT_EQ(asked[2].method, "LARIAT.DEL");
}

TEST(ClientTest, RefusesWhatMakesNoSense) {
  const auto with = [](auto change) {
    ClientOptions options;
    change(options);
    return options;
  };
  EXPECT_THROW(Client(with([](ClientOptions& o) { o.nodes = {}; })), std::invalid_argument);
  EXPECT_THROW(Client(with([](ClientOptions& o) { o.nodes = {"host"}; })), std::invalid_argument);
  EXPECT_THROW(Client(with([](ClientOptions& o) { o.pipeline = 0; })), std::invalid_argument);
  EXPECT_THROW(Client(with([](ClientOptions& o) { o.timeout = milliseconds(0); })),
               std::invalid_argument);
  EXPECT_THROW(Client(with([](ClientOptions& o) { o.retry_ratio = -1; })), std::invalid_argument);
  FakeCluster cluster(1);
  Client client(cluster.Options());
  EXPECT_EQ(client.Get("").Get().code(), Code::InvalidArgument);
  EXPECT_TRUE(cluster.Asked().empty());
}

TEST(ClientTest, NoNodeIsUnreachableAndNotDone) {
  std::string address;
  {
    const FakeCluster gone(1);
    address = gone.Options().nodes[0];
  }
  ClientOptions options;
  options.nodes = {address};
  Client client(options);
  const Result<Written> put = client.Put("k", "v").Get();
  EXPECT_EQ(put.code(), Code::Unreachable);
  EXPECT_EQ(put.outcome(), Outcome::NotDone);
  EXPECT_NE(put.error().message.find(address), std::string::npos);
}

TEST(ClientTest, WhatANodeSaidTellsMoreThanThatAnotherIsGone) {
  FakeCluster cluster(2, [](const FakeRequest&) { return Refused(503, "insufficient_replicas"); });
  Client client(cluster.Options());
  EXPECT_EQ(client.Get("k").Get().code(), Code::InsufficientReplicas);
  cluster.Stop(1);
  EXPECT_EQ(client.Get("k").Get().code(), Code::InsufficientReplicas);
}

TEST(ClientTest, PipelinesOnFewConnections) {
  FakeCluster cluster(1, [](const FakeRequest& request) { return Found(request.target); });
  ClientOptions options = cluster.Options();
  options.connections_per_node = 1;
  options.pipeline = 4;
  Client client(options);
  std::vector<Future<Result<Read>>> reads;
  for (int i = 0; i < 100; ++i) reads.push_back(client.Get("k" + std::to_string(i)));
  for (size_t i = 0; i < reads.size(); ++i) {
    EXPECT_EQ(reads[i].Get()->value(), "/buckets/default/kv/k" + std::to_string(i));
  }
  EXPECT_EQ(cluster.connections(), 1U);
}

TEST(ClientTest, IsFullAtItsLimit) {
  FakeCluster cluster(1);
  const Gate gate = cluster.MakeGate();
  cluster.Handle([gate](const FakeRequest&) {
    gate.Wait();
    return Found("v");
  });
  ClientOptions options = cluster.Options();
  options.max_in_flight = 2;
  options.attempt_timeout = options.timeout = std::chrono::seconds(60);
  Client client(options);
  auto first = client.Get("a");
  auto second = client.Get("b");
  EXPECT_EQ(client.Get("c").Get().code(), Code::Overloaded);
  EXPECT_EQ(client.GetStats().overloaded, 1U);
  gate.Open();
  EXPECT_TRUE(first.Get().ok());
  EXPECT_TRUE(second.Get().ok());
  WaitUntil([&] { return client.Get("c").Get().ok(); }, "there is room again");
}

TEST(ClientTest, ADeadlineIsKeptAndAWriteIsUnknownThen) {
  FakeCluster cluster(2);
  const Gate gate = cluster.MakeGate();
  cluster.Handle([gate](const FakeRequest&) {
    gate.Wait();
    return Made();
  });
  Client client(cluster.Options());
  PutOptions options;
  options.timeout = milliseconds(50);
  const Result<Written> put = client.Put("k", "v", options).Get();
  EXPECT_EQ(put.code(), Code::Timeout);
  EXPECT_EQ(put.outcome(), Outcome::Unknown);
  const Result<Read> read = client.Get("k", {Consistency::Default, milliseconds(50)}).Get();
  EXPECT_EQ(read.code(), Code::Timeout);
  EXPECT_EQ(read.outcome(), Outcome::NotDone);
  EXPECT_EQ(client.GetStats().timeouts, 2U);
}

TEST(ClientTest, ClosingEndsWhatIsUnderWay) {
  FakeCluster cluster(1);
  const Gate gate = cluster.MakeGate();
  cluster.Handle([gate](const FakeRequest&) {
    gate.Wait();
    return Found("v");
  });
  auto client = std::make_unique<Client>(cluster.Options());
  auto read = client->Get("k");
  auto write = client->Put("k", "v");
  Session session = client->NewSession();
  gate.UntilWaiting(2);
  client.reset();
  EXPECT_EQ(read.Get().code(), Code::Closed);
  EXPECT_EQ(write.Get().outcome(), Outcome::Unknown);
  EXPECT_EQ(session.Get("k").Get().code(), Code::Closed);
  EXPECT_EQ(session.Put("k", "v").Get().outcome(), Outcome::NotDone);
}

TEST(ClientTest, ASilentNodeCostsItsShareOfTheTimeOnce) {
  FakeCluster cluster(2);
  const Gate gate = cluster.MakeGate();
  cluster.Handle([gate](const FakeRequest& request) {
    if (request.node == 0) gate.Wait();
    return Made();
  });
  ClientOptions options = cluster.Options();
  options.attempt_timeout = milliseconds(100);
  Client client(options);
  EXPECT_TRUE(client.Put("k", "v").Get().ok());
  EXPECT_TRUE(client.Put("k", "v").Get().ok());
  const std::vector<FakeRequest> asked = cluster.Asked();
  ASSERT_GE(asked.size(), 3U);
  EXPECT_EQ(asked[0].node, 0U);
  EXPECT_EQ(asked[1].node, 1U);
  EXPECT_EQ(asked[0].Header("Idempotency-Key"), asked[1].Header("Idempotency-Key"));
  EXPECT_EQ(asked[2].node, 1U);
}

TEST(ClientTest, FollowsTheTopology) {
  FakeCluster cluster(3, [](const FakeRequest&) { return Found("v"); });
  cluster.SetOwners({"node1"});
  Client client(cluster.Options());
  EXPECT_TRUE(client.Get("k").Get().ok());
  EXPECT_EQ(cluster.Asked().back().node, 0U);
  cluster.SetOwners({"node3"});
  const auto asks = [&](size_t node) {
    EXPECT_TRUE(client.Get("k").Get().ok());
    return cluster.Asked().back().node == node;
  };
  WaitUntil([&] { return asks(2); }, "the new owner is asked");
  EXPECT_EQ(client.GetStats().topology_changes, 2U);
  cluster.SetServes(2, false);
  WaitUntil([&] { return !asks(2); }, "one that is thought dead is not asked");
  cluster.SetServes(2, true);
  WaitUntil([&] { return asks(2); }, "it is asked again");
  // The only node that it was told of goes, and so does the owner.
  cluster.Stop(0);
  cluster.Stop(2);
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(asks(1));
}

TEST(ClientTest, SiblingsAreShownOrResolved) {
  const std::string body =
      "--B\r\nX-Timestamp: 2\r\n\r\npear\r\n--B\r\nX-Timestamp: 1\r\n\r\napple\r\n--B--\r\n";
  FakeCluster cluster(1, [&](const FakeRequest&) -> FakeReply {
    return {300, "X-Context: C\r\nContent-Type: multipart/mixed; boundary=B\r\n", body, false, {}};
  });
  Client plain(cluster.Options());
  const Result<Read> shown = plain.Get("k").Get();
  ASSERT_TRUE(shown.ok());
  EXPECT_TRUE(shown->IsConflict());
  EXPECT_THROW(shown->value(), std::logic_error);
  ClientOptions options = cluster.Options();
  options.resolver = ResolveSetUnion;
  Client resolving(options);
  const Result<Read> resolved = resolving.Get("k").Get();
  EXPECT_EQ(resolved->value(), "apple\npear\n");
  EXPECT_TRUE(resolved->resolved);
  EXPECT_EQ(resolved->context, "C");
}

// --- checkers, each with a bug that it has to find -----------------------------------------------

using Problems = std::vector<std::string>;

Result<Reply> Ask(Engine& engine, Request request, milliseconds timeout = milliseconds(0)) {
  Promise<Result<Reply>> promise;
  engine.Submit(std::move(request), timeout,
                [promise](Result<Reply> result) { promise.Set(std::move(result)); });
  return promise.ToFuture().Get();
}

Request Of(Request::Op op, const std::string& id = {}) {
  Request request;
  request.op = op;
  request.bucket = "default";
  request.key = "k";
  request.id = id;
  return request;
}

// The first try of each write arrives and is lost.
Problems LostWrites(Bug bug) {
  std::atomic<int> count{0};
  FakeCluster cluster(2, [&](const FakeRequest&) { return ++count == 1 ? Dropped() : Made(); });
  Engine engine(cluster.Options(), bug);
  Problems problems;
  const Result<Reply> plain = Ask(engine, Of(Request::Op::kPut));
  if (cluster.Asked().size() != 1) problems.push_back("a write without an id was repeated");
  if (plain.outcome() != Outcome::Unknown) problems.push_back("a lost write is not unknown");
  count = 0;
  const Result<Reply> with_id = Ask(engine, Of(Request::Op::kPut, "id"));
  if (!with_id.ok()) problems.push_back("a write with an id was not repeated");
  if (with_id.ok() && with_id.value().tries != 2) problems.push_back("the tries are miscounted");
  return problems;
}

// The first try is lost, and every later one refused.
Problems RefusedAfterLost(Bug bug) {
  std::atomic<int> count{0};
  FakeCluster cluster(2, [&](const FakeRequest&) {
    return ++count == 1 ? Dropped() : Refused(503, "unavailable");
  });
  Engine engine(cluster.Options(), bug);
  const Result<Reply> result = Ask(engine, Of(Request::Op::kPut, "id"));
  return result.outcome() == Outcome::Unknown ? Problems() : Problems{"the lost try is forgotten"};
}

// Nothing ever works.
Problems RetriesWhenAllFails(Bug bug) {
  FakeCluster cluster(3, [](const FakeRequest&) { return Refused(503, "unavailable"); });
  ClientOptions options = cluster.Options();
  options.retry_ratio = 0.1;
  options.retry_burst = 5;
  Engine engine(options, bug);
  constexpr size_t kReads = 60;
  for (size_t i = 0; i < kReads; ++i) {
    EXPECT_EQ(Ask(engine, Of(Request::Op::kGet)).code(), Code::Unavailable);
  }
  const size_t extra = cluster.Asked().size() - kReads;
  if (extra < 5) return {"retries are refused although there is a budget"};
  return extra <= 5 + kReads / 10 ? Problems() : Problems{std::to_string(extra) + " retries"};
}

void WarmUp(Engine& engine) {
  for (size_t i = 0; i < LatencyWindow::kEach; ++i) {
    EXPECT_TRUE(Ask(engine, Of(Request::Op::kGet)).ok());
  }
}

// One node holds reads up: the one that is asked first. Which that is depends on what is under way.
Problems SlowNode(Bug bug) {
  FakeCluster cluster(2, [](const FakeRequest&) { return Found("v"); });
  ClientOptions options = cluster.Options();
  options.attempts = 1;
  Engine engine(options, bug);
  WarmUp(engine);
  const Gate gate = cluster.MakeGate();
  constexpr size_t kNone = SIZE_MAX;
  const auto slow = std::make_shared<std::atomic<size_t>>(kNone);  // outlives the last request
  cluster.Handle([gate, slow](const FakeRequest& request) {
    size_t first = kNone;
    const bool is_first = slow->compare_exchange_strong(first, request.node);
    if (is_first || first == request.node) gate.Wait();
    return Found("v");
  });
  const bool hangs = bug != Bug::kNone;
  const Result<Reply> read = Ask(engine, Of(Request::Op::kGet), milliseconds(hangs ? 200 : 30000));
  if (!read.ok()) return {"the read waits for the slow node"};
  const Stats stats = engine.GetStats();
  EXPECT_EQ(stats.hedges, 1U);
  EXPECT_EQ(stats.hedges_won, 1U);
  return {};
}

// All nodes hold all reads up.
Problems AllSlow(Bug bug) {
  FakeCluster cluster(2, [](const FakeRequest&) { return Found("v"); });
  ClientOptions options = cluster.Options();
  options.hedge_ratio = 0.05;
  options.hedge_burst = 2;
  options.attempts = 1;
  options.connections_per_node = 40;
  options.pipeline = 1;
  Engine engine(options, bug);
  WarmUp(engine);
  const Gate gate = cluster.MakeGate();
  cluster.Handle([gate](const FakeRequest&) {
    gate.Wait();
    return Found("v");
  });
  constexpr size_t kReads = 40;
  std::vector<Future<Result<Reply>>> reads;
  for (size_t i = 0; i < kReads; ++i) {
    Promise<Result<Reply>> promise;
    reads.push_back(promise.ToFuture());
    engine.Submit(Of(Request::Op::kGet), milliseconds(60000),
                  [promise](Result<Reply> result) { promise.Set(std::move(result)); });
  }
  WaitUntil(
      [&] {
        const Stats stats = engine.GetStats();
        return stats.hedges + stats.hedges_refused >= kReads;
      },
      "every read was slow");
  gate.Open();
  for (auto& read : reads) EXPECT_TRUE(read.Get().ok());
  const uint64_t most = 2 + (kReads + LatencyWindow::kEach) / 20;
  const uint64_t hedges = engine.GetStats().hedges;
  if (hedges == 0) return {"no second request"};
  return hedges <= most ? Problems() : Problems{std::to_string(hedges) + " second requests"};
}

struct Checker {
  const char* name;
  Problems (*run)(Bug bug);
  Bug bug;
};

class CheckerTest : public ::testing::TestWithParam<Checker> {};

TEST_P(CheckerTest, FindsNothing) { EXPECT_EQ(GetParam().run(Bug::kNone), Problems()); }
TEST_P(CheckerTest, FindsThePlantedBug) { EXPECT_NE(GetParam().run(GetParam().bug), Problems()); }

INSTANTIATE_TEST_SUITE_P(
    Client, CheckerTest,
    ::testing::Values(Checker{"LostWrites", LostWrites, Bug::kRepeatsUnsafeWrites},
                      Checker{"RefusedAfterLost", RefusedAfterLost, Bug::kForgetsUnknown},
                      Checker{"RetriesWhenAllFails", RetriesWhenAllFails, Bug::kBudgetNeverEmpty},
                      Checker{"SlowNode", SlowNode, Bug::kHedgesToTheSameNode},
                      Checker{"AllSlow", AllSlow, Bug::kHedgesWithoutShare}),
    [](const auto& checker) { return checker.param.name; });

// --- sessions ------------------------------------------------------------------------------------

// A replica that lags behind is asked first, and shows an old state at ONE.
FakeReply Lagging(const FakeRequest& request) {
  if (request.method == "PUT") return Made("new");
  const std::string level = request.Header("Consistency");
  return level == "ONE" ? Found("old value", "old") : Found("new value", "new");
}

TEST(SessionTest, ReadsItsOwnWritesAtAdaptive) {
  FakeCluster cluster(3, Lagging);
  Client client(cluster.Options());
  Session session = client.NewSession();
  const GetOptions adaptive{Consistency::Adaptive, milliseconds(0)};
  EXPECT_EQ(session.Get("k", adaptive).Get()->value(), "old value");  // nothing was seen yet
  PutOptions quorum;
  quorum.consistency = Consistency::Quorum;
  ASSERT_TRUE(session.Put("k", "new value", quorum).Get().ok());
  EXPECT_EQ(session.Get("k", adaptive).Get()->value(), "new value");
  EXPECT_EQ(client.GetStats().escalations, 1U);
  std::vector<std::string> levels;
  for (const FakeRequest& request : cluster.Asked())
    levels.push_back(request.Header("Consistency"));
  EXPECT_EQ(levels, (std::vector<std::string>{"ONE", "QUORUM", "ONE", "QUORUM"}));
  EXPECT_EQ(cluster.Asked()[1].Header("X-Context"), "old");  // what the session had seen
  // Without a session it is ONE.
  EXPECT_EQ(client.Get("k", adaptive).Get()->value(), "old value");
}

TEST(SessionTest, OneReplicaIsEnoughWhenItShowsWhatWasSeen) {
  FakeCluster cluster(3, [](const FakeRequest& request) {
    return request.method == "PUT" ? Made("C") : Found("v", "C");
  });
  Client client(cluster.Options());
  Session session = client.NewSession();
  ASSERT_TRUE(session.Put("k", "v").Get().ok());
  for (int i = 0; i < 5; ++i) {
    EXPECT_TRUE(session.Get("k", {Consistency::Adaptive, milliseconds(0)}).Get().ok());
  }
  EXPECT_EQ(cluster.Asked().size(), 6U);
  EXPECT_EQ(client.GetStats().escalations, 0U);
}

TEST(SessionTest, AWriteOfOneReplicaNeedsAllAndTellsWhenTheyAreNotThere) {
  FakeCluster cluster(3, [](const FakeRequest& request) {
    if (request.method == "PUT") return Made("new");
    return request.Header("Consistency") == "ALL" ? Refused(503, "insufficient_replicas")
                                                  : Found("old value", "old");
  });
  ClientOptions options = cluster.Options();
  options.attempts = 1;
  Client client(options);
  Session session = client.NewSession();
  PutOptions one;
  one.consistency = Consistency::One;
  ASSERT_TRUE(session.Put("k", "new value", one).Get().ok());
  EXPECT_EQ(session.Get("k", {Consistency::Quorum, milliseconds(0)}).Get().code(),
            Code::NotCovered);
}

TEST(SessionTest, AKeyThatIsNotThereIsAStateToo) {
  FakeCluster cluster(3, [](const FakeRequest& request) -> FakeReply {
    if (request.method == "DELETE") return {204, "", "", false, {}};
    if (request.Header("Consistency") == "ONE") return Found("deleted value", "old");
    FakeReply none = Refused(404, "not_found");
    none.headers = "X-Context: tombstone\r\n";
    return none;
  });
  Client client(cluster.Options());
  Session session = client.NewSession();
  DeleteOptions quorum;
  quorum.consistency = Consistency::Quorum;
  ASSERT_TRUE(session.Delete("k", quorum).Get().ok());
  const GetOptions adaptive{Consistency::Adaptive, milliseconds(0)};
  EXPECT_EQ(session.Get("k", adaptive).Get().code(), Code::NotFound);
}

// --- futures -------------------------------------------------------------------------------------

TEST(FutureTest, IsWaitedForAndContinued) {
  Promise<int> promise;
  Future<int> future = promise.ToFuture();
  EXPECT_FALSE(future.IsReady());
  EXPECT_FALSE(future.WaitFor(milliseconds(0)));
  int got = 0;
  future.Then([&](int value) { got = value; });
  promise.Set(7);
  EXPECT_EQ(got, 7);
  Promise<std::string> set;
  set.Set("x");
  EXPECT_TRUE(set.ToFuture().WaitFor(milliseconds(0)));
  std::string late;
  set.ToFuture().Then([&](std::string value) { late = std::move(value); });
  EXPECT_EQ(late, "x");
}

Future<std::string> ReadTwo(Client& client) {
  const Result<Read> a = co_await client.Get("a");
  const Result<Read> b = co_await client.Get("b");
  co_return a->value() + b->value();
}

TEST(FutureTest, IsAwaitedAndReturnedByCoroutines) {
  FakeCluster cluster(1, [](const FakeRequest& request) {
    return Found(request.target.substr(request.target.size() - 1));
  });
  Client client(cluster.Options());
  EXPECT_EQ(ReadTwo(client).Get(), "ab");
}

}  // namespace
}  // namespace lariat::client
