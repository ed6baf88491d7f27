// SPDX-License-Identifier: Apache-2.0
// A cluster of gossiping nodes in virtual time: membership::GossipCore on every node, and
// membership::PeerWatchCore (the same with failure detection) on those that are observed. One seed
// decides everything. Single-threaded.
//
// The network delays each frame by 1 to 50 ms, one in a hundred by up to 500 ms, and loses some.
// Probes go over connections: what is lost is sent again after 200 ms, 400 ms and so on, and a
// probe fails after a period. A dead node answers nothing at all.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <tuple>
#include <unordered_map>
#include <variant>
#include <vector>

#include "base/prng.h"
#include "membership/peer_watch_core.h"

namespace lariat::sim::scale {

constexpr base::Duration kPeriod = base::Seconds(1);

// Nodes spread evenly over racks, racks over datacenters.
std::shared_ptr<const membership::MemberList> MakeMembers(uint32_t nodes, uint32_t racks,
                                                          uint32_t dcs, base::Prng prng);

struct WorldOptions {
  std::shared_ptr<const membership::MemberList> members;
  membership::Hierarchy hierarchy = membership::Hierarchy::kOff;
  double loss = 0.05;
  uint64_t seed = 1;
  std::vector<uint32_t> observers;  // places in the list; empty: all
};

struct Traffic {
  uint64_t frames = 0;
  uint64_t bytes = 0;
};

class World {
 public:
  explicit World(const WorldOptions& options);

  // Called when an observer's detector convicts a peer or takes one back.
  using OnVerdict = std::function<void(uint32_t observer, membership::DetectorAction)>;
  void set_on_verdict(OnVerdict call) { on_verdict_ = std::move(call); }

  // Runs a period.
  void Round();
  void Kill(uint32_t node) { nodes_[node].alive = false; }
  void SetLoss(double loss) { loss_ = loss; }
  void SetStates(uint32_t node, const membership::NodeStates& states);

  uint32_t size() const { return static_cast<uint32_t>(nodes_.size()); }
  base::Instant now() const { return now_.instant; }
  const membership::MemberList& members() const { return *members_; }
  bool IsAlive(uint32_t node) const { return nodes_[node].alive; }
  const membership::GossipCore& Gossip(uint32_t node) const;
  // Null for a node without failure detection.
  const membership::PeerWatchCore* Watch(uint32_t node) const;
  Traffic SentBy(uint32_t node) const;

 private:
  struct Node {
    std::variant<std::unique_ptr<membership::GossipCore>,
                 std::unique_ptr<membership::PeerWatchCore>>
        core;
    bool alive = true;
    uint64_t probe_bytes = 0;
  };
  enum class Kind : uint8_t { kTick, kSyn, kAck, kAck2, kProbeOk, kProbeFailed };
  struct Event {
    base::Instant at;
    uint64_t order;
    Kind kind;
    uint32_t from, to;
    std::string bytes;
    bool operator>(const Event& other) const {
      return std::tie(at, order) > std::tie(other.at, other.order);
    }
  };

  void MakeNodes(const WorldOptions& options);
  void Push(base::Instant at, Kind kind, uint32_t from, uint32_t to, std::string bytes = {});
  void Send(Kind kind, uint32_t from, uint32_t to, std::string bytes);
  base::Duration Latency();
  void Handle(Event event);
  void Tick(uint32_t node);
  void Deliver(const Event& event);
  void Obey(uint32_t node, const std::vector<membership::DetectorAction>& actions);
  void Probe(uint32_t node, uint64_t target);

  std::shared_ptr<const membership::MemberList> members_;
  std::unordered_map<uint64_t, uint32_t> place_of_;  // by number; looked up, never walked
  std::vector<Node> nodes_;                          // in the order of the member list
  std::vector<Event> events_;                        // a heap, the next one first
  uint64_t order_ = 0;
  base::Prng prng_;
  double loss_;
  membership::WatchNow now_;
  OnVerdict on_verdict_;
};

}  // namespace lariat::sim::scale
