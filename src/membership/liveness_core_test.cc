// SPDX-License-Identifier: Apache-2.0
#include "membership/liveness_core.h"

#include <gtest/gtest.h>

namespace lariat::membership {
namespace {

TEST(Liveness, AliveOnlyWhileRepliesAreFresh) {
  const base::Instant start{};
  LivenessCore core(base::Seconds(5));
  EXPECT_FALSE(core.IsAlive(1, start));
  core.OnReply(1, start);
  EXPECT_TRUE(core.IsAlive(1, start + base::Millis(4999)));
  EXPECT_FALSE(core.IsAlive(1, start + base::Seconds(5)));
  EXPECT_FALSE(core.IsAlive(2, start));
  core.OnReply(1, start + base::Seconds(6));
  EXPECT_TRUE(core.IsAlive(1, start + base::Seconds(6)));
}

TEST(LivenessMustHold, M27_ABrokenConnectionCountsAtOnceUntilTheNextReply) {
  const base::Instant now{};
  LivenessCore core(base::Seconds(5));
  core.OnReply(1, now);
  core.OnReply(2, now);
  core.OnDisconnected(1);
  EXPECT_FALSE(core.IsAlive(1, now));
  EXPECT_TRUE(core.IsAlive(2, now));
  core.OnReply(1, now);
  EXPECT_TRUE(core.IsAlive(1, now));
}

}  // namespace
}  // namespace lariat::membership
