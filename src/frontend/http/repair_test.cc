// SPDX-License-Identifier: Apache-2.0
// Repair: what is told, and what can be asked for.
#include <gtest/gtest.h>

#include "frontend/http/test_client.h"

namespace lariat::frontend::http {
namespace {

using base::Code;
using testing::Ask;
using testing::FakeNode;
using testing::ParsedReply;

ParsedReply Post(FakeNode& node, const std::string& body) {
  return Ask(node, "POST /v1/admin/repair", "", body);
}

TEST(Repair, Status) {
  FakeNode node;
  EXPECT_EQ(Ask(node, "GET /v1/admin/repair").body,
            R"({"enabled":true,"ranges":[],"session":null,"hints":[],"sweep":{"last_ms":null,)"
            R"("tombstones":0,"purged":0,"folded":0,"blocked":{}},"scrub":{"fraction":0,)"
            R"("last_ms":null,"damaged":0,"refilled":0,"trouble":""}})");
  coordinator::RepairStatus& status = node.admin.repair_status;
  status.enabled = false;
  status.ranges = {{"b", {UINT64_MAX}, {7}, {"node1", "node2"}, 5000, "ok", ""},
                   {"b", {7}, {UINT64_MAX}, {"node1"}, 0, "waits", "node3 is down"}};
  status.session = coordinator::RepairSession{9, "node2", "b", 0.5, 1, 2, 300, 4000, 1.5};
  status.hints = {{"node3", 2, 90, 3000, 1.5, "waits for it"}};
  status.sweep = {7000, 5, 4, 3, {{"grace", 2}}};
  status.scrub = {0.25, 8000, 2, 1, "bad"};
  EXPECT_EQ(Ask(node, "GET /v1/admin/repair").body,
            R"({"enabled":false,"ranges":[{"bucket":"b","from":"18446744073709551615","to":"7",)"
            R"("replicas":["node1","node2"],"last_pass_ms":5000,"state":"ok","why":""},)"
            R"({"bucket":"b","from":"7","to":"18446744073709551615","replicas":["node1"],)"
            R"("last_pass_ms":null,"state":"waits","why":"node3 is down"}],)"
            R"("session":{"task":9,"partner":"node2","bucket":"b","fraction":0.5,)"
            R"("keys_received":1,"keys_sent":2,"bytes_sent":300,"started_ms":4000,"left_s":1.5},)"
            R"("hints":[{"target":"node3","hints":2,"bytes":90,"oldest_ms":3000,)"
            R"("bytes_per_s":1.5,"state":"waits for it"}],)"
            R"("sweep":{"last_ms":7000,"tombstones":5,"purged":4,"folded":3,)"
            R"("blocked":{"grace":2}},"scrub":{"fraction":0.25,"last_ms":8000,"damaged":2,)"
            R"("refilled":1,"trouble":"bad"}})");
  EXPECT_EQ(Ask(node, "GET /v1/admin/repair?x=1").status, 400);
}

TEST(Repair, IsAskedFor) {
  FakeNode node;
  const ParsedReply all = Post(node, "");
  EXPECT_EQ(all.status, 202);
  EXPECT_EQ(all.body, R"({"task":9,"started":true,"message":""})");
  EXPECT_EQ(Post(node, "{}").status, 202);
  EXPECT_EQ(Post(node, R"({"bucket":"b","range":"0x10-18446744073709551615"})").status, 202);
  ASSERT_EQ(node.admin.repairs.size(), 3U);
  EXPECT_EQ(node.admin.repairs[0].bucket, "");
  EXPECT_FALSE(node.admin.repairs[1].range);
  EXPECT_EQ(node.admin.repairs[2].bucket, "b");
  EXPECT_EQ(node.admin.repairs[2].range, std::pair(uint64_t{16}, UINT64_MAX));
  node.admin.error = base::Error{Code::kNotFound, "no such bucket"};
  EXPECT_EQ(Post(node, R"({"bucket":"c"})").status, 404);
  node.admin.error = base::Error{Code::kUnavailable, "not in a cluster"};
  EXPECT_EQ(Post(node, "").status, 503);
}

TEST(Repair, MistakesAreNamed) {
  FakeNode node;
  for (const char* range : {"", "-", "1", "1-", "-1", "1-x", "0x-5", "1-18446744073709551616",
                            "1-2-3", " 1-2", "+1-2", "0xg-1"}) {
    const ParsedReply reply = Post(node, std::string(R"({"range":")") + range + "\"}");
    EXPECT_EQ(reply.status, 400) << range;
    EXPECT_NE(reply.body.find("'range'"), std::string::npos) << range;
  }
  for (const char* body : {R"({"bucket":""})", R"({"bucket":5})", R"({"keys":"a"})", "[]", "x"}) {
    EXPECT_EQ(Post(node, body).status, 400) << body;
  }
  EXPECT_TRUE(node.admin.repairs.empty());
}

}  // namespace
}  // namespace lariat::frontend::http
