// SPDX-License-Identifier: Apache-2.0
// Keys whose values together are larger than a frame, and than a message. Figures of running nodes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <sstream>

#include "node/cluster_test_util.h"

namespace lariat::node {
namespace {

using base::Code;
using ::testing::HasSubstr;

constexpr int64_t kMiB = 1 << 20;

class LargeTest : public ClusterTest {
 protected:
  void Nodes(int64_t object_bytes, int64_t message_bytes) {
    const std::vector<std::string> list = {Address(1), Address(2), Address(3)};
    for (uint64_t i = 1; i <= 3; ++i) {
      Machine& machine = Add(i, list);
      machine.settings.peer_frame_bytes_max = 2 * kMiB;
      machine.settings.limits_object_bytes = object_bytes;
      machine.settings.peer_message_bytes_max = message_bytes;
      machine.settings.hints_replay_bytes_per_s = 1 << 30;
      machine.settings.repair_max_bytes_per_s = 1 << 30;
      machine.settings.repair_enabled = false;
      machine.Start();
    }
    ASSERT_TRUE(time.RunUntil([&] { return AllFormed(); }));
    time.Run(base::Seconds(1));
  }
  // Blind writes of 1 MiB to "k" through the first two nodes; the code of the first refusal.
  Code Pile(int writes) {
    for (int i = 0; i < writes; ++i) {
      const auto put = Put(*machines[static_cast<size_t>(i % 2)],
                           std::string(1 << 20, static_cast<char>('a' + i)));
      if (!put) return put.error().code;
    }
    return Code::kOk;
  }
  int64_t Hints() {
    return machines[0]->node().hint_budget()->hints() + machines[1]->node().hint_budget()->hints();
  }
  uint64_t Sum(telemetry::Counter telemetry::Metrics::*counter) {
    uint64_t sum = 0;
    for (auto& machine : machines) {
      for (uint32_t i = 0; i < 2; ++i) sum += (machine->node().shard(i).metrics().*counter).value();
    }
    return sum;
  }
};

TEST_F(LargeTest, MoreThanAFrameIsWrittenDeliveredAndReadAndHoldsUpNothing) {
  Nodes(64 * kMiB, 64 * kMiB);
  machines[2]->GoDown();
  time.Run(base::Seconds(2));
  EXPECT_EQ(Pile(6), Code::kOk);
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(PutKey(*machines[0], "k" + std::to_string(i), "v"));
  EXPECT_GE(Hints(), 21);
  machines[2]->Start();
  ASSERT_TRUE(time.RunUntil([&] { return machines[2]->Formed() && Hints() == 0; }));
  EXPECT_EQ(Values(*machines[2]).size(), 6U);
  EXPECT_GT(Sum(&telemetry::Metrics::peer_split_received), 0U);
  EXPECT_EQ(Sum(&telemetry::Metrics::read_repairs), 0U) << "hints alone brought it";
  EXPECT_EQ(Sum(&telemetry::Metrics::hints_not_accepted), 0U);
}

TEST_F(LargeTest, PastTheLimitWritesAreRefusedAndTheKeyCanBeResolved) {
  Nodes(4 * kMiB, 64 * kMiB);
  EXPECT_EQ(Pile(6), Code::kObjectTooLarge);
  EXPECT_EQ(Values(*machines[2]).size(), 3U) << "three of 1 MiB and their history fit";
  std::optional<base::Result<coordinator::GetReply>> read;
  auto& third = machines[2]->coordinator();
  third.Get({"default", "k", {}}, [&](auto reply) { read = std::move(reply); });
  ASSERT_TRUE(time.RunUntil([&] { return read.has_value(); }));
  coordinator::WriteRequest put;
  put.bucket = "default";
  put.key = "k";
  put.write.value = "resolved";
  put.write.context = (*read)->context;
  std::optional<base::Result<coordinator::WriteReply>> written;
  third.Write(put, [&](auto reply) { written = std::move(reply); });
  ASSERT_TRUE(time.RunUntil([&] { return written.has_value(); }));
  EXPECT_TRUE(*written);
  EXPECT_EQ(Values(*machines[0]), std::vector<std::string>{"resolved"});
}

TEST_F(LargeTest, WhatNoMessageCarriesIsSaidAndStopsNothingBehindIt) {
  Nodes(64 * kMiB, 4 * kMiB);
  machines[2]->GoDown();
  time.Run(base::Seconds(2));
  EXPECT_EQ(Pile(4), Code::kUnknown) << "it is in one replica, and cannot go to the other";
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(PutKey(*machines[0], "k" + std::to_string(i), "v"));
  machines[2]->Start();
  ASSERT_TRUE(time.RunUntil([&] { return machines[2]->Formed() && Hints() <= 2; }));
  time.Run(base::Seconds(3));
  EXPECT_GT(Sum(&telemetry::Metrics::peer_too_large), 0U);
  EXPECT_GT(Sum(&telemetry::Metrics::hints_not_accepted), 0U);
  EXPECT_GE(Sum(&telemetry::Metrics::hints_delivered), 20U);
  coordinator::RepairStatus status;
  for (size_t i = 0; i < 2; ++i) {
    std::optional<coordinator::RepairStatus> seen;
    machines[i]->node().healing().Status([&](coordinator::RepairStatus s) { seen = std::move(s); });
    ASSERT_TRUE(time.RunUntil([&] { return seen.has_value(); }));
    for (const auto& hint : seen->hints) status.hints.push_back(hint);
  }
  ASSERT_FALSE(status.hints.empty());
  EXPECT_THAT(status.hints[0].state, HasSubstr("peer.message_bytes_max"));
}

std::set<std::string> NamesIn(const std::string& text) {
  std::set<std::string> names;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("# TYPE ")) continue;
    names.insert(line.substr(7, line.find(' ', 7) - 7));
  }
  return names;
}

