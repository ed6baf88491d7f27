// SPDX-License-Identifier: Apache-2.0
// How the stored leaves come back after a start: the shard's slice of every bucket that has any,
// in key order. Writes go on meanwhile; see `loading` in upkeep.h.
#include <utility>

#include "replica/tree/upkeep.h"

namespace lariat::replica {

using merkle::LeafSum;
using storage::Space;

namespace {

constexpr LeafPlace kEnd = {UINT64_MAX, 0};
constexpr uint64_t kBucketEnd = UINT32_MAX;  // where the keys of leaves end
constexpr size_t kPageEntries = 2000;

}  // namespace

void TreeUpkeep::Start() {
  if (head_unsaved_) ScheduleSave();
  if (options_.keep && !Loaded()) FindNextBucket(0);
}

void TreeUpkeep::Scan(std::string from, std::string to, size_t entries_max,
                      std::function<void(std::vector<storage::Entry>)> use) {
  storage::ScanLimits limits;
  limits.entries_max = entries_max;
  engine_.Scan(
      Space::kTree, from, to, limits, &queue_,
      [this, from, to, entries_max, use = std::move(use), alive = std::weak_ptr<bool>(alive_)](
          base::Result<std::vector<storage::Entry>> entries) mutable {
        if (alive.expired()) return;
        if (entries) return use(std::move(*entries));
        again_ = [this, from, to, entries_max, use] { Scan(from, to, entries_max, use); };
      });
}

void TreeUpkeep::FindNextBucket(uint64_t from) {
  if (from >= kBucketEnd) {
    LoadUpTo(kEnd);
    ++version_;
    return;
  }
  Scan(TreeLeafKey({from, 0}, 0), TreeHeadKey(), 1, [this](std::vector<storage::Entry> entries) {
    const auto parts = entries.empty() ? std::nullopt : ParseTreeKey(entries[0].key);
    if (!parts) return FindNextBucket(kBucketEnd);
    LoadPage(parts->place.bucket, TreeLeafKey({parts->place.bucket, first_leaf_}, 0));
  });
}

void TreeUpkeep::LoadPage(uint64_t bucket, std::string from) {
  const bool to_the_end = last_leaf_ + 1 == merkle::kLeaves;
  std::string to =
      to_the_end ? TreeLeafKey({bucket + 1, 0}, 0) : TreeLeafKey({bucket, last_leaf_ + 1}, 0);
  Scan(std::move(from), std::move(to), kPageEntries,
       [this, bucket](std::vector<storage::Entry> entries) { OnPage(bucket, std::move(entries)); });
}

void TreeUpkeep::OnPage(uint64_t bucket, std::vector<storage::Entry> entries) {
  if (entries.empty()) {
    EndHeldLeaf();
    LoadUpTo({bucket + 1, 0});
    return FindNextBucket(bucket + 1);
  }
  for (const storage::Entry& entry : entries) {
    if (const auto parts = ParseTreeKey(entry.key)) OnEntry(*parts, entry);
  }
  LoadPage(bucket, entries.back().key + '\0');
}

void TreeUpkeep::OnEntry(const TreeKeyParts& parts, const storage::Entry& entry) {
  if (parts.part != options_.shard) {
    // Of an earlier number of shards, or of the neighbour.
    const bool stale = parts.part >= options_.shards || !LeafHasShard(parts);
    if (stale) garbage_.push_back(entry.key);
    return;
  }
  if (parts.mark_of_run && DecodeGeneration(entry.value) != head_.generation) {
    garbage_.push_back(entry.key);
    return;
  }
  if (!held_ || held_->place != parts.place) {
    EndHeldLeaf();
    held_ = Held{parts.place, std::nullopt, false};
  }
  if (parts.mark_of_run) {
    held_->stale |= *parts.mark_of_run != run_;
    marked_[parts.place].insert(*parts.mark_of_run);
  } else {
    held_->value = DecodeTreeLeaf(entry.value);
    held_->stale |= !held_->value;
  }
}

bool TreeUpkeep::LeafHasShard(const TreeKeyParts& parts) const {
  const auto slice = ring::SliceOf(parts.part, options_.shards);
  return merkle::LeafOf(slice.first.value) <= parts.place.leaf &&
         parts.place.leaf <= merkle::LeafOf(slice.last.value);
}

void TreeUpkeep::EndHeldLeaf() {
  if (!held_) return;
  const Held held = *std::exchange(held_, std::nullopt);
  LoadUpTo(held.place);
  const bool counts = held.value && held.value->generation == head_.generation;
  const bool known = !held.stale && (counts ? held.value->sum.has_value() : complete_);
  EndLoad(held.place, counts ? held.value->sum.value_or(LeafSum{}) : LeafSum{}, known);
  loaded_to_ = {held.place.bucket, held.place.leaf + 1};
}

// Every leaf that has changed meanwhile has a mark; of the others nothing is stored.
void TreeUpkeep::LoadUpTo(const LeafPlace& place) {
  for (auto at = marked_.lower_bound(loaded_to_); at != marked_.end() && at->first < place; ++at) {
    EndLoad(at->first, {}, complete_);
  }
  loaded_to_ = place;
}

void TreeUpkeep::EndLoad(const LeafPlace& place, const LeafSum& stored, bool known) {
  Bucket& bucket = UseBucket(place.bucket);
  const LeafSum change = bucket.tree.At(place.leaf);
  if (spoiled_.erase(place) > 0) known = false;
  if (!change.Empty()) bucket.tree.Use(place.leaf) = {};
  if (known) SetSum(bucket, place.leaf, stored + change);
  SetKnown(bucket, place.leaf, known);
  ++version_;
  if (!known || !marked_.contains(place)) return;
  unsaved_.insert(place);
  ScheduleSave();
}

}  // namespace lariat::replica
