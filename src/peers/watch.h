// SPDX-License-Identifier: Apache-2.0
// Gossip and failure detection of a node: sends what membership::PeerWatchCore wants sent, and
// tells the shards which peers are of no use. Lives on shard 0 and is called on its thread only.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "membership/peer_time_core.h"
#include "membership/peer_watch_core.h"
#include "peers/home.h"
#include "peers/judged_clock.h"

namespace lariat::peers {

// What the detector thinks, for people; shared by the shards, replaced whole.
struct PeersSeen {
  struct Peer {
    membership::PeerStatus status;
    membership::NodeStates states;
    bool heard = false;                      // states are known
    std::optional<int64_t> clock_offset_ms;  // of the members' time
    std::string name;                        // empty: this node itself
  };
  std::map<uint64_t, Peer> peers;  // by member number
  int64_t clock_offset_ms = 0;     // of this node
};

class Watch {
 public:
  struct Ports {
    // Members that are found to be of no use, by number.
    std::function<void(std::shared_ptr<const std::set<uint64_t>>)> publish_unusable;
    // Members that say that they are draining, by number.
    std::function<void(std::shared_ptr<const std::set<uint64_t>>)> publish_draining;
    std::function<void(std::shared_ptr<const PeersSeen>)> publish;
    // A peer has another document than we.
    std::function<void(PeerHandle)> exchange;
    std::function<membership::NodeStates()> states;  // of this node
    // What others repeat of another run with this node's identity.
    std::function<void(const std::vector<membership::GossipClaim>&)> claims;
  };
  struct Clocks {
    const JudgedClock& own;  // of shard 0
    PeerTime& shared;        // what is found out of the members' time
  };
  // `generation`: from DrawGeneration.
  Watch(Home& home, Clocks clocks, uint64_t generation, storage::Engine& engine, Ports ports);
  void Start();
  // The node is out of the cluster: it has nothing to tell and nobody to watch any more.
  void Stop() { stopped_ = true; }
  void OnView(const std::shared_ptr<const membership::View>& view);
  wire::GossipReply OnGossip(const base::Uuid& from, const wire::Gossip& gossip);
  // What the member says of itself.
  bool SaysInDoubt(const base::Uuid& member) const;
  std::optional<uint32_t> FeatureLevelOf(const base::Uuid& member) const;  // nothing: not heard of
  void OnDown(uint64_t node);  // a connection to it broke: a reason to look
  void OnUp(uint64_t node);

 private:
  void Tick();
  void Send(const membership::GossipSend& syn);
  void Probe(uint64_t node);
  void Obey(const std::vector<membership::DetectorAction>& actions);
  void CompareDocuments();
  void KeepGeneration();
  void AskTime(uint64_t node);
  void JudgeTime();
  void LookAtClock();
  membership::WatchNow Now() const;

  Home& home_;
  const JudgedClock& clock_;
  PeerTime& shared_time_;
  storage::Engine& engine_;
  Ports ports_;
  membership::PeerWatchCore core_;
  uint64_t stored_generation_;
  base::Duration period_;
  base::Duration probe_timeout_;
  std::shared_ptr<const std::set<uint64_t>> unusable_;  // co-owned by the shards
  std::set<uint64_t> draining_;
  membership::PeerTimeCore time_;
  std::vector<uint64_t> asked_;                    // whose time is asked for
  std::optional<int64_t> wall_less_monotonic_us_;  // at the last look
  bool clock_was_right_ = true;
  bool stopped_ = false;
};

// Draws and stores the generation of this run of the node: greater than that of every run before,
// whatever the wall clock says. Blocks; for start-up.
base::Result<uint64_t> DrawGeneration(storage::Engine& engine, base::WallTime now);

}  // namespace lariat::peers
