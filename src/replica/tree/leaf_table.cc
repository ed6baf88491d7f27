// SPDX-License-Identifier: Apache-2.0
#include "replica/tree/leaf_table.h"

#include <algorithm>

namespace lariat::replica {

using merkle::LeafSum;

namespace {

// Counts are kept modulo 2^32 in leaves; here their differences count.
void Count(const LeafSum& before, const LeafSum& after, LeafTable::Counts* counts) {
  const auto add = [](uint32_t from, uint32_t to, uint64_t* count) {
    *count += static_cast<uint64_t>(static_cast<int64_t>(static_cast<int32_t>(to - from)));
  };
  add(before.keys, after.keys, &counts->keys);
  add(before.tombstones, after.tombstones, &counts->tombstones);
  add(before.expiring, after.expiring, &counts->expiring);
  add(before.foldable, after.foldable, &counts->foldable);
}

}  // namespace

LeafTable::LeafTable(bool keep, const ring::TokenSlice& slice)
    : keep_(keep),
      slice_(slice),
      first_leaf_(merkle::LeafOf(slice.first.value)),
      last_leaf_(merkle::LeafOf(slice.last.value)),
      loaded_(!keep) {}

// --- changing ----------------------------------------------------------------------------------

void LeafTable::Apply(const LeafEvent& event) {
  const auto [id, leaf] = event.place;
  Bucket& bucket = Use(id);
  ++bucket.version;
  bucket.dirty.set(PageOf(event.place).page);
  switch (event.kind) {
    case LeafEventKind::kUnknown:
      SetSum(bucket, leaf, {});
      SetKnown(bucket, leaf, false);
      break;
    case LeafEventKind::kChange:
      if (!bucket.known[leaf - first_leaf_]) break;
      SetSum(bucket, leaf, bucket.tree.At(leaf) + event.sum);
      break;
    case LeafEventKind::kIs:
      SetSum(bucket, leaf, event.sum);
      SetKnown(bucket, leaf, true);
      break;
  }
}

void LeafTable::SetStored(const LeafPlace& place, const std::optional<LeafSum>& sum) {
  Bucket& bucket = Use(place.bucket);
  SetSum(bucket, place.leaf, sum.value_or(LeafSum{}));
  SetKnown(bucket, place.leaf, sum.has_value());
}

std::vector<PagePlace> LeafTable::TakeDirty() {
  std::vector<PagePlace> pages;
  for (auto& [id, bucket] : buckets_) {
    for (uint32_t page = 0; page < bucket.dirty.size(); ++page) {
      if (bucket.dirty.test(page)) pages.push_back({id, page});
    }
    bucket.dirty.reset();
  }
  return pages;
}

LeafTable::Bucket& LeafTable::Use(storage::BucketId id) {
  const auto [found, is_new] = buckets_.try_emplace(id);
  Bucket& bucket = found->second;
  if (is_new) {
    bucket.known.assign(last_leaf_ - first_leaf_ + 1, complete_);
    bucket.unknown = complete_ ? 0 : bucket.known.size();
  }
  return bucket;
}

void LeafTable::SetKnown(Bucket& bucket, uint32_t leaf, bool known) {
  auto bit = bucket.known[leaf - first_leaf_];
  if (bit == known) return;
  bit = known;
  bucket.unknown += known ? -1 : 1;
}

void LeafTable::SetSum(Bucket& bucket, uint32_t leaf, const LeafSum& sum) {
  const LeafSum before = bucket.tree.At(leaf);
  if (before == sum) return;
  Count(before, sum, &bucket.counts);
  bucket.tree.Use(leaf) = sum;
}

// --- reading -----------------------------------------------------------------------------------

LeafPart LeafTable::Leaf(const LeafPlace& place) const {
  if (!IsMine(place.leaf)) return {};
  if (!keep_ || !loaded_) return {{}, false};
  const auto bucket = buckets_.find(place.bucket);
  if (bucket == buckets_.end()) return {{}, complete_};
  return {bucket->second.tree.At(place.leaf), bucket->second.known[place.leaf - first_leaf_]};
}

// Called for all leaves at once: what is the same for each is looked up once.
std::vector<LeafPart> LeafTable::Leaves(storage::BucketId id, uint32_t first, uint32_t last) const {
  std::vector<LeafPart> leaves(last - first + 1);
  const uint32_t own_first = std::max(first, first_leaf_);
  const uint32_t own_last = std::min(last, last_leaf_);
  const bool counted = keep_ && loaded_;
  const auto found = buckets_.find(id);
  for (uint32_t leaf = own_first; leaf <= own_last; ++leaf) {
    LeafPart& part = leaves[leaf - first];
    if (!counted || found == buckets_.end()) {
      part.known = counted && complete_;
      continue;
    }
    const Bucket& bucket = found->second;
    part.known = bucket.known[leaf - first_leaf_];
    if (part.known) part.sum = bucket.tree.At(leaf);
  }
  return leaves;
}

std::vector<LeafPart> LeafTable::LeavesIfAny(storage::BucketId id, uint32_t first,
                                             uint32_t last) const {
  if (HoldNothing(id, first, last)) return {};
  return Leaves(id, first, last);
}

bool LeafTable::HoldNothing(storage::BucketId id, uint32_t first, uint32_t last) const {
  if (!keep_ || !loaded_) return false;
  const auto found = buckets_.find(id);
  if (found == buckets_.end()) return complete_;
  return found->second.unknown == 0 && !found->second.tree.AnyUsed(first, last);
}

uint64_t LeafTable::VersionOf(storage::BucketId id) const {
  const auto found = buckets_.find(id);
  const uint64_t changes = found == buckets_.end() ? 0 : found->second.version + 1;
  return changes + (loaded_ ? 1 : 0) + (complete_ ? 1 : 0);
}

std::vector<storage::BucketId> LeafTable::Buckets() const {
  std::vector<storage::BucketId> ids;
  for (const auto& [id, bucket] : buckets_) ids.push_back(id);
  return ids;
}

LeafTable::Counts LeafTable::CountsOf(storage::BucketId bucket) const {
  const auto found = buckets_.find(bucket);
  return found == buckets_.end() ? Counts{} : found->second.counts;
}

uint64_t LeafTable::UnknownLeaves() const {
  // As long as there may be buckets that nobody has looked for, all leaves of one more.
  uint64_t unknown = loaded_ && complete_ ? 0 : last_leaf_ - first_leaf_ + 1;
  for (const auto& [id, bucket] : buckets_) unknown += bucket.unknown;
  return unknown;
}

bool LeafTable::AnyUnknown() const {
  return std::any_of(buckets_.begin(), buckets_.end(),
                     [](const auto& entry) { return entry.second.unknown > 0; });
}

LeafTable::Totals LeafTable::CountAll() const {
  Totals totals;
  for (const auto& [id, bucket] : buckets_) {
    totals.tombstones += bucket.counts.tombstones;
    totals.memory_bytes += bucket.tree.MemoryBytes() + bucket.known.size() / 8;
  }
  return totals;
}

std::optional<LeafTable::Run> LeafTable::NextUnknown(storage::BucketId id, uint32_t from) const {
  const auto bucket = buckets_.find(id);
  if (bucket == buckets_.end() || bucket->second.unknown == 0) return std::nullopt;
  const auto& known = bucket->second.known;
  uint32_t first = std::max(from, first_leaf_);
  while (first <= last_leaf_ && known[first - first_leaf_]) ++first;
  if (first > last_leaf_) return std::nullopt;
  uint32_t last = first;
  while (last < last_leaf_ && !known[last + 1 - first_leaf_]) ++last;
  return Run{first, last};
}

}  // namespace lariat::replica
