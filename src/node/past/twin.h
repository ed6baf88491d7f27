// SPDX-License-Identifier: Apache-2.0
// Another process with this node's identity: its data directory was copied, and both run. An
// acknowledgement of either would count as the node's, and each lacks what the other one has, so
// neither may serve.
//
//   this run starts,  the other answers, or members hear of it now  it does not start
//   both serve,       they meet                                     both stand aside, in doubt,
//                                                                   until one is silent; then that
//                                                                   one's rival starts anew
//
// They meet because each asks at the other's address (as the topology, a member or gossip names
// it), and because both speak in gossip: each jumps above what others repeat of it, which only a
// living process answers by jumping higher.
//
// A process that was started again elsewhere finds its earlier run in everybody's memory too. That
// one is silent: what members have heard of it only grows older.
//
// Lives on shard 0 and is called on its thread only, except where said.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/time.h"
#include "membership/gossip_core.h"
#include "peers/home.h"
#include "wire/progress.h"

namespace lariat::node {

// In gossip periods: a run that a member has heard of so lately may be alive, and no other one that
// is somewhere else is let in.
inline constexpr int kHeardLately = 5;

class Twin {
 public:
  struct Ports {
    // For good: this process must not serve. The text is for people.
    std::function<void(const std::string&)> refuse;
    // Until go_on: it serves no more.
    std::function<void(const std::string&)> stand_aside;
    // The other one is silent: this process may begin anew.
    std::function<void()> go_on;
  };
  // `here`: where this process listens. `before`: where the topology says that the node is; empty
  // if it says nothing.
  Twin(peers::Home& home, telemetry::LogSink& log, std::string here, std::string before,
       Ports ports);

  void Start();
  wire::RunPhase phase() const { return phase_.load(); }  // thread-safe
  // From now on this run serves, unless it stands aside.
  void OnServing();
  // A process of another run with this identity has answered, or called.
  void OnContact(uint64_t run, const std::string& address, wire::RunPhase phase);
  // A member does not let this run in: it heard of another one at that address that long ago.
  void OnTold(const std::string& address, base::Duration age);
  void OnClaims(const std::vector<membership::GossipClaim>& claims);
  // Whether this run must not serve yet: another one may be alive.
  bool HoldsUp() const;
  // For people; empty if there is nothing to say.
  std::string Text() const;
  // Where the other one is, while this one stands aside or was refused; empty: nowhere.
  std::string Where() const;

 private:
  void Tick();
  // Without a sign for so long, the other one is gone.
  base::Duration Silence() const;
  // The other one was alive then.
  void Meet(const std::string& address, base::Instant alive);

  peers::Home& home_;
  telemetry::LogSink& log_;
  const std::string here_, before_;
  Ports ports_;
  base::Duration period_;
  base::Instant started_;
  std::atomic<wire::RunPhase> phase_{wire::RunPhase::kStarting};
  bool refused_ = false;
  std::string where_;                           // of the other one, as last heard
  std::optional<base::Instant> heard_;          // when it was last known to be alive
  std::optional<base::Instant> held_up_until_;  // by a member's word
  struct Told {
    base::Instant first, last;
  };
  std::optional<Told> told_;           // when it was alive, as members tell without a long gap
  std::vector<base::Instant> claims_;  // lately
  std::map<std::string, base::Instant> suspects_;  // addresses asked, until then
};

}  // namespace lariat::node
