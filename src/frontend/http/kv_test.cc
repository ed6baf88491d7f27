// SPDX-License-Identifier: Apache-2.0
// The two dialects as a client sees them.
#include <gtest/gtest.h>

#include "base/base64.h"
#include "frontend/http/test_client.h"

namespace lariat::frontend::http {
namespace {

using base::Code;
using coordinator::Level;
using telemetry::Op;
using telemetry::Outcome;
using testing::Ask;
using testing::FakeClient;
using testing::FakeNode;
using testing::MakeRequest;
using testing::ParsedReply;
using testing::ParseReplies;

constexpr char kUuid[] = "0f8fad5b-d9cb-469f-a165-70867728950e";

class Kv : public ::testing::Test {
 protected:
  ParsedReply Send(std::string_view start, std::string_view headers = "",
                   std::string_view body = "") {
    return Ask(node, start, headers, body);
  }
  int Status(std::string_view start, std::string_view headers = "", std::string_view body = "") {
    return Send(start, headers, body).status;
  }
  // Two concurrent values under default/k.
  void StoreSiblings() {
    coordinator::ShownValue a{"left", "text/plain", {784111777000}};
    a.version = {{"node1", 5}};
    coordinator::ShownValue b{"right", "", {784111778000}};
    b.version = {{"node2", 3}};
    node.kv.replies["default/k"] = {
        {a, b}, {{"node1", 5}, {"node2", 3}}, {784111778000}, "both", {2, 1}};
  }

