// SPDX-License-Identifier: Apache-2.0
#include "apps/lariat/plan/plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json/serialize.hpp>
#include <cmath>
#include <functional>
#include <limits>
#include <stdexcept>

#include "base/prng.h"

namespace lariat::cli {
namespace {

using ::testing::HasSubstr;

constexpr double kGB = 1e9;

// A billion records of 1,000 bytes with 130 bytes of overhead: 3.39 TB in three copies, 4.068 TB
// with space amplification.
PlanInput Billion() {
  PlanInput in;
  in.records = 1e9;
  in.key_bytes = 30;
  in.value_bytes = 970;
  in.imbalance = 0;
  return in;
}

const PlanDemand& Demand(const PlanResult& result, const std::string& resource) {
  for (const PlanDemand& demand : result.demands) {
    if (demand.resource == resource) return demand;
  }
  throw std::out_of_range(resource);
}

TEST(Plan, AddsUpStorage) {
  const auto plan = Plan(Billion());
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->nodes, 3U);
  EXPECT_EQ(plan->binds, "replication");
  EXPECT_DOUBLE_EQ(plan->overhead_bytes, 130);
  EXPECT_DOUBLE_EQ(plan->record_bytes, 1130);
  EXPECT_DOUBLE_EQ(plan->data_bytes, 1e12);
  EXPECT_NEAR(plan->stored_bytes, 4068 * kGB, 1);
  EXPECT_NEAR(Demand(*plan, "disk").per_node, 1356 * kGB, 1);
  EXPECT_DOUBLE_EQ(plan->records_per_node, 1e9);
  EXPECT_DOUBLE_EQ(plan->filter_bytes, 1.25 * kGB);
  // 275.9 million blocks of 4 KiB with an entry of 58 bytes each.
  EXPECT_NEAR(plan->index_bytes, 16.0 * kGB, 0.01 * kGB);
}

TEST(Plan, DiskBinds) {
  PlanInput in = Billion();
  in.disk_bytes = 1000 * kGB;
  in.survive_node_loss = false;
  auto plan = Plan(in);
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->nodes, 6U);  // 4,068 GB / 700 GB = 5.8
  EXPECT_EQ(plan->binds, "disk");
  EXPECT_NEAR(Demand(*plan, "disk").per_node, 678 * kGB, 1);
  EXPECT_TRUE(plan->survives_node_loss);  // 813.6 GB on each of five
  in.disk_headroom = 0.05;
  in.survive_node_loss = true;
  plan = Plan(in);
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->nodes, 6U);  // five to hold it at 95 %, and one to lose
  in.compression = 0.5;
  plan = Plan(in);
  ASSERT_TRUE(plan);
  EXPECT_DOUBLE_EQ(plan->record_bytes, 630);
  EXPECT_EQ(plan->nodes, 3U);  // 756 GB on each, lost node or not
}

TEST(Plan, CpuBindsAndSurvivesALoss) {
  PlanInput in = Billion();
  in.ops_per_s = 100'000;  // 50,000 * 150 us + 50,000 * 100 us = 12.5 cores
  in.cores = 4;
  const auto plan = Plan(in);
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->binds, "cpu");
  EXPECT_EQ(plan->nodes, 6U);  // 12.5 / (4 * 0.6) = 5.2
  EXPECT_DOUBLE_EQ(Demand(*plan, "cpu").per_node, 12.5 / 6);
  EXPECT_DOUBLE_EQ(Demand(*plan, "cpu").per_node_on_loss, 2.5);
  EXPECT_TRUE(plan->survives_node_loss);
  in.cpu_headroom = 0;
  const auto tight = Plan(in);
  ASSERT_TRUE(tight);
  EXPECT_EQ(tight->nodes, 5U);  // four run at 78 %, and one to lose
}

