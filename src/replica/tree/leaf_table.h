// SPDX-License-Identifier: Apache-2.0
// The leaves of one shard's hash trees in memory: their sums, which of them are known, and what
// they count. What the shard holds of a leaf (its part; a leaf may be cut by the border of two
// shards) is
//   known     the sum is that of the records in the engine;
//   unknown   the records have to be read first (TreeWalk does): the trees were never complete, or
//             another number of shards kept them, or a record was changed that could not be read.
//             After a start all leaves count as unknown until what is stored has been read.
//
// Threads: one shard's thread.
#pragma once

#include <bitset>
#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "merkle/tree.h"
#include "replica/tree/layout.h"
#include "ring/token.h"
#include "storage/record.h"

namespace lariat::replica {

// One shard's part of a leaf. The leaf is the sum of all shards' parts, and known if all are.
struct LeafPart {
  merkle::LeafSum sum;
  bool known = true;
};

class LeafTable {
 public:
  // `keep`: false: nothing is kept, and nothing ever known.
  LeafTable(bool keep, const ring::TokenSlice& slice);

  bool keeps() const { return keep_; }
  const ring::TokenSlice& slice() const { return slice_; }
  bool IsMine(uint32_t leaf) const { return leaf >= first_leaf_ && leaf <= last_leaf_; }
  bool Loaded() const { return loaded_; }  // what is stored was read
  // Whether buckets that were never heard of are known to be empty.
  bool Complete() const { return complete_; }

  // --- reading. As the engine is now: what is staged is not in it.
  // REQUIRES: first <= last < merkle::kLeaves. Leaves of other shards are known and empty.
  std::vector<LeafPart> Leaves(storage::BucketId id, uint32_t first, uint32_t last) const;
  // The same, but for leaves that all are known and hold nothing: then empty. Of a bucket without
  // records, of which there may be thousands, it costs next to nothing.
  std::vector<LeafPart> LeavesIfAny(storage::BucketId id, uint32_t first, uint32_t last) const;
  bool HoldNothing(storage::BucketId id, uint32_t first, uint32_t last) const;  // as said there
  // Grows with every change of a leaf of the bucket, and of what is known of it.
  uint64_t VersionOf(storage::BucketId bucket) const;
  LeafPart Leaf(const LeafPlace& place) const;
  std::vector<storage::BucketId> Buckets() const;  // that hold or held a record, as far as known
  struct Counts {
    uint64_t keys = 0, tombstones = 0, expiring = 0, foldable = 0;  // of the known leaves
  };
  Counts CountsOf(storage::BucketId bucket) const;
  struct Totals {
    uint64_t tombstones = 0;
    size_t memory_bytes = 0;
  };
  Totals CountAll() const;
  uint64_t UnknownLeaves() const;
  bool AnyUnknown() const;
  // The next run of unknown leaves of the bucket, from this leaf on.
  struct Run {
    uint32_t first = 0, last = 0;
  };
  std::optional<Run> NextUnknown(storage::BucketId bucket, uint32_t from) const;

  // --- changing
  // A bucket was found to hold records.
  void Discover(storage::BucketId bucket) { Use(bucket); }
  void Apply(const LeafEvent& event);  // its page is then not as stored
  // As a stored page says; nothing: unknown.
  void SetStored(const LeafPlace& place, const std::optional<merkle::LeafSum>& sum);

 protected:
  void SetLoaded() { loaded_ = true; }
  void SetComplete(bool complete) { complete_ = complete; }
  void Clear() { buckets_.clear(); }
  // The pages that are not as stored; from now on they count as stored.
  std::vector<PagePlace> TakeDirty();

 private:
  struct Bucket {
    merkle::Tree tree;        // of the known leaves; the others are empty
    std::vector<bool> known;  // by leaf of the slice
    uint64_t unknown = 0;
    uint64_t version = 0;
    Counts counts;
    std::bitset<merkle::kLeaves / kStoredPageLeaves> dirty;  // pages that are not as stored
  };
  Bucket& Use(storage::BucketId bucket);
  void SetKnown(Bucket& bucket, uint32_t leaf, bool known);
  void SetSum(Bucket& bucket, uint32_t leaf, const merkle::LeafSum& sum);

  bool keep_;
  ring::TokenSlice slice_;
  uint32_t first_leaf_, last_leaf_;  // of the slice
  bool loaded_;
  bool complete_ = false;
  std::map<storage::BucketId, Bucket> buckets_;
};

}  // namespace lariat::replica
