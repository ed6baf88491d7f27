// SPDX-License-Identifier: Apache-2.0
#include "storage/table/internal/index.h"

#include <algorithm>
#include <bit>
#include <iterator>
#include <utility>

#include "base/check.h"
#include "storage/table/charge.h"

namespace lariat::storage::table {
namespace {

static_assert(sizeof(Leaf) == 512, "a size class of the allocator and eight cache lines");

// A node of std::map around it has a colour, three pointers and the key.
constexpr size_t kBucketBytes = Charge(sizeof(Bucket) + 4 * sizeof(void*) + sizeof(uint64_t));

// The slot of the first key that is not below the place.
uint32_t LowerSlot(const Leaf& leaf, const Place& place) {
  uint32_t low = 0;
  uint32_t high = leaf.size;
  while (low < high) {
    const uint32_t middle = (low + high) / 2;
    const uint64_t token = leaf.tokens[middle];
    const bool below =
        token < place.token || (token == place.token && leaf.versions[middle]->key() < place.key);
    (below ? low : high) = below ? middle + 1 : middle;
  }
  return low;
}

bool IsAt(const Leaf& leaf, uint32_t slot, const Place& place) {
  return slot < leaf.size && leaf.tokens[slot] == place.token &&
         leaf.versions[slot]->key() == place.key;
}

}  // namespace

Index::Index(const TokenSlice& slice)
    : slice_(slice),
      shift_(static_cast<uint32_t>(std::countl_zero((slice.last - slice.first) | 1))) {
  LARIAT_CHECK(slice.first <= slice.last, "a slice of the token space is not empty");
}

Index::~Index() {
  for (Leaf* leaf = head_; leaf != nullptr;) {
    const std::unique_ptr<Leaf> dropped(std::exchange(leaf, leaf->next));
  }
}

// --- finding -----------------------------------------------------------------------------------

Bucket* Index::FindBucket(uint32_t id) const {
  if (last_bucket_ != nullptr && last_bucket_->id == id) return last_bucket_;
  const auto found = buckets_.find(id);
  if (found == buckets_.end()) return nullptr;
  last_bucket_ = const_cast<Bucket*>(&found->second);
  return last_bucket_;
}

Leaf* Index::LeafIn(const Bucket& bucket, const Place& place) const {
  const uint64_t position = Position(place.token);
  // Two shifts: one by 64 does not exist.
  Leaf* leaf = bucket.directory[(position >> 1) >> (63 - bucket.depth)];
  if (!leaf->run) [[likely]]
    return leaf;
  const Run& run = *leaf->run;
  const auto above = std::upper_bound(
      run.begin() + 1, run.end(), place, [](const Place& sought, const Leaf* other) {
        const uint64_t first = other->tokens[0];
        return sought.token < first ||
               (sought.token == first && sought.key < other->versions[0]->key());
      });
  return *std::prev(above);
}

Index::Spot Index::Find(const Place& place) const {
  const Bucket* bucket = FindBucket(place.bucket);
  if (bucket == nullptr) return {};
  Leaf* leaf = LeafIn(*bucket, place);
  const uint32_t slot = LowerSlot(*leaf, place);
  return {leaf, slot, IsAt(*leaf, slot, place)};
}

Index::Spot Index::Seek(const Place& place) const {
  const auto at = buckets_.lower_bound(place.bucket);
  if (at == buckets_.end()) return {};
  if (at->first != place.bucket) return {at->second.directory.front(), 0, false};
  Leaf* leaf = LeafIn(at->second, place);
  const uint32_t slot = LowerSlot(*leaf, place);
  return {leaf, slot, IsAt(*leaf, slot, place)};
}

uint64_t Index::LastWrite(const Place& place) const {
  const Bucket* bucket = FindBucket(place.bucket);
  return bucket != nullptr ? LeafIn(*bucket, place)->written : dropped_;
}

// --- changing ----------------------------------------------------------------------------------

Leaf* Index::Insert(const Place& place, VersionRef version) {
  Bucket& bucket = MakeBucket(place.bucket);
  Leaf* leaf = LeafIn(bucket, place);
  while (leaf->size == Leaf::kSlots) {
    if (!SplitCell(leaf)) SplitRun(leaf);
    leaf = LeafIn(bucket, place);
  }
  const uint32_t slot = LowerSlot(*leaf, place);
  LARIAT_CHECK(!IsAt(*leaf, slot, place), "a key is in the index once");
  const auto token = leaf->tokens.begin();
  const auto held = leaf->versions.begin();
  std::move_backward(token + slot, token + leaf->size, token + leaf->size + 1);
  std::move_backward(held + slot, held + leaf->size, held + leaf->size + 1);
  leaf->tokens[slot] = place.token;
  leaf->versions[slot] = std::move(version);
  ++leaf->size;
  ++size_;
  if (leaf == hand_.leaf && slot < hand_.slot) ++hand_.slot;
  return leaf;
}

void Index::Erase(Leaf* leaf, uint32_t slot) {
  LARIAT_CHECK(slot < leaf->size, "what is erased is there");
  const auto token = leaf->tokens.begin();
  const auto held = leaf->versions.begin();
  std::move(token + slot + 1, token + leaf->size, token + slot);
  std::move(held + slot + 1, held + leaf->size, held + slot);
  --leaf->size;
  --size_;
  if (leaf == hand_.leaf && slot < hand_.slot) --hand_.slot;
  leaf->versions[leaf->size] = VersionRef();
  // In a run a leaf begins at its first key: what lay between the old and the new one belongs to
  // the leaf before it from now on, and so does the memory of writes to it.
  if (slot == 0 && leaf->run && leaf->run->front() != leaf) {
    leaf->prev->written = std::max(leaf->prev->written, leaf->written);
  }
}

Bucket& Index::MakeBucket(uint32_t id) {
  if (Bucket* found = FindBucket(id)) return *found;
  const auto at = buckets_.try_emplace(id).first;
  Bucket& bucket = at->second;
  bucket.id = id;
  bytes_ += kBucketBytes;
  Leaf* before = nullptr;
  if (at != buckets_.begin()) {
    before = std::prev(at)->second.directory.back();
    if (before->run) before = before->run->back();
  }
  Leaf* leaf = NewLeaf(bucket, before);
  leaf->written = dropped_;
  bucket.directory = {leaf};
  bucket.deepest = 1;
  bytes_ += bucket.DirectoryBytes();
  last_bucket_ = &bucket;
  return bucket;
}

void Index::DropBucket(Bucket& bucket) {
  Leaf* leaf = bucket.directory.front();
  // A read that began before the last write here must not fill the bucket that comes after this.
  dropped_ = std::max(dropped_, leaf->written);
  bytes_ -= kBucketBytes + bucket.DirectoryBytes();
  DropLeaf(leaf);
  last_bucket_ = nullptr;
  buckets_.erase(bucket.id);
}

// Behind `after` in the list of all; null: at its head.
Leaf* Index::NewLeaf(Bucket& bucket, Leaf* after) {
  Leaf* leaf = std::make_unique<Leaf>().release();  // the list owns it: DropLeaf, ~Index
  leaf->bucket = &bucket;
  leaf->prev = after;
  leaf->next = after != nullptr ? after->next : head_;
  (after != nullptr ? after->next : head_) = leaf;
  if (leaf->next != nullptr) leaf->next->prev = leaf;
  if (hand_.leaf == nullptr) hand_.leaf = leaf;
  ++bucket.leaves;
  bytes_ += Charge(sizeof(Leaf));
  return leaf;
}

void Index::DropLeaf(Leaf* leaf) {
  const std::unique_ptr<Leaf> dropped(leaf);
  LARIAT_CHECK(leaf->size == 0, "a leaf that goes is empty");
  (leaf->prev != nullptr ? leaf->prev->next : head_) = leaf->next;
  if (leaf->next != nullptr) leaf->next->prev = leaf->prev;
  if (hand_.leaf == leaf) PassLeaf();
  --leaf->bucket->leaves;
  bytes_ -= Charge(sizeof(Leaf));
}

}  // namespace lariat::storage::table
