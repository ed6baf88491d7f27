// SPDX-License-Identifier: Apache-2.0
// Gossip: what every member says about itself reaches every other in O(log n) rounds, without any
// node that knows more than others. Pure: frames, ticks and time come in, frames go out; one
// instance per node, used by one thread. Frames are described in docs/formats/gossip.md.
//
//   A (each period)              B
//   own state, digests  --SYN->
//                       <-ACK--  own state, what B knows newer, what B wants to know
//   what B wanted       --ACK2->
//
// A node is known by its id alone. Its heartbeat is (generation, version): the generation grows
// with each start of the process, the version with each round. Only the node itself raises either;
// others repeat what they heard. If somebody repeats more than the node ever said, an earlier run
// of it must have said it (its stored generation was lost), or another process with the same
// identity, and the node jumps above. The states of a node travel as one unit with the version at
// which they changed.
//
// Only members can be in gossip: what is said about others is ignored, so a removed node cannot
// live on in it. A frame has a size limit; a larger cluster takes turns, and what changed lately
// goes first.
//
// Flat: each round some random peers. Hierarchical: each round some of the own rack; the first
// live members of a rack (by id: its relays) also ask relays of other racks, the first of a
// datacenter those of other datacenters. Everybody sees his rack each round, the rest by turns.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/prng.h"
#include "base/time.h"
#include "membership/gossip/gossip_frame.h"
#include "membership/gossip/member_list.h"

namespace lariat::membership {

// A generation further ahead of our wall clock is refused. Only the clock counts, not what was
// heard before: a peer that ran for years comes back with a generation years ahead of its last.
constexpr uint64_t kGenerationLeadMaxS = 86400;

// The generation of a new run: above the stored one even if the clock went back. A stored one that
// no peer with a right clock could have accepted is no ground to go on from.
uint64_t NextGeneration(uint64_t stored, base::WallTime now);

enum class Hierarchy : uint8_t { kAuto, kOn, kOff };
std::optional<Hierarchy> HierarchyFromText(std::string_view text);  // auto, on, off

struct GossipOptions {
  base::Uuid self;
  uint64_t generation = 1;  // NextGeneration(), durable before the first round
  uint32_t fanout = 3;      // peers asked in a round
  size_t frame_bytes = 32768;
  Hierarchy hierarchy = Hierarchy::kAuto;
  uint32_t hierarchical_above = 64;  // members; for kAuto
  uint32_t relays = 2;               // of a rack, and of a datacenter
};

struct GossipSend {
  base::Uuid to;
  std::string frame;
};

// Somebody's newer heartbeat, once for each.
struct GossipNews {
  base::Uuid id;
  uint64_t generation = 0;
  uint64_t version = 0;
  bool states_changed = false;
};

// What others repeat about the node itself, newer than anything that this run of it ever said.
struct GossipClaim {
  uint64_t run = 0;     // NodeStates::run; 0: only its heartbeat was repeated
  std::string address;  // NodeStates::peer_address
};

struct GossipView {
  uint64_t generation = 0;
  uint64_t version = 0;
  NodeStates states;
};

struct GossipStats {
  uint64_t rounds = 0;
  uint64_t frames_sent = 0, frames_received = 0;
  uint64_t bytes_sent = 0, bytes_received = 0;
  std::array<uint64_t, static_cast<size_t>(GossipDrop::kCount)> dropped{};
  uint64_t Dropped(GossipDrop why) const { return dropped[static_cast<size_t>(why)]; }
  bool Drop(GossipDrop why);            // counts it, and is false
  std::string Sent(std::string frame);  // counts it, and gives it back
};

class GossipCore {
 public:
  GossipCore(GossipOptions options, base::Prng prng);

  // Those who may be in gossip; the node itself may be among them. Others are forgotten.
  void SetMembers(std::shared_ptr<const MemberList> members);
  // Peers not usable are asked seldom and relay nothing. All are usable at first.
  void SetUsable(const base::Uuid& id, bool usable);
  // True if they differ from the present ones. REQUIRES: encoded not over kGossipStateBytesMax.
  bool SetStates(const NodeStates& states);

