// SPDX-License-Identifier: Apache-2.0
// For the tests of this folder: keys with tokens of many kinds, and an audit of an index.
#pragma once

#include <bit>
#include <cstdint>
#include <set>
#include <string>

#include "base/prng.h"
#include "storage/record.h"
#include "storage/table/internal/index.h"

namespace lariat::storage::table {

// How tokens lie. Each gives a different key for each number.
enum class Shape : uint8_t {
  kRandom,    // as hashes do
  kEqual,     // one token: keys of one hash tag
  kFewEqual,  // four tokens, two of them neighbours
  kClusters,  // sixteen small parts of the token space
  kClose,     // neighbours, so that many bits have to be looked at
  kBits,      // one bit each, again and again
  kSorted,    // evenly over all, in order
  kBuckets,   // a bucket for every three keys
  kShort,     // keys that are shorter than bucket and token
};
inline constexpr Shape kShapes[] = {Shape::kRandom,   Shape::kEqual,   Shape::kFewEqual,
                                    Shape::kClusters, Shape::kClose,   Shape::kBits,
                                    Shape::kSorted,   Shape::kBuckets, Shape::kShort};

inline uint64_t Scatter(uint64_t number) { return base::Prng(number).Next(); }

inline std::string KeyOf(Shape shape, uint64_t number) {
  const std::string name = "key-" + std::to_string(number);
  switch (shape) {
    case Shape::kRandom:
      return DataKey(1, Scatter(number), name);
    case Shape::kEqual:
      return DataKey(1, 0x5555'5555'0000'0001, name);
    case Shape::kFewEqual:
      return DataKey(1, uint64_t{number % 4 / 2} << 63 | (number % 2 + 7), name);
    case Shape::kClusters: {
      const uint64_t part = number % 4 * 0x18 + number / 4 % 4 * 0x48;
      return DataKey(1, part << 55 | Scatter(number) >> 9, name);
    }
    case Shape::kClose:
      return DataKey(1, 0x7fff'ffff'ffff'ff80 + number, name);
    case Shape::kBits:
      return DataKey(1, uint64_t{1} << number % 64, name);
    case Shape::kSorted:
      return DataKey(1, number << 50, name);
    case Shape::kBuckets:
      return DataKey(static_cast<uint32_t>(number / 3), Scatter(number), name);
    case Shape::kShort: {
      std::string key;
      for (uint64_t rest = number; rest > 0; rest /= 3) key += static_cast<char>(rest % 3 * 120);
      return key;
    }
  }
  return name;
}

// Recounts an index and looks for what must hold. "": all does; otherwise the first that does not.
class Audit {
 public:
  explicit Audit(const Index& index) : index_(index) {}

  std::string Run() {
    std::string problem = Leaves();
    for (auto& [id, bucket] : index_.buckets()) {
      if (problem.empty()) problem = OfBucket(id, bucket);
    }
    if (!problem.empty()) return problem;
    if (seen_.size() != leaves_.size()) return "a leaf that no directory leads to";
    if (keys_ != index_.size()) return "keys are miscounted";
    if (bytes_ != index_.bytes()) {
      return "bytes: " + std::to_string(index_.bytes()) + " not " + std::to_string(bytes_);
    }
    if (leaves_.empty() != (index_.hand().leaf == nullptr)) return "the hand is nowhere";
    const Leaf* hand = index_.hand().leaf;
    if (hand != nullptr && !leaves_.contains(hand)) return "the hand is lost";
    return "";
  }

 private:
  std::string Leaves() {
    const Version* before = nullptr;
    const Leaf* prev = nullptr;
    for (const Leaf* leaf = index_.head(); leaf != nullptr; prev = leaf, leaf = leaf->next) {
      if (leaf->prev != prev) return "the list is broken";
      if (!leaves_.insert(leaf).second) return "the list is a ring";
      bytes_ += Charge(sizeof(Leaf));
      keys_ += leaf->size;
      for (uint32_t slot = 0; slot < leaf->size; ++slot) {
        const Version* version = leaf->versions[slot].get();
        const Place place = PlaceOf(version->key());
        if (before != nullptr && before->key() >= version->key()) return "keys are out of order";
        if (place.bucket != leaf->bucket->id) return "a key in another bucket's leaf";
        if (place.token != leaf->tokens[slot]) return "a slot with another key's token";
        const uint64_t below = index_.Position(place.token) - leaf->base;
        if (leaf->depth > 0 && below >> (64 - leaf->depth) != 0) return "a key in another's cell";
        if (!index_.Find(place).found) return "a key that cannot be found";
        before = version;
      }
      for (uint32_t slot = leaf->size; slot < Leaf::kSlots; ++slot) {
        if (leaf->versions[slot]) return "something behind the end of a leaf";
      }
    }
    return "";
  }

  std::string OfBucket(uint32_t id, const Bucket& bucket) {
    if (bucket.id != id) return "a bucket with another's number";
    if (bucket.directory.size() != size_t{1} << bucket.depth) return "a directory of odd size";
    bytes_ += Charge(sizeof(Bucket) + 40) + Charge(bucket.directory.capacity() * sizeof(Leaf*));
    size_t leaves = 0;
    size_t deepest = 0;
    for (size_t at = 0; at < bucket.directory.size();) {
      const Leaf* first = bucket.directory[at];
      if (first->base != (bucket.depth > 0 ? uint64_t{at} << (64 - bucket.depth) : 0)) {
        return "a cell at another's place";
      }
      if (first->depth == bucket.depth) ++deepest;
      if (first->run && (first->run->size() < 2 || first->run->front() != first)) {
        return "a run that does not begin with its first leaf";
      }
      if (first->run) {
        bytes_ += Charge(sizeof(table::Run) + 16) + Charge(first->run->capacity() * sizeof(Leaf*));
      }
      const Leaf* expected = first;
      for (const Leaf* leaf : first->run ? *first->run : table::Run{bucket.directory[at]}) {
        if (leaf != expected) return "a run that the list does not have";
        if (leaf->run != first->run) return "a leaf of another run";
        if (leaf->run && leaf->size == 0) return "an empty leaf in a run";
        if (leaf->base != first->base || leaf->depth != first->depth) return "a torn cell";
        if (leaf->bucket != &bucket) return "a leaf of another bucket";
        if (!seen_.insert(leaf).second) return "a leaf in two cells";
        expected = leaf->next;
        ++leaves;
      }
      for (size_t span = size_t{1} << (bucket.depth - first->depth); span > 0; --span) {
        if (bucket.directory[at++] != first) return "a directory with a hole";
      }
    }
    if (leaves != bucket.leaves) return "leaves are miscounted";
    if (deepest != bucket.deepest) return "cells of full depth are miscounted";
    return "";
  }

  const Index& index_;
  std::set<const Leaf*> leaves_, seen_;
  size_t keys_ = 0;
  size_t bytes_ = 0;
};

}  // namespace lariat::storage::table
