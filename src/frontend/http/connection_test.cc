// SPDX-License-Identifier: Apache-2.0
// Life of a connection: order of replies, limits, deadlines, back-pressure, its end.
#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "frontend/http/test_client.h"

namespace lariat::frontend::http {
namespace {

using testing::Ask;
using testing::FakeClient;
using testing::FakeNode;
using testing::MakeRequest;
using testing::ParsedReply;
using testing::ParseReplies;

std::vector<ParsedReply> Replies(const FakeClient& client) {
  auto replies = ParseReplies(client.stream.out);
  EXPECT_TRUE(replies.has_value()) << client.stream.out;
  return replies.value_or(std::vector<ParsedReply>());
}

void Store(FakeNode& node, const std::string& key, const std::string& value) {
  Ask(node, "PUT /kv/" + key, "", value);
}

TEST(Pipelining, RepliesKeepTheOrderOfRequests) {
  FakeNode node;
  for (const char* key : {"a", "b", "c", "d"}) Store(node, key, std::string("value-") + key);
  node.kv.defer = true;
  FakeClient client(node.Frontend());
  std::string bytes;
  for (const char* key : {"a", "b", "c", "d"}) bytes += MakeRequest(std::string("GET /kv/") + key);
  client.Send(bytes);
  ASSERT_EQ(node.kv.deferred.size(), 4u);
  node.kv.Complete(3);
  node.kv.Complete(1);
  EXPECT_EQ(client.stream.out, "");
  node.kv.Complete(0);
  EXPECT_EQ(Replies(client).size(), 2u);
  node.kv.Complete(0);
  const auto replies = Replies(client);
  ASSERT_EQ(replies.size(), 4u);
  EXPECT_EQ(replies[0].body, "value-a");
  EXPECT_EQ(replies[1].body, "value-b");
  EXPECT_EQ(replies[2].body, "value-c");
  EXPECT_EQ(replies[3].body, "value-d");
  EXPECT_FALSE(client.stream.Ended());
}

TEST(Pipelining, AnErrorWaitsForTheRepliesBeforeIt) {
  FakeNode node;
  Store(node, "a", "x");
  node.kv.defer = true;
  FakeClient client(node.Frontend());
  client.Send(MakeRequest("GET /kv/a") + MakeRequest("GET /nowhere") + "garbage\r\n\r\n" +
              MakeRequest("GET /kv/a"));
  EXPECT_EQ(client.stream.out, "");
  ASSERT_EQ(node.kv.deferred.size(), 1u);
  node.kv.Complete(0);
  const auto replies = Replies(client);
  ASSERT_EQ(replies.size(), 3u);
  EXPECT_EQ(replies[0].status, 200);
  EXPECT_EQ(replies[1].status, 404);
  EXPECT_EQ(replies[2].status, 400);
  EXPECT_TRUE(client.stream.close_after_write);
}

TEST(Pipelining, IsBoundedAndGoesOn) {
  FakeNode node;
  node.settings.http_pipeline_max = 3;
  node.kv.defer = true;
  FakeClient client(node.Frontend());
  std::string bytes;
  for (int i = 0; i < 10; ++i) bytes += MakeRequest("PUT /kv/k" + std::to_string(i), "", "v");
  client.Send(bytes);
  EXPECT_EQ(node.kv.deferred.size(), 3u);
  EXPECT_TRUE(client.stream.paused);
  // The last answer alone makes no room.
  node.kv.Complete(2);
  EXPECT_EQ(node.kv.deferred.size(), 2u);
  size_t completed = 1;
  while (!node.kv.deferred.empty()) {
    EXPECT_LE(node.kv.deferred.size(), 3u);
    node.kv.Complete(0);
    client.Deliver();
    ++completed;
  }
  EXPECT_EQ(completed, 10u);
  EXPECT_EQ(Replies(client).size(), 10u);
  EXPECT_FALSE(client.stream.paused);
}

TEST(BackPressure, APeerThatDoesNotReadIsNotRead) {
  FakeNode node;
  node.settings.http_output_bytes_max = 65536;
  FakeClient client(node.Frontend());
  client.Send(MakeRequest("GET /livez"));
  client.stream.unsent = 70000;
  client.Send(MakeRequest("GET /livez"));
  EXPECT_TRUE(client.stream.paused);
  EXPECT_EQ(Replies(client).size(), 1u);
  client.Drained();
  EXPECT_FALSE(client.stream.paused);
  EXPECT_EQ(Replies(client).size(), 2u);
}

// A node with a value of 1000 bytes at /kv/a, of which a read is reckoned to bring 1024.
struct CrowdedNode : FakeNode {
  CrowdedNode(int64_t output_max, int64_t total_max) {
    settings.http_output_bytes_max = output_max;
    settings.http_output_total_bytes_max = total_max;
    kv.value_bytes_max = 1024;
    Store(*this, "a", std::string(1000, 'v'));
    kv.defer = true;
  }
  std::string Gets(int count) const {
    std::string bytes;
    for (int i = 0; i < count; ++i) bytes += MakeRequest("GET /kv/a");
    return bytes;
  }
  void CompleteAll() {
    while (!kv.deferred.empty()) kv.Complete(0);
  }
};

TEST(BackPressure, WhatIsPromisedCountsBeforeItIsFetched) {
  CrowdedNode node(65536, 1 << 30);
  FakeClient client(node.Frontend());
  client.Send(node.Gets(100));
  EXPECT_EQ(node.kv.deferred.size(), 64u);
  EXPECT_TRUE(client.stream.paused);
  EXPECT_EQ(node.metrics.http_output_waits.value(), 1u);
  // They are fetched, and nobody takes them.
  client.stream.unsent = 65536;
  node.CompleteAll();
  EXPECT_TRUE(client.stream.paused);
  EXPECT_EQ(Replies(client).size(), 64u);
  client.Drained();
  EXPECT_EQ(node.kv.deferred.size(), 36u);
  node.CompleteAll();
  EXPECT_EQ(Replies(client).size(), 100u);
  EXPECT_FALSE(client.stream.paused || client.stream.Ended());
}

TEST(BackPressure, RequestsWithoutValuesArePromisedNothing) {
  CrowdedNode node(65536, 1 << 30);
  FakeClient client(node.Frontend());
  std::string bytes;
  for (int i = 0; i < 100; ++i) bytes += MakeRequest("PUT /kv/k" + std::to_string(i), "", "v");
  client.Send(bytes);
  EXPECT_EQ(node.kv.deferred.size(), 100u);
}

// Guards M40.
TEST(BackPressure, AllTogetherHaveALimitThatReadersDoNotFeel) {
  CrowdedNode node(65536, 20 * 1024);
  std::vector<std::unique_ptr<FakeClient>> deaf;
  for (int i = 0; i < 5; ++i) {
    deaf.push_back(std::make_unique<FakeClient>(node.Frontend()));
    deaf.back()->Send(node.Gets(10));
  }
  // Half of the total is for those that hold something already: the first has all ten. The others
  // hold nothing, so each may have one.
  EXPECT_EQ(node.kv.deferred.size(), 10u + 4u);
  EXPECT_GE(node.metrics.http_output_bytes.value(), 14 * 1000);
  deaf[0]->stream.unsent = 10000;
  for (int i = 1; i < 5; ++i) deaf[static_cast<size_t>(i)]->stream.unsent = 1000;
  node.CompleteAll();
  node.world.RunTasks();
  EXPECT_TRUE(node.kv.deferred.empty());

  FakeClient reader(node.Frontend());
  reader.Send(node.Gets(3));
  for (int i = 1; i <= 3; ++i) {
    ASSERT_EQ(node.kv.deferred.size(), 1u);
    node.kv.Complete(0);
    reader.Drained();
    EXPECT_EQ(Replies(reader).size(), static_cast<size_t>(i));
  }
  // The others go on as soon as the first has read.
  for (auto& client : deaf) client->Drained();
  node.world.RunTasks();
  while (!node.kv.deferred.empty()) {
    node.CompleteAll();
    for (auto& client : deaf) client->Drained();
    node.world.RunTasks();
  }
  for (auto& client : deaf) EXPECT_EQ(Replies(*client).size(), 10u);
  EXPECT_EQ(node.metrics.http_output_bytes.value(), 0);
}

// Guards M40.
TEST(BackPressure, ReadsAreRefusedWhereNobodyTakesAnything) {
  CrowdedNode node(65536, 4 * 1024);
  std::vector<std::unique_ptr<FakeClient>> deaf;
  for (int i = 0; i < 3; ++i) {
    deaf.push_back(std::make_unique<FakeClient>(node.Frontend()));
    deaf.back()->Send(node.Gets(1));
    deaf.back()->stream.unsent = 1000;
    node.CompleteAll();
  }
  FakeClient client(node.Frontend());
  client.Send(node.Gets(1));
  ASSERT_EQ(Replies(client).size(), 1u);
  EXPECT_EQ(Replies(client)[0].status, 503);
  EXPECT_EQ(Replies(client)[0].headers.at("retry-after"), "1");
  EXPECT_EQ(node.metrics.http_refused[telemetry::HttpRefusal::kOverloaded].value(), 1u);
  client.Send(MakeRequest("GET /livez"));
  EXPECT_EQ(Replies(client).at(1).status, 200);
  // One of them goes away, and what it held is nobody's any more.
  deaf.pop_back();
  client.Send(node.Gets(1));
  EXPECT_EQ(node.kv.deferred.size(), 1u);
}

TEST(BackPressure, ASurpriseIsNotKeptBeyondTheLimit) {
  CrowdedNode node(65536, 10 * 1024);
  FakeClient reader(node.Frontend());
  // Replies of a few hundred bytes, so that many reads fit into the total.
  for (int i = 0; i < 2000; ++i) {
    reader.Send(MakeRequest("GET /kv/nothing"));
    node.CompleteAll();
    reader.TakeOutput();
  }
  FakeClient deaf(node.Frontend()), late(node.Frontend());
  deaf.Send(node.Gets(10));
  EXPECT_GT(node.kv.deferred.size(), 5u);
  late.Send(node.Gets(1));
  ASSERT_GT(node.kv.deferred.size(), 6u);
  // All that was read for it waits with it.
  deaf.stream.unsent = 9800;
  node.kv.Complete(0);
  node.kv.Complete(node.kv.deferred.size() - 1);
  ASSERT_EQ(Replies(late).size(), 1u);
  EXPECT_EQ(Replies(late)[0].status, 503);
  EXPECT_EQ(node.metrics.http_refused[telemetry::HttpRefusal::kOverloaded].value(), 1u);
}

// Guards M40.
TEST(BackPressure, BodiesHalfReceivedHaveALimitTogether) {
  FakeNode node;
  node.settings.limits_in_flight_bytes = 1000;
  FakeClient slow(node.Frontend());
  slow.Send("PUT /kv/a HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\n" +
            std::string(1001, 'v'));
  EXPECT_EQ(Ask(node, "PUT /kv/b", "", "w").status, 503);
  slow.Disconnect();
  EXPECT_EQ(Ask(node, "PUT /kv/b", "", "w").status, 201);
}

TEST(BackPressure, APeerThatNeverReadsIsDropped) {
  FakeNode node;
  node.settings.http_write_stall_ms = 60000;
  FakeClient client(node.Frontend());
  client.Send(MakeRequest("GET /livez"));
  client.stream.unsent = 100;
  node.world.Advance(base::Seconds(55));
  EXPECT_FALSE(client.stream.closed);
  node.world.Advance(base::Seconds(10));
  EXPECT_TRUE(client.stream.closed);
  EXPECT_EQ(node.metrics.http_stalled.value(), 1u);
}

TEST(BackPressure, APeerThatReadsSlowlyIsKept) {
  FakeNode node;
  node.settings.http_write_stall_ms = 60000;
  FakeClient client(node.Frontend());
  // As much comes behind as is taken: the queue never gets shorter.
  for (int i = 0; i < 10; ++i) {
    client.Send(MakeRequest("GET /livez"));
    client.stream.unsent = 100;
    node.world.Advance(base::Seconds(20));
  }
  EXPECT_FALSE(client.stream.closed);
}

TEST(Room, TheOneThatWasIdleForLongestGoes) {
  FakeNode node;
  node.kv.defer = true;
  FakeClient a(node.Frontend()), b(node.Frontend()), c(node.Frontend()), busy(node.Frontend());
  node.world.Advance(base::Seconds(1));
  busy.Send(MakeRequest("GET /kv/x"));
  for (FakeClient* client : {&b, &c, &a}) {
    client->Send(MakeRequest("GET /livez"));
    node.world.Advance(base::Seconds(1));
  }
  // Whoever is in the middle of a request is not idle, however old it is.
  FakeClient half(node.Frontend());
  half.Send("GET /li");
  for (FakeClient* client : {&b, &c, &a}) {
    EXPECT_FALSE(client->stream.closed);
    EXPECT_TRUE(node.Frontend().MakeRoom());
    EXPECT_TRUE(client->stream.closed);
    node.world.Advance(base::Millis(1));
  }
  EXPECT_FALSE(node.Frontend().MakeRoom());
  EXPECT_FALSE(busy.stream.Ended() || half.stream.Ended());
  EXPECT_EQ(node.metrics.http_shed.value(), 3u);
  node.kv.Complete(0);
  node.world.Advance(base::Millis(1));
  EXPECT_TRUE(node.Frontend().MakeRoom());
  EXPECT_TRUE(busy.stream.closed);
  EXPECT_FALSE(half.stream.Ended());
}

// Guards M40.
TEST(Room, WhoeverFindsNoneIsToldSo) {
  FakeNode node;
  const auto replies = ParseReplies(node.Frontend().Refuse());
  ASSERT_TRUE(replies.has_value());
  ASSERT_EQ(replies->size(), 1u);
  EXPECT_EQ(replies->front().status, 503);
  EXPECT_TRUE(replies->front().body.starts_with(R"({"error":{"code":"overloaded")"));
  EXPECT_TRUE(replies->front().body.ends_with("}}"));
  using telemetry::HttpRefusal;
  EXPECT_EQ(node.metrics.http_refused[HttpRefusal::kTooManyConnections].value(), 1u);
}

TEST(Bodies, TooLargeByLengthIsRefusedBeforeItIsRead) {
  FakeNode node;
  node.kv.value_bytes_max = 100;
  FakeClient client(node.Frontend());
  client.Send("PUT /kv/a HTTP/1.1\r\nHost: x\r\nContent-Length: 101\r\n\r\n");
  ASSERT_EQ(Replies(client).size(), 1u);
  EXPECT_EQ(Replies(client)[0].status, 413);
  EXPECT_FALSE(client.stream.Ended());
  // The framing is intact: after the rest of the body comes the next request.
  client.Send(std::string(101, 'v') + MakeRequest("PUT /kv/b", "", std::string(100, 'w')));
  ASSERT_EQ(Replies(client).size(), 2u);
  EXPECT_EQ(Replies(client)[1].status, 201);
  EXPECT_EQ(node.kv.calls, 1);
}

TEST(Bodies, TooLargeInChunksIsRefusedWhenItIsSeen) {
  FakeNode node;
  node.kv.value_bytes_max = 100;
  FakeClient client(node.Frontend());
  client.Send("PUT /kv/a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
  client.Send("40\r\n" + std::string(64, 'v') + "\r\n40\r\n" + std::string(64, 'v'));
  ASSERT_EQ(Replies(client).size(), 1u);
  EXPECT_EQ(Replies(client)[0].status, 413);
  client.Send("\r\n0\r\n\r\n" + MakeRequest("PUT /kv/b", "", "w"));
  ASSERT_EQ(Replies(client).size(), 2u);
  EXPECT_EQ(Replies(client)[1].status, 201);
}

TEST(Bodies, EndlessOnesAreNotSkippedForEver) {
  FakeNode node;
  FakeClient client(node.Frontend());
  client.Send("PUT /kv/a HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n");
  EXPECT_EQ(Replies(client)[0].status, 413);
  EXPECT_EQ(Replies(client)[0].headers.at("connection"), "close");
  EXPECT_TRUE(client.stream.close_after_write);

  FakeClient chunked(node.Frontend());
  chunked.Send("PUT /kv/a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
  const std::string chunk = "10000\r\n" + std::string(65536, 'v') + "\r\n";
  for (int i = 0; i < 400 && !chunked.stream.Ended(); ++i) chunked.Send(chunk);
  EXPECT_EQ(Replies(chunked).size(), 1u);
  EXPECT_TRUE(chunked.stream.close_after_write);
}

TEST(Bodies, WhereNoneIsTaken) {
  FakeNode node;
  FakeClient client(node.Frontend());
  client.Send(MakeRequest("GET /kv/a", "", "body") + MakeRequest("DELETE /kv/a", "", "body") +
              MakeRequest("GET /livez"));
  ASSERT_EQ(Replies(client).size(), 3u);
  EXPECT_EQ(Replies(client)[0].status, 400);
  EXPECT_EQ(Replies(client)[1].status, 400);
  EXPECT_EQ(Replies(client)[2].status, 200);
}

TEST(Bodies, HeadErrors) {
  FakeNode node;
  FakeClient client(node.Frontend());
  client.Send("PUT /kv/a HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(Replies(client)[0].status, 411);
  EXPECT_EQ(Ask(node, "PUT /kv/a", "Content-Encoding: gzip\r\n", "x").status, 415);
  EXPECT_EQ(Ask(node, "PUT /v1/kv/a", "Content-Type: image/png\r\n", "{}").status, 415);
  EXPECT_EQ(Ask(node, "PUT /kv/a", "Expect: magic\r\n", "x").status, 417);
}

TEST(Expect, BodyIsAskedForInTurn) {
  FakeNode node;
  node.kv.defer = true;
  FakeClient client(node.Frontend());
  client.Send(MakeRequest("GET /kv/a") +
              "PUT /kv/b HTTP/1.1\r\nHost: x\r\nExpect: 100-Continue\r\nContent-Length: 3\r\n\r\n");
  EXPECT_EQ(client.stream.out, "");
  node.kv.Complete(0);
  ASSERT_EQ(Replies(client).size(), 2u);
  EXPECT_EQ(Replies(client)[1].status, 100);
  client.Send("abc");
  node.kv.Complete(0);
  ASSERT_EQ(Replies(client).size(), 3u);
  EXPECT_EQ(Replies(client)[2].status, 201);
  EXPECT_EQ(node.kv.last_put.write.value, "abc");
}

TEST(Expect, RefusalEndsTheConnection) {
  FakeNode node;
  node.kv.value_bytes_max = 2;
  FakeClient client(node.Frontend());
  client.Send("PUT /kv/b HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
  ASSERT_EQ(Replies(client).size(), 1u);
  EXPECT_EQ(Replies(client)[0].status, 413);
  EXPECT_TRUE(client.stream.close_after_write);
}

TEST(Deadlines, SlowHeadIs408) {
  FakeNode node;
  FakeClient client(node.Frontend());
  client.Send("GET /livez HTTP/1.1\r\n");
  for (int i = 0; i < 12 && !client.stream.Ended(); ++i) {
    node.world.Advance(base::Seconds(1));
    client.Send("X-Slow: 1\r\n");  // a byte now and then does not help
  }
  ASSERT_EQ(Replies(client).size(), 1u);
  EXPECT_EQ(Replies(client)[0].status, 408);
  EXPECT_TRUE(client.stream.close_after_write);
  EXPECT_EQ(node.metrics.http_refused[telemetry::HttpRefusal::kTimeout].value(), 1u);
}

TEST(Deadlines, SlowBodyIs408) {
  FakeNode node;
  FakeClient client(node.Frontend());
  client.Send("PUT /kv/a HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n");
  for (int i = 0; i < 28; ++i) {
    node.world.Advance(base::Seconds(1));
    client.Send("x");
  }
  EXPECT_EQ(client.stream.out, "");
  node.world.Advance(base::Seconds(4));
  ASSERT_EQ(Replies(client).size(), 1u);
  EXPECT_EQ(Replies(client)[0].status, 408);
  EXPECT_TRUE(client.stream.close_after_write);
  EXPECT_EQ(node.kv.calls, 0);
}

TEST(Deadlines, IdleConnectionsAreClosedWithoutAWord) {
  FakeNode node;
  FakeClient client(node.Frontend());
  client.Send(MakeRequest("GET /livez"));
  node.world.Advance(base::Seconds(118));
  EXPECT_FALSE(client.stream.Ended());
  node.world.Advance(base::Seconds(4));
  EXPECT_TRUE(client.stream.close_after_write);
  EXPECT_EQ(Replies(client).size(), 1u);
}

TEST(Deadlines, ARequestInWorkIsNotIdle) {
  FakeNode node;
  node.kv.defer = true;
  FakeClient client(node.Frontend());
  client.Send(MakeRequest("GET /kv/a"));
  node.world.Advance(base::Seconds(500));
  EXPECT_FALSE(client.stream.Ended());
  node.kv.Complete(0);
  node.world.Advance(base::Seconds(100));
  EXPECT_FALSE(client.stream.Ended());
  node.world.Advance(base::Seconds(25));
  EXPECT_TRUE(client.stream.Ended());
}

TEST(Deadlines, NoTimerRunsWithoutConnections) {
  FakeNode node;
  {
    FakeClient client(node.Frontend());
    for (int i = 0; i < 10; ++i) client.Send(MakeRequest("GET /livez"));
    EXPECT_EQ(node.world.TimersSet(), 1u);
  }
  node.world.Advance(base::Seconds(2));
  EXPECT_EQ(node.world.TimersSet(), 0u);
  EXPECT_EQ(node.metrics.http_connections.value(), 0);
}

TEST(Ends, ConnectionCloseIsTheLastRequest) {
  FakeNode node;
  FakeClient client(node.Frontend());
  client.Send(MakeRequest("GET /livez", "Connection: close\r\n") + MakeRequest("GET /livez"));
  ASSERT_EQ(Replies(client).size(), 1u);
  EXPECT_EQ(Replies(client)[0].headers.at("connection"), "close");
  EXPECT_TRUE(client.stream.close_after_write);
}

TEST(Ends, AnswersAfterTheConnectionIsGoneOnlyCount) {
  FakeNode node;
  node.kv.defer = true;
  {
    FakeClient client(node.Frontend());
    client.Send(MakeRequest("GET /kv/a") + MakeRequest("PUT /kv/a", "", "x") +
                MakeRequest("DELETE /v1/kv/a") + MakeRequest("PUT /v1/buckets/b", "", "{}"));
  }
  ASSERT_EQ(node.kv.deferred.size(), 4u);
  while (!node.kv.deferred.empty()) node.kv.Complete(0);
  using telemetry::Op;
  using telemetry::Outcome;
  EXPECT_EQ(node.metrics.requests.At(Op::kGet, Outcome::kNotFound).value(), 1u);
  EXPECT_EQ(node.metrics.requests.At(Op::kPut, Outcome::kOk).value(), 1u);
  EXPECT_EQ(node.metrics.requests.At(Op::kDelete, Outcome::kOk).value(), 1u);
}

TEST(Ends, ConnectionsAndAnswersMayOutliveTheFrontend) {
  FakeNode node;
  node.settings.http_pipeline_max = 2;
  node.kv.defer = true;
  FakeClient client(node.Frontend());
  client.Send(MakeRequest("GET /kv/a") + MakeRequest("PUT /kv/a", "", "x") +
              MakeRequest("GET /kv/b"));
  node.frontend.reset();
  EXPECT_TRUE(client.stream.closed);
  EXPECT_EQ(node.world.TimersSet(), 0u);
  client.Drained();
  client.CloseSending();
  while (!node.kv.deferred.empty()) node.kv.Complete(0);
  EXPECT_EQ(client.stream.out, "");
}

TEST(Ends, HalfClosedClientsGetTheirReplies) {
  FakeNode node;
  node.kv.defer = true;
  FakeClient client(node.Frontend());
  client.Send(MakeRequest("GET /kv/a") + MakeRequest("GET /kv/b"));
  client.CloseSending();
  EXPECT_FALSE(client.stream.Ended());
  node.kv.Complete(0);
  EXPECT_FALSE(client.stream.Ended());
  node.kv.Complete(0);
  EXPECT_EQ(Replies(client).size(), 2u);
  EXPECT_TRUE(client.stream.close_after_write);

  FakeClient cut(node.Frontend());
  cut.Send("PUT /kv/a HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc");
  cut.CloseSending();
  EXPECT_EQ(Replies(cut).at(0).status, 400);
  EXPECT_TRUE(cut.stream.close_after_write);

  FakeClient idle(node.Frontend());
  idle.CloseSending();
  EXPECT_TRUE(idle.stream.close_after_write);
}

TEST(Ends, DrainingClosesIdleOnesNowAndOthersAfterTheirReply) {
  FakeNode node;
  node.kv.defer = true;
  FakeClient idle(node.Frontend());
  FakeClient busy(node.Frontend());
  busy.Send(MakeRequest("GET /kv/a"));
  node.Frontend().Drain();
  EXPECT_TRUE(idle.stream.close_after_write);
  EXPECT_FALSE(busy.stream.Ended());
  node.kv.Complete(0);
  EXPECT_EQ(Replies(busy).size(), 1u);
  EXPECT_TRUE(busy.stream.close_after_write);
  const ParsedReply ready = Ask(node, "GET /readyz");
  EXPECT_EQ(ready.status, 503);
  EXPECT_EQ(ready.headers.at("connection"), "close");
}

TEST(Writes, OneForEachSmallReplyAndTwoForALargeValue) {
  FakeNode node;
  Store(node, "small", "v");
  Store(node, "large", std::string(100000, 'v'));
  FakeClient client(node.Frontend());
  client.Send(MakeRequest("GET /kv/small"));
  EXPECT_EQ(client.stream.writes, 1u);
  client.Send(MakeRequest("GET /kv/large"));
  EXPECT_EQ(client.stream.writes, 3u);
  EXPECT_EQ(Replies(client).at(1).body.size(), 100000u);
}

}  // namespace
}  // namespace lariat::frontend::http
