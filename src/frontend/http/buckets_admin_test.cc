// SPDX-License-Identifier: Apache-2.0
// Buckets, health and debugging.
#include <gtest/gtest.h>

#include <boost/json.hpp>

#include "frontend/http/test_client.h"

namespace lariat::frontend::http {
namespace {

using testing::Ask;
using testing::FakeNode;
using testing::ParsedReply;

boost::json::object Json(const ParsedReply& reply) {
  boost::json::error_code ec;
  const boost::json::value value = boost::json::parse(reply.body, ec);
  EXPECT_FALSE(ec) << reply.body;
  return value.is_object() ? value.as_object() : boost::json::object();
}

class Buckets : public ::testing::Test {
 protected:
  ParsedReply Put(const std::string& body, const std::string& name = "b") {
    return Ask(node, "PUT /v1/buckets/" + name, "", body);
  }
  std::string ErrorCode(const ParsedReply& reply) {
    return std::string(Json(reply)["error"].as_object()["code"].as_string());
  }

  FakeNode node;
};

TEST_F(Buckets, AreShownWhole) {
  const ParsedReply reply = Ask(node, "GET /v1/buckets/default");
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.body,
            R"({"name":"default","n":3,"r":2,"w":2,"pr":0,"pw":0,"sloppy":false,)"
            R"("conflict":"siblings","ttl":0,"compaction":"leveled","compression":"lz4",)"
            R"("ordered":false,"gc_grace":3600,"durability":"sync","allow_eventual":false,)"
            R"("read_repair":10})");
  EXPECT_EQ(Ask(node, "GET /v1/buckets").body, R"({"buckets":[)" + reply.body + "]}");
  EXPECT_EQ(Ask(node, "GET /v1/buckets/none").status, 404);
  // What was shown can be sent back.
  EXPECT_EQ(Put(reply.body, "default").status, 200);
}

TEST_F(Buckets, NewOnesGetMajorities) {
  node.settings.storage_durability = "periodic";
  const ParsedReply reply = Put(R"({"n":5})");
  EXPECT_EQ(reply.status, 201);
  EXPECT_EQ(node.kv.buckets["b"].r, 3u);
  EXPECT_EQ(node.kv.buckets["b"].w, 3u);
  EXPECT_EQ(node.kv.buckets["b"].durability, membership::Durability::kPeriodic);
  EXPECT_EQ(Put("{}", "c").status, 201);
  EXPECT_EQ(Put(R"({"n":1})", "d").status, 201);
}

TEST_F(Buckets, AChangeKeepsWhatItDoesNotName) {
  EXPECT_EQ(Put(R"({"conflict":"lww","ttl":60,"gc_grace":7,"durability":"none"})").status, 201);
  EXPECT_EQ(Put(R"({"r":"all","w":"one"})").status, 200);
  const membership::BucketProperties& bucket = node.kv.buckets["b"];
  EXPECT_EQ(bucket.conflict, causal::Kind::kLww);
  EXPECT_EQ(bucket.ttl_s, 60u);
  EXPECT_EQ(bucket.gc_grace_s, 7u);
  EXPECT_EQ(bucket.durability, membership::Durability::kNone);
  EXPECT_EQ(bucket.r, 3u);
  EXPECT_EQ(bucket.w, 1u);
  EXPECT_EQ(Put(R"({"sloppy":true,"read_repair":100})").status, 200);
  EXPECT_TRUE(bucket.sloppy);
  EXPECT_EQ(bucket.read_repair, 100u);
  EXPECT_EQ(Put(R"({"sloppy":false})").status, 200);
  EXPECT_FALSE(bucket.sloppy);
  EXPECT_EQ(bucket.read_repair, 100u);
  EXPECT_EQ(Put(R"({"w":"quorum","n":5})").status, 200);
  EXPECT_EQ(node.kv.buckets["b"].w, 3u);
}

TEST_F(Buckets, EventualNeedsConsentAndIsWarnedOf) {
  EXPECT_EQ(Put(R"({"r":1,"w":1})").status, 400);
  const ParsedReply reply = Put(R"({"r":1,"w":1,"allow_eventual":true})");
  EXPECT_EQ(reply.status, 201);
  EXPECT_TRUE(Json(reply).contains("warning"));
  EXPECT_FALSE(Json(Put(R"({"r":2,"w":2})")).contains("warning"));
}

TEST_F(Buckets, WhatThisVersionLacksIsSaid) {
  for (const char* body :
       {R"({"conflict":"counter"})", R"({"compaction":"size_tiered"})", R"({"ordered":true})",
        R"({"compression":"zstd"})", R"({"replication":"x"})"}) {
    const ParsedReply reply = Put(body);
    EXPECT_EQ(reply.status, 400) << body;
    EXPECT_EQ(ErrorCode(reply), "unsupported") << body;
  }
  EXPECT_EQ(Put(R"({"compression":"lz4","compaction":"leveled","ordered":false})").status, 201);
}

TEST_F(Buckets, NonsenseIsRefused) {
  for (const char* body : {R"({"nn":3})",
                           R"({"n":0})",
                           R"({"n":"3"})",
                           R"({"n":-1})",
                           R"({"n":4294967299})",
                           R"({"r":"most"})",
                           R"({"r":4})",
                           R"({"w":0})",
                           R"({"conflict":"x"})",
                           R"({"durability":"x"})",
                           R"({"compaction":"x"})",
                           R"({"compression":"x"})",
                           R"({"ttl":-1})",
                           R"({"ttl":1.5})",
                           R"({"sloppy":1})",
                           R"({"read_repair":101})",
                           R"({"read_repair":-1})",
                           R"({"read_repair":true})",
                           R"({"name":"other"})",
                           R"({"n":null})",
                           R"({"n":3,"n":3})",
                           "",
                           "x",
                           "[]"}) {
    const ParsedReply reply = Put(body);
    EXPECT_EQ(reply.status, 400) << body;
    EXPECT_EQ(ErrorCode(reply), "invalid_argument") << body;
  }
  EXPECT_EQ(node.kv.buckets.size(), 1u);
  EXPECT_EQ(Put("{}", "a%20b").status, 400);
  EXPECT_EQ(Put("{}", std::string(65, 'b')).status, 400);
  EXPECT_EQ(Put("{}", "b?x=1").status, 400);
  EXPECT_EQ(Ask(node, "PUT /v1/buckets/b", "Content-Type: text/xml\r\n", "{}").status, 415);
  EXPECT_EQ(Ask(node, "DELETE /v1/buckets/b").status, 405);
  EXPECT_EQ(Put("{\"name\":\"" + std::string(70000, 'x') + "\"}").status, 413);
}

TEST(Operations, Health) {
  FakeNode node;
  EXPECT_EQ(Ask(node, "GET /livez").body, R"({"live":true})");
  EXPECT_EQ(Ask(node, "GET /readyz").body, R"({"ready":true,"reasons":[]})");
  EXPECT_EQ(Ask(node, "GET /healthz").body,
            R"({"status":"ok","live":true,"ready":true,"reasons":[],"node":"node1",)"
            R"("version":"0.1.0","storage":"ok","nodes_alive":3,"nodes_total":3,"uptime_s":60})");
  node.admin.health.ready = false;
  node.admin.health.reasons = {"no \"cluster\""};
  const ParsedReply ready = Ask(node, "GET /readyz");
  EXPECT_EQ(ready.status, 503);
  EXPECT_EQ(ready.body, R"({"ready":false,"reasons":["no \"cluster\""]})");
  node.admin.health.live = false;
  EXPECT_EQ(Ask(node, "GET /livez").status, 503);
  EXPECT_EQ(Ask(node, "GET /livez?x=1").status, 400);
}

