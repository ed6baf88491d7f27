// SPDX-License-Identifier: Apache-2.0
// The order of a table: every key once, found by its token in two or three cache misses, and in the
// order of bytes all the same. Extendible hashing (Fagin, Nievergelt, Pippenger, Strong: Extendible
// hashing - a fast access method for dynamic files, TODS 1979) over the token itself: tokens are
// hashes already, and their top bits keep the order.
//
// A bucket has a directory of 2^depth places; the first `depth` bits of a token choose one. It
// names a cell: all keys that begin with the cell's own, perhaps fewer, bits. With leaves of two
// slots and tokens of four bits, after 0001, 0110, 1000, 1001 and 1110:
//
//   directory 00 01 10 11        depth 2
//             |__|   |  |
//   cells   0***  10**  11**     the first is a bit short: two places name it
//   leaves  0001  1000  1110     and all leaves, of all buckets, form one list in the order of keys
//           0110  1001
//
// A full leaf is split by the next bit; 1010 would double the directory, since 1000, 1001 and 1010
// differ in the third bit and the directory knows two. Equal tokens (a hash tag has a single one)
// cannot be told apart by more bits, and tokens that somebody has chosen could double the directory
// for one leaf again and again. So a cell that would need too large a directory, or too many
// empty cells beside it, becomes a run instead: a sorted vector of leaves, searched by key, which a
// search in it pays for and nobody else. A plain longer leaf would move a million slots for each
// insertion.
//
// A shard owns a slice of the token space: the directory spans that slice alone. Tokens outside of
// it are still in order; they just share the cells at both ends.
//
// Erasing leaves holes; Tidy joins a sparse leaf with its neighbour, cells with theirs, halves the
// directory and drops an empty bucket, so that an empty table has no index.
//
// Threads: one. Errors: none; memory that runs out ends the process.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "storage/table/charge.h"
#include "storage/table/internal/place.h"
#include "storage/table/version.h"

namespace lariat::storage::table {

struct TokenSlice {
  uint64_t first = 0;
  uint64_t last = UINT64_MAX;  // this one included
};

struct Bucket;
struct Leaf;
using Run = std::vector<Leaf*>;  // of one cell, in order; more than one, none of them empty

struct Leaf {
  static constexpr uint32_t kSlots = 28;
  Bucket* bucket = nullptr;
  Leaf* prev = nullptr;
  Leaf* next = nullptr;
  std::shared_ptr<Run> run;  // co-owned by its leaves; null: the only leaf of its cell
  uint64_t base = 0;         // the first position of the cell
  uint64_t written = 0;      // number of the last write to a key that belongs here
  uint32_t depth = 0;        // so many top bits of a position are those of `base`
  uint32_t size = 0;
  std::array<uint64_t, kSlots> tokens;
  std::array<VersionRef, kSlots> versions;
};

struct Bucket {
  uint32_t id = 0;
  uint32_t depth = 0;
  size_t leaves = 0;
  size_t deepest = 0;            // cells that have the depth of the directory
  std::vector<Leaf*> directory;  // the first leaf of each cell

  size_t DirectoryBytes() const { return Charge(directory.capacity() * sizeof(Leaf*)); }
  void DoubleDirectory();
  void HalveDirectory();
};

// Goes round and round through all leaves: the leaf (null while there is none) and the slot that it
// looks at next, which may be the leaf's end.
struct Hand {
  Leaf* leaf = nullptr;
  uint32_t slot = 0;
};

class Index {
 public:
  explicit Index(const TokenSlice& slice);
  ~Index();
  Index(const Index&) = delete;
  Index& operator=(const Index&) = delete;

  struct Spot {
    Leaf* leaf = nullptr;
    uint32_t slot = 0;
    bool found = false;
  };
  Spot Find(const Place& place) const;
  // The first key that is not below the place; no leaf: there is none.
  Spot Seek(const Place& place) const;
  // Gives the leaf that has it. REQUIRES: the key is not there.
  Leaf* Insert(const Place& place, VersionRef version);
  // Tidy has to follow at once if this leaves the leaf empty, and some time if sparse.
  void Erase(Leaf* leaf, uint32_t slot);
  void Tidy(Leaf* leaf);
  // The number of the last write to a key that belongs where this one does, at least.
  uint64_t LastWrite(const Place& place) const;

  // Whatever is inserted, erased, split and joined meanwhile, it meets each key once in a round.
  const Hand& hand() const { return hand_; }
  void PassSlot() { ++hand_.slot; }
  void PassLeaf() { hand_ = {hand_.leaf->next != nullptr ? hand_.leaf->next : head_, 0}; }

  size_t size() const { return size_; }
  size_t bytes() const { return bytes_; }  // without the versions
  const Leaf* head() const { return head_; }
  const std::map<uint32_t, Bucket>& buckets() const { return buckets_; }
  uint64_t Position(uint64_t token) const {
    if (token <= slice_.first) return 0;
    return (std::min(token, slice_.last) - slice_.first) << shift_;
  }

 private:
  Bucket* FindBucket(uint32_t id) const;
  Bucket& MakeBucket(uint32_t id);
  void DropBucket(Bucket& bucket);
  Leaf* LeafIn(const Bucket& bucket, const Place& place) const;
  Leaf* NewLeaf(Bucket& bucket, Leaf* after);
  void DropLeaf(Leaf* leaf);

  bool SplitCell(Leaf* leaf);
  void SplitRun(Leaf* leaf);
  Run TakeUpper(Run& leaves, uint64_t boundary);
  void SetCell(Bucket& bucket, uint64_t base, uint32_t depth, Run leaves);
  void JoinInRun(Leaf* leaf);
  Leaf* JoinCells(Leaf* leaf);
  void Join(Leaf* left, Leaf* right);
  void MoveSlots(Leaf& from, uint32_t first, Leaf& to);

  const TokenSlice slice_;
  const uint32_t shift_;  // brings the slice's size to the top bits
  std::map<uint32_t, Bucket> buckets_;
  mutable Bucket* last_bucket_ = nullptr;  // requests come for few buckets
  Leaf* head_ = nullptr;
  Hand hand_;
  uint64_t dropped_ = 0;  // the last write to a bucket that is no more
  size_t size_ = 0;
  size_t bytes_ = 0;
};

}  // namespace lariat::storage::table
