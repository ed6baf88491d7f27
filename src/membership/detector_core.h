// SPDX-License-Identifier: Apache-2.0
// Which peers are usable, from two kinds of evidence: heartbeats, which come by any way (gossip),
// and direct replies to what this node itself asked, which prove that both directions of its own
// link work. Pure; ticks, evidence and time come in, probes to send and changes go out. One
// instance per node, used by one thread.
//
//              phi >= threshold, or
//              a reported conviction            probes fail
//      alive ------------------------> suspect ------------> dead
//        ^ \                              |                   |
//        |  \ probes fail although        | evidence          | answers, and the time
//        |   v heartbeats are fresh       v                   v of a flapping peer is over
//        | unreachable                  alive               alive
//        +---- answers
//
// Nobody is convicted by silence alone: the peer must fail `probes_to_convict` probes as well. A
// peer whose heartbeats come through others but that does not answer us is `unreachable`: as little
// use to us as a dead one. Links are checked when nothing was answered for `direct_check_after`, a
// few in each tick; a caller whose request failed puts its peer first (OnDirectFailure).
//
// A gap between two calls longer than `pause_after` means that this process itself stood still
// (SIGSTOP, a stalled machine). What it missed is no evidence: probes under way are forgotten and
// every peer gets a new grace.
//
// A peer that is convicted again and again has to answer for longer each time until it counts as
// alive: `flap_hold` doubled with each conviction, at most `flap_hold_max`, forgotten step by step
// while it stays alive.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "base/time.h"
#include "membership/phi_core.h"

namespace lariat::membership {

struct DetectorOptions {
  base::Duration period = base::Seconds(1);  // of heartbeats and ticks
  PhiOptions phi;
  uint32_t probes_to_convict = 2;
  uint32_t probes_to_unreachable = 5;               // one in each tick, while heartbeats come
  base::Duration probe_timeout = base::Seconds(1);  // a probe without a result failed
  base::Duration direct_check_after = base::Seconds(3);
  uint32_t checks_per_tick = 8;    // probes of peers that nobody suspects, and of dead ones
  uint32_t probes_per_tick = 256;  // those of suspects too: half the cluster may be cut off
  base::Duration retry = base::Seconds(5);  // between probes of a dead peer
  base::Duration pause_after = base::Seconds(2);
  base::Duration flap_hold = base::Seconds(2);  // after the second conviction
  base::Duration flap_hold_max = base::Seconds(60);
  base::Duration flap_forget = base::Seconds(60);  // alive for so long takes one back

  // All durations as multiples of the heartbeat's period.
  static DetectorOptions ForPeriod(base::Duration period);
};

enum class PeerState : uint8_t { kAlive, kSuspect, kUnreachable, kDead };
std::string_view PeerStateText(PeerState state);

struct DetectorPeer {
  uint64_t node = 0;                            // membership::Member::Number()
  base::Duration expected = base::Duration{0};  // between heartbeats; 0: the period
};

enum class DetectorEvent : uint8_t { kProbe, kConvicted, kUnreachable, kRevived };
struct DetectorAction {
  DetectorEvent event = DetectorEvent::kProbe;
  uint64_t node = 0;
};

struct PeerStatus {
  PeerState state = PeerState::kAlive;
  double phi = 0;
  base::Instant since;           // of the state
  base::Instant last_heartbeat;  // or of the grace that stands for one
  base::Instant last_direct;     // reply; or of the grace
  uint64_t generation = 0;
  uint64_t version = 0;
};

struct DetectorStats {
  uint64_t suspicions = 0;
  uint64_t convictions = 0;  // dead and unreachable
  uint64_t revivals = 0;
  uint64_t probes_ok = 0, probes_failed = 0;
  uint64_t local_pauses = 0;
};

class DetectorCore {
 public:
  explicit DetectorCore(DetectorOptions options);

  // Others are forgotten; new ones begin alive, with the grace of one heartbeat. Sorted by node.
  void SetPeers(const std::vector<DetectorPeer>& peers, base::Instant now);

  // Only a newer (generation, version) counts: the same heartbeat by another way says nothing.
  void OnHeartbeat(uint64_t node, uint64_t generation, uint64_t version, base::Instant now);
  // The peer answered something that this node asked, a probe included.
  void OnDirectReply(uint64_t node, base::Instant now);
  // A request was not answered or the connection broke: no verdict, but a reason to look.
  void OnDirectFailure(uint64_t node, base::Instant now);
  // The result of a probe that was asked for. One that comes late is taken by its content.
  void OnProbe(uint64_t node, bool ok, base::Instant now);
  // Another member convicted this run of the peer. A reason to look, too.
  void OnReport(uint64_t node, uint64_t generation, base::Instant now);

  // Each period. Returns what TakeActions() would.
  std::vector<DetectorAction> Tick(base::Instant now);
  // Probes to send and changes since the last call; worth asking after OnProbe, too.
  std::vector<DetectorAction> TakeActions() { return std::exchange(actions_, {}); }

  // Worth sending requests to: alive or only suspected. False for a node that is no peer.
  bool IsUsable(uint64_t node) const;
  std::optional<PeerStatus> Status(uint64_t node, base::Instant now) const;
  const DetectorStats& stats() const { return stats_; }

 private:
  struct Peer {
    uint64_t node = 0;
    uint64_t generation = 0, version = 0;
    PhiWindow window{base::Duration{0}};
    base::Instant last_heartbeat;
    base::Instant last_direct;
    base::Instant limit;  // phi passes the threshold then
    base::Instant since;
    base::Instant flap_forgotten;  // the last time that one was
    base::Instant probe_sent;
    base::Instant first_failure;  // of the probes that failed in a row
    base::Instant next_probe;     // not before
    base::Instant hold_until;     // a convicted one is not taken back before
    PeerState state = PeerState::kAlive;
    uint8_t failed_probes = 0;
    uint8_t flaps = 0;
    bool probing = false;
    bool reported = false;
    bool look = false;             // out of turn
    bool interval_counts = false;  // the next heartbeat ends an interval that means something
  };

  size_t PlaceOf(uint64_t node) const;  // peers_.size(): nowhere
  Peer* Find(uint64_t node);
  const Peer* Find(uint64_t node) const;
  static bool IsConvicted(const Peer& peer) {
    return peer.state == PeerState::kDead || peer.state == PeerState::kUnreachable;
  }
  void NoticePause(base::Instant now);
  static void BelieveAlive(Peer* peer, base::Instant now);
  void Grace(Peer* peer, base::Instant now) const;
  base::Instant LimitOf(const Peer& peer) const;
  void Watch(Peer* peer, base::Instant now);
  void Check(base::Instant now);
  void Probe(Peer* peer, base::Instant now);
  void OnProbeFailed(Peer* peer, base::Instant now);
  void OnEvidence(Peer* peer, base::Instant now);
  void Suspect(Peer* peer, base::Instant now);
  void Convict(Peer* peer, PeerState state, base::Instant now);
  void Revive(Peer* peer, base::Instant now);

  DetectorOptions options_;
  double limit_deviations_;
  std::vector<Peer> peers_;  // sorted by node
  size_t check_cursor_ = 0;
  uint32_t probes_left_;  // until the next tick
  std::optional<base::Instant> last_call_;
  std::vector<DetectorAction> actions_;
  DetectorStats stats_;
};

}  // namespace lariat::membership
