// SPDX-License-Identifier: Apache-2.0
#include "client/wire/wire.h"

#include <gtest/gtest.h>

#include "client/wire/resp_value.h"

namespace lariat::client {
namespace {

using State = Wire::State;
using std::chrono::milliseconds;

Request PutRequest() {
  Request put;
  put.op = Request::Op::kPut;
  put.bucket = "users";
  put.key = "a/b c";
  put.value = std::string("v\0\r\n", 4);
  put.content_type = "text/plain";
  put.context = "AQ==";
  put.ttl = 60;
  put.id = "11111111-2222-4333-8444-555555555555";
  put.level = Consistency::Quorum;
  return put;
}

std::string Encoded(const Wire& wire, const Request& request) {
  std::string out;
  wire.Encode(request, milliseconds(250), out);
  return out;
}

// All replies in `text`, which comes in pieces of `step` bytes.
std::vector<Reply> Decoded(Wire& wire, const std::string& text, size_t step) {
  std::vector<Reply> replies;
  std::string in;
  for (size_t at = 0; at < text.size(); at += step) {
    in += text.substr(at, step);
    for (;;) {
      Wire::Decoded decoded = wire.Decode(in);
      EXPECT_NE(decoded.state, State::kBroken) << in;
      if (decoded.state == State::kBroken) return replies;
      in.erase(0, decoded.used);
      if (decoded.state == State::kMore && (decoded.used == 0 || in.empty())) break;
      if (decoded.state == State::kMore) continue;
      replies.push_back(std::move(decoded.reply));
    }
  }
  EXPECT_EQ(in, "");
  return replies;
}

TEST(HttpWire, EncodesRequests) {
  const auto wire = MakeHttpWire("127.0.0.1:7480");
  EXPECT_EQ(Encoded(*wire, PutRequest()),
            "PUT /buckets/users/kv/a%2Fb%20c?timeout_ms=250 HTTP/1.1\r\n"
            "Host: 127.0.0.1:7480\r\nConsistency: QUORUM\r\nX-Context: AQ==\r\n"
            "Content-Type: text/plain\r\n"
            "Idempotency-Key: 11111111-2222-4333-8444-555555555555\r\nX-TTL: 60\r\n"
            "Content-Length: 4\r\n\r\n" +
                std::string("v\0\r\n", 4));
  Request get;
  get.bucket = "default";
  get.key = "..";
  EXPECT_EQ(Encoded(*wire, get),
            "GET /buckets/default/kv/%2E%2E?timeout_ms=250 HTTP/1.1\r\nHost: 127.0.0.1:7480\r\n"
            "\r\n");
  Request conditional = PutRequest();
  conditional.value.clear();
  conditional.if_match = "AQ==";
  conditional.if_absent = true;
  EXPECT_NE(Encoded(*wire, conditional).find("If-Match: \"AQ==\"\r\nIf-None-Match: *\r\n"),
            std::string::npos);
  EXPECT_NE(Encoded(*wire, conditional).find("Content-Length: 0\r\n\r\n"), std::string::npos);
  Request fetch;
  fetch.op = Request::Op::kFetch;
  fetch.path = "/v1/cluster/status";
  EXPECT_EQ(Encoded(*wire, fetch),
            "GET /v1/cluster/status HTTP/1.1\r\nHost: 127.0.0.1:7480\r\n\r\n");
}

TEST(Wire, SaysWhoAsks) {
  Request fetch;
  fetch.op = Request::Op::kFetch;
  fetch.path = "/v1/cluster/status";
  EXPECT_EQ(Encoded(*MakeHttpWire("h:1", {"ada", "open sesame"}), fetch),
            "GET /v1/cluster/status HTTP/1.1\r\nHost: h:1\r\n"
            "Authorization: Basic YWRhOm9wZW4gc2VzYW1l\r\n\r\n");
  EXPECT_EQ(MakeRespWire({"ada", "open sesame"})->Greeting(),
            "*5\r\n$5\r\nHELLO\r\n$1\r\n3\r\n$4\r\nAUTH\r\n$3\r\nada\r\n$11\r\nopen sesame\r\n");
}

std::string Framed(const std::string& head, const std::string& body) {
  return head + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

const std::string kHttpReplies =
    Framed(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nX-Version: [(node1,2)]\r\n"
        "X-Context: C1\r\nX-Expires: 1717243260000\r\n"
        "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n",
        "hello") +
    "HTTP/1.1 204 No Content\r\n\r\n" +
    Framed("HTTP/1.1 404 Not Found\r\nX-Context: C2\r\n",
           R"({"error":{"code":"not_found","message":"no value of key"}})") +
    Framed(
        "HTTP/1.1 300 Multiple Choices\r\nX-Context: C3\r\n"
        "Content-Type: multipart/mixed; boundary=B-1\r\n",
        "--B-1\r\nContent-Type: text/plain\r\nX-Timestamp: 1717243260001\r\n\r\n--B\r\n\r\n"
        "\r\n--B-1\r\nContent-Type: text/html\r\nX-Version: [(b,1)]\r\n"
        "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n\r\n--B-1--\r\n") +
    Framed("HTTP/1.1 429 Too Many Requests\r\nRetry-After: 2\r\n", "");

void CheckReplies(const std::vector<Reply>& replies) {
  ASSERT_EQ(replies.size(), 5U);
  ASSERT_EQ(replies[0].values.size(), 1U);
  EXPECT_EQ(replies[0].values[0].bytes, "hello");
  EXPECT_EQ(replies[0].values[0].content_type, "text/plain");
  EXPECT_EQ(replies[0].context, "C1");
  EXPECT_EQ(replies[0].version, "[(node1,2)]");
  EXPECT_EQ(replies[0].expires_ms, 1717243260000);
  EXPECT_EQ(replies[1].code, Code::Ok);
  EXPECT_EQ(replies[2].code, Code::NotFound);
  EXPECT_EQ(replies[2].context, "C2");
  EXPECT_EQ(replies[2].message, "no value of key");
  ASSERT_EQ(replies[3].values.size(), 2U);
  EXPECT_EQ(replies[3].values[0].bytes, "--B\r\n\r\n");
  EXPECT_EQ(replies[3].values[0].timestamp_ms, 1717243260001);
  EXPECT_EQ(replies[3].values[1].bytes, "");
  EXPECT_EQ(replies[3].values[1].content_type, "text/html");
  EXPECT_EQ(replies[3].values[1].timestamp_ms, 784111777000);
  EXPECT_EQ(replies[4].code, Code::RateLimited);
  EXPECT_EQ(replies[4].retry_in, milliseconds(2000));
}

TEST(HttpWire, DecodesPipelinedRepliesInPiecesOfAnySize) {
  for (const size_t step : {size_t{1}, size_t{7}, size_t{100}, kHttpReplies.size()}) {
    const auto wire = MakeHttpWire("h:1");
    CheckReplies(Decoded(*wire, kHttpReplies, step));
  }
}

TEST(HttpWire, TellsWhenTheConnectionEnds) {
  const auto wire = MakeHttpWire("h:1");
  EXPECT_EQ(wire->Decode("HTTP/1.1 204 X\r\nConnection: close\r\n\r\n").state, State::kLast);
}

TEST(HttpWire, RefusesWhatIsNoReply) {
  for (const char* text : {"nonsense\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
                           "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
                           "HTTP/1.1 300 X\r\nContent-Type: multipart/mixed; "
                           "boundary=B\r\nContent-Length: 4\r\n\r\n--B-",
                           "HTTP/1.1 300 X\r\nContent-Length: 2\r\n\r\nxx"}) {
    EXPECT_EQ(MakeHttpWire("h:1")->Decode(text).state, State::kBroken) << text;
  }
}

TEST(RespWire, EncodesCommands) {
  const auto wire = MakeRespWire();
  EXPECT_EQ(wire->Greeting(), "*2\r\n$5\r\nHELLO\r\n$1\r\n3\r\n");
  EXPECT_EQ(Encoded(*wire, PutRequest()),
            "*12\r\n$10\r\nLARIAT.PUT\r\n$5\r\nusers\r\n$5\r\na/b c\r\n$4\r\n" +
                std::string("v\0\r\n", 4) +
                "\r\n$7\r\nCONTEXT\r\n$4\r\nAQ==\r\n$1\r\nW\r\n$1\r\n2\r\n$3\r\nTTL\r\n$2\r\n60\r\n"
                "$11\r\nIDEMPOTENCY\r\n$36\r\n11111111-2222-4333-8444-555555555555\r\n");
  Request get;
  get.bucket = "b";
  get.key = "k";
  get.n = 5;
  get.level = Consistency::All;
  EXPECT_EQ(Encoded(*wire, get),
            "*5\r\n$10\r\nLARIAT.GET\r\n$1\r\nb\r\n$1\r\nk\r\n$1\r\nR\r\n$1\r\n5\r\n");
}

TEST(RespWire, DecodesRepliesInPiecesOfAnySize) {
  const std::string text =
      "%4\r\n+value\r\n$5\r\nhello\r\n+context\r\n$2\r\nC1\r\n+version\r\n%2\r\n+a\r\n:1\r\n+b\r\n:"
      "2\r\n"
      "+timestamp\r\n:1717243260000\r\n"
      "_\r\n"
      ">2\r\n+invalidate\r\n*0\r\n"
      "|1\r\n+ttl\r\n:3\r\n%2\r\n+siblings\r\n*2\r\n$1\r\na\r\n%1\r\n+value\r\n$1\r\nb\r\n"
      "+context\r\n$2\r\nC2\r\n"
      "-ERR insufficient_replicas 2 needed, 1 alive\r\n"
      "-NOAUTH Authentication required.\r\n"
      "-ERR wrong number of arguments\r\n"
      "$-1\r\n";
  for (const size_t step : {size_t{1}, size_t{5}, text.size()}) {
    const auto wire = MakeRespWire();
    const std::vector<Reply> replies = Decoded(*wire, text, step);
    ASSERT_EQ(replies.size(), 7U);
    EXPECT_EQ(replies[0].values.at(0).bytes, "hello");
    EXPECT_EQ(replies[0].values.at(0).timestamp_ms, 1717243260000);
    EXPECT_EQ(replies[0].context, "C1");
    EXPECT_EQ(replies[0].version, "[(a,1),(b,2)]");
    EXPECT_EQ(replies[1].code, Code::NotFound);
    ASSERT_EQ(replies[2].values.size(), 2U);
    EXPECT_EQ(replies[2].values[1].bytes, "b");
    EXPECT_EQ(replies[2].context, "C2");
    EXPECT_EQ(replies[3].code, Code::InsufficientReplicas);
    EXPECT_EQ(replies[3].message, "2 needed, 1 alive");
    EXPECT_EQ(replies[4].code, Code::NotAuthorized);
    EXPECT_EQ(replies[5].code, Code::InvalidArgument);
    EXPECT_EQ(replies[6].code, Code::NotFound);
  }
}

TEST(RespValue, RefusesWhatNoNodeSends) {
  std::string deep;
  for (int i = 0; i < 20; ++i) deep += "*1\r\n";
  for (const std::string& text :
       {std::string("?\r\n"), std::string("\r\n"), std::string("$-2\r\n"), std::string("$x\r\n"),
        std::string("$99999999999\r\n"), std::string("$1\r\nabc"), std::string("*70000\r\n"), deep,
        std::string(100000, '+')}) {
    RespValue value;
    EXPECT_EQ(ParseResp(text, value).state, RespParsed::State::kBad) << text.substr(0, 20);
  }
}

TEST(Requests, WhatCanNeverBeSentIsToldInWords) {
  EXPECT_EQ(Invalid(PutRequest(), Protocol::Http), "");
  const auto wrong = [](auto change) {
    Request request = PutRequest();
    change(request);
    return Invalid(request, Protocol::Http);
  };
  EXPECT_NE(Invalid(PutRequest(), Protocol::Redis), "");  // it has a content type
  EXPECT_NE(wrong([](Request& r) { r.key.clear(); }), "");
  EXPECT_NE(wrong([](Request& r) { r.key = std::string(257, 'k'); }), "");
  EXPECT_EQ(wrong([](Request& r) { r.key = std::string(256, '\0'); }), "");
  EXPECT_NE(wrong([](Request& r) { r.bucket = "a/b"; }), "");
  EXPECT_NE(wrong([](Request& r) { r.context = "a\r\nHost: b"; }), "");
  EXPECT_NE(wrong([](Request& r) { r.content_type = "a\nb"; }), "");
  EXPECT_NE(wrong([](Request& r) { r.level = Consistency::Adaptive; }), "");
  EXPECT_NE(wrong([](Request& r) {
              r.op = Request::Op::kGet;
              r.level = Consistency::Any;
            }),
            "");
}

TEST(Codes, AreNamedAndKnownByNameOrStatus) {
  EXPECT_EQ(lariat::NameOf(Code::NotCovered), "not_covered");
  EXPECT_EQ(CodeOf("outcome_unknown", 504), Code::Unknown);
  EXPECT_EQ(CodeOf("timeout", 504), Code::Timeout);
  EXPECT_EQ(CodeOf("something new", 503), Code::Unavailable);
  EXPECT_EQ(CodeOf("", 502), Code::Server);
  EXPECT_EQ(CodeOf("", 418), Code::InvalidArgument);
}

}  // namespace
}  // namespace lariat::client