  FakeNode node;
};

TEST_F(Kv, RawPutAndGet) {
  const ParsedReply put = Send("PUT /kv/k", "Content-Type: text/plain\r\n", "hello");
  EXPECT_EQ(put.status, 201);
  EXPECT_EQ(put.headers.at("x-version"), "[(node1,1)]");
  EXPECT_EQ(put.headers.at("x-context"), "ctx1");
  EXPECT_EQ(put.headers.at("x-replicas"), "primaries=2 fallbacks=0");
  EXPECT_EQ(put.headers.at("content-type"), "application/json");
  EXPECT_EQ(put.body,
            R"({"key":"k","version":{"node1":1},"context":"ctx1","timestamp":784111777000,)"
            R"("replicas":{"primaries":2,"fallbacks":0}})");

  const ParsedReply get = Send("GET /kv/k");
  EXPECT_EQ(get.status, 200);
  EXPECT_EQ(get.body, "hello");
  EXPECT_EQ(get.headers.at("content-type"), "text/plain");
  EXPECT_EQ(get.headers.at("x-version"), "[(node1,1)]");
  EXPECT_EQ(get.headers.at("x-context"), "ctx1");
  EXPECT_EQ(get.headers.at("etag"), "\"ctx1\"");
  EXPECT_EQ(get.headers.at("last-modified"), "Sun, 06 Nov 1994 08:49:37 GMT");
  EXPECT_EQ(get.headers.count("date"), 1u);
}

TEST_F(Kv, RawGetAsJson) {
  Send("PUT /kv/k", "", "hello");
  const ParsedReply get = Send("GET /kv/k", "Accept: text/html, application/json;q=0.9\r\n");
  EXPECT_EQ(get.status, 200);
  EXPECT_EQ(get.body,
            R"({"key":"k","value":"aGVsbG8=","version":{"node1":1},"timestamp":784111777000,)"
            R"("content_type":"application/octet-stream","conflict":false,"context":"ctx1",)"
            R"("replicas":{"primaries":2,"fallbacks":0}})");
  StoreSiblings();
  const ParsedReply both = Send("GET /kv/k", "Accept: application/json\r\n");
  EXPECT_EQ(both.status, 200);
  EXPECT_NE(both.body.find(R"("values":[{"value":"bGVmdA==","version":{"node1":5})"),
            std::string::npos);
  EXPECT_NE(both.body.find(R"("conflict":true)"), std::string::npos);
}

TEST_F(Kv, RawSiblingsAreMultipart) {
  StoreSiblings();
  const ParsedReply get = Send("GET /kv/k");
  EXPECT_EQ(get.status, 300);
  const std::string type = get.headers.at("content-type");
  const std::string prefix = "multipart/mixed; boundary=";
  ASSERT_TRUE(type.starts_with(prefix));
  const std::string boundary = type.substr(prefix.size());
  EXPECT_EQ(get.body, "--" + boundary +
                          "\r\nContent-Type: text/plain\r\nX-Version: [(node1,5)]\r\n"
                          "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
                          "X-Timestamp: 784111777000\r\n\r\nleft\r\n--" +
                          boundary +
                          "\r\nContent-Type: application/octet-stream\r\nX-Version: [(node2,3)]\r\n"
                          "Last-Modified: Sun, 06 Nov 1994 08:49:38 GMT\r\n"
                          "X-Timestamp: 784111778000\r\n\r\nright\r\n--" +
                          boundary + "--\r\n");
  EXPECT_EQ(get.headers.at("x-version"), "[(node1,5),(node2,3)]");
  EXPECT_EQ(get.headers.at("x-context"), "both");
  EXPECT_EQ(get.headers.at("x-replicas"), "primaries=2 fallbacks=1");
}

TEST_F(Kv, JsonPutGetDelete) {
  const ParsedReply put =
      Send("PUT /v1/kv/k", "Content-Type: application/json\r\n",
           R"({"value":"aGVsbG8=","context":"c","ttl":60,"content_type":"text/plain"})");
  EXPECT_EQ(put.status, 201);
  EXPECT_EQ(node.kv.last_put.write.value, "hello");
  EXPECT_EQ(node.kv.last_put.write.context, "c");
  EXPECT_EQ(node.kv.last_put.write.ttl_s, 60);
  EXPECT_EQ(node.kv.last_put.write.content_type, "text/plain");
  EXPECT_EQ(node.kv.last_put.bucket, "default");

  const ParsedReply get = Send("GET /v1/kv/k");
  EXPECT_EQ(get.status, 200);
  EXPECT_EQ(get.body,
            R"({"key":"k","value":"aGVsbG8=","version":{"node1":1},"timestamp":784111777000,)"
            R"("content_type":"text/plain","context":"ctx1","conflict":false,"siblings":[],)"
            R"("replicas":{"primaries":2,"fallbacks":0}})");

  EXPECT_EQ(Status("DELETE /v1/kv/k", "", R"({"context":"ctx1"})"), 204);
  EXPECT_EQ(node.kv.last_delete.write.context, "ctx1");
  EXPECT_EQ(Status("DELETE /v1/kv/k"), 204);
  EXPECT_FALSE(node.kv.last_delete.write.context.has_value());
}

TEST_F(Kv, JsonSiblings) {
  StoreSiblings();
  const ParsedReply get = Send("GET /v1/kv/k");
  EXPECT_EQ(get.status, 200);
  EXPECT_EQ(get.body, R"({"key":"k","version":{"node1":5,"node2":3},"timestamp":784111778000,)"
                      R"("context":"both","conflict":true,"siblings":[)"
                      R"({"value":"bGVmdA==","version":{"node1":5},"timestamp":784111777000,)"
                      R"("content_type":"text/plain"},)"
                      R"({"value":"cmlnaHQ=","version":{"node2":3},"timestamp":784111778000,)"
                      R"("content_type":"application/octet-stream"}],)"
                      R"("replicas":{"primaries":2,"fallbacks":1}})");
}

TEST_F(Kv, LargeJsonValuesArriveWhole) {
  const std::string value(1 << 20, '\xfe');
  const std::string body = R"({"value":")" + base::Base64Encode(value) + "\"}";
  EXPECT_EQ(Status("PUT /v1/kv/k", "", body), 201);
  EXPECT_EQ(node.kv.last_put.write.value, value);
  EXPECT_NE(Send("GET /v1/kv/k").body.find(base::Base64Encode(value)), std::string::npos);
  const std::string one_more = R"({"value":")" + base::Base64Encode(value + "x") + "\"}";
  EXPECT_EQ(Status("PUT /v1/kv/k", "", one_more), 413);
}

TEST_F(Kv, RawDelete) {
  Send("PUT /kv/k", "", "x");
  EXPECT_EQ(Status("DELETE /kv/k", "X-Context: ctx1\r\n"), 204);
  EXPECT_EQ(node.kv.last_delete.write.context, "ctx1");
  const ParsedReply json = Send("DELETE /kv/k", "Accept: application/json\r\n");
  EXPECT_EQ(json.status, 200);
  EXPECT_EQ(json.body, R"({"deleted":true})");
}

