// SPDX-License-Identifier: Apache-2.0
// One shard of a node: its coordinator, its replica, and the messages between them, the other
// shards and the other nodes. A key's read-merge-write happens on the shard that owns its token; a
// request for another shard's token is handed over through that shard's executor, which batches.
//
// Threads: everything on the shard's thread, except where a method says otherwise.
#pragma once

#include <deque>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/prng.h"
#include "config/settings.h"
#include "coordinator/coordinator.h"
#include "coordinator/ports.h"
#include "env/env.h"
#include "membership/liveness_core.h"
#include "membership/topology.h"
#include "node/calls.h"
#include "node/judged_clock.h"
#include "node/transport.h"
#include "replica/dirty_marks.h"
#include "replica/replica.h"
#include "telemetry/log.h"

namespace lariat::node {

class Node;

// Why a node gives itself a record that it did not have.
enum class IngestWhy : uint8_t { kMoved, kRepaired, kHinted };

class Shard final : public PeerEvents,
                    public coordinator::ReplicaPort,
                    public coordinator::ClusterPort,
                    public storage::CompletionQueue {
 public:
  struct World {
    env::Env env;
    PeerTransport& transport;
  };
  Shard(Node& node, uint32_t index, World world, const config::Settings& settings,
        storage::Engine& engine, telemetry::Metrics& metrics, telemetry::LogSink& log,
        causal::HlcStamp clock_floor);

  // Starts timers. Afterwards views may come.
  void Start();
  void SetView(std::shared_ptr<const membership::View> view);
  // Calls back when every write that was let in by an earlier view is in the engine or refused.
  void WhenSettled(base::UniqueFunction<void()> done) { replica_.WhenSettled(std::move(done)); }
  // The node is out of the cluster: nothing is served any more.
  void Expel();
  // Nothing is served any more, for that reason, though the node is still a member.
  void StandAside(std::string why);
  void SetUnusable(std::shared_ptr<const std::set<uint64_t>> nodes);
  void SetDraining(std::shared_ptr<const std::set<uint64_t>> nodes) {
    liveness_.SetDraining(std::move(nodes));
  }
  // Joins a record that another node gave, on the shard that owns its token; ok when it is durable.
  void Ingest(replica::KeyRef key, std::string object,
              base::UniqueFunction<void(base::Status)> done, IngestWhy why = IngestWhy::kMoved);
  // This node's own record, for comparisons: also while reads are refused.
  void ReadOwn(uint64_t fence, replica::KeyRef key, ReadDone done);
  // Removes records that this node does not own by the document with this fence; kStaleEpoch if the
  // shard works by another. Gives the keys that were skipped.
  using RemovedDone = base::UniqueFunction<void(base::Result<std::vector<std::string>>)>;
  void RemoveRecords(uint64_t fence, std::vector<std::string> data_keys, RemovedDone done);
  const config::Settings& settings() const { return settings_; }
  void ApplySettings(const config::Settings& settings);
  uint32_t index() const { return index_; }
  const env::Env& env() const { return world_.env; }
  coordinator::Coordinator& coordinator() { return coordinator_; }
  replica::Replica& replica() { return replica_; }
  const std::shared_ptr<const membership::View>& view() const { return view_; }
  // Work whose loss somebody would notice: requests of clients and of coordinators. For draining.
  size_t Busy() const { return coordinator_.InFlight() + replica_.Waiting(); }
  uint32_t PeersAlive() const;
  bool IsAlive(ring::NodeIndex node) const;  // of the present view
  telemetry::Metrics& metrics() { return metrics_; }
  telemetry::LogSink& log() { return log_; }
  const JudgedClock& clock() const;
  PeerTime& peer_time();

  // Sends to a member or to an address outside the cluster, with a reply or an error.
  void Call(PeerHandle peer, wire::Body body, base::Duration timeout, Calls::Done done);
  // The handle of a member of the present view, or of an address that is asked to join.
  std::optional<PeerHandle> PeerOf(ring::NodeIndex index) const;
  std::optional<PeerHandle> PeerOf(const base::Uuid& id) const;
  std::optional<PeerHandle> PeerOf(uint64_t number) const;
  bool IsAlive(const base::Uuid& id) const;  // false for what is no member
  // A connection to whoever answers at an address; a member's own is PeerOf. It lasts until
  // CloseAddress, or until the next view.
  PeerHandle PeerAt(const std::string& address);
  void CloseAddress(const std::string& address);
  // Who answered there last (this node itself, too) and why nobody does now; after PeerAt.
  struct Met {
    std::optional<base::Uuid> node;
    std::string trouble;  // empty while there is a connection, or it is first tried
  };
  Met MetAt(const std::string& address) const;
  PeerTransport& transport() { return world_.transport; }
  // Why not a single request can be served by the members that this shard reaches, for people. Once
  // there was one it stays empty.
  std::string WhyNotServing() const;

  // PeerEvents
  wire::Hello MakeHello() const override;
  wire::HelloReply OnHello(const wire::Hello& hello) override;
  base::Status OnHelloReply(PeerHandle peer, const wire::HelloReply& reply) override;
  void OnPeerUp(PeerHandle peer, const base::Uuid& node) override;
  void OnPeerDown(PeerHandle peer, const base::Error& why) override;
  void OnRefused(PeerHandle peer, const wire::HelloReply& answer) override;
  // What a node of another cluster said when this one came to it; empty: none was met.
  const std::string& other_cluster() const { return other_cluster_; }
  void OnRequest(const base::Uuid& from, LinkId link, wire::Envelope request) override;
  void OnReply(PeerHandle peer, wire::Envelope reply) override;

  // coordinator::ReplicaPort
  void Read(const coordinator::Destination& to, wire::ReadRequest request, ReadDone done) override;
  void Write(const coordinator::Destination& to, wire::WriteRequest request,
             WriteDone done) override;
  void Forward(const coordinator::Destination& to, wire::ForwardedWrite request,
               ForwardDone done) override;
  void Update(coordinator::UpdateRequest request, UpdateDone updated, DurableDone durable) override;
  void Owe(const membership::View& view, ring::NodeIndex node, coordinator::OwedKey key) override;
  bool IsAlive(const membership::View& view, ring::NodeIndex node) const override;
  bool IsPreferred(const membership::View& view, ring::NodeIndex node) const override {
    return !liveness_.IsDraining(view.MemberAt(node).Number());
  }

  // coordinator::ClusterPort
  void SetBucket(membership::BucketProperties bucket,
                 base::UniqueFunction<void(base::Status)> done) override;
  void Seal(base::UniqueFunction<void(base::Status)> done) override;
  void Reconcile(std::shared_ptr<const membership::View> view, ring::NodeIndex node) override;
  base::Status CheckClock() const override;

  // storage::CompletionQueue; thread-safe
  void Post(base::UniqueFunction<void()> task) override;

 private:
  struct Peer {
    std::string address;
    std::optional<base::Uuid> member;  // who it must be; nothing: whoever answers there
    std::optional<base::Uuid> node{};  // who it was, as the handshake told
    bool up = false;
    base::Instant reconciled{};  // when documents were last exchanged because of a stale request
  };

  void Tick();
  void OpenMember(ring::NodeIndex index);
  void Close(PeerHandle peer);
  void LookWhetherItServes();
  template <typename Reply, typename Request, typename Done>
  void Ask(const coordinator::Destination& to, Request request, Done done);
  void Send(PeerHandle peer, wire::Envelope request, base::Duration timeout, Calls::Done done);
  // An error: certainly not sent, and `done` is as it was.
  base::Status TrySend(PeerHandle peer, wire::Envelope request, base::Duration timeout,
                       Calls::Done* done);
  std::optional<PeerHandle> PeerIn(const membership::View& view, ring::NodeIndex node) const;
  void ExchangeDocuments(uint64_t number);
  base::Status CheckFence(uint64_t fence) const;
  base::Status CheckHintFor(uint64_t member) const;
  void TellDirty();
  void LocalRead(wire::ReadRequest request, uint64_t fence, ReadDone done);
  void LocalWrite(wire::WriteRequest request, uint64_t fence, WriteDone done);
  void RunUpdate(coordinator::UpdateRequest request, UpdateDone updated, DurableDone durable);
  void MakeEvent(coordinator::UpdateRequest request, UpdateDone updated, DurableDone durable);
  // Runs `use` on the shard that owns the token.
  template <typename Use>
  void OnOwner(uint64_t token, Use use);
  bool IsMember(const base::Uuid& node) const;
  base::Status CheckSender(const base::Uuid& from, const wire::Envelope& request) const;
  void Answer(LinkId link, uint64_t id, wire::Body body);
  void Serve(const base::Uuid& from, LinkId link, wire::Envelope request);
  bool FirstForward(const base::Uuid& from, uint64_t id);
  void WithClock(base::UniqueFunction<void(base::Status)> use);
  int64_t ClockLimitWantedMs() const;
  void ExtendClock();
  void MindClock();

  base::Uuid ClusterId() const;

  Node& node_;
  uint32_t index_;
  base::Uuid stored_cluster_;  // of an earlier run; nil: none
  std::string other_cluster_;
  World world_;
  config::Settings settings_;
  storage::Engine& engine_;
  telemetry::Metrics& metrics_;
  telemetry::LogSink& log_;
  base::Prng prng_;
  replica::Clock clock_;
  replica::Replica replica_;
  Calls calls_;
  membership::LivenessCore liveness_;
  coordinator::Coordinator coordinator_;
  std::shared_ptr<const membership::View> view_;
  std::vector<std::optional<PeerHandle>> peer_of_;  // by node index of the view
  std::map<PeerHandle, Peer> peers_;
  std::map<std::string, PeerHandle> by_address_;  // those of PeerAt
  std::map<base::Uuid, PeerHandle> by_member_;
  bool has_served_ = false;
  // Forwarded writes seen lately: a repeated message must not make a second event.
  std::set<std::pair<uint64_t, uint64_t>> forwards_;
  std::deque<std::pair<uint64_t, uint64_t>> forwards_order_;
  std::vector<base::UniqueFunction<void(base::Status)>> clock_waiters_;
  bool clock_extending_ = false;
  std::set<replica::DirtyMark> dirty_;  // to be marked: hints could not be kept
  std::vector<uint64_t> handed_over_;   // by shard: the turn in which something last was
  bool expelled_ = false;
  std::string aside_;  // why; empty: it serves
};

}  // namespace lariat::node