TEST(Plan, MemoryBindsByFiltersAndIndexes) {
  PlanInput in = Billion();
  in.memory_bytes = 8 * kGB;
  const auto plan = Plan(in);
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->binds, "memory");
  EXPECT_EQ(plan->nodes, 9U);  // 51.8 GB / (6.4 GB - 512 MiB) = 8.8
  EXPECT_LE(plan->block_cache_bytes, 6.4 * kGB - 512.0 * 1024 * 1024);
  EXPECT_LT(plan->hot_share_cached, 0.1);
}

TEST(Plan, SuggestsACacheForTheHotShare) {
  PlanInput in = Billion();
  in.hot_share = 0.2;
  const auto plan = Plan(in);
  ASSERT_TRUE(plan);
  EXPECT_DOUBLE_EQ(plan->hot_share_cached, 0.2);
  EXPECT_NEAR(plan->block_cache_bytes, plan->filter_bytes + plan->index_bytes + 226 * kGB,
              1024.0 * 1024);
}

TEST(Plan, CountsReplicationAndLog) {
  PlanInput in = Billion();
  in.ops_per_s = 30'000;
  in.read_share = 0;
  const auto plan = Plan(in);
  ASSERT_TRUE(plan);
  EXPECT_NEAR(plan->cluster_replication_bytes_per_s, 67.8e6, 1);  // to two others, 1,130 bytes
  EXPECT_NEAR(plan->replication_bytes_per_s, 22.6e6, 1);
  EXPECT_NEAR(plan->log_bytes_per_s, 33.9e6, 1);
  EXPECT_NEAR(plan->disk_write_bytes_per_s, 11 * 33.9e6, 1);
  in.read_share = 1;
  const auto reads = Plan(in);
  ASSERT_TRUE(reads);
  EXPECT_EQ(reads->cluster_replication_bytes_per_s, 0);
  EXPECT_EQ(reads->log_bytes_per_s, 0);
  EXPECT_NEAR(Demand(*reads, "network").per_node, 1e4 * (1130 + 64), 1);
}

TEST(Plan, JudgesAGivenNumberOfNodes) {
  PlanInput in = Billion();
  in.disk_bytes = 1000 * kGB;
  in.nodes = 5;
  auto plan = Plan(in);
  ASSERT_TRUE(plan);
  EXPECT_FALSE(plan->fits);
  EXPECT_EQ(plan->nodes, 5U);
  EXPECT_EQ(plan->nodes_needed, 6U);
  EXPECT_FALSE(Demand(*plan, "disk").fits);
  EXPECT_FALSE(plan->survives_node_loss);
  EXPECT_THAT(plan->on_loss, HasSubstr("disk"));
  EXPECT_THAT(RenderPlanTable(*plan), HasSubstr("5 nodes are too few: 6 needed, because of disk"));
  in.nodes = 9;
  plan = Plan(in);
  ASSERT_TRUE(plan);
  EXPECT_TRUE(plan->fits);
  EXPECT_TRUE(plan->survives_node_loss);
}

TEST(Plan, FewCopiesSurviveNoLoss) {
  PlanInput in = Billion();
  for (const uint32_t copies : {1U, 2U}) {
    in.replication = copies;
    const auto plan = Plan(in);
    ASSERT_TRUE(plan);
    EXPECT_EQ(plan->nodes, copies);
    EXPECT_FALSE(plan->survives_node_loss);
  }
  in.replication = 3;
  EXPECT_TRUE(Plan(in)->survives_node_loss);
}

