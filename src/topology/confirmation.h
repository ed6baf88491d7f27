// SPDX-License-Identifier: Apache-2.0
// A node that was away may have been removed or replaced meanwhile, and must not serve what it has
// as if nothing had happened. It asks those that it knew, where they were, and whoever answers
// where it was told to join: all may have moved. What counts is who answers, not where. If nobody
// answers for a while it goes on by what it has: alone it cannot reach a quorum anyway. Unless
// those that it was told to join turn out to be another cluster: then it was given the wrong data
// directory, and never goes on.
//
// Lives on shard 0 and is called on its thread only.
#pragma once

#include <functional>
#include <set>
#include <string>

#include "base/result.h"
#include "membership/formation_core.h"
#include "peers/home.h"
#include "topology/join_list.h"

namespace lariat::topology {

class Confirmation {
 public:
  struct Ports {
    std::function<void()> confirmed;  // or it has waited long enough
    std::function<void()> expelled;   // the core says why
    // What else has to be waited for, for people; empty if nothing has.
    std::function<std::string()> held_up;
  };
  struct World {
    peers::Home& home;
    JoinList& list;
    telemetry::LogSink& log;
  };
  Confirmation(World world, membership::FormationCore& core, Ports ports);
  // REQUIRES: the core has a document. Calls confirmed at once if there is nobody to ask.
  void Start();
  bool under_way() const { return under_way_; }
  // What keeps the node from serving, for people; empty if this does not.
  std::string WaitingFor() const;

 private:
  bool HasOthers() const;
  void Tick();
  void Ask(const std::string& address);
  void OnReply(const std::string& address, const base::Result<wire::Body>& body);
  // A majority of the voters, this node among them: what a majority decided, one of these accepted.
  bool Enough() const;
  void End();

  peers::Home& home_;
  JoinList& list_;
  telemetry::LogSink& log_;
  membership::FormationCore& core_;
  Ports ports_;
  bool under_way_ = false;
  base::Instant until_{};
  std::set<base::Uuid> confirmed_by_;  // members that answered
  std::string other_cluster_;          // what those at the addresses to join said they are
};

}  // namespace lariat::topology
