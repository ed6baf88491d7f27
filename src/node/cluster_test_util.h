// SPDX-License-Identifier: Apache-2.0
// Whole nodes on engines in memory, linked by streams in virtual time.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "node/node.h"
#include "peers/peer_links.h"
#include "peers/peers_test_util.h"
#include "topology/cluster.h"

namespace lariat::node {

using peers::PeerHandle;
using peers::Plan;
using peers::TestNet;
using peers::TestNetwork;
using peers::TestTime;

// A machine: its disk stays, the process on it comes and goes. A process that was killed stays in
// memory, cut off from everything, because the world may still hold its timers.
class Machine {
 public:
  Machine(TestTime& time, TestNet& net, uint64_t number, std::vector<std::string> join,
          uint32_t shards = 2)
      : number_(number),
        address("10.0.0." + std::to_string(number) + ":1"),
        time_(time),
        net_(net),
        shards_(shards),
        network_(net) {
    settings.cluster_join = std::move(join);
    settings.membership_gossip_period_ms = 100;
    settings.repair_scrub_pause_s = 10;
  }

  void Start() {
    Process& process = *processes_.emplace_back(std::make_unique<Process>());
    std::vector<Shard::World> worlds;
    for (uint32_t i = 0; i < shards_; ++i) {
      process.links.push_back(std::make_unique<peers::PeerLinks>(time_.env(), network_, settings,
                                                                 telemetry::NullLog()));
      worlds.push_back({time_.env(), *process.links.back()});
    }
    NodeOptions options;
    options.identity = LoadIdentity(engine, time_, name).value();
    options.addresses = {"http", "resp", address};
    options.settings = settings;
    options.first_password = first_password;
    options.stored = topology::LoadCluster(engine).value();
    options.past = LoadPast(engine, options.stored.topology).value();
    options.feature_level = feature_level;
    options.generation = peers::DrawGeneration(engine, time_.Wall()).value();
    process.node = std::make_unique<Node>(options, worlds, engine, telemetry::NullLog());
    for (uint32_t i = 0; i < shards_; ++i) {
      Shard& shard = process.node->shard(i);
      process.links[i]->Attach(shard, shard.metrics());
    }
    Listen(process);
    process.node->Start();
  }

  Node& node() { return *processes_.back()->node; }
  Shard& shard() { return node().shard(0); }
  bool Formed() { return shard().view() != nullptr; }
  const membership::Topology& topology() { return shard().view()->topology; }
  std::string Stored() {
    const auto topology = topology::LoadCluster(engine).value().topology;
    return topology ? membership::EncodeTopology(*topology) : "";
  }
  coordinator::Coordinator& coordinator() { return shard().coordinator(); }
  void StopLinks() {
    for (auto& process : processes_) {
      for (auto& links : process->links) links->Stop();
    }
  }
  // Out of everybody's reach, while its process goes on.
  void CutOff() {
    net_.StopListening(address);
    network_.cut = true;
    net_.CloseAll();
  }
  void Mend() {
    network_.cut = false;
    Listen(*processes_.back());
  }
  // Nobody hears of it until it is started again.
  void GoDown() {
    net_.StopListening(address);
    StopLinks();
    net_.CloseAll();  // the others connect again
  }

 private:
  struct Process {
    std::vector<std::unique_ptr<peers::PeerLinks>> links;
    std::unique_ptr<Node> node;
  };
  void Listen(Process& process) {
    net_.Listen(address, [this, &process](env::Stream& stream) {
      return process.links[accepted_++ % shards_]->Accept(stream);
    });
  }
  uint64_t number_;

 public:
  std::string address;
  std::string name = "node" + std::to_string(number_);
  config::Settings settings;
  uint32_t feature_level = membership::kFeatureLevel;  // that its process tells
  std::string first_password;                          // of access::FirstBook

 private:
  TestTime& time_;
  TestNet& net_;
  uint32_t shards_;
  uint32_t accepted_ = 0;
  TestNetwork network_;

 public:
  Plan plan{time_};
  storage::MemoryEngine engine{&plan};

 private:
  std::vector<std::unique_ptr<Process>> processes_;
};

inline std::string Address(uint64_t number) { return "10.0.0." + std::to_string(number) + ":1"; }

class ClusterTest : public testing::Test {
 protected:
  ~ClusterTest() override {
    for (auto& machine : machines) machine->StopLinks();
    net.CloseAll();
    time.Clear();
  }
  Machine& Add(uint64_t number, std::vector<std::string> join) {
    return *machines.emplace_back(std::make_unique<Machine>(time, net, number, std::move(join)));
  }
  void ThreeNodes() {
    const std::vector<std::string> list = {Address(1), Address(2), Address(3)};
    for (uint64_t i = 1; i <= 3; ++i) Add(i, list).Start();
    ASSERT_TRUE(time.RunUntil([&] { return AllFormed(); }));
    time.Run(base::Seconds(1));
  }
  bool AllFormed() {
    for (auto& machine : machines) {
      if (!machine->Formed()) return false;
    }
    return true;
  }
  base::Result<coordinator::WriteReply> Put(Machine& machine, const std::string& value) {
    return PutKey(machine, "k", value);
  }
  base::Result<coordinator::WriteReply> PutKey(Machine& machine, const std::string& key,
                                               const std::string& value) {
    return PutIn("default", machine, key, value);
  }
  base::Result<coordinator::WriteReply> PutIn(const std::string& bucket, Machine& machine,
                                              const std::string& key, const std::string& value) {
    std::optional<base::Result<coordinator::WriteReply>> answer;
    coordinator::WriteRequest put;
    put.bucket = bucket;
    put.key = key;
    put.write.value = value;
    machine.coordinator().Write(put, [&](auto reply) { answer = std::move(reply); });
    EXPECT_TRUE(time.RunUntil([&] { return answer.has_value(); }));
    return *answer;
  }
  base::Status AddBucket(Machine& machine, const std::string& name,
                         causal::Kind kind = causal::Kind::kLww) {
    membership::BucketProperties bucket;
    bucket.name = name;
    bucket.conflict = kind;
    std::optional<base::Status> done;
    machine.coordinator().SetBucket(bucket, {}, [&](base::Status s) { done = std::move(s); });
    EXPECT_TRUE(time.RunUntil([&] { return done.has_value(); }));
    return done.value_or(base::Fail(base::Code::kUnknown, "not answered"));
  }
  std::vector<std::string> Values(Machine& machine) {
    std::optional<base::Result<coordinator::GetReply>> answer;
    machine.coordinator().Get({"default", "k", {}}, [&](auto reply) { answer = std::move(reply); });
    EXPECT_TRUE(time.RunUntil([&] { return answer.has_value(); }));
    if (!*answer) return {answer->error().message};
    std::vector<std::string> values;
    for (const auto& value : (*answer)->values) values.push_back(value.bytes);
    std::sort(values.begin(), values.end());
    return values;
  }

  TestTime time;
  TestNet net{time};
  std::vector<std::unique_ptr<Machine>> machines;
};

}  // namespace lariat::node
