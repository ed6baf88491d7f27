// SPDX-License-Identifier: Apache-2.0
// What is told of the cluster and its changes, and the requests for them.
#include <gtest/gtest.h>

#include <boost/json.hpp>

#include "frontend/http/test_client.h"

namespace lariat::frontend::http {
namespace {

using base::Code;
using coordinator::ChangeVerb;
using testing::Ask;
using testing::FakeNode;
using testing::ParsedReply;

coordinator::OperationStatus Streaming() {
  coordinator::OperationStatus operation;
  operation.task = 12;
  operation.kind = "decommission";
  operation.node = "node4";
  operation.phase = "stream";
  operation.started_ms = 1000;
  operation.ranges_done = 3;
  operation.ranges_total = 16;
  operation.bytes_done = 100;
  operation.keys_done = 5;
  operation.bytes_total = 400;
  operation.bytes_per_s = 2.5;
  operation.left_s = 120;
  operation.waiting_for = "node2 is down";
  return operation;
}

constexpr const char* kStreaming =
    R"({"task":12,"kind":"decommission","node":"node4","phase":"stream","started_ms":1000,)"
    R"("ranges_done":3,"ranges_total":16,"bytes_done":100,"keys_done":5,"bytes_total":400,)"
    R"("bytes_per_s":2.5,"left_s":120,"waiting_for":"node2 is down"})";

class Changes : public ::testing::Test {
 protected:
  ParsedReply Post(const std::string& path, const std::string& body) {
    return Ask(node, "POST /v1/admin/" + path, "", body);
  }
  std::string Message(const ParsedReply& reply) {
    boost::json::error_code ec;
    const auto value = boost::json::parse(reply.body, ec);
    if (ec) return "no JSON: " + reply.body;
    return std::string(value.at("error").at("message").as_string());
  }