TEST_F(Kv, NotFoundCarriesTheContextOfTheTombstone) {
  EXPECT_EQ(Send("GET /kv/never").headers.count("x-context"), 0u);
  Send("PUT /kv/k", "", "x");
  Send("DELETE /kv/k");
  for (const char* path : {"GET /kv/k", "GET /v1/kv/k"}) {
    const ParsedReply get = Send(path);
    EXPECT_EQ(get.status, 404);
    EXPECT_EQ(get.headers.at("x-context"), "ctx1");
    EXPECT_NE(get.body.find(R"("error":{"code":"not_found")"), std::string::npos);
    EXPECT_NE(get.body.find(R"("context":"ctx1")"), std::string::npos);
  }
}

TEST_F(Kv, HeadIsGetWithoutTheBody) {
  Send("PUT /kv/k", "", "hello");
  const ParsedReply head = Send("HEAD /kv/k");
  EXPECT_EQ(head.status, 200);
  EXPECT_EQ(head.headers.at("content-length"), "5");
  EXPECT_EQ(head.body, "");
  EXPECT_EQ(Status("HEAD /v1/kv/none"), 404);
  EXPECT_EQ(Status("HEAD /livez"), 200);
}

TEST_F(Kv, KeysAreAnyBytes) {
  Send("PUT /kv/a%00%2F%ff+b%20c", "", "x");
  EXPECT_EQ(node.kv.last_put.key, std::string("a\0/\xff+b c", 8));
  EXPECT_EQ(Send("PUT /kv/%ff%22", "", "x").body.substr(0, 47),
            R"({"key":"%FF%22","key_encoding":"percent","versi)");
  EXPECT_EQ(Send("PUT /kv/%22%0a%c3%a9", "", "x").body.substr(0, 19),
            "{\"key\":\"\\\"\\u000A\xc3\xa9\"");
  EXPECT_EQ(Status("PUT /kv/" + std::string(256, 'a'), "", "x"), 201);
  EXPECT_EQ(Status("PUT /kv/" + std::string(257, 'a'), "", "x"), 400);
  EXPECT_EQ(Status("PUT /kv/", "", "x"), 400);
  EXPECT_EQ(Status("GET /v1/kv/"), 400);
  EXPECT_EQ(Status("GET /kv/%"), 400);
  EXPECT_EQ(Status("GET /kv/%g1"), 400);
  EXPECT_EQ(Status("GET /kv/a/b"), 404);
  std::string encoded = "PUT /kv/";
  for (int i = 0; i < 256; ++i) encoded += "%00";
  EXPECT_EQ(Status(encoded, "", "x"), 201);
  EXPECT_EQ(node.kv.last_put.key, std::string(256, '\0'));
}

TEST_F(Kv, BucketsOfBothDialects) {
  Send("PUT /buckets/b.1/kv/k", "", "x");
  EXPECT_EQ(node.kv.last_put.bucket, "b.1");
  Send("GET /v1/buckets/%62/kv/k");
  EXPECT_EQ(node.kv.last_get.bucket, "b");
  EXPECT_EQ(Status("GET /buckets//kv/k"), 400);
}

TEST_F(Kv, EveryRequestSaysWhoAsks) {
  for (const char* path : {"/kv/k", "/v1/kv/k"}) {
    const bool json = path[1] == 'v';
    Send(std::string("GET ") + path);
    Send(std::string("PUT ") + path, "", json ? R"({"value":"aGVsbG8="})" : "x");
    Send(std::string("DELETE ") + path);
    for (const coordinator::Caller* caller :
         {&node.kv.last_get.caller, &node.kv.last_put.caller, &node.kv.last_delete.caller}) {
      EXPECT_EQ(caller->from(), "127.0.0.1:1") << path;
      EXPECT_EQ(caller->protocol(), "http");
      EXPECT_EQ(caller->who(), "") << "there are no users yet";
    }
    node.kv.last_get = {};
    node.kv.last_put = {};
    node.kv.last_delete = {};
  }
  Send("PUT /v1/buckets/b", "", R"({"n":3})");
  EXPECT_EQ(node.kv.last_caller.from(), "127.0.0.1:1");
}

TEST_F(Kv, AbsoluteTargetsAreTaken) {
  Send("GET http://some.host:7480/kv/k?r=1");
  EXPECT_EQ(node.kv.last_get.key, "k");
  EXPECT_EQ(node.kv.last_get.consistency.r, 1);
}

