// SPDX-License-Identifier: Apache-2.0
// The peers of one shard: connections to the members of its view and to addresses outside the
// cluster, who is alive, and the questions that wait for an answer. A member is reached by its id:
// another node that answers where it was is not taken for it.
//
// Lives on the shard's thread, and is called on it only.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/uuid.h"
#include "env/env.h"
#include "membership/liveness_core.h"
#include "membership/topology.h"
#include "peers/calls.h"
#include "peers/transport.h"
#include "storage/engine.h"
#include "telemetry/metrics.h"

namespace lariat::peers {

// This node itself.
struct Self {
  base::Uuid id;
  std::string name;
  std::string address;  // as peers reach it
};

class Peers {
 public:
  struct Ports {
    // The connection to a member was made, or is gone.
    std::function<void(uint64_t number)> up, down;
  };
  // All outlive this.
  struct World {
    const env::Clock& clock;
    PeerTransport& transport;
    const storage::Engine& engine;  // a node whose engine is dead is not alive
    telemetry::Metrics& metrics;
  };
  // `first_call`: as in Calls.
  Peers(Self self, const World& world, uint64_t first_call, Ports ports);

  const Self& self() const { return self_; }
  // Connects to its members; lets go of those that are none, and of all addresses of PeerAt.
  void SetView(std::shared_ptr<const membership::View> view);
  const std::shared_ptr<const membership::View>& view() const { return view_; }
  bool IsMember(const base::Uuid& node) const;  // REQUIRES: a view

  // The handle of a member of the present view; nothing for this node itself.
  std::optional<PeerHandle> PeerOf(ring::NodeIndex index) const;
  std::optional<PeerHandle> PeerOf(const base::Uuid& id) const;
  std::optional<PeerHandle> PeerOf(uint64_t number) const;
  // The view may be an older one than the shard's: the node's number finds it in both.
  std::optional<PeerHandle> PeerIn(const membership::View& view, ring::NodeIndex node) const;
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
  // As PeerTransport::Resolve.
  void Resolve(const std::string& address, PeerTransport::Resolved done);
  // Whether the node at the other end takes ScanRequests, as it says in the handshake.
  bool TakesScans(PeerHandle peer) const;
  void NoteScans(PeerHandle peer, bool takes);
  // Null if the handle is closed.
  const std::string* AddressOf(PeerHandle peer) const;
  // Why there is no connection to another member, for people; empty if there is one.
  std::string TroubleOf(ring::NodeIndex index) const;

  // Sends to a member or to an address outside the cluster, with a reply or an error.
  void Call(PeerHandle peer, wire::Body&& body, base::Duration timeout, Calls::Done done);
  // The same, planned by another fence than that of the present view.
  void Send(PeerHandle peer, wire::Envelope&& request, base::Duration timeout, Calls::Done done);
  // An error: certainly not sent, and `done` is as it was.
  base::Status TrySend(PeerHandle peer, wire::Envelope&& request, base::Duration timeout,
                       Calls::Done* done);
  Calls& calls() { return calls_; }

  // Of the present view.
  bool IsAlive(ring::NodeIndex node) const;
  bool IsAlive(const membership::View& view, ring::NodeIndex node) const;
  bool IsAlive(const base::Uuid& id) const;  // false for what is no member
  uint32_t PeersAlive() const;
  void SetUnusable(std::shared_ptr<const std::set<uint64_t>> nodes);
  membership::LivenessCore& liveness() { return liveness_; }

  // As in PeerEvents. True: a member.
  bool OnUp(PeerHandle peer, const base::Uuid& node);
  void OnDown(PeerHandle peer, const base::Error& why);
  // `twin`: another process with this node's identity, which is not this node.
  void OnRefused(PeerHandle peer, const wire::HelloReply& answer, bool twin);
  // What a node of another cluster said when this one came to it; empty: none was met.
  const std::string& other_cluster() const { return other_cluster_; }

 private:
  struct Peer {
    std::string address;
    std::optional<base::Uuid> member;  // who it must be; nothing: whoever answers there
    std::optional<base::Uuid> node{};  // who it was, as the handshake told
    bool up = false;
    bool takes_scans = false;
  };

  void OpenMember(ring::NodeIndex index);
  void Close(PeerHandle peer);

  const Self self_;
  World world_;
  Ports ports_;
  std::string other_cluster_;
  Calls calls_;
  membership::LivenessCore liveness_;
  std::shared_ptr<const membership::View> view_;
  std::vector<std::optional<PeerHandle>> peer_of_;  // by node index of the view
  std::map<PeerHandle, Peer> peers_;
  std::map<std::string, PeerHandle> by_address_;  // those of PeerAt
  std::map<base::Uuid, PeerHandle> by_member_;
};

}  // namespace lariat::peers