  FakeNode node;
};

TEST_F(Changes, ClusterStatus) {
  node.admin.status.cluster_id = "id";
  node.admin.status.epoch = 7;
  node.admin.status.answered_by = "node1";
  node.admin.status.queued = 2;
  coordinator::NodeStatus one;
  one.name = "node1";
  one.state = "normal";
  one.alive = true;
  one.weight = 1;
  one.tokens = 16;
  one.owns = 0.5;
  one.phi = 0.25;
  one.detector = "alive";
  one.data_bytes = 99;
  one.twin = "h:1";
  node.admin.status.nodes = {one};
  const std::string nodes =
      R"("queued":2,"feature_level":0,"upgrade":"","nodes":[{"name":"node1","id":"",)"
      R"("state":"normal","alive":true,"draining":false,"detector":"alive","phi":0.25,)"
      R"("http":"","resp":"","peer":"","dc":"",)"
      R"("rack":"","weight":1,"tokens":16,"owns":0.5,"data_bytes":99,"hints_pending_bytes":0,)"
      R"("twin":"h:1","self":false}]})";
  const std::string head = R"({"cluster_id":"id","epoch":7,"answered_by":"node1","operation":)";
  EXPECT_EQ(Ask(node, "GET /v1/cluster/status").body, head + "null," + nodes);
  node.admin.status.operation = Streaming();
  EXPECT_EQ(Ask(node, "GET /v1/cluster/status").body, head + kStreaming + "," + nodes);
}

TEST_F(Changes, ABucketIsDeletedWithATicket) {
  const ParsedReply taken = Ask(node, "DELETE /v1/buckets/carts");
  EXPECT_EQ(taken.status, 202);
  EXPECT_EQ(taken.body, R"({"task":8,"started":true,"message":"its data follows"})");
  EXPECT_EQ(node.admin.last_deleted, "carts");
  EXPECT_EQ(Ask(node, "DELETE /v1/buckets/carts?x=1").status, 400);
  EXPECT_EQ(Ask(node, "DELETE /v1/buckets/carts", "", "{}").status, 400) << "it takes no body";
  node.admin.error = base::Error{Code::kConflict, "not the default one"};
  EXPECT_EQ(Ask(node, "DELETE /v1/buckets/default").status, 409);
}

TEST_F(Changes, AnUpgradeIsFinalized) {
  EXPECT_EQ(Post("finalize-upgrade", "").body, R"({"finalized":true})");
  EXPECT_EQ(Post("finalize-upgrade", "{}").status, 200);
  EXPECT_EQ(node.admin.calls, 2);
  EXPECT_EQ(Post("finalize-upgrade", R"({"level":2})").status, 400);
  node.admin.error = base::Error{Code::kConflict, "node2 is older"};
  EXPECT_EQ(Post("finalize-upgrade", "{}").status, 409);
}

TEST_F(Changes, Plan) {
  EXPECT_EQ(Ask(node, "GET /v1/admin/plan").body,
            R"({"changes":[],"moves":[],"owners":[],"bytes":0,"seconds":0,"why":""})");
  node.admin.plan.changes = {{12, "reweight", "node1", "staged", "", 1000}};
  node.admin.plan.moves = {{"node1", "node2", 4, 0.25, 1 << 20}};
  node.admin.plan.owners = {{"node1", "r1", 0.5, 0.25}};
  node.admin.plan.bytes = 1 << 20;
  node.admin.plan.seconds = 1.5;
  node.admin.plan.why = "it is staged";
  EXPECT_EQ(Ask(node, "GET /v1/admin/plan").body,
            R"({"changes":[{"task":12,"kind":"reweight","node":"node1","state":"staged",)"
            R"("phase":"","asked_ms":1000}],"moves":[{"from":"node1","to":"node2","ranges":4,)"
            R"("share":0.25,"bytes":1048576}],"owners":[{"node":"node1","rack":"r1",)"
            R"("before":0.5,"after":0.25}],"bytes":1048576,"seconds":1.5,"why":"it is staged"})");
  EXPECT_EQ(Ask(node, "GET /v1/admin/plan?x=1").status, 400);
}

TEST_F(Changes, Tasks) {
  EXPECT_EQ(Ask(node, "GET /v1/admin/tasks").body, R"({"tasks":[]})");
  node.admin.tasks = {{12, "decommission", "node4", "running", 900, 0, Streaming()},
                      {9, "join", "node4", "done", 100, 200, {}}};
  const std::string running =
      std::string(R"({"task":12,"kind":"decommission","node":"node4","state":"running",)"
                  R"("asked_ms":900,"ended_ms":null,"progress":)") +
      kStreaming + "}";
  const std::string done =
      R"({"task":9,"kind":"join","node":"node4","state":"done","asked_ms":100,"ended_ms":200,)"
      R"("progress":null})";
  EXPECT_EQ(Ask(node, "GET /v1/admin/tasks").body, R"({"tasks":[)" + running + "," + done + "]}");
  EXPECT_EQ(Ask(node, "GET /v1/admin/tasks/12").body, running);
  EXPECT_EQ(Ask(node, "GET /v1/admin/tasks/9").body, done);
  EXPECT_EQ(Ask(node, "GET /v1/admin/tasks/13").status, 404);
  for (const char* bad : {"x", "-1", "12x", "", "99999999999999999999"}) {
    EXPECT_EQ(Ask(node, std::string("GET /v1/admin/tasks/") + bad).status, 400) << bad;
  }
}

TEST_F(Changes, AreAskedFor) {
  const ParsedReply leaves = Post("decommission", R"({"node":"node4"})");
  EXPECT_EQ(leaves.status, 202);
  EXPECT_EQ(leaves.body, R"({"task":7,"started":true,"message":""})");
  EXPECT_EQ(node.admin.last_change.verb, ChangeVerb::kDecommission);
  EXPECT_EQ(node.admin.last_change.node, "node4");
  EXPECT_FALSE(node.admin.last_change.staged);
  EXPECT_EQ(node.admin.last_change.caller.from(), "127.0.0.1:1");
  EXPECT_EQ(node.admin.last_change.caller.protocol(), "http");
  EXPECT_EQ(Post("remove", R"({"node":"node4","staged":true})").body,
            R"({"task":7,"started":false,"message":"staged"})");
  EXPECT_EQ(node.admin.last_change.verb, ChangeVerb::kRemove);
  EXPECT_TRUE(node.admin.last_change.staged);
  EXPECT_EQ(Post("reweight", R"({"node":"node4","weight":1.5})").status, 202);
  EXPECT_EQ(node.admin.last_change.verb, ChangeVerb::kReweight);
  EXPECT_EQ(node.admin.last_change.weight, 1.5);
  EXPECT_EQ(Post("reweight", R"({"node":"node4","weight":2})").status, 202);
  EXPECT_EQ(node.admin.last_change.weight, 2);
}

TEST_F(Changes, MistakesNameTheMember) {
  const struct {
    const char *path, *body, *named;
  } kMistakes[] = {
      {"decommission", "{}", "'node'"},
      {"decommission", R"({"node":""})", "'node'"},
      {"decommission", R"({"node":4})", "'node'"},
      {"decommission", R"({"node":null})", "'node'"},
      {"decommission", R"({"node":"a","node":"b"})", "'node'"},
      {"decommission", R"({"node":"a","staged":1})", "'staged'"},
      {"decommission", R"({"node":"a","weight":1})", "'weight'"},
      {"remove", R"({"node":"a","force":true})", "'force'"},
      {"reweight", R"({"node":"a"})", "'weight'"},
      {"reweight", R"({"node":"a","weight":"1"})", "'weight'"},
      {"reweight", R"({"node":"a","weight":0})", "'weight'"},
      {"reweight", R"({"node":"a","weight":-1})", "'weight'"},
      {"reweight", R"({"node":"a","weight":101})", "'weight'"},
      {"reweight", R"({"node":"a","weight":99999999999999999999})", "'weight'"},
      {"reweight", R"({"weight":1})", "'node'"},
      {"commit", R"({"task":1})", "'task'"},
      {"cancel", R"({"task":0})", "'task'"},
      {"cancel", R"({"task":-1})", "'task'"},
      {"cancel", R"({"task":1.5})", "'task'"},
      {"cancel", R"({"task":99999999999999999999})", "'task'"},
      {"cancel", R"({"task":"12"})", "'task'"},
      {"drain", "{}", "'on'"},
      {"drain", R"({"on":1})", "'on'"},
      {"drain", R"({"off":true})", "'off'"},
  };
  for (const auto& mistake : kMistakes) {
    const ParsedReply reply = Post(mistake.path, mistake.body);
    EXPECT_EQ(reply.status, 400) << mistake.path << mistake.body;
    EXPECT_NE(Message(reply).find(mistake.named), std::string::npos) << reply.body;
  }
  const std::string long_name = R"({"node":")" + std::string(257, 'a') + R"("})";
  EXPECT_EQ(Post("remove", long_name).status, 400);
  for (const char* body : {"x", "[]", "{", "[{}]"}) {
    EXPECT_EQ(Post("remove", body).status, 400) << body;
    EXPECT_EQ(Post("commit", body).status, 400) << body;
  }
  EXPECT_EQ(Post("drain?on=true", "{}").status, 400);
  EXPECT_EQ(node.admin.calls, 0);
}

TEST_F(Changes, MethodsAndBodies) {
  for (const char* path : {"decommission", "remove", "reweight", "commit", "cancel", "drain"}) {
    const ParsedReply reply = Ask(node, std::string("GET /v1/admin/") + path);
    EXPECT_EQ(reply.status, 405) << path;
    EXPECT_EQ(reply.headers.at("allow"), "POST") << path;
  }
  for (const char* path : {"plan", "tasks", "tasks/1"}) {
    const ParsedReply reply = Post(path, "{}");
    EXPECT_EQ(reply.status, 405) << path;
    EXPECT_EQ(reply.headers.at("allow"), "GET, HEAD") << path;
  }
  EXPECT_EQ(Ask(node, "POST /v1/admin/remove").status, 411);
  EXPECT_EQ(Ask(node, "POST /v1/admin/drain", "Content-Type: text/xml\r\n", "{}").status, 415);
  EXPECT_EQ(Post("remove", "{\"node\":\"" + std::string(70000, 'x') + "\"}").status, 413);
  EXPECT_EQ(node.admin.calls, 0);
}

TEST_F(Changes, CommitCancelDrain) {
  EXPECT_EQ(Ask(node, "POST /v1/admin/commit").body, R"({"committed":true})");
  EXPECT_EQ(Post("commit", "{}").status, 200);
  EXPECT_EQ(Ask(node, "POST /v1/admin/cancel").body, R"({"cancelled":true})");
  EXPECT_EQ(node.admin.last_cancelled, 0u);
  EXPECT_EQ(Post("cancel", R"({"task":12})").status, 200);
  EXPECT_EQ(node.admin.last_cancelled, 12u);
  EXPECT_EQ(Post("drain", R"({"on":true})").body, R"({"draining":true})");
  EXPECT_TRUE(node.admin.draining);
  EXPECT_EQ(node.admin.last_caller.from(), "127.0.0.1:1");
  EXPECT_EQ(Post("drain", R"({"on":false})").body, R"({"draining":false})");
  EXPECT_FALSE(node.admin.draining);
}

TEST_F(Changes, RefusalsKeepTheirReason) {
  const struct {
    Code code;
    int status;
  } kRefusals[] = {{Code::kConflict, 409},
                   {Code::kUnavailable, 503},
                   {Code::kNotFound, 404},
                   {Code::kUnknown, 504}};
  for (const auto& refusal : kRefusals) {
    node.admin.error = base::Error{refusal.code, "node4 is alive"};
    for (const char* path : {"decommission", "remove"}) {
      const ParsedReply reply = Post(path, R"({"node":"node4"})");
      EXPECT_EQ(reply.status, refusal.status);
      EXPECT_EQ(Message(reply).find("node4 is alive"), 0u) << reply.body;
    }
    EXPECT_EQ(Post("commit", "{}").status, refusal.status);
    EXPECT_EQ(Post("cancel", "{}").status, refusal.status);
    EXPECT_EQ(Post("drain", R"({"on":true})").status, refusal.status);
  }
}

}  // namespace
}  // namespace lariat::frontend::http
