// SPDX-License-Identifier: Apache-2.0
// Whether this process is what its data directory says, and whether the others are: handshakes
// compare what a member's directory has with what its earlier runs have told (Progress, Pasts), and
// find two processes with one identity (Twin).
//
// Lives on shard 0 and is called on its thread only, except where said.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "node/past/pasts.h"
#include "node/past/progress.h"
#include "node/past/twin.h"
#include "peers/watch.h"

namespace lariat::node {

class Past {
 public:
  struct Ports {
    std::function<std::shared_ptr<const peers::PeersSeen>()> peers_seen;  // thread-safe
    std::function<uint64_t()> records;  // written by this run so far; thread-safe
    // This node's directory lacks what it had acknowledged, or may; for people.
    std::function<void(const std::string& why)> doubt;
    // It may lack votes; they are counted on above so many.
    std::function<void(uint64_t above)> lose_votes;
    Twin::Ports twin;
  };
  struct Stored {  // LoadPast
    wire::Progress progress;
    Pasts::ByMember pasts;
  };
  struct Options {
    base::Uuid id;
    std::string name;
    std::string here, before;  // as in Twin
    Stored stored;
  };
  Past(peers::Home& home, storage::Engine& engine, telemetry::LogSink& log, Options options,
       Ports ports);

  void Start();
  void OnView(const membership::View& view) { pasts_.Keep(view.topology); }
  // Each gossip period, with what gossip says of the members.
  void OnPeersSeen(const peers::PeersSeen& seen);

  // Thread-safe.
  void FillHello(wire::Hello* hello) const;
  // Whether the peer is let in; fills in what it is told.
  base::Status OnHello(const wire::Hello& hello, wire::HelloReply* reply);
  // Whether this node wants to talk to who answers at that address.
  base::Status OnHelloReply(const std::string& address, const wire::HelloReply& reply);

  Progress& progress() { return progress_; }
  Pasts& pasts() { return pasts_; }
  Twin& twin() { return twin_; }
  const Twin& twin() const { return twin_; }

 private:
  void EachWhile();
  void OnKnown(const wire::Progress& known, const std::string& by);
  void Refuse(const wire::Progress& known, const std::string& by);
  base::Status CheckOther(const wire::Hello& hello, wire::HelloReply* reply) const;

  peers::Home& home_;
  storage::Engine& engine_;
  telemetry::LogSink& log_;
  const base::Uuid id_;
  const std::string name_;
  Ports ports_;
  const base::Duration period_;
  Progress progress_;
  Pasts pasts_;
  Twin twin_;
  bool refused_ = false;
};

// What earlier runs left, of the members of the document that is stored. kCorruption if it is
// damaged. Blocks; for start-up.
base::Result<Past::Stored> LoadPast(storage::Engine& engine,
                                    const std::optional<membership::Topology>& topology);

}  // namespace lariat::node