  // After clocks were ahead: what nobody takes any more, one's own generation among it, begins anew
  // at the time that it is now. Before each round.
  void ForgetFuture(base::WallTime now);
  // A round: the heartbeat grows, SYNs for the peers that were drawn.
  std::vector<GossipSend> OnTick();
  // Frames that arrived; `from` is who the connection's handshake says it is. Replies, if any, go
  // back to it. nullopt of a SYN or ACK: the frame was dropped and counted.
  std::optional<std::string> OnSyn(const base::Uuid& from, std::string_view bytes,
                                   base::WallTime now);
  std::optional<std::string> OnAck(const base::Uuid& from, std::string_view bytes,
                                   base::WallTime now);
  bool OnAck2(const base::Uuid& from, std::string_view bytes, base::WallTime now);

  std::vector<GossipNews> TakeNews() { return std::exchange(news_, {}); }
  // One for each jump above another run. A run that has ended says nothing above a jump.
  std::vector<GossipClaim> TakeClaims() { return std::exchange(claims_, {}); }
  // nullopt: not heard of, or no member. Decodes: not for every request.
  std::optional<GossipView> Find(const base::Uuid& id) const;
  // Of the own heartbeat. The generation is to be stored again when it grew.
  uint64_t generation() const { return own_.generation; }
  uint64_t version() const { return own_.version; }

  bool hierarchical() const { return hierarchical_; }
  // Everybody in flat mode, the own rack otherwise: peers whose heartbeats arrive each round.
  bool IsNear(const base::Uuid& id) const;
  // Rounds between two heartbeats of a peer as they arrive here, about.
  uint32_t ExpectedRounds(bool near) const;
  const MemberList& members() const { return *members_; }
  const GossipStats& stats() const { return stats_; }

 private:
  // There are members^2 of these in a simulated cluster: kept small.
  struct Entry {
    uint64_t generation = 0;  // 0: not heard of
    uint64_t version = 0;
    uint64_t state_version = 0;
    std::unique_ptr<const std::string> states;  // null: the empty ones
    uint8_t hot = 0;                            // 1 + frames it went first in; 0: it need not
    bool usable = true;

    // What somebody lacks who knows that much.
    GossipDelta Since(const GossipDigest& known, const base::Uuid& id) const;
  };

  std::optional<GossipFrame> Read(const base::Uuid& from, std::string_view bytes, GossipKind kind);
  bool Plausible(const GossipDigest& digest, base::WallTime now);
  void Apply(const GossipDelta& delta, base::WallTime now);
  void AddAnswer(uint32_t index, const GossipDigest& theirs, base::WallTime now,
                 GossipWriter* reply);
  void OnClaimAboutSelf(const GossipDigest& claim, std::optional<std::string_view> states,
                        base::WallTime now);
  void Heat(uint32_t index);
  // How much of a hierarchical SYN goes to far members.
  enum class Far : uint8_t { kNone, kTurn, kAll };
  std::string MakeSyn(Far far);
  void Told(const std::vector<uint32_t>& indexes);
  void AddHotDigests(std::vector<bool>* taken, GossipWriter* out);
  void AddDigests(std::span<const uint32_t> from, size_t bytes_max, std::vector<bool>* taken,
                  uint32_t* cursor, GossipWriter* out);
  void AddHotDeltas(const std::vector<bool>& mentioned, GossipWriter* out);

  GossipOptions options_;
  base::Prng prng_;
  std::shared_ptr<const MemberList> members_;
  std::optional<uint32_t> self_;  // our place among the members
  bool hierarchical_ = false;
  uint32_t usable_peers_ = 0;
  std::vector<Entry> entries_;  // by place among the members; our own is unused
  Entry own_;
  std::set<std::pair<uint8_t, uint32_t>> hot_;  // told least often first
  uint32_t known_ = 0;                          // members heard of
  uint32_t near_cursor_ = 0, far_cursor_ = 0;   // where the next turn begins
  std::vector<GossipNews> news_;
  std::vector<GossipClaim> claims_;
  GossipStats stats_;
};

}  // namespace lariat::membership
