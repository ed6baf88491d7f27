// SPDX-License-Identifier: Apache-2.0
// One node: its shards, its part in the cluster, its figures. Built from an outside world for each
// shard and an engine; the same class runs in lariatd and in the simulator.
//
// Order: build the loops and the engine; Node; Start; run the loops ... drain; stop the loops;
// destroy the engine, then Node, then the loops. An engine that goes completes what waits into its
// queues, which are the node's shards and post to the loops; a node that goes calls no engine. An
// engine that stays for another node (a simulated disk) has to have dropped its completions before.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "config/settings.h"
#include "coordinator/admin_service.h"
#include "node/cluster.h"
#include "node/healing/healing.h"
#include "node/identity.h"
#include "node/judged_clock.h"
#include "node/past/past.h"
#include "node/shard.h"
#include "node/streams.h"
#include "node/watch.h"

namespace lariat::node {

struct Addresses {
  std::string http, resp, peer;  // as others reach them
};

struct NodeOptions {
  Identity identity;
  Addresses addresses;
  config::Settings settings;
  Cluster::Stored stored;   // LoadCluster
  Past::Stored past;        // LoadPast
  uint64_t generation = 1;  // DrawGeneration
  std::string version;      // of the program, for people
};

class Node {
 public:
  Node(NodeOptions options, std::vector<Shard::World> worlds, storage::Engine& engine,
       telemetry::LogSink& log);
  ~Node();
  void Start();

  const Identity& identity() const { return options_.identity; }
  const Addresses& addresses() const { return options_.addresses; }
  // All of them, also while the first are being built.
  uint32_t shards() const { return shard_count_; }
  Shard& shard(uint32_t index) { return *shards_[index]; }
  const Shard& shard(uint32_t index) const { return *shards_[index]; }
  coordinator::AdminService& admin(uint32_t shard_index);
  storage::Engine& engine() const { return engine_; }
  const std::shared_ptr<replica::HintBudget>& hint_budget() const { return hint_budget_; }

  // Thread-safe. No new work is ready to come; /readyz says so.
  void SetDraining(bool on = true) { draining_.store(on); }
  bool draining() const { return draining_.load(); }
  // Applies what can change live, on every shard. Thread-safe.
  void ApplySettings(const config::Settings& settings);
  std::string MetricsText() const;  // thread-safe
  const NodeOptions& options() const { return options_; }

  // For shards, on any shard's thread; they run on shard 0 and come back to `from`.
  void SetBucket(membership::BucketProperties bucket, Shard& from, Cluster::StatusDone done);
  void Seal(Shard& from, Cluster::StatusDone done);
  // A change of the topology; the edit runs on shard 0.
  void Propose(Changes::Edit edit, Shard& from, Changes::Done done);
  membership::Asked Asked() const { return cluster_->Asked(); }  // on shard 0's thread
  void WatchChanges();                                           // thread-safe
  // What was last seen of the change under way; null if nothing was. Thread-safe.
  std::shared_ptr<const ChangesSeen> changes_seen() const;
  // `fence`: that of the request's envelope.
  template <typename Back>
  void OnClusterRequest(const base::Uuid& from, uint64_t fence, wire::Body request, Back back,
                        Shard& shard);
  // On shard 0's thread.
  void PushDocument(PeerHandle peer) { cluster_->PushDocument(peer); }
  void OnPeerDown(uint64_t number);  // on any shard's thread
  void OnPeerUp(uint64_t number) { watch_->OnUp(number); }
  const JudgedClock& clock(uint32_t shard) const { return *clocks_[shard]; }  // on its thread
  PeerTime& peer_time() { return peer_time_; }
  Healing& healing() { return *healing_; }
  const Streams& streams() const { return *streams_; }
  Past& past() { return *past_; }
  const Past& past() const { return *past_; }
  // Why this process must end: its data directory is a copy, or an old one. Null: it need not.
  // Thread-safe.
  std::shared_ptr<const std::string> refused() const { return std::atomic_load(&refused_); }
  // The process has stood aside, and may begin anew on the same data directory. Thread-safe.
  bool wants_restart() const { return wants_restart_.load(); }
  // Requests of clients that were answered so far, and the time they took together. Thread-safe.
  std::pair<uint64_t, base::Duration> RequestsSoFar() const;
  std::shared_ptr<const PeersSeen> peers_seen() const;  // thread-safe
  // What keeps the node from serving, in words; empty once it is in a cluster. Thread-safe.
  std::string WaitingFor() const;

 private:
  // Says what the node waits for, and from whom, until it is a full member that serves.
  void NoteWaitingFor();
  void StoreWaitingFor();
  Cluster::Ports ClusterPorts();
  Watch::Ports WatchPorts();
  Past::Ports PastPorts();
  void StandAside(const std::string& why);
  membership::NodeStates States() const;
  void Dispatch(const base::Uuid& from, uint64_t fence, wire::Body request, Cluster::BodyDone done);
  void Publish(const std::shared_ptr<const membership::View>& view, Cluster::StatusDone done);

  NodeOptions options_;
  storage::Engine& engine_;
  const uint32_t shard_count_;
  std::shared_ptr<replica::HintBudget> hint_budget_;  // co-owned by the shards' replicas
  PeerTime peer_time_;
  std::vector<std::unique_ptr<JudgedClock>> clocks_;  // of the shards
  std::vector<std::unique_ptr<telemetry::Metrics>> metrics_;
  std::vector<std::unique_ptr<Shard>> shards_;
  std::vector<std::unique_ptr<coordinator::AdminService>> admins_;
  std::unique_ptr<Past> past_;
  std::unique_ptr<Streams> streams_;
  std::unique_ptr<Healing> healing_;
  std::unique_ptr<Watch> watch_;
  std::unique_ptr<Cluster> cluster_;
  std::atomic<bool> draining_{false};
  telemetry::LogSink& log_;
  std::optional<base::Instant> said_waiting_;
  std::atomic<bool> wants_restart_{false};
  std::shared_ptr<const std::string> refused_;  // as waiting_for_
  // What shard 0 said last; read and replaced atomically, co-owned by readers.
  std::shared_ptr<const std::string> waiting_for_;
  std::shared_ptr<const ChangesSeen> changes_seen_;  // likewise
  std::shared_ptr<const PeersSeen> peers_seen_;      // likewise
};

// The durable limit of a shard's clock, in Space::kMeta.
std::string ClockKey(uint32_t shard);

template <typename Back>
void Node::OnClusterRequest(const base::Uuid& from, uint64_t fence, wire::Body request, Back back,
                            Shard& shard) {
  Shard& home = *shards_[0];
  auto run = [this, &home, from, fence, request = std::move(request),
              back = std::move(back)]() mutable {
    Dispatch(from, fence, std::move(request),
             [&home, back = std::move(back)](wire::Body b) mutable { back(home, std::move(b)); });
  };
  if (&shard == &home) return run();
  home.Post(std::move(run));
}

}  // namespace lariat::node
