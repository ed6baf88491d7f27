// SPDX-License-Identifier: Apache-2.0
// Deletes in a cluster of whole nodes: when their tombstones go, and what explain says until then.
#include <gtest/gtest.h>

#include "node/cluster_test_util.h"

namespace lariat::node {
namespace {

using Texts = std::vector<std::string>;

class SweeperTest : public ClusterTest {
 protected:
  void ThreeNodesThatSweep() {
    const std::vector<std::string> list = {Address(1), Address(2), Address(3)};
    for (uint64_t i = 1; i <= 3; ++i) {
      Machine& machine = Add(i, list);
      machine.settings.repair_purge_interval_s = 5;
      machine.settings.repair_settle_ms = 1000;
      machine.Start();
    }
    ASSERT_TRUE(time.RunUntil([&] { return AllFormed(); }));
    time.Run(base::Seconds(1));
    auto bucket = machines[0]->coordinator().Bucket("default").value();
    bucket.gc_grace_s = 20;
    std::optional<base::Status> done;
    machines[0]->coordinator().SetBucket(bucket, {}, [&](base::Status s) { done = std::move(s); });
    ASSERT_TRUE(time.RunUntil([&] { return done.has_value(); }));
    ASSERT_TRUE(*done) << done->error().message;
  }
  void Delete() {
    std::optional<base::Result<coordinator::WriteReply>> answer;
    coordinator::WriteRequest request;
    request.bucket = "default";
    request.key = "k";
    request.write.is_delete = true;
    machines[0]->coordinator().Write(request, [&](auto reply) { answer = std::move(reply); });
    ASSERT_TRUE(time.RunUntil([&] { return answer.has_value(); }));
    ASSERT_TRUE(*answer) << answer->error().message;
  }
  std::string KeptBecause() {
    std::optional<base::Result<coordinator::Explanation>> answer;
    machines[1]->node().admin(1).Explain("default", "k", {},
                                         [&](auto reply) { answer = std::move(reply); });
    EXPECT_TRUE(time.RunUntil([&] { return answer.has_value(); }));
    return (*answer)->kept_because;
  }
  size_t Records() {
    size_t records = 0;
    for (auto& machine : machines) records += machine->engine.DurableImage()[0].size();
    return records;
  }
};

// Guards M12.
TEST_F(SweeperTest, ATombstoneGoesWhenAllHaveConfirmedItAndSaysWhatItWaitsFor) {
  ThreeNodesThatSweep();
  ASSERT_TRUE(Put(*machines[0], "v"));
  EXPECT_EQ(KeptBecause(), "");
  Delete();
  time.Run(base::Seconds(2));
  EXPECT_EQ(KeptBecause(), "deleted 2 s ago; kept until 20 s have passed (gc_grace)");
  EXPECT_EQ(Records(), 3U);
  net.silent = true;
  time.Run(base::Seconds(30));
  EXPECT_EQ(Records(), 3U) << "nobody could confirm anything";
  EXPECT_NE(KeptBecause().find("does not answer: it has not confirmed it"), std::string::npos);
  net.silent = false;
  time.Run(base::Seconds(30));
  EXPECT_EQ(Records(), 0U);
  EXPECT_EQ(KeptBecause(), "");
  EXPECT_EQ(Values(*machines[2]), Texts{});
}

}  // namespace
}  // namespace lariat::node
