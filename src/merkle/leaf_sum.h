// SPDX-License-Identifier: Apache-2.0
// What a hash tree knows of the records of one leaf, or of any set of records: the sum of their
// entry hashes modulo 2^128, and how many there are of each sort. Sums can be added in any order
// and taken away again, so a leaf follows its records without being read, and the parts of a leaf
// that several shards hold add up to the leaf. Sums, and not XOR: entries cannot cancel each other
// in pairs.
//
// All arithmetic is modulo 2^n, counts included: a difference of two sums is a LeafSum as well.
// Stored and sent form: docs/formats/tree.md.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/hash.h"

namespace lariat::merkle {

inline constexpr size_t kLeafSumBytes = 32;

// What is counted about a record beside its hash.
struct Traits {
  bool tombstone = false;  // nothing but tombstones
  bool expiring = false;   // some value has an expiry
  bool foldable = false;   // the history has actors without a value
};

struct LeafSum {
  base::Hash128 sum;
  uint32_t keys = 0;
  uint32_t tombstones = 0;
  uint32_t expiring = 0;
  uint32_t foldable = 0;

  bool operator==(const LeafSum&) const = default;
  bool Empty() const { return *this == LeafSum{}; }
  LeafSum& operator+=(const LeafSum& other);
  LeafSum& operator-=(const LeafSum& other);
  void Add(const base::Hash128& entry, const Traits& traits);
  void Remove(const base::Hash128& entry, const Traits& traits);

  void AppendTo(std::string* out) const;  // kLeafSumBytes
  static std::optional<LeafSum> Decode(std::string_view bytes);
};
inline LeafSum operator+(LeafSum a, const LeafSum& b) { return a += b; }
inline LeafSum operator-(LeafSum a, const LeafSum& b) { return a -= b; }

// The hash of one record: its storage key and the digest of its object.
base::Hash128 EntryHash(std::string_view data_key, const base::Hash128& digest);

// The hash of a run of leaves, or of parts of leaves, given one by one in any order, each of them
// once. Empty leaves need not be given; without any other the hash is zero.
class RunHash {
 public:
  void Add(uint32_t leaf, const LeafSum& sum);
  const base::Hash128& hash() const { return hash_; }
  uint64_t keys() const { return keys_; }

 private:
  base::Hash128 hash_;
  uint64_t keys_ = 0;
};

}  // namespace lariat::merkle
