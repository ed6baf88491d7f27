// SPDX-License-Identifier: Apache-2.0
// How nodes that have never met become a cluster, without a ritual and without two rings.
//
// Every node may be given a static list of peer addresses. The first members are the nodes that
// answer there and the node itself; among them the one with the smallest id is the founder. It
// waits until all have asked to join, gives out the tokens in one go, and hands everybody the
// document.
//
//   node1 --join a:1,b:1,c:1     met 7 (itself), 3 and 5: the founder is 3, which it asks to join
//   node2 --join a:1,b:1,c:1     met 7, 3 (itself) and 5: founds when 7 and 5 have asked
//   node3 --join a,b:1,x:1       x:1 does not answer: it names no founder yet
//
// Who is who is settled by the ids of the handshake. Addresses compared as texts, the obvious way,
// would take a name and a number for two nodes, and two nodes may even have different texts for all
// of them; then each would wait for somebody else. Whoever asks names the founder that it waits
// for, so that no node counts for two founders whose lists differ.
//
// A node with an empty list founds a cluster of its own at once. Until the first write that
// cluster is open: its founder still adds whoever asks (there is no data to move yet). The first
// write seals it. As the founder alone both adds and seals, no write can run on a ring that is then
// changed under it. A sealed cluster changes by consensus only (change_core.h).
//
// Pure: messages and time in, decisions out. One instance for a node, used on one thread.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "membership/topology.h"
#include "ring/allocation.h"
#include "wire/messages.h"

namespace lariat::membership {

class FormationCore {
 public:
  struct Options {
    Member self;                    // without tokens
    std::vector<std::string> join;  // static list of peer addresses; may name this node itself
    uint32_t vnodes = 16;
    uint32_t default_n = 3;  // of the bucket 'default', if there are as many nodes
    Durability default_durability = Durability::kSync;
    std::string replaces;  // name of the dead member whose place this node takes; empty: none
    uint32_t feature_level = kFeatureLevel;  // lower: tests speak for an older build
  };

  // `stored`: the document of an earlier run, if there is one.
  FormationCore(Options options, std::optional<Topology> stored);

  // Null until the cluster is formed (or this node is in it).
  const Topology* topology() const { return topology_ ? &*topology_ : nullptr; }
  // Who answers at an address of the static list, as handshakes told.
  struct Place {
    std::set<base::Uuid> nodes;  // this node itself, too
    bool complete = false;       // all that the address stands for have answered
  };
  void OnPlace(const std::string& address, Place place);
  // Addresses beside those of the list to send a JoinRequest to; none once formed.
  const std::set<std::string>& AskToo() const { return ask_too_; }
  wire::JoinRequest MakeJoinRequest() const;
  // Founds the cluster if it is this node's turn and everybody has asked. `cluster` is a fresh
  // random id. True: topology() is new; persist and spread it.
  bool TryFound(const base::Uuid& cluster);

  struct JoinDecision {
    wire::JoinReply reply;
    bool topology_changed = false;  // persist before replying, then spread
    // The cluster is sealed and the asker is new: the members have to agree (AskToJoin).
    std::optional<Member> newcomer;
  };
  JoinDecision OnJoinRequest(const wire::JoinRequest& request, base::Instant now);
  // The answer to our own request. True: topology() is new; persist it. An error is final: this
  // node cannot become a member (the message says why).
  base::Result<bool> OnJoinReply(const wire::JoinReply& reply);

  // Another node's document. Result: whether topology() changed (then persist and spread).
  // kConflict: it is of another cluster, or this node is not in it; see also expelled(). A node
  // that was expelled takes none.
  base::Result<bool> OnDocument(const Topology& theirs);
  // Closes the list of members. REQUIRES: topology() and this node is the founder. True: changed.
  bool Seal();
  bool IsFounder() const { return topology_ && topology_->founder == options_.self.id; }
  // Why this node is no member any more, for good; empty if it is or may become one.
  const std::string& expelled() const { return expelled_; }
  // The document that says so. REQUIRES: expelled() is not empty.
  const Topology& expelled_by() const { return *expelled_by_; }
  // For people: what the node is waiting for; empty once formed.
  std::string WaitingFor() const;
  // Whether the stored document names other addresses for this node; then it is corrected (true:
  // persist and spread).
  bool RefreshOwnAddresses();

 private:
  // Somebody who wants to be one of the first members.
  struct Asker {
    Member member;
    base::Instant last;  // when it asked
    uint32_t feature_level = 0;
  };
  // Nil until everybody in the list has been met.
  base::Uuid Founder() const;
  // This node and whom it has met.
  std::set<base::Uuid> FirstMembers() const;
  // Why a node cannot be one of the first members; empty if it can.
  std::string TwinOf(const Member& newcomer, base::Instant now) const;
  void OnAsker(Member member, const wire::JoinRequest& request, base::Instant now);
  Topology MakeTopology(const base::Uuid& cluster) const;
  void FitDefaultBucket(Topology* topology) const;
  void AddMember(Member member, Topology* topology) const;
  base::Error NotInIt(const Topology& theirs);

  Options options_;
  std::map<std::string, Place> list_;  // by address
  std::map<base::Uuid, Asker> asked_;  // those that wait for this node to found
  std::optional<Topology> topology_;
  std::set<std::string> ask_too_;  // a founder that is not in our list; members that asked us
  std::string expelled_;
  std::optional<Topology> expelled_by_;
};

}  // namespace lariat::membership
