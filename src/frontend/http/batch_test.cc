// SPDX-License-Identifier: Apache-2.0
// Many operations in one request.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>

#include "frontend/http/batch/items.h"
#include "frontend/http/test_client.h"

namespace lariat::frontend::http {
namespace {

namespace json = boost::json;
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

std::string Body(const std::vector<std::string>& items) {
  std::string text = R"({"operations":[)";
  for (size_t i = 0; i < items.size(); ++i) text += (i == 0 ? "" : ",") + items[i];
  return text + "]}";
}

class BatchRequests : public ::testing::Test {
 protected:
  ParsedReply Post(const std::string& body, std::string_view headers = "",
                   std::string_view path = "/v1/kv/batch") {
    return Ask(node, "POST " + std::string(path), headers, body);
  }
  // Of a batch that is taken.
  json::array Results(const std::vector<std::string>& items, std::string_view headers = "",
                      std::string_view path = "/v1/kv/batch") {
    const ParsedReply reply = Post(Body(items), headers, path);
    EXPECT_EQ(reply.status, 200) << reply.body;
    json::error_code ec;
    const auto value = json::parse(reply.body, ec);
    EXPECT_FALSE(ec) << reply.body;
    return ec ? json::array() : value.at("results").as_array();
  }
  json::value Only(const std::string& item, std::string_view headers = "") {
    const json::array results = Results({item}, headers);
    EXPECT_EQ(results.size(), 1U);
    return results.empty() ? json::value() : results[0];
  }
  static int StatusOf(const json::value& result) {
    return static_cast<int>(result.at("status").as_int64());
  }
  static std::string CodeOf(const json::value& result) {
    return std::string(result.at("error").at("code").as_string());
  }
  uint64_t Counted(Op op, Outcome outcome) { return node.metrics.requests.At(op, outcome).value(); }

