// SPDX-License-Identifier: Apache-2.0
// Consensus about the topology document, as one member takes part in it: the shell of
// consensus::Acceptor and consensus::ProposerCore. Every epoch has a register of its own, which
// starts empty and is decided once, by a majority of the voters of the document before it. A
// decided document is a fact, so an acceptor forgets the register of an epoch when it knows what
// was decided, and whoever asks about that epoch gets the document instead.
//
// Lives on shard 0 and is called on its thread only.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/result.h"
#include "base/unique_function.h"
#include "consensus/acceptor.h"
#include "consensus/ballot.h"
#include "membership/topology.h"
#include "peers/home.h"
#include "topology/topology_record.h"

namespace lariat::topology {

class TopologyRegister {
 public:
  using StatusDone = base::UniqueFunction<void(base::Status)>;
  struct Ports {
    // The newest decided document that is durable here; null before there is one.
    std::function<const membership::Topology*()> decided;
    // Takes over a decided document; done when it is durable.
    std::function<void(const membership::Topology&, StatusDone)> learn;
    // Why this node may not answer an acceptor's question now; empty if it may.
    std::function<std::string(const wire::RegisterRequest&)> why_not;
  };
  // `votes`: of earlier runs.
  TopologyRegister(peers::Home& home, TopologyRecord& record, Ports ports,
                   TopologyRecord::Votes votes);

  using ReplyDone = base::UniqueFunction<void(wire::RegisterReply)>;
  void OnRequest(wire::RegisterRequest request, ReplyDone done);

  // Decides the document that follows `base`, if need be another one than `proposal`. The result is
  // what the register holds; it has been learned. kUnavailable: the proposal was not and will not
  // be taken. kUnknown: it may have been.
  using Decided = base::UniqueFunction<void(base::Result<std::string>)>;
  void Decide(const membership::Topology& base, std::string proposal, Decided done);

 private:
  class Attempt;

  void Accept(wire::RegisterRequest request, ReplyDone done);

  peers::Home& home_;
  TopologyRecord& record_;
  Ports ports_;
  uint64_t epoch_ = 0;  // of acceptor_
  consensus::Acceptor acceptor_;
  consensus::BallotSource ballots_;
};

}  // namespace lariat::topology
