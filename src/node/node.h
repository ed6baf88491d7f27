// SPDX-License-Identifier: Apache-2.0
// One node: its shards, its part in the cluster, its figures. Built from an outside world for each
// shard and an engine; the same class runs in lariatd and in the simulator.
//
// Order: build the loops and the engine; Node; Start; run the loops ... drain; stop the loops;
// destroy the engine, then Node, then the loops. An engine that goes completes what waits into its
// queues, which are the node's shards and post to the loops; a node that goes calls no engine. An
// engine that stays for another node (a simulated disk) has to have dropped its completions before.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "config/settings.h"
#include "coordinator/admin_service.h"
#include "node/admin_host.h"
#include "node/guards.h"
#include "node/home_parts.h"
#include "node/notices.h"
#include "node/options.h"
#include "node/shard/shard.h"
#include "peers/judged_clock.h"

namespace lariat::node {

class Node final : public AdminHost {
 public:
  Node(NodeOptions options, std::vector<Shard::World> worlds, storage::Engine& engine,
       telemetry::LogSink& log);
  ~Node() override;
  void Start();

  const Identity& identity() const { return options_.identity; }
  uint32_t shards() const { return records_.count; }
  Shard& shard(uint32_t index) { return *shards_[index]; }
  const Shard& shard(uint32_t index) const { return *shards_[index]; }
  // For protocols: behind the gate, unless security.auth is off.
  coordinator::KvService& kv(uint32_t shard_index);
  coordinator::AdminService& admin(uint32_t shard_index);
  access::AccessService& access(uint32_t shard_index);
  const std::shared_ptr<replica::HintBudget>& hint_budget() const { return hint_budget_; }
  Past& past() { return parts_.past(); }
  // Applies what can change live, on every shard. Thread-safe.
  void ApplySettings(const config::Settings& settings);
  // As in Notices. Thread-safe.
  void SetDraining(bool on = true) { notices_.SetDraining(on); }
  std::string WaitingFor() const { return notices_.WaitingFor(); }
  std::shared_ptr<const std::string> refused() const { return notices_.refused(); }
  bool wants_restart() const { return notices_.wants_restart(); }

  // AdminHost
  const NodeOptions& options() const override { return options_; }
  storage::Engine& engine() const override { return engine_; }
  std::string MetricsText() const override;
  Notices& notices() override { return notices_; }
  void WatchChanges() override;
  membership::Asked Asked() const override { return parts_.cluster().Asked(); }
  void Propose(topology::Changes::Edit edit, storage::CompletionQueue& back,
               topology::Changes::Done done) override;
  healing::Healing& healing() override { return parts_.healing(); }
  ClusterHotKeys& hot_keys() override { return parts_.hot_keys(); }
  void PostHome(base::UniqueFunction<void()> task) override { shards_[0]->Post(std::move(task)); }

 private:
  NodeOptions options_;
  storage::Engine& engine_;
  std::shared_ptr<replica::HintBudget> hint_budget_;  // co-owned by the shards' replicas
  peers::PeerTime peer_time_;
  std::vector<std::unique_ptr<peers::JudgedClock>> clocks_;  // of the shards
  std::vector<std::unique_ptr<telemetry::Metrics>> metrics_;
  AllRecords records_;
  std::vector<std::unique_ptr<Shard>> shards_;
  std::vector<std::unique_ptr<coordinator::AdminService>> admins_;
  Notices notices_;
  HomeParts parts_;
  env::NoWorkers no_workers_;
  std::unique_ptr<Guards> guards_;  // nullptr: security.auth is off
};

}  // namespace lariat::node
