// SPDX-License-Identifier: Apache-2.0
// The addresses that this node was told to join, and who answers there. Names are looked up again
// at each attempt, since what they stand for changes. A name may stand for several addresses: for
// one node by both families of IP, or for several nodes (then for one address of a family each);
// this node itself may be among them. So an address of the list is complete when all that it stands
// for in one of the families have answered.
//
// Lives on shard 0 and is called on its thread only.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "membership/formation_core.h"
#include "peers/home.h"

namespace lariat::topology {

class JoinList {
 public:
  // `own`: the peer address that this node tells the others.
  JoinList(peers::Home& home, const std::vector<std::string>& addresses, std::string own);

  // Looks names up and keeps connections to who is there, but not at those of `leave_out`. To be
  // called again and again while somebody is sought.
  void Seek(const std::set<std::string>& leave_out);
  // Nobody is sought any more.
  void Rest();

  std::vector<std::string> Addresses() const;
  membership::FormationCore::Place PlaceOf(const std::string& address) const;
  // Numeric addresses of connections to other nodes.
  std::vector<std::string> Others() const;
  // Whether another node than this one may be meant; false when only this one has answered.
  bool MayNameOthers() const;
  // Why nobody answers where nobody does, for people; empty if somebody does everywhere.
  std::string Troubles() const;

 private:
  struct Entry {
    std::string address;
    std::vector<std::string> stands_for;
    std::string trouble;  // of the last look-up
    bool looking = false;
    base::Instant looked = base::Instant::min();
  };
  void LookUp(size_t entry);
  void OnFound(Entry* entry, base::Result<std::vector<std::string>> found);
  void Connect(const Entry& entry);
  membership::FormationCore::Place PlaceOf(const Entry& entry) const;
  std::string TroubleOf(const Entry& entry) const;

  peers::Home& home_;
  const std::string own_;
  std::vector<Entry> entries_;
  std::set<std::string> self_;  // where this node itself has answered
};

}  // namespace lariat::topology
