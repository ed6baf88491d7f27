// SPDX-License-Identifier: Apache-2.0
// The topology document: who is in the cluster, with which tokens, and which buckets exist. Every
// node stores it and every request between nodes carries its epoch. The list of members changes
// only through its founder until it is sealed (formation_core.h); bucket definitions merge by
// (version, editor). A value type; View is the immutable form that shards share.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/uuid.h"
#include "membership/bucket.h"
#include "ring/ring.h"

namespace lariat::membership {

// Numbers are stored; never reuse one.
enum class MemberState : uint8_t { kJoining = 1, kNormal = 2, kLeaving = 3, kRemoved = 4 };
std::string_view MemberStateText(MemberState state);

struct Member {
  base::Uuid id;
  std::string name;
  std::string http, resp, peer;  // addresses that others use
  std::string dc, rack;
  double weight = 1.0;
  std::vector<ring::Token> tokens;
  MemberState state = MemberState::kNormal;
  uint64_t info_version = 0;  // grows when the node itself changes its addresses
  // The node's number in clocks and metrics: short, and unique because the id is random.
  uint64_t Number() const { return id.high; }
};

struct Topology {
  base::Uuid cluster;  // nil: no cluster yet
  uint64_t epoch = 0;
  base::Uuid founder;
  bool sealed = false;          // the list of first members is closed
  std::vector<Member> members;  // sorted by id
  std::map<std::string, BucketProperties> buckets;

  bool Formed() const { return !cluster.IsNil(); }
  const Member* Find(const base::Uuid& id) const;
  const Member* FindByName(std::string_view name) const;
};

std::string EncodeMember(const Member& member);
std::optional<Member> DecodeMember(std::string_view bytes);
// Canonical: equal documents have equal bytes. Decode checks every bound and rule.
std::string EncodeTopology(const Topology& topology);
std::optional<Topology> DecodeTopology(std::string_view bytes);

// Takes from `theirs` what is newer: the member list of a greater epoch (a sealed one before any
// that is not), addresses of a greater info_version, bucket definitions of a greater (version,
// editor). A bucket keeps its conflict kind. Refused (kConflict) if the clusters differ. Result:
// whether `mine` changed.
base::Result<bool> MergeTopology(const Topology& theirs, Topology* mine);

// What shards work with. Immutable; shared by the shards of a node (the co-owners).
struct View {
  Topology topology;
  ring::Ring ring;           // nodes() in the order of topology.members
  uint64_t digest = 0;       // of the encoded document
  ring::NodeIndex self = 0;  // REQUIRES membership of the node that made the view
  std::unordered_map<uint64_t, ring::NodeIndex> by_number;

  const BucketProperties* FindBucket(const std::string& name) const;
  const Member& MemberAt(ring::NodeIndex index) const { return topology.members[index]; }
};
std::shared_ptr<const View> MakeView(Topology topology, const base::Uuid& self);

// Stored keys carry this; a hash of the name, so that nodes agree on it without asking.
uint32_t BucketIdOf(std::string_view name);

}  // namespace lariat::membership
