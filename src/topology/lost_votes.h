// SPDX-License-Identifier: Apache-2.0
// What a voter owes the others when recovery cut its log at a damaged record and the copy of its
// votes (topology_record.h) cannot be read either: it may have forgotten a promise or an accepted
// document, and one that forgets can help to decide a second document for an epoch. So it does not
// vote for any epoch that it may have voted for before:
//
//   last decided before the damage   D      unknown here: the disk may be older than that
//   voted for, at the latest         D + 1  (a voter stores document k-1 before it votes for k)
//   a majority accepted document D, this node perhaps among them: at least n/2 (rounded down) of
//   the others, so of any n/2 (rounded up) others one accepted it or knows it.
//
// It asks the others about the epoch after its own document, with a ballot that no acceptor
// promises. When n/2 (rounded up) of them hold neither a newer document nor anything for that
// epoch, then D is not above its own document, and it votes again as soon as it has learnt the
// next one. Of two voters both are in each majority: there the other remembers for both, and an
// answer of it is enough. A single voter has nobody to ask. A voter that has lost votes itself
// does not answer.
//
// Lives on shard 0 and is called on its thread only.
#pragma once

#include <functional>
#include <optional>
#include <set>
#include <string>

#include "membership/topology.h"
#include "peers/home.h"
#include "topology/topology_register.h"

namespace lariat::topology {

class LostVotes {
 public:
  // `lost`: TopologyRecord::Votes::lost.
  LostVotes(peers::Home& home, TopologyRecord& record, telemetry::LogSink& log,
            TopologyRegister::Ports ports, bool lost);
  void Start();
  void Stop() { stopped_ = true; }  // out of the cluster: nobody asks for its vote
  // Votes of this node may be missing here from now on; `above`: as in
  // TopologyRecord::PutVotesLost.
  void Lose(uint64_t above);
  // Why this node does not answer the request; empty if it may.
  std::string WhyNot(const wire::RegisterRequest& request) const;

 private:
  void Tick();
  void Ask(const membership::Topology& now);
  void OnAnswer(const base::Uuid& voter, uint64_t epoch, const wire::RegisterReply& reply);
  void VoteAgain(uint64_t epoch);

  peers::Home& home_;
  TopologyRecord& record_;
  telemetry::LogSink& log_;
  TopologyRegister::Ports ports_;
  bool lost_;
  bool stopped_ = false;
  std::optional<uint64_t> until_;  // votes again for epochs above it; nothing: not known yet
  uint64_t asked_epoch_ = 0;       // which answered_ and touched_ are about
  std::set<base::Uuid> answered_;
  bool touched_ = false;  // somebody holds something for it: it may have been decided
};

}  // namespace lariat::topology