  FakeNode node;
};

TEST_F(BatchRequests, EachHasTheReplyOfItsSingleRequest) {
  const json::array results = Results({
      R"({"op":"put","key":"a","value":"aGVsbG8=","ttl":60,"content_type":"text/plain"})",
      R"({"op":"get","key":"a"})",
      R"({"op":"get","key":"none"})",
      R"({"op":"delete","bucket":"b","key":"a","context":"c"})",
      R"({"op":"get","key":{"base64":"/w=="}})",
  });
  ASSERT_EQ(results.size(), 5U);
  EXPECT_EQ(json::serialize(results[0]),
            R"({"status":201,"key":"a","version":{"node1":1},"context":"ctx1",)"
            R"("timestamp":784111777000,"replicas":{"primaries":2,"fallbacks":0}})");
  EXPECT_EQ(json::serialize(results[1]),
            R"({"status":200,"key":"a","value":"aGVsbG8=","version":{"node1":1},)"
            R"("timestamp":784111777000,"content_type":"text/plain","context":"ctx1",)"
            R"("conflict":false,"siblings":[],"replicas":{"primaries":2,"fallbacks":0}})");
  EXPECT_EQ(StatusOf(results[2]), 404);
  EXPECT_EQ(CodeOf(results[2]), "not_found");
  EXPECT_EQ(StatusOf(results[3]), 204);
  EXPECT_EQ(StatusOf(results[4]), 404);
  EXPECT_EQ(node.kv.last_get.key, "\xff");
  EXPECT_EQ(node.kv.last_put.write.ttl_s, 60);
  EXPECT_EQ(node.kv.last_delete.bucket, "b");
  EXPECT_EQ(node.kv.last_delete.write.context, "c");
  EXPECT_EQ(Counted(Op::kGet, Outcome::kOk), 1U);
  EXPECT_EQ(Counted(Op::kGet, Outcome::kNotFound), 2U);
  EXPECT_EQ(Counted(Op::kPut, Outcome::kOk), 1U);
  EXPECT_EQ(Counted(Op::kDelete, Outcome::kOk), 1U);
  EXPECT_EQ(node.metrics.batches.value(), 1U);
  EXPECT_EQ(node.metrics.batch_items.value(), 5U);
}

// Planted bug of this test's kind: a batch that ends with its first error.
TEST_F(BatchRequests, AnItemsErrorIsItsOwn) {
  const json::array results = Results({
      R"({"op":"put","key":"a","value":"!!"})",
      R"({"op":"put","key":"b","value":"eA=="})",
      R"({"op":"jump","key":"b"})",
      R"({"key":"b"})",
      R"({"op":"get","key":""})",
      R"({"op":"get","key":"b","value":"eA=="})",
      R"({"op":"update","key":"b","add":[1,{"x":[]}]})",
      R"({"op":"put","key":"b"})",
      R"({"op":"delete","key":"b","if_none_match":"*"})",
      R"({"op":"get","key":"b","consistency":"SOME"})",
      R"({"op":"get","key":"b","timeout_ms":0})",
      R"({"op":"put","key":"b","value":"eA==","idempotency_key":"x"})",
      R"({"op":"put","key":"b","value":"eA==","if_match":"c","if_none_match":"*"})",
      R"({"op":"put","key":"b","value":{"x":1}})",
      R"({"op":"get","key":{"base64":"!"}})",
      R"({"op":"get","key":"b"})",
  });
  ASSERT_EQ(results.size(), 16U);
  for (size_t i = 0; i < results.size(); ++i) {
    const int wanted = i == 1 ? 201 : i == 15 ? 200 : 400;
    EXPECT_EQ(StatusOf(results[i]), wanted) << i << json::serialize(results[i]);
  }
  EXPECT_EQ(CodeOf(results[6]), "invalid_argument");
  EXPECT_EQ(node.kv.calls, 2);
}

TEST_F(BatchRequests, UnknownIsAnOutcomeOfAnItem) {
  node.kv.error = base::Error{Code::kUnknown, "no answer"};
  const json::value put = Only(R"({"op":"put","key":"a","value":"eA=="})");
  EXPECT_EQ(StatusOf(put), 504);
  EXPECT_EQ(CodeOf(put), "outcome_unknown");
  EXPECT_EQ(Counted(Op::kPut, Outcome::kUnknown), 1U);
  node.kv.error = base::Error{Code::kInsufficientReplicas, "too few", 2, 1};
  const json::value get = Only(R"({"op":"get","key":"a"})");
  EXPECT_EQ(StatusOf(get), 503);
  EXPECT_EQ(get.at("error").at("needed").as_int64(), 2);
}

TEST_F(BatchRequests, ItemsTakeWhatHeadAndQuerySayOfSingleRequests) {
  EXPECT_EQ(StatusOf(Only(
                R"({"op":"put","key":"a","value":"","if_match":"ctx9","w":1,"pw":1,"sloppy":true,)"
                R"("consistency":"all","timeout_ms":70,"client_timestamp":5,)"
                R"("idempotency_key":"0F8FAD5B-D9CB-469F-A165-70867728950E"})")),
            201);
  const auto& put = node.kv.last_put;
  EXPECT_EQ(put.write.if_match, "ctx9");
  EXPECT_EQ(put.write.client_timestamp_ms, 5);
  EXPECT_EQ(put.consistency.level, Level::kAll);
  EXPECT_EQ(put.consistency.w, 1);
  EXPECT_EQ(put.consistency.pw, 1);
  EXPECT_EQ(put.consistency.sloppy, true);
  EXPECT_EQ(put.consistency.timeout_ms, 70);
  EXPECT_EQ(put.idempotency_key, kUuid);
  Only(R"({"op":"put","key":"a","value":"","if_match":"\"ctx9\""})");
  EXPECT_EQ(node.kv.last_put.write.if_match, "ctx9");
  Only(R"({"op":"put","key":"a","value":"","if_match":"*"})");
  EXPECT_EQ(node.kv.last_put.write.if_match, "*");
  Only(R"({"op":"put","key":"a","value":"","if_none_match":"*"})");
  EXPECT_TRUE(node.kv.last_put.write.if_none_match_any);
  Only(R"({"op":"get","key":"a","context":"c","r":3})");
  EXPECT_EQ(node.kv.last_get.context, "c");
  EXPECT_EQ(node.kv.last_get.consistency.r, 3);
}

TEST_F(BatchRequests, WhatTheBatchSaysIsForItemsThatSayNothing) {
  const std::string head = "Consistency: ONE\r\nIdempotency-Key: " + std::string(kUuid) + "\r\n";
  Results({R"({"op":"get","key":"a"})", R"({"op":"put","key":"a","value":""})"}, head,
          "/v1/buckets/b/kv/batch?timeout_ms=90");
  EXPECT_EQ(node.kv.last_get.bucket, "b");
  EXPECT_EQ(node.kv.last_get.consistency.level, Level::kOne);
  EXPECT_EQ(node.kv.last_get.consistency.timeout_ms, 90);
  EXPECT_EQ(node.kv.last_put.idempotency_key, std::string(kUuid) + "/1") << "key and index";
  Results({R"({"op":"get","bucket":"c","key":"a","consistency":"ALL","timeout_ms":7})"}, head,
          "/v1/buckets/b/kv/batch?timeout_ms=90");
  EXPECT_EQ(node.kv.last_get.bucket, "c");
  EXPECT_EQ(node.kv.last_get.consistency.level, Level::kAll);
  EXPECT_EQ(node.kv.last_get.consistency.timeout_ms, 7);
  for (const char* bad : {"X-TTL: 5\r\n", "X-Context: c\r\n", "If-Match: *\r\n"}) {
    EXPECT_EQ(Post(Body({R"({"op":"get","key":"a"})"}), bad).status, 400) << bad;
  }
  EXPECT_EQ(Post(Body({R"({"op":"get","key":"a"})"}), "", "/v1/kv/batch?x=1").status, 400);
}

TEST_F(BatchRequests, TheFormOfTheWholeIsRefusedAsAWhole) {
  const std::string item = R"({"op":"get","key":"a"})";
  for (const std::string& body :
       {std::string("{}"), std::string("[]"), std::string("7"), std::string("nonsense"),
        std::string(R"({"operations":{}})"), std::string(R"({"operations":[]})"),
        std::string(R"({"operations":[1]})"), std::string(R"({"operations":[[]]})"),
        std::string(R"({"operations":null})"), "{\"operations\":[" + item + ",]}",
        "{\"operations\":[" + item + "]} x", "{\"operations\":[" + item + "],\"more\":1}",
        "{\"other\":[" + item + "]}", "{\"operations\":[" + item + item + "]}",
        std::string(R"({"operations":[{"op":"get","key":}]})")}) {
    const ParsedReply reply = Post(body);
    EXPECT_EQ(reply.status, 400) << body;
    EXPECT_TRUE(reply.body.starts_with(R"({"error":{"code":"invalid_argument")")) << reply.body;
  }
  EXPECT_EQ(node.kv.calls, 0) << "nothing of them was done";
  EXPECT_EQ(Post(" { \"operations\" :\n[ " + item + " , " + item + "\t] } \r\n").status, 200);
  EXPECT_EQ(Ask(node, "POST /v1/kv/batch").status, 411);
  EXPECT_EQ(Post(Body({item}), "Content-Type: text/csv\r\n").status, 415);
}

TEST_F(BatchRequests, HasLimits) {
  const std::string item = R"({"op":"get","key":"a"})";
  EXPECT_EQ(Results(std::vector<std::string>(kBatchItemsMax, item)).size(), kBatchItemsMax);
  const ParsedReply many = Post(Body(std::vector<std::string>(kBatchItemsMax + 1, item)));
  EXPECT_EQ(many.status, 413);
  EXPECT_NE(many.body.find("at most 128 operations"), std::string::npos);
  const std::string value((1 << 20) - 64, 'A');
  const std::string put = R"({"op":"put","key":"a","value":")" + value + "\"}";
  EXPECT_EQ(Results({put, put, put, put}).size(), 4U);
  EXPECT_EQ(Post(Body({put, put, put, put, put})).status, 413);
}

