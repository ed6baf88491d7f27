// SPDX-License-Identifier: Apache-2.0
#include "client/topology.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include "base/hash.h"
#include "ring/ring.h"

namespace lariat::client {
namespace {

// The pages as the nodes write them (src/frontend/http, docs/openapi.json).
std::string RingPage(const ring::Ring& ring, uint32_t n) {
  std::string out = R"({"n":)" + std::to_string(n) + R"(,"ranges":[)";
  bool first = true;
  for (const ring::Ring::Range& range : ring.Ranges(n)) {
    out += (first ? R"({"from":")" : R"(,{"from":")") + std::to_string(range.from.value) +
           R"(","to":")" + std::to_string(range.to.value) + R"(","owners":[)";
    first = false;
    for (size_t i = 0; i < range.owners.primaries.size(); ++i) {
      out += (i > 0 ? ",\"" : "\"") + ring.nodes()[range.owners.primaries[i]].name + '"';
    }
    out += "]}";
  }
  return out + "]}";
}

std::vector<std::string> NamesOf(const Topology& topology, const std::string& key, uint32_t n) {
  std::vector<std::string> names;
  for (const uint32_t owner : topology.Owners(key, n))
    names.push_back(topology.members[owner].name);
  return names;
}

ring::Ring AnyRing() {
  std::vector<ring::RingNode> nodes(*rc::gen::inRange<size_t>(1, 9));
  std::set<uint64_t> used;
  for (size_t i = 0; i < nodes.size(); ++i) {
    nodes[i].id = {1, i};
    nodes[i].name = "node" + std::to_string(i);
    nodes[i].rack = "r" + std::to_string(*rc::gen::inRange(0, 4));
    for (const uint64_t token :
         *rc::gen::container<std::set<uint64_t>>(rc::gen::arbitrary<uint64_t>())) {
      if (used.insert(token).second) nodes[i].tokens.push_back({token});
    }
  }
  return ring::Ring(std::move(nodes));
}

RC_GTEST_PROP(Placement, IsTheServers, ()) {
  const ring::Ring ring = AnyRing();
  Topology topology;
  for (const ring::RingNode& node : ring.nodes()) {
    topology.members.push_back({node.name, "h:1", "h:2", true});
  }
  // The order of members means nothing: rings name them.
  std::reverse(topology.members.begin(), topology.members.end());
  const auto n = *rc::gen::inRange<uint32_t>(1, 6);
  RC_ASSERT(ParseRing(RingPage(ring, n), topology.members, topology.rings[n]));
  for (int i = 0; i < 20; ++i) {
    const auto key = *rc::gen::arbitrary<std::string>();
    std::vector<std::string> wanted;
    for (const ring::NodeIndex owner : ring.Primaries(ring::TokenOf(key), n).primaries) {
      wanted.push_back(ring.nodes()[owner].name);
    }
    RC_ASSERT(NamesOf(topology, key, n) == wanted);
  }
}

RC_GTEST_PROP(Placement, TokensAreTheServers, (const std::string& a, const std::string& b)) {
  for (const std::string& key : {a, "{" + a + "}" + b, b + "{" + a, b + "{}" + a, a + b + a + b}) {
    RC_ASSERT(TokenOf(key) == ring::TokenOf(key).value);
  }
}

TEST(Placement, NothingKnownIsNobody) {
  Topology topology;
  EXPECT_TRUE(topology.Owners("k", 3).empty());
  topology.rings[3];
  EXPECT_TRUE(topology.Owners("k", 3).empty());
}

TEST(Pages, StatusSaysWhoServes) {
  Topology topology;
  ASSERT_TRUE(ParseStatus(
      R"({"epoch":7,"operation":null,"nodes":[)"
      R"({"name":"a","http":"h:1","resp":"h:2","state":"normal","alive":true,"draining":false},)"
      R"({"name":"b","http":"h:3","resp":"h:4","state":"normal","alive":false},)"
      R"({"name":"c","http":"h:5","state":"joining","alive":true},)"
      R"({"name":"d","http":"h:6","state":"normal","alive":true,"draining":true}]})",
      topology));
  EXPECT_EQ(topology.epoch, 7U);
  EXPECT_FALSE(topology.is_changing);
  ASSERT_EQ(topology.members.size(), 4U);
  EXPECT_EQ(topology.members[0].resp, "h:2");
  std::vector<bool> serves;
  for (const Member& member : topology.members) serves.push_back(member.serves);
  EXPECT_EQ(serves, (std::vector<bool>{true, false, false, false}));
}

TEST(Pages, WhatIsNoPageIsRefused) {
  for (const char* page : {"", "[]", "{}", R"({"nodes":[]})", R"({"nodes":[{}]})", "{\"nodes\":"}) {
    Topology topology;
    EXPECT_FALSE(ParseStatus(page, topology)) << page;
  }
  for (const char* page : {"", "{}", R"({"ranges":[{}]})", R"({"ranges":[{"to":"x","owners":[]}]})",
                           R"({"ranges":[{"to":"1"}]})"}) {
    RingView ring;
    EXPECT_FALSE(ParseRing(page, {}, ring)) << page;
  }
  BucketView bucket;
  EXPECT_FALSE(ParseBucket(R"({"n":0})", bucket));
  EXPECT_TRUE(ParseBucket(R"({"n":5,"r":1,"w":5})", bucket));
  EXPECT_EQ(bucket.w, 5U);
}

}  // namespace
}  // namespace lariat::client
