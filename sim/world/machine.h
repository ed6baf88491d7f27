// SPDX-License-Identifier: Apache-2.0
// One simulated machine: a disk that stays, and a process (node::Node, the code under test) that is
// started, killed, paused and started again. Everything that the process sees of the world comes
// from here: clocks, random numbers, its event loops.
#pragma once

#include <memory>
#include <vector>

#include "node/node.h"
#include "sim/world/disk.h"
#include "sim/world/network.h"

namespace lariat::sim {

class Machine final : public Party {
 public:
  struct World {
    Scheduler& scheduler;
    Trace& trace;
    Network& network;
    const Options& options;
    Bug bug;
  };

  // `settings`: of the node. `seed`: of its random numbers and its disk.
  Machine(World world, int number, config::Settings settings, uint64_t seed,
          Disk::OnRecord on_record);
  ~Machine() override;

  // REQUIRES: not running.
  void Start();
  // REQUIRES: running. Not from inside the process.
  void Stop(bool power_cut);
  void Pause(base::Duration length);
  base::Instant PausedUntil() const { return paused_until_; }
  // Besides its skew, which stays.
  void SetWallOffset(int64_t offset_ms) { wall_offset_ms_ = offset_ms; }
  void SetWallSkew(base::Duration skew) { wall_skew_ = skew; }

  // Whether faults and the end of faults bring it back. A machine is wanted from its first start.
  void SetWanted(bool wanted) { wanted_ = wanted; }
  bool Wanted() const { return wanted_; }
  // Before its first start: the member whose place it takes.
  void SetReplaces(std::string name) { settings_.cluster_replace = std::move(name); }
  // Not while it runs: whom it asks, if that is not where the first machines were.
  void SetJoin(std::vector<std::string> addresses) {
    settings_.cluster_join = std::move(addresses);
  }
  // It runs what was copied from the disk of a machine with that name. REQUIRES: not running.
  void BecomeCopy(std::string name, storage::MemoryEngine::Image image);
  // The copy is thrown away. REQUIRES: not running.
  void Discard();
  bool Replaces() const { return !settings_.cluster_replace.empty(); }
  const std::string& Name() const { return settings_.node_name; }
  // Of the node that runs here or ran last; nothing before the first start.
  const std::optional<base::Uuid>& Id() const override { return id_; }

  bool Running() const override { return process_ != nullptr; }
  uint64_t Life() const override { return life_; }
  uint32_t Shards() const override { return static_cast<uint32_t>(world_.options.shards); }
  peers::PeerEvents& Events(uint32_t shard) override { return node().shard(shard); }
  uint64_t Fence() const override;
  bool KnowsAsGone(const Party& other) const override;
  base::WallTime Wall() const override {
    return {WallAt(world_.scheduler.Now() + wall_skew_).ms + wall_offset_ms_};
  }
  std::optional<base::Hash128> DigestOf(const std::string& data_key) override;
  void Run(env::Task task) override { RunAt(world_.scheduler.Now(), std::move(task)); }

  // It comes back with another address, one that nobody ever had or another one's. REQUIRES: not
  // running.
  void Move() { MoveTo(Network::AddressOf(number_, ++moves_)); }
  void MoveTo(std::string address) { address_ = std::move(address); }
  std::string Address() const override { return address_; }

  int number() const { return number_; }
  Disk& disk() { return disk_; }
  const Disk& disk() const { return disk_; }
  node::Node& node();  // REQUIRES: running
  // What shard 0 works by; null if it runs not or has none.
  std::shared_ptr<const membership::View> View() const;
  // Whether every shard has a view and sees every other member alive.
  bool SeesAll() const;
  // Runs on the shard's loop, as a client's connection would.
  void Post(uint32_t shard, env::Task task);

 private:
  class ShardWorld;
  struct Process;

  void FailToStart();
  // At `when`, or when a paused machine goes on; never in a later life.
  uint64_t RunAt(base::Instant when, env::Task task);
  void Deliver(uint64_t life, env::Task task);

  World world_;
  int number_;
  config::Settings settings_;
  uint64_t seed_;
  Disk disk_;
  int moves_ = 0;
  std::string address_ = Network::AddressOf(number_);
  uint64_t life_ = 0;
  bool wanted_ = false;
  std::optional<base::Uuid> id_;
  base::Instant paused_until_{};
  int64_t wall_offset_ms_ = 0;
  base::Duration wall_skew_{};
  std::unique_ptr<Process> process_;
};

}  // namespace lariat::sim