TEST_F(ClusterTest, ARunningNodePrintsTheMetricsOfTheTableAndNoOthers) {
  ThreeNodes();
  std::set<std::string> table;
  for (const telemetry::MetricInfo& info : telemetry::MetricTable()) table.emplace(info.name);
  EXPECT_EQ(NamesIn(machines[0]->node().MetricsText()), table);
}

TEST_F(ClusterTest, WhatOneShardHandsToAnotherIsCounted) {
  ThreeNodes();
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(PutKey(*machines[0], "k" + std::to_string(i), "v"));
  uint64_t batches = 0, tasks = 0;
  for (uint32_t i = 0; i < 2; ++i) {
    batches += machines[0]->node().shard(i).metrics().cross_shard_batches.value();
    tasks += machines[0]->node().shard(i).metrics().cross_shard_tasks.value();
  }
  EXPECT_GT(batches, 0U);
  EXPECT_LE(batches, tasks);
}

TEST_F(ClusterTest, PeersCountAsUpAfterARestartToo) {
  ThreeNodes();
  ASSERT_TRUE(Put(*machines[0], "v"));
  const auto all_up = [&] {
    return std::all_of(machines.begin(), machines.end(), [](auto& machine) {
      // Two shards, two peers.
      return machine->node().MetricsText().find("\nlariat_peers_up 4\n") != std::string::npos;
    });
  };
  EXPECT_TRUE(all_up());
  machines[2]->GoDown();
  machines[2]->engine.Crash();
  time.Run(base::Seconds(3));
  EXPECT_THAT(machines[0]->node().MetricsText(), HasSubstr("\nlariat_peers_up 2\n"));
  machines[2]->Start();
  ASSERT_TRUE(time.RunUntil([&] { return machines[2]->Formed(); }));
  time.Run(base::Seconds(2));
  EXPECT_TRUE(all_up());
}

}  // namespace
}  // namespace lariat::node