// A reply is bounded: what does not fit is to be read by itself.
TEST_F(BatchRequests, LargeValuesDoNotMakeABoundlessReply) {
  node.kv.replies["default/a"].values = {{std::string(1 << 20, 'x'), "", {1}}};
  const json::array results = Results(std::vector<std::string>(20, R"({"op":"get","key":"a"})"));
  ASSERT_EQ(results.size(), 20U);
  EXPECT_EQ(StatusOf(results[0]), 200);
  EXPECT_EQ(StatusOf(results[19]), 413);
  EXPECT_EQ(CodeOf(results[19]), "too_large");
}

TEST_F(BatchRequests, AnswersWhenTheLastItemHasEndedAndInOrder) {
  node.kv.defer = true;
  FakeClient client(node.Frontend());
  client.Send(MakeRequest("POST /v1/kv/batch", "",
                          Body({R"({"op":"put","key":"a","value":"eA=="})",
                                R"({"op":"get","key":"b"})", R"({"op":"jump"})"})));
  ASSERT_EQ(node.kv.deferred.size(), 2U) << "all begin at once";
  node.kv.deferred[1]();
  EXPECT_EQ(client.stream.out, "");
  node.kv.deferred[0]();
  const auto replies = ParseReplies(client.stream.out);
  ASSERT_TRUE(replies && replies->size() == 1);
  const json::array results = json::parse(replies->front().body).at("results").as_array();
  EXPECT_EQ(StatusOf(results[0]), 201);
  EXPECT_EQ(StatusOf(results[1]), 404);
  EXPECT_EQ(StatusOf(results[2]), 400);
}

TEST_F(BatchRequests, ItsConnectionMayGoBeforeTheEnd) {
  node.kv.defer = true;
  {
    FakeClient client(node.Frontend());
    client.Send(MakeRequest("POST /v1/kv/batch", "", Body({R"({"op":"get","key":"b"})"})));
    ASSERT_EQ(node.kv.deferred.size(), 1U);
  }
  node.kv.deferred[0]();
  EXPECT_EQ(Counted(Op::kGet, Outcome::kNotFound), 1U);
}

TEST_F(BatchRequests, AnyBytesAreRefusedOrTaken) {
  const std::string whole = Body({R"({"op":"put","key":"a\"}]","value":"eA==","ttl":5})",
                                  R"({"op":"get","key":{"base64":"/w=="}})"});
  for (size_t i = 0; i < whole.size(); ++i) {
    for (const char c : {'"', '\\', '{', '}', '[', ']', ',', ' ', 'x', '\xff'}) {
      std::string body = whole;
      body[i] = c;
      const ParsedReply reply = Post(body);
      EXPECT_TRUE(reply.status == 200 || reply.status == 400) << body << reply.status;
      EXPECT_EQ(Post(whole.substr(0, i)).status, i == 0 ? 411 : 400);
    }
  }
}

}  // namespace
}  // namespace lariat::frontend::http