TEST_F(Kv, ConsistencyHeaders) {
  const std::vector<std::pair<std::string, Level>> levels = {
      {"one", Level::kOne},
      {"TWO", Level::kTwo},
      {"Three", Level::kThree},
      {"quorum", Level::kQuorum},
      {"local_one", Level::kLocalOne},
      {"LOCAL_QUORUM", Level::kLocalQuorum},
      {"each_quorum", Level::kEachQuorum},
      {"all", Level::kAll},
      {"serial", Level::kSerial},
  };
  for (const auto& [text, level] : levels) {
    for (const std::string name : {"Consistency", "x-consistency-level", "X-CONSISTENCY"}) {
      Send("GET /kv/k", name + ": " + text + "\r\n");
      EXPECT_EQ(node.kv.last_get.consistency.level, level) << text;
    }
  }
  Send("PUT /kv/k", "Consistency: ANY\r\n", "x");
  EXPECT_EQ(node.kv.last_put.consistency.level, Level::kAny);
  Send("GET /kv/k");
  EXPECT_EQ(node.kv.last_get.consistency.level, Level::kBucketDefault);
  EXPECT_EQ(Status("GET /kv/k", "Consistency: ANY\r\n"), 400);
  EXPECT_EQ(Status("GET /kv/k", "Consistency: MOST\r\n"), 400);
  EXPECT_EQ(Status("GET /kv/k", "Consistency:\r\n"), 400);
  EXPECT_EQ(Status("GET /kv/k", "Consistency: ONE\r\nX-Consistency: TWO\r\n"), 400);
  EXPECT_EQ(Status("GET /kv/k", "Consistency: ONE\r\nX-Consistency: one\r\n"), 200);
}

TEST_F(Kv, QueryParameters) {
  Send("PUT /kv/k?r=1&w=2&pr=3&pw=4&timeout_ms=500&sloppy=true", "", "x");
  const coordinator::Consistency& c = node.kv.last_put.consistency;
  EXPECT_EQ(c.r, 1);
  EXPECT_EQ(c.w, 2);
  EXPECT_EQ(c.pr, 3);
  EXPECT_EQ(c.pw, 4);
  EXPECT_EQ(c.timeout_ms, 500);
  EXPECT_EQ(c.sloppy, true);
  for (const char* query :
       {"r=", "r=x", "r=-1", "r=+1", "r=1.5", "r=1&r=1", "r=1%", "quorum=2", "timeout_ms=0",
        "timeout_ms=99999999999999999999", "timeout_ms=600001", "sloppy=1", "=1", "r"}) {
    EXPECT_EQ(Status(std::string("GET /kv/k?") + query), 400) << query;
  }
  EXPECT_EQ(Status("GET /kv/k?"), 200);
}

TEST_F(Kv, ConditionalWrites) {
  Send("PUT /kv/k", "If-Match: \"ctx9\"\r\n", "x");
  EXPECT_EQ(node.kv.last_put.write.if_match, "ctx9");
  Send("PUT /kv/k", "If-Match: *\r\n", "x");
  EXPECT_EQ(node.kv.last_put.write.if_match, "*");
  Send("PUT /kv/k", "If-None-Match: *\r\n", "x");
  EXPECT_TRUE(node.kv.last_put.write.if_none_match_any);
  EXPECT_FALSE(node.kv.last_put.write.if_match.has_value());
  Send("DELETE /v1/kv/k", "If-Match: \"c\"\r\n");
  EXPECT_EQ(node.kv.last_delete.write.if_match, "c");
  for (const char* bad :
       {"If-Match: ctx\r\n", "If-Match: \"\"\r\n", "If-Match: \"\r\n", "If-Match: W/\"c\"\r\n",
        "If-Match: \"a\", \"b\"\r\n", "If-Match:\r\n", "If-None-Match: \"c\"\r\n",
        "If-None-Match: **\r\n", "If-Match: *\r\nIf-None-Match: *\r\n"}) {
    EXPECT_EQ(Status("PUT /kv/k", bad, "x"), 400) << bad;
  }
  EXPECT_EQ(Status("DELETE /kv/k", "If-None-Match: *\r\n"), 400);
  node.kv.error = base::Error{Code::kPreconditionFailed, "lost"};
  EXPECT_EQ(Status("PUT /kv/k", "If-None-Match: *\r\n", "x"), 409);
}

