// SPDX-License-Identifier: Apache-2.0
// Framing: what is taken for a request, and that nothing else is.
#include "frontend/http/internal/parser.h"

#include <gtest/gtest.h>

#include "frontend/http/test_client.h"

namespace lariat::frontend::http {
namespace {

using testing::Ask;
using testing::FakeClient;
using testing::FakeNode;
using testing::MakeRequest;
using testing::ParseReplies;

// Sends `bytes` and expects exactly one reply of that status, then the end of the connection.
void ExpectRefusedAndClosed(const std::string& bytes, int status) {
  for (const bool dribbled : {false, true}) {
    FakeNode node;
    FakeClient client(node.Frontend());
    if (dribbled) {
      client.SendByteByByte(bytes);
    } else {
      client.Send(bytes);
    }
    const auto replies = ParseReplies(client.stream.out);
    ASSERT_TRUE(replies.has_value()) << client.stream.out;
    ASSERT_EQ(replies->size(), 1u) << bytes << "\n" << client.stream.out;
    EXPECT_EQ(replies->front().status, status) << bytes << "\n" << client.stream.out;
    EXPECT_EQ(replies->front().headers.at("connection"), "close");
    EXPECT_TRUE(client.stream.close_after_write);
    EXPECT_EQ(node.kv.calls, 0) << bytes;
  }
}

// Guards M41.
TEST(Framing, MalformedRequestsAreRefusedAndClosed) {
  const std::string put = "PUT /kv/a HTTP/1.1\r\nHost: x\r\n";
  const std::string get = "GET /kv/a HTTP/1.1\r\nHost: x\r\n";
  const std::vector<std::string> malformed = {
      put + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
      put + "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
      put + "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
      put + "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
      put + "Content-Length: 3, 3\r\n\r\nabc",
      put + "Content-Length: +3\r\n\r\nabc",
      put + "Content-Length: -3\r\n\r\nabc",
      put + "Content-Length: 0x3\r\n\r\nabc",
      put + "Content-Length: 3 3\r\n\r\nabc",
      put + "Content-Length: \r\n\r\nabc",
      put + "Content-Length: 99999999999999999999999\r\n\r\nabc",
      put + "Content-Length : 3\r\n\r\nabc",
      put + "Transfer-Encoding: gzip\r\n\r\n",
      put + "Transfer-Encoding: gzip, chunked\r\n\r\n",
      put + "Transfer-Encoding: chunked, chunked\r\n\r\n",
      put + "Transfer-Encoding: xchunked\r\n\r\n",
      put + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
      put + "Transfer-Encoding : chunked\r\n\r\n",
      "PUT /kv/a HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
      get + "X-A: b\r\n folded\r\n\r\n",
      get + "X-A: b\r\n\tfolded\r\n\r\n",
      "GET /kv/a HTTP/1.1\r\n Host: x\r\n\r\n",
      "GET /kv/a HTTP/1.1\nHost: x\n\n",
      get + "X-A: b\nX-B: c\r\n\r\n",
      get + "X-A: b\rX-B: c\r\n\r\n",
      get + std::string("X-A: b\0c\r\n\r\n", 12),
      get + ": empty name\r\n\r\n",
      get + "no colon\r\n\r\n",
      get + "Host: y\r\n\r\n",
      "GET /kv/a HTTP/1.1\r\n\r\n",
      "GET  /kv/a HTTP/1.1\r\nHost: x\r\n\r\n",
      "GET /kv/a  HTTP/1.1\r\nHost: x\r\n\r\n",
      "GET /kv/a b HTTP/1.1\r\nHost: x\r\n\r\n",
      "GET /kv/a HTTP/2.0\r\nHost: x\r\n\r\n",
      "GET /kv/a HTTP/1.2\r\nHost: x\r\n\r\n",
      "GET /kv/a http/1.1\r\nHost: x\r\n\r\n",
      "GET /kv/a\r\n\r\n",
      "G@T /kv/a HTTP/1.1\r\nHost: x\r\n\r\n",
      std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 15),
      "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
      get + "If-Match: \"a\"\r\nIf-Match: \"b\"\r\n\r\n",
  };
  for (const std::string& bytes : malformed) ExpectRefusedAndClosed(bytes, 400);
}

// Guards M41.
TEST(Framing, MalformedChunksAreRefusedAndClosed) {
  const std::string put = "PUT /kv/a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (const std::string chunks :
       {"g\r\nabc\r\n0\r\n\r\n", "0x3\r\nabc\r\n0\r\n\r\n", "-3\r\nabc\r\n0\r\n\r\n",
        "3 \r\nabc\r\n0\r\n\r\n", "3\nabc\n0\n\n\r\n", "3\r\nabcd\r\n0\r\n\r\n",
        "3\r\nabcX\n0\r\n\r\n", "\r\n\r\n", "fffffffffffffffff\r\nabc\r\n",
        "3;=x\r\nabc\r\n0\r\n\r\n", "3\r\nabc\r\n0\r\nbad trailer\r\n\r\n",
        "3\r\nabc\r\n0\r\nContent-Length: 7\r\n\r\n"}) {
    ExpectRefusedAndClosed(put + chunks, 400);
  }
}

