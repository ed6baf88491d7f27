// SPDX-License-Identifier: Apache-2.0
#include "membership/liveness_core.h"

#include <gtest/gtest.h>

namespace lariat::membership {
namespace {

TEST(Liveness, APeerIsAliveWhileConnectedAndNotConvicted) {
  LivenessCore core;
  EXPECT_FALSE(core.IsAlive(1));
  core.OnConnected(1);
  core.OnConnected(2);
  EXPECT_TRUE(core.IsAlive(1));
  core.SetUnusable(std::make_shared<const std::set<uint64_t>>(std::set<uint64_t>{2}));
  EXPECT_TRUE(core.IsAlive(1));
  EXPECT_FALSE(core.IsAlive(2));
  core.OnDisconnected(1);
  EXPECT_FALSE(core.IsAlive(1));
  EXPECT_FALSE(core.IsDraining(1));
  core.SetDraining(std::make_shared<const std::set<uint64_t>>(std::set<uint64_t>{1}));
  EXPECT_TRUE(core.IsDraining(1));
  EXPECT_FALSE(core.IsDraining(2));
  core.SetUnusable(nullptr);
  EXPECT_TRUE(core.IsAlive(2));
}

}  // namespace
}  // namespace lariat::membership