TEST(Plan, TheNumberFoundIsTheSmallestThatFits) {
  base::Prng prng(3);
  int checked = 0;
  for (int i = 0; i < 2000; ++i) {
    PlanInput in;
    in.records = std::pow(10, 3 + 8 * prng.Unit());
    in.value_bytes = static_cast<double>(prng.Below(10'000));
    in.replication = static_cast<uint32_t>(1 + prng.Below(5));
    in.ops_per_s = std::pow(10, 6 * prng.Unit());
    in.read_share = prng.Unit();
    in.disk_bytes = 500 * kGB;
    in.memory_bytes = 16 * kGB;
    in.cores = 8;
    in.network_bytes_per_s = 1e9;
    in.disk_headroom = 0.9 * prng.Unit();
    in.survive_node_loss = prng.Chance(0.5);
    const auto plan = Plan(in);
    if (!plan) continue;
    ++checked;
    const bool survives = in.survive_node_loss && in.replication >= 3;
    const auto holds = [&](const PlanResult& result) {
      for (const PlanDemand& d : result.demands) {
        if (!d.fits || (survives && !d.fits_on_loss)) return false;
      }
      return true;
    };
    EXPECT_TRUE(plan->fits);
    ASSERT_TRUE(holds(*plan)) << RenderPlanTable(*plan);
    if (plan->nodes == in.replication) continue;
    in.nodes = plan->nodes - 1;
    const auto smaller = Plan(in);
    ASSERT_TRUE(smaller);
    EXPECT_FALSE(smaller->fits);
    ASSERT_FALSE(holds(*smaller)) << RenderPlanTable(*smaller);
  }
  EXPECT_GT(checked, 1000);
}

TEST(Plan, RefusesNonsenseByName) {
  const struct {
    std::function<void(PlanInput&)> spoil;
    const char* says;
  } cases[] = {
      {[](PlanInput& in) { in.records = 0; }, "records"},
      {[](PlanInput& in) { in.records = std::numeric_limits<double>::quiet_NaN(); }, "records"},
      {[](PlanInput& in) { in.records = std::numeric_limits<double>::infinity(); }, "records"},
      {[](PlanInput& in) { in.key_bytes = 257; }, "key size"},
      {[](PlanInput& in) { in.value_bytes = 2e6; }, "value size"},
      {[](PlanInput& in) { in.replication = 0; }, "replication"},
      {[](PlanInput& in) { in.ops_per_s = -1; }, "operations"},
      {[](PlanInput& in) { in.read_share = 1.5; }, "share of reads"},
      {[](PlanInput& in) { in.nodes = 2; }, "2 nodes cannot hold 3 copies"},
      {[](PlanInput& in) { in.disk_bytes = -1; }, "disk per node"},
      {[](PlanInput& in) { in.memory_bytes = 6e8; }, "memory per node is too small"},
      {[](PlanInput& in) { in.disk_bytes = 1e6; }, "because of disk"},
      {[](PlanInput& in) { in.compression = 0; }, "compression"},
      {[](PlanInput& in) { in.cpu_headroom = 1; }, "CPU headroom"},
  };
  for (const auto& c : cases) {
    PlanInput in = Billion();
    c.spoil(in);
    const auto plan = Plan(in);
    ASSERT_FALSE(plan) << c.says;
    EXPECT_EQ(plan.error().code, base::Code::kInvalidArgument);
    EXPECT_THAT(plan.error().message, HasSubstr(c.says));
  }
}

TEST(Plan, TellsPeopleAndPrograms) {
  PlanInput in = Billion();
  in.disk_bytes = 1000 * kGB;
  in.ops_per_s = 10'000;
  const auto plan = Plan(in);
  ASSERT_TRUE(plan);
  const std::string table = RenderPlanTable(*plan);
  EXPECT_THAT(table, HasSubstr("6 nodes, because of disk\n"));
  EXPECT_THAT(table, HasSubstr("survives a lost node  yes: "));
  EXPECT_THAT(table, HasSubstr("1130, 130 of them overhead"));
  for (const std::string& text : plan->assumptions) EXPECT_THAT(table, HasSubstr(text));
  const boost::json::object json = RenderPlanJson(*plan);
  EXPECT_EQ(json.at("nodes").to_number<uint64_t>(), 6U);
  EXPECT_EQ(json.at("binds").as_string(), "disk");
  EXPECT_TRUE(json.at("survives_node_loss").as_bool());
  EXPECT_EQ(json.at("demands").as_array().size(), 4U);
  EXPECT_EQ(json.at("assumptions").as_array().size(), plan->assumptions.size());
  EXPECT_NEAR(json.at("cluster").at("stored_bytes").as_double(), 4068 * kGB, 1);
  EXPECT_TRUE(json.at("per_node").is_object());
}

}  // namespace
}  // namespace lariat::cli
