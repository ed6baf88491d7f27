// SPDX-License-Identifier: Apache-2.0
// Values that merge, as clients write and see them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/coding.h"
#include "frontend/http/test_client.h"
#include "frontend/http/types/operation_json.h"

namespace lariat::frontend::http {
namespace {

using base::Code;
using causal::Kind;
using causal::Operation;
using testing::Ask;
using testing::FakeNode;
using testing::ParsedReply;

class Types : public ::testing::Test {
 protected:
  void Bucket(const std::string& name, Kind kind) {
    membership::BucketProperties bucket;
    bucket.name = name;
    bucket.conflict = kind;
    node.kv.buckets[name] = bucket;
  }
  void Store(const std::string& place, Kind kind, std::string bytes) {
    coordinator::GetReply reply;
    reply.values = {{std::move(bytes), "", {1'000}, 0, {{"node1", 5}}}};
    reply.version = {{"node1", 5}};
    reply.context = "ctx";
    reply.kind = kind;
    node.kv.replies[place] = reply;
  }
  std::string Body(const std::string& target) { return Ask(node, "GET " + target).body; }

  FakeNode node;
};

std::string List(std::initializer_list<std::string_view> elements) {
  std::string list;
  base::ByteWriter out(&list);
  for (const auto element : elements) out.Sized(element);
  return list;
}

TEST_F(Types, AnOperationGoesToTheServiceEncoded) {
  Bucket("s", Kind::kSet);
  const ParsedReply reply =
      Ask(node, "POST /v1/buckets/s/kv/k", "X-TTL: 5\r\n",
          R"({"add":["a",{"base64":"/w=="}],"remove":["b"],"context":"seen"})");
  EXPECT_EQ(reply.status, 200);
  const causal::ClientWrite& write = node.kv.last_put.write;
  EXPECT_TRUE(write.is_operation);
  EXPECT_EQ(write.context, "seen");
  EXPECT_EQ(write.ttl_s, 5);
  const auto operation = Operation::Decode(write.value);
  ASSERT_TRUE(operation);
  EXPECT_EQ(operation->step.kind, Kind::kSet);
  EXPECT_EQ(operation->step.add, (std::vector<std::string>{"a", "\xff"}));
  EXPECT_EQ(operation->step.remove, std::vector<std::string>{"b"});
}

TEST(OperationJson, EachTypeIsRead) {
  const auto kind = [](std::string_view body, Kind bucket) {
    const auto read = ReadOperation(body, bucket);
    return read ? std::string(causal::RowOf(read->operation.step.kind).name) : read.error().message;
  };
  EXPECT_EQ(kind(R"({"increment":-2})", Kind::kCounter), "counter");
  EXPECT_EQ(kind(R"({"assign":"x"})", Kind::kRegister), "register");
  EXPECT_EQ(kind(R"({"enable":false})", Kind::kFlag), "flag");
  EXPECT_EQ(kind(R"({"add":["x"]})", Kind::kHll), "hll");
  EXPECT_EQ(kind(R"({"add":["x"]})", Kind::kSet), "set");
  EXPECT_EQ(kind(R"({"type":"set","add":["x"]})", Kind::kSet), "set");
  EXPECT_EQ(kind(R"({"remove":[{"field":"x","type":"counter"}]})", Kind::kMap), "map");
  const auto map = ReadOperation(
      R"({"update":{"n":{"register":"Ada"},"v":{"counter":1},"o":{"flag":true},)"
      R"("t":{"set":{"add":["x"],"remove":["y"]}}},"remove":[{"field":"v","type":"set"}]})",
      Kind::kMap);
  ASSERT_TRUE(map) << map.error().message;
  EXPECT_EQ(map->operation.fields.size(), 5U);
  EXPECT_TRUE(map->operation.Check());
}

TEST(OperationJson, WhatIsNoOperationIsRefused) {
  for (const char* body : {"",
                           "[]",
                           "{}",
                           "1",
                           R"({"increment":1.5})",
                           R"({"increment":"1"})",
                           R"({"increment":9223372036854775808})",
                           R"({"increment":1,"increment":2})",
                           R"({"increment":1,"add":["x"]})",
                           R"({"add":"x"})",
                           R"({"add":[1]})",
                           R"({"add":[{"base64":"!"}]})",
                           R"({"add":["x"],"other":1})",
                           R"({"enable":1})",
                           R"({"update":{"x":{"counter":1,"flag":true}}})",
                           R"({"update":{"x":{"map":{}}}})",
                           R"({"update":{"x":{"hll":{"add":["x"]}}}})",
                           R"({"update":{"x":1}})",
                           R"({"update":{"x":{"set":{"put":[]}}}})",
                           R"({"remove":[{"field":"x"}]})",
                           R"({"remove":[{"field":"x","type":"map"}]})",
                           R"({"add":["x"],"context":1})",
                           R"({"add":[[[[[[[[[["x"]]]]]]]]]]})"}) {
    const auto read = ReadOperation(body, Kind::kMap);
    ASSERT_FALSE(read) << body;
    EXPECT_EQ(read.error().code, Code::kInvalidArgument) << body;
  }
  EXPECT_EQ(ReadOperation(R"({"type":"set","increment":1})", Kind::kSet).error().code,
            Code::kWrongType);
}

TEST_F(Types, ValuesAreShownByTheirTypeInBothDialects) {
  Store("default/c", Kind::kCounter, "-7");
  EXPECT_THAT(Body("/v1/kv/c"), ::testing::HasSubstr(R"("type":"counter","value":-7,)"));
  EXPECT_EQ(Body("/kv/c"), "-7");
  Store("default/f", Kind::kFlag, "1");
  EXPECT_THAT(Body("/v1/kv/f"), ::testing::HasSubstr(R"("type":"flag","value":true,)"));
  EXPECT_EQ(Body("/kv/f"), "1");
  Store("default/r", Kind::kRegister, "\xff");
  EXPECT_THAT(Body("/v1/kv/r"), ::testing::HasSubstr(R"("value":{"base64":"/w=="},)"));
  EXPECT_EQ(Body("/kv/r"), "\xff");
  Store("default/s", Kind::kSet, List({"a", "b"}));
  EXPECT_EQ(Body("/kv/s"), R"(["a","b"])");
  std::string fields;
  base::ByteWriter out(&fields);
  const std::vector<std::pair<Kind, std::string>> values = {{Kind::kCounter, "3"},
                                                            {Kind::kSet, List({"x"})}};
  for (const auto& [kind, bytes] : values) {
    out.Sized("n");
    out.U8(static_cast<uint8_t>(kind));
    out.Sized(bytes);
  }
  Store("default/m", Kind::kMap, fields);
  EXPECT_EQ(Body("/kv/m"), R"({"n":{"counter":3,"set":["x"]}})");
}

TEST_F(Types, SetsPageAndTellOfOneElement) {
  Store("default/s", Kind::kSet, List({"a", "b", "c"}));
  EXPECT_THAT(Body("/v1/kv/s?limit=2"),
              ::testing::HasSubstr(R"("value":["a","b"],"next_cursor":"62",)"));
  EXPECT_THAT(Body("/v1/kv/s?limit=2&cursor=62"),
              ::testing::HasSubstr(R"("value":["c"],"version")"));
  EXPECT_THAT(Body("/v1/kv/s?element=b"), ::testing::HasSubstr(R"("contains":true)"));
  EXPECT_THAT(Body("/v1/kv/s?element=d"), ::testing::HasSubstr(R"("contains":false)"));
  for (const char* wrong : {"limit=0", "limit=10001", "limit=x", "cursor=6", "cursor=zz"}) {
    EXPECT_EQ(Ask(node, std::string("GET /v1/kv/s?") + wrong).status, 400) << wrong;
  }
  Store("default/c", Kind::kCounter, "1");
  EXPECT_EQ(Ask(node, "GET /v1/kv/c?element=x").status, 400);
}

}  // namespace
}  // namespace lariat::frontend::http
