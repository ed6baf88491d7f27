// SPDX-License-Identifier: Apache-2.0
#include "node/identity.h"

#include <gtest/gtest.h>

#include "node/node_test_util.h"
#include "replica/replica_test_util.h"

namespace lariat::node {
namespace {

using base::Code;

struct Directory {
  replica::TestLoop loop;
  replica::TestPlan plan{&loop};
  storage::MemoryEngine engine{&plan};
  TestTime time;

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

}  // namespace
}  // namespace lariat::node
