// SPDX-License-Identifier: Apache-2.0
// The topology document: who is in the cluster, with which tokens, which buckets exist, and which
// change of all that is under way. Every node stores it and every request between nodes carries its
// fence. Until it is sealed it changes through its founder alone (formation_core.h); afterwards
// only by consensus, one epoch at a time (change_core.h says how a change runs). A value type; View
// is the immutable form that shards share.
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
#include "ring/diff.h"
#include "ring/ring.h"

namespace lariat::membership {

// Of this build (feature_level.h says what that is).
inline constexpr uint32_t kFeatureLevel = 1;

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
  // What `tokens` will be after the operation under way; the same as `tokens` if it does not
  // touch them. Means nothing without an operation.
  std::vector<ring::Token> next_tokens;
  MemberState state = MemberState::kNormal;
  uint64_t info_version = 0;  // grows when the node itself changes its addresses
  // It was dead, a change waited to take it out, and others went on without it (drive_core.h): it
  // may lack what its place in the lists promises, so it never serves again.
  bool given_up = false;
  // The node's number in clocks and metrics: short, and unique because the id is random.
  uint64_t Number() const { return id.high; }
};

// Numbers are stored; never reuse one.
enum class ChangeKind : uint8_t {
  kJoin = 1,
  kLeave = 2,        // decommission: hands over its data, then goes
  kRemove = 3,       // of a dead node
  kReplace = 4,      // `node` takes the tokens of the dead `replaced`
  kReweight = 5,     // `node` gets `weight`
  kReplication = 6,  // `bucket` gets `n` replicas
};
std::string_view ChangeKindText(ChangeKind kind);  // "join" | "decommission" | ...

// Something that moves data, asked for by somebody.
struct Change {
  uint64_t number = 0;  // the epoch that took it in: unique; the task id that people see
  ChangeKind kind = ChangeKind::kJoin;
  base::Uuid node;
  std::string name;       // of the node, for people: it outlives the member
  base::Uuid replaced;    // kReplace
  double weight = 0;      // kReweight
  std::string bucket;     // kReplication
  uint32_t n = 0;         // kReplication
  uint32_t r = 0, w = 0;  // of the bucket when n is in force; 0: as they are
  bool committed = true;  // false: staged, waits for `lariat cluster commit`
  int64_t asked_ms = 0;   // wall clock, for people
  bool operator==(const Change&) const = default;
};

// Steps of the change under way. In all of them writes go to the old and the new replicas and need
// their quorum in both; what differs is who is read and what is waited for. Numbers are stored.
enum class Phase : uint8_t {
  kPrepare =
      1,        // read old; waits until every replica knows, so that no write misses the new owners
  kStream = 2,  // read old; new owners fetch what they lack
  kSwitch = 3,  // read new; waits until every replica knows; then the change is done
  kUndo = 4,    // read old; cancelled after kSwitch; waits until every replica knows
};
std::string_view PhaseText(Phase phase);  // for people

struct Operation {
  Change change;
  Phase phase = Phase::kPrepare;
  int64_t started_ms = 0;  // wall clock, for people
  bool operator==(const Operation&) const = default;
  bool ReadsNext() const { return phase == Phase::kSwitch; }
};

// A change that has ended; the last few are kept so that a task's end can be asked for.
struct Finished {
  Change change;
  bool done = false;  // false: cancelled
  int64_t ended_ms = 0;
  bool operator==(const Finished&) const = default;
};
inline constexpr size_t kFinishedMax = 32;
inline constexpr size_t kQueueMax = 1000;  // changes waiting
inline constexpr size_t kAccessBytesMax = 256 << 10;

// An identity that never returns.
struct Removed {
  base::Uuid id;
  std::string name;
  uint64_t epoch = 0;
  bool operator==(const Removed&) const = default;
};

// A bucket that is no more. What is stored under its id goes, and no bucket gets the id again.
struct DeletedBucket {
  uint64_t number = 0;  // the epoch that took it out: the task id that people see
  uint32_t id = 0;
  std::string name;
  int64_t asked_ms = 0;  // wall clock, for people
  bool operator==(const DeletedBucket&) const = default;
};

