// SPDX-License-Identifier: Apache-2.0
// Gossip and failure detection joined, as a node uses them: heartbeats that gossip brings are
// evidence for the detector, answers to own SYNs are direct replies, and convicted peers are asked
// no more. Pure; one instance per node, used by one thread.
//
// In hierarchical mode the heartbeats of other racks arrive too seldom to convict by them. Those of
// the own rack do, and the rack tells: a node puts the peers of its rack that it convicted into its
// own states (NodeStates::convictions), which reach everybody in O(log n) rounds. Whoever hears it
// probes for himself and believes nobody; only the suspicion is shared.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "membership/detector_core.h"
#include "membership/gossip_core.h"
#include "telemetry/metrics.h"

namespace lariat::membership {

struct WatchNow {
  base::Instant instant;
  base::WallTime wall;
};

struct WatchActions {
  std::vector<GossipSend> syns;          // the reply goes to OnAck
  std::vector<DetectorAction> detector;  // probes to send, changes to act on
};

class PeerWatchCore {
 public:
  PeerWatchCore(GossipOptions gossip, DetectorOptions detector, base::Prng prng);

  void SetMembers(std::shared_ptr<const MemberList> members, base::Instant now);
  // All but the convictions, which are kept here.
  void SetStates(NodeStates states);

  // Before OnTick, if the wall clock can be believed.
  void OnClock(base::WallTime now) { gossip_.ForgetFuture(now); }
  // Each gossip period.
  WatchActions OnTick(base::Instant now);
  // As in GossipCore; the result is the reply to send back.
  std::optional<std::string> OnSyn(const base::Uuid& from, std::string_view bytes, WatchNow now);
  std::optional<std::string> OnAck(const base::Uuid& from, std::string_view bytes, WatchNow now);
  void OnAck2(const base::Uuid& from, std::string_view bytes, WatchNow now);
  // As in DetectorCore. Afterwards TakeActions() may have more probes.
  void OnProbe(uint64_t node, bool ok, base::Instant now);
  void OnDirectReply(uint64_t node, base::Instant now) { detector_.OnDirectReply(node, now); }
  void OnDirectFailure(uint64_t node, base::Instant now) { detector_.OnDirectFailure(node, now); }
  std::vector<DetectorAction> TakeActions();
  std::vector<GossipClaim> TakeClaims() { return gossip_.TakeClaims(); }

  bool IsUsable(uint64_t node) const { return detector_.IsUsable(node); }
  std::optional<PeerStatus> Status(uint64_t node, base::Instant now) const {
    return detector_.Status(node, now);
  }
  const GossipCore& gossip() const { return gossip_; }
  const DetectorCore& detector() const { return detector_; }
  // Adds what was counted since the last call. For the thread that owns the metrics.
  void Publish(telemetry::Metrics* metrics);

 private:
  void TakeNews(base::Instant now);
  void Obey(const std::vector<DetectorAction>& actions);

  base::Uuid self_;
  base::Duration period_;
  GossipCore gossip_;
  DetectorCore detector_;
  std::map<uint64_t, base::Uuid> ids_;  // of the members, by their numbers
  NodeStates states_;
  GossipStats published_gossip_;
  DetectorStats published_detector_;
};

}  // namespace lariat::membership
