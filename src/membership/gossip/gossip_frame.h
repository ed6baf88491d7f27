// SPDX-License-Identifier: Apache-2.0
// What gossip says, as bytes: the states of a node and the three frames SYN, ACK and ACK2. The
// format is docs/formats/gossip.md. Every frame ends in a checksum over all that precedes it, and
// reading one is all or nothing. Values and functions; no threading rule.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "base/uuid.h"
#include "wire/progress.h"

namespace lariat::membership {

constexpr size_t kGossipFrameBytesMax = 1 << 20;  // of a received frame
constexpr size_t kGossipStateBytesMax = 1024;     // encoded states of one node
constexpr size_t kGossipConvictionsMax = 16;
constexpr uint64_t kGossipVersionMax = uint64_t{1} << 48;

// A node that the speaker found dead: it did not answer the speaker's probes either.
struct Conviction {
  base::Uuid id;
  uint64_t generation = 0;
  auto operator<=>(const Conviction&) const = default;
};

// What a node says about itself. All of it is one unit: others see every field of one moment.
struct NodeStates {
  uint64_t topology_epoch = 0;
  uint64_t topology_digest = 0;
  uint64_t fence = 0;  // the newest fence that it has adopted
  bool draining = false;
  std::string peer_address;
  base::WallTime wall;  // when the states were last set
  uint64_t load_bytes = 0;
  uint64_t hint_bytes = 0;
  std::vector<Conviction> convictions;  // sorted; at most kGossipConvictionsMax
  bool in_doubt = false;                // it may have lost records (replica::Doubt)
  uint64_t run = 0;                     // as in wire::Hello
  wire::Progress progress;              // of that run; durable before it is told
  // Where another process with the same identity was found; neither serves. Empty: none.
  std::string twin_address;
  uint32_t feature_level = 0;    // of its build (feature_level.h)
  uint64_t deleted_buckets = 0;  // of deleted ones up to this number it stores nothing any more
  bool operator==(const NodeStates&) const = default;
};

// Fields at their default take no bytes. Unknown keys are skipped; a known key that does not
// decode, or more than kGossipStateBytesMax, refuses the whole.
std::string EncodeStates(const NodeStates& states);
std::optional<NodeStates> DecodeStates(std::string_view bytes);

// (generation, version) is one heartbeat; 0, 0 is "never heard of".
struct GossipDigest {
  base::Uuid id;
  uint64_t generation = 0;
  uint64_t version = 0;
};

struct GossipDelta {
  base::Uuid id;
  uint64_t generation = 0;
  uint64_t version = 0;
  uint64_t state_version = 0;  // the version at which the states changed; <= version
  // The encoded states; absent if the other side has those of state_version.
  std::optional<std::string_view> states;
};

enum class GossipKind : uint8_t { kSyn = 1, kAck = 2, kAck2 = 3 };

// A frame that was read; texts point into the bytes it was read from.
struct GossipFrame {
  GossipKind kind = GossipKind::kSyn;
  std::optional<GossipDelta> own;     // the sender about itself: SYN and ACK
  std::vector<GossipDelta> deltas;    // ACK and ACK2
  std::vector<GossipDigest> digests;  // SYN: what it knows; ACK: what it wants to know more of
};

// Why a frame, or a part of it, was not taken.
enum class GossipDrop : uint8_t {
  kTooLarge,
  kBadChecksum,
  kMalformed,
  kNotMember,  // the sender is no member
  kFarFuture,  // a generation more than a day ahead of our clock; that node's part only
  kBadState,   // states or a version out of bounds; that node's part only
  kCount
};

// Appends to a frame; Finish() adds the checksum. The order is that of the frame: the own delta,
// then the deltas between BeginDeltas and EndDeltas, then the digests.
class GossipWriter {
 public:
  explicit GossipWriter(GossipKind kind);
  void Own(const GossipDelta& delta) { AppendDelta(delta, &bytes_); }
  void Add(const GossipDelta& delta);
  void Add(const GossipDigest& digest);
  // Bytes that the frame will have, about.
  size_t size() const { return bytes_.size() + deltas_.size() + digests_.size() + 16; }
  std::string Finish() &&;

 private:
  static void AppendDelta(const GossipDelta& delta, std::string* out);

  GossipKind kind_;
  std::string bytes_, deltas_, digests_;
  uint64_t delta_count_ = 0, digest_count_ = 0;
};

// nullopt: `*why` says what is wrong with it. REQUIRES: `bytes` outlives the frame.
std::optional<GossipFrame> ReadGossipFrame(std::string_view bytes, GossipKind expected,
                                           GossipDrop* why);

}  // namespace lariat::membership
