// SPDX-License-Identifier: Apache-2.0
// The node's part in the cluster: forming it, keeping and spreading the topology document. The
// shell of membership::FormationCore. Lives on shard 0 and is called on its thread only.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "membership/formation_core.h"
#include "peers/home.h"
#include "topology/changes.h"
#include "topology/confirmation.h"
#include "topology/join_asker.h"
#include "topology/join_list.h"
#include "topology/kept_document.h"
#include "topology/last_word.h"
#include "topology/lost_votes.h"
#include "topology/topology_record.h"
#include "topology/topology_register.h"

namespace lariat::topology {

class Cluster {
 public:
  using StatusDone = base::UniqueFunction<void(base::Status)>;
  struct Ports {
    // Gives a new view to all shards; done when all of them work by it.
    std::function<void(std::shared_ptr<const membership::View>, StatusDone)> publish;
    membership::IsAlive alive;
    std::function<bool(const base::Uuid&)> in_doubt;  // as in membership::Asked
    membership::LevelsTold level;
    // What this node tells of its streams; `fence` is filled in by the cluster.
    std::function<wire::ProgressReply()> streams;
    std::function<void(std::shared_ptr<const ChangesSeen>)> publish_changes;
    // This node is out of the cluster for good; the reason is for people.
    std::function<void(const std::string&)> expelled;
    // Why this node must not serve yet, or any more; empty if it may.
    std::function<std::string()> held_up;
  };
  using Stored = TopologyRecord::Stored;  // from LoadCluster
  Cluster(peers::Home& home, membership::FormationCore::Options options, Stored stored,
          storage::Engine& engine, telemetry::LogSink& log, Ports ports);

  void Start();
  using BodyDone = base::UniqueFunction<void(wire::Body)>;
  void OnRequest(wire::Body request, BodyDone done);
  // Creates or changes a bucket. Done when the members have agreed, and all that answer know it.
  void SetBucket(membership::BucketProperties bucket, StatusDone done);
  void Seal(StatusDone done);
  // A change of the sealed cluster; seals it first.
  void Propose(Changes::Edit edit, Changes::Done done);
  // A change of membership::Topology::access. Refused (kConflict) while a member that answers runs
  // a build that would lose it.
  void SetAccess(Changes::Edit edit, Changes::Done done);
  membership::Asked Asked() const { return changes_.Asked(); }
  void WatchChanges() { changes_.Watch(); }
  // This process serves no more, and says why when it is asked; it is still a member.
  void StandAside(std::string why);
  // `above`: as many as others remember; they are counted on from there.
  void LoseVotes(uint64_t above) { lost_votes_.Lose(above); }
  uint64_t VotesStored() const { return record_.stores(); }
  // Sends the document, and takes the peer's if that is newer.
  void PushDocument(peers::PeerHandle peer);

  // Empty once the cluster is formed and this node is in it.
  std::string WaitingFor() const;
  // The newest document that is durable here; null before there is one.
  const membership::Topology* Decided() const { return document_.Decided(); }
  // What every shard of this node works by.
  uint64_t adopted_fence() const { return document_.fence(); }

 private:
  TopologyRegister::Ports RegisterPorts();
  void AskToJoin();
  void OnJoinReply(const base::Result<wire::Body>& reply);
  // As long as some member is not reached: looks for it where this node was told to join.
  void SeekMembers();
  void TellWhoAnswers();
  void OnConfirmed();
  void TryFound();
  // Takes over another node's document; done when it is durable and published.
  void Learn(const membership::Topology& theirs, StatusDone done);
  void OnJoin(const wire::JoinRequest& request, BodyDone done);
  void TakeIn(membership::Member newcomer, std::string replaces, BodyDone done);
  void OnPush(const wire::DocumentPush& push, BodyDone done);
  void OnSeal(BodyDone done);
  wire::ProgressReply Progress() const;
  void Expel();
  // So that it is known after a restart, too, when nobody can be asked.
  void StoreExpulsion();

  peers::Home& home_;
  JoinList list_;
  membership::FormationCore core_;
  storage::Engine& engine_;
  telemetry::LogSink& log_;
  Ports ports_;
  Confirmation confirmation_;
  LastWord last_word_;
  JoinAsker asker_;
  TopologyRecord record_;
  KeptDocument document_;
  LostVotes lost_votes_;
  TopologyRegister register_;
  Changes changes_;

  std::optional<membership::Topology> expelled_before_;  // in an earlier run, by this
  // Newcomers on which the members are about to agree, with those that wait for the end of it.
  std::map<base::Uuid, std::vector<BodyDone>> taken_in_;
  std::string refusal_;  // why nobody takes this node, as last heard
  std::string aside_;    // why; empty: it serves
};

}  // namespace lariat::topology