struct Topology {
  base::Uuid cluster;  // nil: no cluster yet
  uint64_t epoch = 0;  // grows by one with every decided document
  // The epoch that last changed which replicas are read or written. Requests between nodes carry it
  // and a replica refuses any other (kStaleEpoch): see docs/operations.md for why.
  uint64_t fence = 0;
  base::Uuid founder;
  bool sealed = false;          // the list of first members is closed
  std::vector<Member> members;  // sorted by id
  std::map<std::string, BucketProperties> buckets;
  std::optional<Operation> operation;  // the one change under way
  std::vector<Change> queue;           // changes that wait, in order of arrival
  std::vector<Finished> finished;      // oldest first
  std::vector<Removed> removed;
  // What every member's build understands (feature_level.h).
  uint32_t feature_level = 0;
  std::vector<DeletedBucket> deleted;  // by number
  // Users, roles and grants, as security/book.h writes them; null: there are none yet. Decided with
  // the rest, so those who decide about it are known. Co-owned by all copies: it is large.
  std::shared_ptr<const std::string> access;

  bool Formed() const { return !cluster.IsNil(); }
  const Member* Find(const base::Uuid& id) const;
  const Member* FindByName(std::string_view name) const;
  const Removed* FindRemoved(const base::Uuid& id) const;
  // Members that decide about the next epoch: all but those that have not finished joining.
  std::vector<base::Uuid> Voters() const;
  // Dead members that nobody waits for and nobody fetches from: the one that the running change
  // takes out, which is a member like others if that is cancelled, and those that are given up.
  bool IsGone(const base::Uuid& id) const;
  // The change, running or waiting, that takes out a dead member; null if there is none.
  const Change* TakenOutBy(const base::Uuid& id) const;
  // Replicas per key after the operation under way.
  uint32_t NextN(const BucketProperties& bucket) const;
  // n of the two lists of View::Replicas.
  struct ListNs {
    uint32_t read, other;
  };
  ListNs NsOf(const BucketProperties& bucket) const;
};

// The members as the ring takes them, in the document's order and with the tokens of now.
std::vector<ring::RingNode> NodesOf(const Topology& topology);

std::string EncodeMember(const Member& member);
std::optional<Member> DecodeMember(std::string_view bytes);
// Canonical: equal documents have equal bytes. Decode checks every bound and rule.
std::string EncodeTopology(const Topology& topology);
std::optional<Topology> DecodeTopology(std::string_view bytes);
// Why this build cannot read the document, in words.
std::string WhyUnreadable(std::string_view bytes);

// Takes from `theirs` what is newer: everything that is decided if its epoch is greater (a sealed
// document before any that is not), and addresses of a greater info_version, since each node speaks
// for itself. Refused (kConflict) if the clusters differ. Result: whether `mine` changed.
base::Result<bool> MergeTopology(const Topology& theirs, Topology* mine);

// What shards work with. Immutable; shared by the shards of a node (the co-owners).
struct View {
  Topology topology;
  ring::Ring ring;                 // nodes() in the order of topology.members
  std::optional<ring::Ring> next;  // while an operation is under way: after it; same indexes
  uint64_t digest = 0;             // of the encoded document
  ring::NodeIndex self = 0;        // REQUIRES membership of the node that made the view
  std::unordered_map<uint64_t, ring::NodeIndex> by_number;
  // By id; null: it was deleted.
  std::unordered_map<uint32_t, const BucketProperties*> bucket_by_id;

  const BucketProperties* FindBucket(const std::string& name) const;
  const BucketProperties* FindBucket(uint32_t id) const;
  // What is under way for it is for nobody.
  bool WasDeleted(uint32_t bucket) const;
  const Member& MemberAt(ring::NodeIndex index) const { return topology.members[index]; }
  uint64_t fence() const { return topology.fence; }

  // Who holds a token. While its range moves a write needs its quorum in both lists, and so does
  // what a strict read returns; reads ask the first. `other` is empty if nothing moves there.
  struct Replicas {
    std::vector<ring::NodeIndex> read;
    std::vector<ring::NodeIndex> other;
  };
  Replicas ReplicasOf(ring::Token token, const BucketProperties& bucket) const;
  // What moves of the bucket; nobody copies from who is gone. REQUIRES: an operation.
  std::vector<ring::Move> MovesOf(const BucketProperties& bucket) const;
  // Whether this node is in either list.
  bool IsReplica(ring::Token token, const BucketProperties& bucket) const;
};
std::shared_ptr<const View> MakeView(Topology topology, const base::Uuid& self);

// Stored keys carry a bucket's id. That of the first bucket of a name is a hash of it, which is all
// that builds of level 0 take.
uint32_t BucketIdOf(std::string_view name);
// One that no bucket has or had, for a new bucket of the name. Nothing: level 0, and it is taken.
std::optional<uint32_t> NewBucketId(const Topology& topology, std::string_view name);

}  // namespace lariat::membership