TEST_F(Kv, OtherWriteHeaders) {
  Send("PUT /kv/k",
       std::string("X-TTL: 60\r\nX-Client-Timestamp: 1700000000000\r\nIdempotency-Key: ") + kUuid +
           "\r\nX-Context: c\r\n",
       "x");
  EXPECT_EQ(node.kv.last_put.write.ttl_s, 60);
  EXPECT_EQ(node.kv.last_put.write.client_timestamp_ms, 1700000000000);
  EXPECT_EQ(node.kv.last_put.idempotency_key, kUuid);
  EXPECT_EQ(node.kv.last_put.write.context, "c");
  Send("PUT /kv/k", "X-Context:\r\nX-TTL: 0\r\n", "x");
  EXPECT_FALSE(node.kv.last_put.write.context.has_value());
  EXPECT_EQ(node.kv.last_put.write.ttl_s, 0);
  for (const char* bad :
       {"X-TTL: -1\r\n", "X-TTL: 1s\r\n", "X-TTL: 9223372036854775808\r\n", "X-TTL:\r\n",
        "X-Client-Timestamp: soon\r\n", "Idempotency-Key: 1\r\n", "Idempotency-Key:\r\n"}) {
    EXPECT_EQ(Status("PUT /kv/k", bad, "x"), 400) << bad;
  }
  EXPECT_EQ(Status("PUT /kv/k", "Content-Type: " + std::string(257, 'a') + "\r\n", "x"), 400);
  node.kv.replayed = true;
  EXPECT_EQ(Send("PUT /kv/k", "", "x").headers.at("x-replayed"), "true");
}

TEST_F(Kv, JsonBodiesAreStrict) {
  for (const char* bad : {"",
                          "{",
                          "[]",
                          "1",
                          "null",
                          "\"x\"",
                          "{}",
                          R"({"value":1})",
                          R"({"value":null})",
                          R"({"value":"YQ"})",
                          R"({"value":"YQ=="} x)",
                          R"({"value":"YQ==","value":"YQ=="})",
                          R"({"value":"YQ==","Ttl":1})",
                          R"({"value":"YQ==","ttl":-1})",
                          R"({"value":"YQ==","ttl":1.5})",
                          R"({"value":"YQ==","ttl":9223372036854775808})",
                          R"({"value":"YQ==","ttl":"1"})",
                          R"({"value":"YQ==","context":1})",
                          R"({"value":"YQ==","context":{"a":1}})",
                          R"({"value":["YQ=="]})",
                          R"({"value":"YQ==","content_type":"a\r\nX: y"})",
                          "{\"value\":\"YQ==\xff\"}",
                          R"({"value":"YQ==",})",
                          R"({'value':'YQ=='})",
                          R"({"value":"YQ=="}{"value":"YQ=="})"}) {
    EXPECT_EQ(Status("PUT /v1/kv/k", "", bad), 400) << bad;
  }
  EXPECT_EQ(Status("PUT /v1/kv/k", "", std::string(60000, '[')), 400);
  EXPECT_EQ(node.kv.calls, 0);
  EXPECT_EQ(Status("PUT /v1/kv/k", "", R"( {"value":"","context":null,"ttl":null} )"), 201);
  EXPECT_EQ(Status("PUT /v1/kv/k", "X-TTL: 1\r\n", R"({"value":"","ttl":2})"), 400);
  EXPECT_EQ(Status("PUT /v1/kv/k", "X-Context: a\r\n", R"({"value":"","context":"b"})"), 400);
  EXPECT_EQ(Status("PUT /v1/kv/k", "X-Context: a\r\n", R"({"value":"","context":"a"})"), 201);
  EXPECT_EQ(Status("DELETE /v1/kv/k", "", R"({"contxt":"a"})"), 400);
}