TEST(Framing, ChunkedBodyArrivesWholeHoweverItIsCut) {
  const std::string request =
      "PUT /kv/a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: Chunked\r\n\r\n"
      "3\r\nabc\r\n5;ext=1;q=\"v\"\r\ndefgh\r\n0\r\nX-Trailer: 1\r\n\r\n";
  for (size_t piece = 1; piece <= request.size(); ++piece) {
    FakeNode node;
    FakeClient client(node.Frontend());
    for (size_t at = 0; at < request.size(); at += piece) client.Send(request.substr(at, piece));
    const auto replies = ParseReplies(client.stream.out);
    ASSERT_TRUE(replies && replies->size() == 1) << client.stream.out;
    EXPECT_EQ(replies->front().status, 201);
    EXPECT_EQ(node.kv.last_put.write.value, "abcdefgh");
    EXPECT_FALSE(client.stream.Ended());
  }
}

TEST(Framing, EmptyChunkedBodyIsAnEmptyValue) {
  FakeNode node;
  FakeClient client(node.Frontend());
  client.SendByteByByte(
      "PUT /kv/a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
  EXPECT_EQ(ParseReplies(client.stream.out)->at(0).status, 201);
  EXPECT_EQ(node.kv.last_put.write.value, "");
}

TEST(Framing, EveryCutOfAPipelineGivesTheSameRequests) {
  const std::string bytes = "\r\n" + MakeRequest("PUT /kv/a", "", "one") +
                            MakeRequest("GET /kv/a") + MakeRequest("PUT /kv/b", "", "two");
  for (size_t cut = 0; cut <= bytes.size(); ++cut) {
    FakeNode node;
    FakeClient client(node.Frontend());
    client.Send(bytes.substr(0, cut));
    client.Send(bytes.substr(cut));
    const auto replies = ParseReplies(client.stream.out);
    ASSERT_TRUE(replies && replies->size() == 3) << cut << client.stream.out;
    EXPECT_EQ(replies->at(1).body, "one");
    EXPECT_EQ(node.kv.last_put.write.value, "two");
  }
}

TEST(Framing, HeadLargerThanTheLimitIs431) {
  FakeNode node;
  node.settings.http_header_bytes_max = 1024;
  FakeClient client(node.Frontend());
  client.Send("GET /kv/a HTTP/1.1\r\nHost: x\r\nX-Long: ");
  client.Send(std::string(2000, 'a'));
  EXPECT_EQ(ParseReplies(client.stream.out)->at(0).status, 431);
  EXPECT_TRUE(client.stream.close_after_write);

  FakeClient whole(node.Frontend());
  whole.Send(MakeRequest("GET /kv/a", "X-Long: " + std::string(1000, 'a') + "\r\n"));
  EXPECT_EQ(ParseReplies(whole.stream.out)->at(0).status, 431);
}

TEST(Framing, HeadOfExactlyTheLimitPasses) {
  FakeNode node;
  node.settings.http_header_bytes_max = 1024;
  const std::string without = MakeRequest("GET /kv/a", "X: \r\n");
  const std::string padding(1024 - without.size(), 'a');
  EXPECT_EQ(Ask(node, "GET /kv/a", "X: " + padding + "\r\n").status, 404);
  EXPECT_EQ(Ask(node, "GET /kv/a", "X: " + padding + "a\r\n").status, 431);
}

TEST(Framing, LongTargetIs414) {
  FakeNode node;
  EXPECT_EQ(Ask(node, "GET /kv/" + std::string(10000, 'a')).status, 414);
  EXPECT_EQ(Ask(node, "GET /kv/" + std::string(20000, 'a')).status, 414);
  EXPECT_EQ(Ask(node, "GET /kv/" + std::string(300, 'a')).status, 400);
}

TEST(Framing, Http10ClosesUnlessAskedToStay) {
  FakeNode node;
  FakeClient closing(node.Frontend());
  closing.Send("GET /livez HTTP/1.0\r\n\r\n");
  EXPECT_EQ(ParseReplies(closing.stream.out)->at(0).headers.at("connection"), "close");
  EXPECT_TRUE(closing.stream.close_after_write);

  FakeClient staying(node.Frontend());
  staying.Send("GET /livez HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n");
  EXPECT_EQ(ParseReplies(staying.stream.out)->at(0).headers.at("connection"), "keep-alive");
  EXPECT_FALSE(staying.stream.Ended());
}

TEST(PercentDecoding, TakesAnyByteAndNothingElse) {
  EXPECT_EQ(PercentDecode("a%00%2Fb+c%fF"), std::string("a\0/b+c\xff", 7));
  EXPECT_EQ(PercentDecode(""), "");
  for (const char* bad : {"%", "%1", "%zz", "a%2", "%%41", "%+1"}) {
    EXPECT_FALSE(PercentDecode(bad).has_value()) << bad;
  }
}

TEST(Counts, AreStrict) {
  EXPECT_EQ(ParseCount("0"), 0);
  EXPECT_EQ(ParseCount("9223372036854775807"), INT64_MAX);
  for (const char* bad : {"", "-1", "+1", " 1", "1 ", "1.0", "0x1", "9223372036854775808", "1e3"}) {
    EXPECT_FALSE(ParseCount(bad).has_value()) << bad;
  }
}

}  // namespace
}  // namespace lariat::frontend::http
