// SPDX-License-Identifier: Apache-2.0
#include "node/identity.h"

#include <gtest/gtest.h>

#include "peers/peers_test_util.h"
#include "replica/replica_test_util.h"

namespace lariat::node {
namespace {

using base::Code;

struct Directory {
  replica::TestLoop loop;
  replica::TestPlan plan{&loop};
  storage::MemoryEngine engine{&plan};
  peers::TestTime time;

  base::Result<Identity> Load(const std::string& name) { return LoadIdentity(engine, time, name); }
};

TEST(Identity, IsDrawnOnceAndKept) {
  Directory directory;
  const auto drawn = directory.Load("a");
  ASSERT_TRUE(drawn);
  EXPECT_FALSE(drawn->id.IsNil());
  const auto again = directory.Load("a");
  ASSERT_TRUE(again);
  EXPECT_EQ(again->id, drawn->id);
  EXPECT_EQ(again->name, "a");
  Directory other;
  other.time.Next();
  EXPECT_NE(other.Load("a")->id, drawn->id);
}

TEST(Identity, ADirectoryOfAnotherNameIsRefused) {
  Directory directory;
  ASSERT_TRUE(directory.Load("a"));
  EXPECT_EQ(directory.Load("b").error().code, Code::kConflict);
}

TEST(IdentityMustHold, M6_ADamagedIdentityIsAnErrorAndNeverANewOne) {
  Directory directory;
  ASSERT_TRUE(directory.Load("a"));
  const std::string good = *directory.engine.GetBlocking(storage::Space::kMeta, "identity");
  for (const std::string& bad :
       {std::string(), good.substr(0, good.size() - 1), good + "x", "\x02" + good.substr(1),
        good.substr(0, 1) + std::string(16, '\0') + good.substr(17)}) {
    storage::WriteBatch batch;
    batch.Put(storage::Space::kMeta, "identity", bad);
    ASSERT_TRUE(directory.engine.Write(batch));
    EXPECT_EQ(directory.Load("a").error().code, Code::kCorruption);
  }
}

TEST(Identity, AnEngineThatRefusesIsAnError) {
  Directory directory;
  directory.plan.fail_write = base::Fail(Code::kDiskFull, "full");
  EXPECT_EQ(directory.Load("a").error().code, Code::kDiskFull);
}

class PlacementTest : public testing::Test {
 protected:
  PlacementTest() {
    member.name = "a";
    member.dc = settings.node_dc;
    member.rack = settings.node_rack = "r1";
    member.weight = settings.node_weight = 2;
    EXPECT_TRUE(CheckPlacement(directory.engine, settings, nullptr, telemetry::NullLog()));
  }
  std::string Start(const config::Settings& now) {
    const auto status = CheckPlacement(directory.engine, now, &member, telemetry::NullLog());
    if (status) return "";
    EXPECT_EQ(status.error().code, Code::kConflict);
    return status.error().message;
  }
  Directory directory;
  config::Settings settings;
  membership::Member member;
};

TEST_F(PlacementTest, AnotherPlaceThanTheClustersIsRefusedWithTheCommand) {
  EXPECT_EQ(Start(settings), "");
  config::Settings now = settings;
  now.node_rack = "r2";
  EXPECT_NE(Start(now).find("lariat cluster decommission a"), std::string::npos) << Start(now);
  now = settings;
  now.node_dc = "dc9";
  EXPECT_NE(Start(now).find("--dc dc9"), std::string::npos) << Start(now);
  now = settings;
  now.node_weight = 4;
  EXPECT_NE(Start(now).find("lariat cluster reweight a 4"), std::string::npos) << Start(now);
  now = settings;
  now.node_vnodes += 1;
  EXPECT_NE(Start(now).find("node.vnodes"), std::string::npos) << Start(now);
  EXPECT_EQ(Start(settings), "") << "what was refused is not remembered";
}

TEST_F(PlacementTest, WhatACommandHasChangedIsNoConflict) {
  member.weight = 4;
  EXPECT_EQ(Start(settings), "") << "the settings are what they were";
  config::Settings now = settings;
  now.node_weight = 4;
  EXPECT_EQ(Start(now), "") << "the settings follow";
  EXPECT_NE(Start(settings), "") << "back again only by a command";
}

TEST_F(PlacementTest, ADirectoryOfAnEarlierBuildIsTakenAsItIs) {
  storage::WriteBatch batch;
  batch.Remove(storage::Space::kMeta, "placement");
  ASSERT_TRUE(directory.engine.Write(batch));
  config::Settings now = settings;
  now.node_rack = "r2";
  EXPECT_EQ(Start(now), "");
  EXPECT_EQ(Start(now), "");
  EXPECT_EQ(Start(settings), "") << "what the cluster has is always right";
}

}  // namespace
}  // namespace lariat::node
