// SPDX-License-Identifier: Apache-2.0
#include "membership/gossip/gossip_frame.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "base/coding.h"
#include "base/hash.h"

namespace lariat::membership {
namespace {

constexpr uint8_t kFormat = 1;
constexpr uint8_t kHasStates = 1;
// A digest takes at least this; lists cannot claim more elements than the frame has room for.
constexpr size_t kDigestBytesMin = 18;

// Numbers are sent; never reuse one.
enum class StateKey : uint8_t {
  kTopology = 1,
  kFence = 2,
  kDraining = 3,
  kPeerAddress = 4,
  kWall = 5,
  kLoadBytes = 6,
  kHintBytes = 7,
  kConvictions = 8,
  kInDoubt = 9,
  kProgress = 20,
  kTwin = 21,
  kFeatureLevel = 75,
  kDeletedBuckets = 76,
};

void AppendUuid(const base::Uuid& id, base::ByteWriter* out) {
  out->U64(id.high);
  out->U64(id.low);
}

base::Uuid ReadUuid(base::ByteReader* in) {
  const uint64_t high = in->U64();
  return {high, in->U64()};
}

void AppendState(StateKey key, std::string_view value, base::ByteWriter* out) {
  out->Varint(static_cast<uint8_t>(key));
  out->Sized(value);
}

void AppendNumber(StateKey key, uint64_t number, base::ByteWriter* out) {
  if (number == 0) return;
  std::string value;
  base::ByteWriter(&value).Varint(number);
  AppendState(key, value, out);
}

std::string EncodeConvictions(const std::vector<Conviction>& convictions) {
  std::string value;
  base::ByteWriter writer(&value);
  for (const Conviction& conviction : convictions) {
    AppendUuid(conviction.id, &writer);
    writer.Varint(conviction.generation);
  }
  return value;
}

bool ReadConvictions(base::ByteReader in, std::vector<Conviction>* out) {
  while (in.ok() && !in.AtEnd()) {
    const base::Uuid id = ReadUuid(&in);
    out->push_back({id, in.Varint()});
  }
  return in.ok() && out->size() <= kGossipConvictionsMax &&
         std::is_sorted(out->begin(), out->end());
}

bool ReadNumber(base::ByteReader in, uint64_t* out) {
  *out = in.Varint();
  return in.AtEnd();
}

// False: a known key whose value does not decode.
bool ReadState(uint64_t key, std::string_view value, NodeStates* states) {
  base::ByteReader in(value);
  uint64_t number = 0;
  switch (static_cast<StateKey>(key <= 255 ? key : 0)) {
    case StateKey::kTopology:
      states->topology_epoch = in.Varint();
      states->topology_digest = in.U64();
      return in.AtEnd();
    case StateKey::kFence:
      return ReadNumber(in, &states->fence);
    case StateKey::kDraining:
      if (!ReadNumber(in, &number)) return false;
      states->draining = number != 0;
      return true;
    case StateKey::kPeerAddress:
      states->peer_address = value;
      return true;
    case StateKey::kWall:
      if (!ReadNumber(in, &number)) return false;
      states->wall.ms = static_cast<int64_t>(number & std::numeric_limits<int64_t>::max());
      return true;
    case StateKey::kLoadBytes:
      return ReadNumber(in, &states->load_bytes);
    case StateKey::kHintBytes:
      return ReadNumber(in, &states->hint_bytes);
    case StateKey::kConvictions:
      return ReadConvictions(in, &states->convictions);
    case StateKey::kInDoubt:
      if (!ReadNumber(in, &number)) return false;
      states->in_doubt = number != 0;
      return true;
    case StateKey::kProgress:
      states->run = in.U64();
      states->progress.confirmed = in.Varint();
      states->progress.written = in.Varint();
      states->progress.votes = in.Varint();
      return in.AtEnd();
    case StateKey::kTwin:
      states->twin_address = value;
      return true;
    case StateKey::kFeatureLevel:
      if (!ReadNumber(in, &number)) return false;
      states->feature_level = static_cast<uint32_t>(std::min<uint64_t>(number, UINT32_MAX));
      return true;
    case StateKey::kDeletedBuckets:
      return ReadNumber(in, &states->deleted_buckets);
  }
  return true;
}

std::optional<GossipDelta> ReadDelta(base::ByteReader* in) {
  GossipDelta delta;
  delta.id = ReadUuid(in);
  delta.generation = in->Varint();
  delta.version = in->Varint();
  const uint64_t age = in->Varint();
  const uint8_t flags = in->U8();
  if (flags == kHasStates) delta.states = in->Sized();
  if (!in->ok() || age > delta.version || flags > kHasStates) return std::nullopt;
  delta.state_version = delta.version - age;
  return delta;
}

bool ReadDeltas(base::ByteReader* in, std::vector<GossipDelta>* out) {
  const uint64_t count = in->Varint();
  if (!in->ok() || count > in->Rest().size() / kDigestBytesMin) return false;
  out->reserve(count);
  for (uint64_t i = 0; i < count; ++i) {
    const auto delta = ReadDelta(in);
    if (!delta) return false;
    out->push_back(*delta);
  }
  return true;
}

bool ReadDigests(base::ByteReader* in, std::vector<GossipDigest>* out) {
  const uint64_t count = in->Varint();
  if (!in->ok() || count > in->Rest().size() / kDigestBytesMin) return false;
  out->reserve(count);
  for (uint64_t i = 0; i < count; ++i) {
    GossipDigest digest;
    digest.id = ReadUuid(in);
    digest.generation = in->Varint();
    digest.version = in->Varint();
    out->push_back(digest);
  }
  return in->ok();
}

bool ReadBody(base::ByteReader* in, GossipFrame* frame) {
  if (frame->kind != GossipKind::kAck2) {
    frame->own = ReadDelta(in);
    if (!frame->own || !frame->own->states) return false;
  }
  if (frame->kind != GossipKind::kSyn && !ReadDeltas(in, &frame->deltas)) return false;
  if (frame->kind != GossipKind::kAck2 && !ReadDigests(in, &frame->digests)) return false;
  return in->AtEnd();
}

}  // namespace

std::string EncodeStates(const NodeStates& states) {
  std::string bytes;
  base::ByteWriter writer(&bytes);
  if (states.topology_epoch != 0 || states.topology_digest != 0) {
    std::string value;
    base::ByteWriter topology(&value);
    topology.Varint(states.topology_epoch);
    topology.U64(states.topology_digest);
    AppendState(StateKey::kTopology, value, &writer);
  }
  AppendNumber(StateKey::kFence, states.fence, &writer);
  AppendNumber(StateKey::kDraining, states.draining ? 1 : 0, &writer);
  if (!states.peer_address.empty()) {
    AppendState(StateKey::kPeerAddress, states.peer_address, &writer);
  }
  AppendNumber(StateKey::kWall, static_cast<uint64_t>(std::max<int64_t>(states.wall.ms, 0)),
               &writer);
  AppendNumber(StateKey::kLoadBytes, states.load_bytes, &writer);
  AppendNumber(StateKey::kHintBytes, states.hint_bytes, &writer);
  if (!states.convictions.empty()) {
    AppendState(StateKey::kConvictions, EncodeConvictions(states.convictions), &writer);
  }
  AppendNumber(StateKey::kInDoubt, states.in_doubt ? 1 : 0, &writer);
  if (states.run != 0) {
    std::string value;
    base::ByteWriter progress(&value);
    progress.U64(states.run);
    progress.Varint(states.progress.confirmed);
    progress.Varint(states.progress.written);
    progress.Varint(states.progress.votes);
    AppendState(StateKey::kProgress, value, &writer);
  }
  if (!states.twin_address.empty()) {
    AppendState(StateKey::kTwin, states.twin_address, &writer);
  }
  AppendNumber(StateKey::kFeatureLevel, states.feature_level, &writer);
  AppendNumber(StateKey::kDeletedBuckets, states.deleted_buckets, &writer);
  return bytes;
}

std::optional<NodeStates> DecodeStates(std::string_view bytes) {
  if (bytes.size() > kGossipStateBytesMax) return std::nullopt;
  NodeStates states;
  base::ByteReader in(bytes);
  uint64_t last = 0;
  while (in.ok() && !in.AtEnd()) {
    const uint64_t key = in.Varint();
    const std::string_view value = in.Sized();
    // Ascending keys: each at most once, and equal states have equal bytes.
    if (!in.ok() || key <= last || !ReadState(key, value, &states)) return std::nullopt;
    last = key;
  }
  if (!in.ok()) return std::nullopt;
  return states;
}

GossipWriter::GossipWriter(GossipKind kind) : kind_(kind) {
  base::ByteWriter writer(&bytes_);
  writer.U8(kFormat);
  writer.U8(static_cast<uint8_t>(kind));
}

void GossipWriter::AppendDelta(const GossipDelta& delta, std::string* out) {
  base::ByteWriter writer(out);
  AppendUuid(delta.id, &writer);
  writer.Varint(delta.generation);
  writer.Varint(delta.version);
  writer.Varint(delta.version - delta.state_version);
  writer.U8(delta.states ? kHasStates : 0);
  if (delta.states) writer.Sized(*delta.states);
}

void GossipWriter::Add(const GossipDelta& delta) {
  AppendDelta(delta, &deltas_);
  ++delta_count_;
}

void GossipWriter::Add(const GossipDigest& digest) {
  base::ByteWriter writer(&digests_);
  AppendUuid(digest.id, &writer);
  writer.Varint(digest.generation);
  writer.Varint(digest.version);
  ++digest_count_;
}

std::string GossipWriter::Finish() && {
  base::ByteWriter writer(&bytes_);
  if (kind_ != GossipKind::kSyn) {
    writer.Varint(delta_count_);
    writer.Raw(deltas_);
  }
  if (kind_ != GossipKind::kAck2) {
    writer.Varint(digest_count_);
    writer.Raw(digests_);
  }
  writer.U32(base::Crc32c(bytes_));
  return std::move(bytes_);
}

std::optional<GossipFrame> ReadGossipFrame(std::string_view bytes, GossipKind expected,
                                           GossipDrop* why) {
  *why = GossipDrop::kTooLarge;
  if (bytes.size() > kGossipFrameBytesMax) return std::nullopt;
  *why = GossipDrop::kBadChecksum;
  if (bytes.size() < sizeof(uint32_t)) return std::nullopt;
  const std::string_view covered = bytes.substr(0, bytes.size() - sizeof(uint32_t));
  if (base::ByteReader(bytes.substr(covered.size())).U32() != base::Crc32c(covered)) {
    return std::nullopt;
  }
  *why = GossipDrop::kMalformed;
  base::ByteReader in(covered);
  GossipFrame frame;
  frame.kind = expected;
  if (in.U8() != kFormat || in.U8() != static_cast<uint8_t>(expected)) return std::nullopt;
  if (!ReadBody(&in, &frame)) return std::nullopt;
  return frame;
}

}  // namespace lariat::membership
