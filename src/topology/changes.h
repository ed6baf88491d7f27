// SPDX-License-Identifier: Apache-2.0
// Changes of a formed cluster, from one member's point of view: it brings what is asked here to
// agreement, and while it is the lowest live voter it drives the change under way from step to
// step. The shell of membership/change_core.h and drive_core.h.
//
// Lives on shard 0 and is called on its thread only.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>

#include "membership/drive_core.h"
#include "peers/home.h"
#include "topology/topology_register.h"

namespace lariat::topology {

// What people are shown; shared by the shards, replaced whole.
struct ChangesSeen {
  membership::Reports reports;
  std::string waiting_for;
  double bytes_per_s = 0;
  base::Instant taken;
};

class Changes {
 public:
  struct Ports {
    std::function<const membership::Topology*()> decided;  // as in TopologyRegister
    membership::IsAlive alive;
    std::function<bool(const base::Uuid&)> in_doubt;  // as in membership::Asked
    membership::LevelsTold level;
    // How far this node itself is.
    std::function<wire::ProgressReply()> progress;
    // Tells the others of a document that was decided here.
    std::function<void()> spread;
    // New figures for people.
    std::function<void(std::shared_ptr<const ChangesSeen>)> publish;
  };
  Changes(peers::Home& home, TopologyRegister& decisions, ring::AllocationOptions allocation,
          telemetry::LogSink& log, Ports ports);
  void Start();
  // The node is out of the cluster: its document is history, and it drives nothing.
  void Stop() { stopped_ = true; }

  // Called once for each decided document that the proposal is tried on.
  using Edit = std::function<membership::Next(const membership::Topology&)>;
  // The document in which the edit is done; the one that was there if nothing was to be done.
  using Done = base::UniqueFunction<void(base::Result<membership::Topology>)>;
  // One after the other: proposals of one node do not compete.
  void Propose(Edit edit, Done done);
  membership::Asked Asked() const;

  // Somebody looks: for a while this node gathers progress although another one drives.
  void Watch() { watched_until_ = home_.env().clock.Now() + base::Seconds(10); }

 private:
  struct Proposal {
    Edit edit;
    Done done;
    base::Instant until;
  };
  void RunNext();
  void Try();
  void OnDecided(const std::string& proposed, base::Result<std::string> decided);
  void End(base::Result<membership::Topology> result);

  void Tick();
  std::optional<base::Uuid> Driver(const membership::Topology& now) const;
  bool Drives(const membership::Topology& now) const;
  std::string WhyNotAgreed(const membership::Topology& now) const;
  void Poll(const membership::Topology& now);
  void OnReport(const base::Uuid& node, const base::Result<wire::Body>& body);
  void Drive(const membership::Topology& now);
  void SayWhatIsWaitedFor(const membership::Topology& now);
  void Publish();

  peers::Home& home_;
  TopologyRegister& register_;
  ring::AllocationOptions allocation_;
  telemetry::LogSink& log_;
  Ports ports_;
  std::deque<Proposal> proposals_;  // the first one is being tried
  bool driving_ = false;            // a step is among them
  bool stopped_ = false;
  membership::Reports reports_;
  std::string waiting_for_;
  std::string said_;  // of it, in the log, and when
  base::Instant said_at_{};
  uint64_t not_agreed_epoch_ = 0;  // on a step from this one the members could not agree
  std::string not_agreed_;         // and why
  uint64_t reports_of_ = 0;        // the change that reports_ are about
  base::Instant watched_until_{};
  uint64_t bytes_before_ = 0;
  base::Instant rate_since_{};
  double bytes_per_s_ = 0;
};

}  // namespace lariat::topology
