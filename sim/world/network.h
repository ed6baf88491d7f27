// SPDX-License-Identifier: Apache-2.0
// Messages between simulated machines: connections as TCP would give them, over a network that
// delays, loses, repeats, reorders and cuts, in one direction or both. Every message is encoded by
// the sender and decoded by the receiver. A message belongs to its connection and both ends' lives:
// it never reaches a later connection or a restarted process. With frame_bytes larger ones travel
// in parts (wire/parts.h), each with a fate of its own; a gap ends the connection.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/prng.h"
#include "peers/transport.h"
#include "sim/options.h"
#include "sim/world/bug.h"
#include "sim/world/scheduler.h"
#include "sim/world/trace.h"
#include "wire/outbox.h"
#include "wire/parts.h"

namespace lariat::sim {

// One machine as the network sees it.
class Party {
 public:
  virtual ~Party() = default;
  virtual bool Running() const = 0;
  virtual std::string Address() const = 0;
  virtual uint64_t Life() const = 0;  // grows with each start
  virtual uint32_t Shards() const = 0;
  virtual uint64_t Fence() const = 0;  // of the topology it works by; 0: none
  // Whether it knows that the node of that machine is out of the cluster.
  virtual bool KnowsAsGone(const Party& other) const = 0;
  virtual const std::optional<base::Uuid>& Id() const = 0;  // nothing before its first start
  // Of the object that it holds under a data key, if it holds one.
  virtual base::WallTime Wall() const = 0;  // as its clock says
  virtual std::optional<base::Hash128> DigestOf(const std::string& data_key) = 0;
  virtual peers::PeerEvents& Events(uint32_t shard) = 0;  // REQUIRES: Running
  // Runs the task now, or when a paused machine goes on; never in a later life.
  virtual void Run(env::Task task) = 0;
};

class Network;

// PeerTransport of one shard in one life of its machine.
class Transport final : public peers::PeerTransport {
 public:
  Transport(Network& network, int machine, uint32_t shard, uint64_t life)
      : network_(network), machine_(machine), shard_(shard), life_(life) {}
  peers::PeerHandle Open(const std::string& address, std::optional<base::Uuid> expected) override;
  void Close(peers::PeerHandle peer) override;
  base::Status Send(peers::PeerHandle peer, wire::Envelope&& request) override;
  void Reply(peers::LinkId link, wire::Envelope&& reply) override;

 private:
  friend class Network;
  struct Peer {
    std::string address;
    std::optional<base::Uuid> expected;
    uint64_t connection = 0;  // 0: none that is ready
  };
  Network& network_;
  int machine_;
  uint32_t shard_;
  uint64_t life_;
  std::map<peers::PeerHandle, Peer> peers_;
  peers::PeerHandle next_peer_ = 1;
};

class Network {
 public:
  struct Counts {
    uint64_t delivered = 0, lost = 0, repeated = 0, cut = 0, broken = 0, connects = 0;
    uint64_t parts = 0, parts_refused = 0;
  };

  Network(Scheduler& scheduler, Trace& trace, const Options& options, base::Prng prng, Bug bug);
  // In the order of machine numbers, all of them before anything runs.
  void Add(Party& party) { parties_.push_back(&party); }
  // Of a machine that has moved so often.
  static std::string AddressOf(int machine, int moves = 0) {
    return "m" + std::to_string(machine + 1) + ":" + std::to_string(7482 + moves);
  }

  // Faults. A cut has a direction; cuts of several faults add up.
  void Cut(int from, int to) { ++cuts_[{from, to}]; }
  void Mend(int from, int to);
  // What this shard asks of that machine does not arrive until Release: one connection is slow.
  void Hold(int from, uint32_t shard, int to) { held_.insert({from, shard, to}); }
  void Release(int from, uint32_t shard, int to) { held_.erase({from, shard, to}); }
  void BreakOne();  // some connection, chosen at random
  void Heal();      // no faults from here on
  // The machine's process has ended: its connections are gone; the others find out after a while.
  void OnDown(int machine);
  const Counts& counts() const { return counts_; }

 private:
  // Nobody is told how far a node had got: else a disk that lies is found out by what the others
  // remember.
  bool Forgets() const {
    return bug_ == Bug::kOldUntold || bug_ == Bug::kFlushOnlySyncs || bug_ == Bug::kApartUnwritten;
  }
  friend class Transport;
  enum class Way : uint8_t { kThere, kBack };
  // Large messages of one direction.
  struct Lane {
    wire::Outbox out;
    wire::PartsBudget budget{std::numeric_limits<uint32_t>::max()};
    wire::PartsReader in{budget};
    base::Instant last{};  // arrival of the last part
  };
  struct Packet {
    std::shared_ptr<const std::string> bytes;
    bool part = false;
  };
  struct Connection {
    int from = 0, to = 0;
    uint32_t from_shard = 0, to_shard = 0;
    uint64_t from_life = 0, to_life = 0;
    Transport* transport = nullptr;  // of the asking side; valid while its life lasts
    peers::PeerHandle peer = 0;
    base::Uuid asker;
    base::Instant last_there{}, last_back{};  // arrival of the last message each way
    std::shared_ptr<Lane> there, back;        // co-owned by copies of this; null: no parts

    const std::shared_ptr<Lane>& LaneOf(Way way) const { return way == Way::kThere ? there : back; }
  };

  void Connect(Transport* transport, peers::PeerHandle peer);
  void OnConnect(Transport* transport, peers::PeerHandle peer, int to, const std::string& hello);
  void OnAnswer(uint64_t id, const std::string& bytes);
  void ConnectLater(Transport* transport, peers::PeerHandle peer, base::Duration wait);
  void Transmit(uint64_t id, Way way, wire::Envelope envelope);
  void Launch(uint64_t id, Way way, const Packet& packet);
  void TransmitParts(uint64_t id, Way way);
  void ArriveAt(base::Instant when, uint64_t id, Way way, const Packet& packet);
  void Arrive(uint64_t id, Way way, const Packet& packet);
  void TakePacket(uint64_t id, Way way, const Packet& packet);
  void Deliver(uint64_t id, Way way, const std::string& bytes);
  // A planted bug may swallow or repeat a request. True: it was dealt with.
  bool Tamper(uint64_t id, wire::Envelope* request);
  void TamperWithReply(Party& receiver, wire::Envelope* reply) const;
  // Ends a connection; the asking side hears of it after `notice`.
  void End(uint64_t id, base::Duration notice);
  bool IsCut(int from, int to) const;
  base::Duration Delay();

  Scheduler& scheduler_;
  Trace& trace_;
  const Options& options_;
  base::Prng prng_;
  Bug bug_;
  bool faults_ = true;
  std::vector<Party*> parties_;
  std::map<uint64_t, Connection> connections_;
  uint64_t next_connection_ = 1;
  std::map<std::pair<int, int>, int> cuts_;
  std::set<std::tuple<int, uint32_t, int>> held_;
  Counts counts_;
};

}  // namespace lariat::sim