TEST_F(Kv, ErrorsHaveTheirStatusInBothDialects) {
  const std::vector<std::tuple<Code, int, std::string, Outcome>> rows = {
      {Code::kInvalidArgument, 400, "invalid_argument", Outcome::kRefused},
      {Code::kNotFound, 404, "not_found", Outcome::kNotFound},
      {Code::kPreconditionFailed, 409, "precondition_failed", Outcome::kRefused},
      {Code::kTooLarge, 413, "too_large", Outcome::kRefused},
      {Code::kTooManySiblings, 409, "too_many_siblings", Outcome::kRefused},
      {Code::kObjectTooLarge, 413, "object_too_large", Outcome::kRefused},
      {Code::kInsufficientReplicas, 503, "insufficient_replicas", Outcome::kNotDone},
      {Code::kUnavailable, 503, "unavailable", Outcome::kNotDone},
      {Code::kOverloaded, 503, "overloaded", Outcome::kNotDone},
      {Code::kTimeout, 504, "timeout", Outcome::kTimeout},
      {Code::kUnknown, 504, "outcome_unknown", Outcome::kUnknown},
      {Code::kCorruption, 500, "corruption", Outcome::kError},
      {Code::kIo, 500, "io_error", Outcome::kError},
      {Code::kStalled, 503, "stalled", Outcome::kNotDone},
      {Code::kDiskFull, 503, "disk_full", Outcome::kNotDone},
      {Code::kUnsupported, 400, "unsupported", Outcome::kRefused},
      {Code::kStaleEpoch, 503, "stale_epoch", Outcome::kNotDone},
      {Code::kConflict, 409, "conflict", Outcome::kRefused},
      {Code::kInternal, 500, "internal", Outcome::kError},
  };
  for (const auto& [code, status, text, outcome] : rows) {
    node.kv.error = base::Error{code, "why"};
    const uint64_t before = node.metrics.requests.At(Op::kPut, outcome).value();
    const ParsedReply put = Send("PUT /kv/k", "", "x");
    EXPECT_EQ(put.status, status) << text;
    EXPECT_TRUE(put.body.starts_with(R"({"error":{"code":")" + text + R"(","message":"why)"))
        << put.body;
    EXPECT_EQ(node.metrics.requests.At(Op::kPut, outcome).value(), before + 1) << text;
    const bool retry =
        code == Code::kOverloaded || code == Code::kStalled || code == Code::kStaleEpoch;
    EXPECT_EQ(put.headers.count("retry-after"), retry ? 1u : 0u) << text;
    EXPECT_EQ(Status("GET /kv/k"), status);
    EXPECT_EQ(Status("DELETE /kv/k"), status);
    EXPECT_EQ(Status("GET /v1/kv/k"), status);
    EXPECT_EQ(Status("PUT /v1/kv/k", "", R"({"value":""})"), status);
    EXPECT_EQ(Status("DELETE /v1/kv/k"), status);
  }
}

TEST_F(Kv, ErrorDetails) {
  node.kv.error = base::Error{Code::kInsufficientReplicas, "too few", 2, 1};
  EXPECT_EQ(
      Send("GET /kv/k").body,
      R"({"error":{"code":"insufficient_replicas","message":"too few","needed":2,"alive":1}})");
  node.kv.error = base::Error{Code::kUnknown, "1 of 2 replicas answered"};
  EXPECT_NE(Send("PUT /kv/k", "", "x").body.find("may or may not have been applied"),
            std::string::npos);
}

TEST_F(Kv, UnknownPathsAndMethods) {
  for (const char* path : {"//", "/kvx", "/v1", "/v1/kvs/a", "/v2/kv/a", "/kv/a/", "/KV/a", "*"}) {
    const ParsedReply reply = Send(std::string("GET ") + path);
    EXPECT_EQ(reply.status, 404) << path;
    EXPECT_TRUE(reply.body.starts_with(R"({"error":{"code":"not_found")"));
  }
  const ParsedReply post = Send("POST /kv/a");
  EXPECT_EQ(post.status, 405);
  EXPECT_EQ(post.headers.at("allow"), "GET, HEAD, PUT, DELETE");
  EXPECT_EQ(Send("PUT /livez", "", "x").headers.at("allow"), "GET, HEAD");
  EXPECT_EQ(Status("PATCH /kv/a"), 405);
  EXPECT_EQ(Status("FROB /v1/buckets/b"), 405);
}

TEST_F(Kv, LaterPartsOfTheInterfaceSaySo) {
  EXPECT_EQ(Status("POST /v1/kv/batch", "", "{}"), 400);
  // The keys of these names are there all the same.
  EXPECT_EQ(Status("GET /v1/kv/%72ange"), 404);
  EXPECT_EQ(node.kv.last_get.key, "range");
  EXPECT_EQ(Status("GET /v1/buckets/b/kv/%62atch"), 404);
  EXPECT_EQ(node.kv.last_get.key, "batch");
  // Who did not know is told.
  for (const char* start : {"GET /v1/kv/batch", "PUT /v1/buckets/b/kv/batch"}) {
    const ParsedReply reply = Send(start);
    EXPECT_EQ(reply.status, 405) << start;
    EXPECT_NE(reply.body.find("a key of that name is written %62atch"), std::string::npos);
  }
  EXPECT_NE(Send("PUT /v1/kv/range", "", "{}").body.find("%72ange"), std::string::npos);
}

TEST_F(Kv, ListsAreAskedForAsTheyAreWritten) {
  EXPECT_EQ(Status("GET /v1/buckets/b/keys?limit=7&cursor=C&values=true&r=2"), 200);
  EXPECT_EQ(node.kv.last_list.bucket, "b");
  EXPECT_EQ(node.kv.last_list.limit, 7);
  EXPECT_EQ(node.kv.last_list.cursor, "C");
  EXPECT_TRUE(node.kv.last_list.values);
  EXPECT_EQ(node.kv.last_list.consistency.r, 2);
  EXPECT_FALSE(node.kv.last_list.bounds);
  EXPECT_EQ(Status("GET /kv?prefix=%7Bt%7D"), 200);
  EXPECT_EQ(node.kv.last_list.bucket, "default");
  EXPECT_EQ(node.kv.last_list.bounds->prefix, "{t}");
  EXPECT_EQ(Status("GET /v1/buckets/b/kv/range?start=a&end=b&reverse=false"), 200);
  EXPECT_EQ(node.kv.last_list.bounds->start, "a");
  EXPECT_EQ(node.kv.last_list.bounds->end, "b");
  for (const char* wrong : {"GET /v1/buckets/b/keys?limit=0", "GET /v1/buckets/b/keys?limit=1001",
                            "GET /v1/buckets/b/keys?prefix=a", "GET /v1/buckets/b/keys?cursor=",
                            "GET /kv?start=a", "GET /v1/kv/range?reverse=true",
                            "GET /v1/kv/range?values=1", "GET /v1/buckets/b/stats?limit=1"}) {
    EXPECT_EQ(Status(wrong), 400) << wrong;
  }
}

TEST_F(Kv, PagesAreJson) {
  node.kv.list_page.keys = {{"a", {}}, {"\xff", {}}};
  node.kv.list_page.cursor = "C";
  EXPECT_EQ(Send("GET /v1/buckets/b/keys").body,
            R"({"keys":["a",{"base64":"/w=="}],"next_cursor":"C","has_more":true})");
  node.kv.list_page = {};
  EXPECT_EQ(Send("GET /v1/buckets/b/keys?values=true").body,
            R"({"pairs":[],"next_cursor":null,"has_more":false})");
  coordinator::GetReply one;
  one.values = {{"v", "t/x", {5}, 9, {{"node1", 1}}}};
  one.context = "X";
  node.kv.list_page.keys = {{"k", one}};
  EXPECT_EQ(Send("GET /v1/buckets/b/keys?values=true").body,
            R"({"pairs":[{"key":"k","value":"dg==","version":{"node1":1},"timestamp":5,)"
            R"("content_type":"t/x","expires":9,"conflict":false,"context":"X"}],)"
            R"("next_cursor":null,"has_more":false})");
}

TEST_F(Kv, StatisticsAreJson) {
  node.kv.estimate = {1000, false, 80, 5000, 2, {{"big", 70}}};
  EXPECT_EQ(Send("GET /v1/buckets/b/stats").body,
            R"({"bucket":"b","keys":1000,"exact":false,"sampled":80,"value_bytes":5000,)"
            R"("conflicts":2,"largest":[{"key":"big","bytes":70}]})");
  EXPECT_TRUE(node.kv.last_estimate.values);
}

TEST_F(Kv, StoredTextsCannotBreakAHead) {
  Send("PUT /kv/k", "", "x");
  node.kv.replies["default/k"].values[0].content_type = "a\r\nX-Evil: 1";
  EXPECT_EQ(Send("GET /kv/k").headers.at("content-type"), "a??X-Evil: 1");
}

TEST_F(Kv, RequestsAreCountedAndTimed) {
  node.kv.defer = true;
  FakeClient client(node.Frontend());
  client.Send(MakeRequest("GET /kv/a"));
  node.world.Advance(base::Millis(20));
  node.kv.Complete(0);
  EXPECT_EQ(node.metrics.requests.At(Op::kGet, Outcome::kNotFound).value(), 1u);
  EXPECT_EQ(node.metrics.request_seconds[Op::kGet].Count(), 1u);
  EXPECT_GE(node.metrics.request_seconds[Op::kGet].Max(), base::Millis(20));
}

}  // namespace
}  // namespace lariat::frontend::http