TEST(Operations, MetricsAndOpenApi) {
  FakeNode node;
  const ParsedReply metrics = Ask(node, "GET /metrics");
  EXPECT_EQ(metrics.headers.at("content-type"), "text/plain; version=0.0.4; charset=utf-8");
  EXPECT_EQ(metrics.body, "lariat_siblings_max 1\n");
  const ParsedReply openapi = Ask(node, "GET /openapi.json");
  EXPECT_EQ(openapi.status, 200);
  EXPECT_TRUE(Json(openapi).contains("openapi"));
}

TEST(Operations, RingAndExplain) {
  FakeNode node;
  EXPECT_EQ(Ask(node, "GET /v1/cluster/ring?n=2").body,
            R"({"n":2,"ranges":[{"from":"0","to":"18446744073709551615",)"
            R"("owners":["node1","node2"]}]})");
  EXPECT_EQ(Json(Ask(node, "GET /v1/cluster/ring"))["n"].as_int64(), 3);
  for (const char* query : {"n=0", "n=65", "n=x", "m=1"}) {
    EXPECT_EQ(Ask(node, std::string("GET /v1/cluster/ring?") + query).status, 400) << query;
  }
  const ParsedReply explained = Ask(node, "GET /v1/debug/explain?bucket=b&key=%7Ba%7D");
  EXPECT_EQ(explained.body,
            R"({"bucket":"b","key":"{a}","partition_key":"{a}","token":"18446744073709551615",)"
            R"("n":3,"r":2,"w":2,"replicas":[{"node":"node1","alive":true,"state":"found",)"
            R"("version":{"node1":5},"siblings":1,"tombstones":0,"bytes":10,"digest":"ab"}],)"
            R"("fallbacks":["node4"],"agree":true})");
  const ParsedReply deleted = Ask(node, "GET /v1/debug/explain?bucket=b&key=deleted");
  EXPECT_EQ(Json(deleted)["kept_because"], "deleted 12 s ago");
  EXPECT_EQ(Ask(node, "GET /v1/debug/explain").status, 400);
  EXPECT_EQ(Ask(node, "GET /v1/debug/explain?key=a&kye=b").status, 400);
}

}  // namespace
}  // namespace lariat::frontend::http
