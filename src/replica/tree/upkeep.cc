// SPDX-License-Identifier: Apache-2.0
#include "replica/tree/upkeep.h"

#include <algorithm>
#include <utility>

namespace lariat::replica {

using merkle::LeafSum;
using storage::Space;

namespace {

constexpr LeafPlace kEnd = {UINT64_MAX, 0};
constexpr size_t kSavedAtOnce = 1024;

// Counts are kept modulo 2^32 in leaves; here their differences count.
void Count(const LeafSum& before, const LeafSum& after, TreeUpkeep::Counts* counts) {
  const auto add = [](uint32_t from, uint32_t to, uint64_t* count) {
    *count += static_cast<uint64_t>(static_cast<int64_t>(static_cast<int32_t>(to - from)));
  };
  add(before.keys, after.keys, &counts->keys);
  add(before.tombstones, after.tombstones, &counts->tombstones);
  add(before.expiring, after.expiring, &counts->expiring);
  add(before.foldable, after.foldable, &counts->foldable);
}

}  // namespace

TreeUpkeep::TreeUpkeep(TreeOptions options, uint64_t run, storage::Engine& engine,
                       storage::CompletionQueue& queue, telemetry::Metrics& metrics)
    : options_(options),
      run_(run),
      engine_(engine),
      queue_(queue),
      metrics_(metrics),
      slice_(ring::SliceOf(options.shard, options.shards)),
      first_leaf_(merkle::LeafOf(slice_.first.value)),
      last_leaf_(merkle::LeafOf(slice_.last.value)),
      alive_(std::make_shared<bool>(true)) {
  ReadHead();
}

TreeUpkeep::~TreeUpkeep() = default;

// The generation is raised by the same rule on every shard, so that they agree without talking.
void TreeUpkeep::ReadHead() {
  std::optional<TreeHead> old;
  if (const auto value = engine_.GetBlocking(Space::kTree, TreeHeadKey())) {
    old = DecodeTreeHead(*value);
  }
  const uint32_t shards = options_.keep ? options_.shards : 0;
  if (old && old->shards == shards && !options_.log_truncated) {
    head_ = *old;
  } else {
    head_ = {shards, (old ? old->generation : 0) + 1};
    head_unsaved_ = options_.keep || old.has_value();
  }
  const bool usable = options_.keep && !head_unsaved_;
  loaded_to_ = usable ? LeafPlace{} : kEnd;
  if (!usable) return;
  const auto value = engine_.GetBlocking(Space::kTree, TreeCompleteKey(options_.shard));
  complete_ = value && DecodeGeneration(*value) == head_.generation;
}

// --- what happens to records -------------------------------------------------------------------

void TreeUpkeep::Stage(const std::string& data_key, const LeafSum& change, bool spoiled) {
  if (!options_.keep || (change.Empty() && !spoiled)) return;
  const auto key = storage::ParseDataKey(data_key);
  if (!key || key->token < slice_.first.value || key->token > slice_.last.value) return;
  const LeafPlace place = {key->bucket, merkle::LeafOf(key->token)};
  staged_.push_back({data_key, place, change});
  Touched& touched = touched_[place];
  touched.change += change;
  touched.spoiled |= spoiled;
  ++version_;
}

void TreeUpkeep::BeforeWrite(storage::WriteBatch* batch) {
  if (head_unsaved_) batch->Put(Space::kTree, TreeHeadKey(), EncodeTreeHead(head_));
  for (const auto& [place, touched] : touched_) PutTouched(place, touched, batch);
}

void TreeUpkeep::PutTouched(const LeafPlace& place, const Touched& touched,
                            storage::WriteBatch* batch) {
  if (!IsLoaded(place)) {
    if (marked_.contains(place)) return;
    batch->Put(Space::kTree, TreeMarkKey(place, options_.shard, run_),
               EncodeGeneration(head_.generation));
    return;
  }
  const LeafPart leaf = Leaf(place);
  if (!leaf.known) return;  // and nothing is stored that says otherwise
  if (touched.spoiled) return PutLeaf(place, std::nullopt, batch);
  PutLeaf(place, leaf.sum + touched.change, batch);
}

void TreeUpkeep::PutLeaf(const LeafPlace& place, const std::optional<LeafSum>& sum,
                         storage::WriteBatch* batch) {
  batch->Put(Space::kTree, TreeLeafKey(place, options_.shard),
             EncodeTreeLeaf(head_.generation, sum));
  const auto marks = marked_.find(place);
  if (!sum || marks == marked_.end()) return;
  for (const uint64_t run : marks->second) {
    batch->Remove(Space::kTree, TreeMarkKey(place, options_.shard, run));
  }
}

void TreeUpkeep::AfterWrite(bool applied) {
  if (applied) {
    head_unsaved_ = false;
    for (const auto& [place, touched] : touched_) Apply(place, touched);
    for (const Staged& staged : staged_) {
      for (ChangeWatcher* watcher : watchers_) {
        watcher->OnChange(staged.data_key, staged.place, staged.change);
      }
    }
  }
  staged_.clear();
  touched_.clear();
  ++version_;
}

void TreeUpkeep::Apply(const LeafPlace& place, const Touched& touched) {
  Bucket& bucket = UseBucket(place.bucket);
  if (!IsLoaded(place)) {
    bucket.tree.Use(place.leaf) += touched.change;
    marked_[place].insert(run_);
    if (touched.spoiled) spoiled_.insert(place);
    return;
  }
  if (!bucket.known[place.leaf - first_leaf_]) return;
  unsaved_.erase(place);
  if (touched.spoiled) {
    SetSum(bucket, place.leaf, {});
    SetKnown(bucket, place.leaf, false);
    return;
  }
  SetSum(bucket, place.leaf, bucket.tree.At(place.leaf) + touched.change);
  marked_.erase(place);
}

// --- leaves ------------------------------------------------------------------------------------

TreeUpkeep::Bucket& TreeUpkeep::UseBucket(uint64_t id) {
  const auto [found, is_new] = buckets_.try_emplace(id);
  Bucket& bucket = found->second;
  if (is_new) {
    bucket.known.assign(last_leaf_ - first_leaf_ + 1, complete_);
    bucket.unknown = complete_ ? 0 : bucket.known.size();
  }
  return bucket;
}

void TreeUpkeep::SetKnown(Bucket& bucket, uint32_t leaf, bool known) {
  auto bit = bucket.known[leaf - first_leaf_];
  if (bit == known) return;
  bit = known;
  bucket.unknown += known ? -1 : 1;
}

void TreeUpkeep::SetSum(Bucket& bucket, uint32_t leaf, const LeafSum& sum) {
  const LeafSum before = bucket.tree.At(leaf);
  if (before == sum) return;
  Count(before, sum, &bucket.counts);
  bucket.tree.Use(leaf) = sum;
}

LeafPart TreeUpkeep::Leaf(const LeafPlace& place) const {
  if (!IsMine(place.leaf)) return {};
  if (!options_.keep || !IsLoaded(place)) return {{}, false};
  const auto bucket = buckets_.find(place.bucket);
  if (bucket == buckets_.end()) return {{}, complete_};
  return {bucket->second.tree.At(place.leaf), bucket->second.known[place.leaf - first_leaf_]};
}

std::vector<LeafPart> TreeUpkeep::Leaves(storage::BucketId bucket, uint32_t first,
                                         uint32_t last) const {
  std::vector<LeafPart> leaves;
  leaves.reserve(last - first + 1);
  for (uint32_t leaf = first; leaf <= last; ++leaf) leaves.push_back(Leaf({bucket, leaf}));
  return leaves;
}

std::vector<storage::BucketId> TreeUpkeep::Buckets() const {
  std::vector<storage::BucketId> ids;
  for (const auto& [id, bucket] : buckets_) ids.push_back(static_cast<storage::BucketId>(id));
  return ids;
}

TreeUpkeep::Counts TreeUpkeep::CountsOf(storage::BucketId bucket) const {
  const auto found = buckets_.find(bucket);
  return found == buckets_.end() ? Counts{} : found->second.counts;
}

bool TreeUpkeep::Loaded() const { return loaded_to_ == kEnd; }

uint64_t TreeUpkeep::UnknownLeaves() const {
  // As long as there may be buckets that nobody has looked for, all leaves of one more.
  uint64_t unknown = Loaded() && complete_ ? 0 : last_leaf_ - first_leaf_ + 1;
  for (const auto& [id, bucket] : buckets_) unknown += bucket.unknown;
  return unknown;
}

bool TreeUpkeep::AnyUnknown() const {
  return std::any_of(buckets_.begin(), buckets_.end(),
                     [](const auto& entry) { return entry.second.unknown > 0; });
}

// --- records read again ------------------------------------------------------------------------

TreeUpkeep::Settled TreeUpkeep::Settle(const LeafPlace& place, const LeafSum& counted) {
  if (!options_.keep || !IsLoaded(place)) return Settled::kUnchecked;
  Bucket& bucket = UseBucket(place.bucket);
  const bool was_known = bucket.known[place.leaf - first_leaf_];
  if (was_known && bucket.tree.At(place.leaf) == counted) return Settled::kMatched;
  SetSum(bucket, place.leaf, counted);
  SetKnown(bucket, place.leaf, true);
  ++version_;
  // Before the trees are complete, what is not stored is unknown: an empty leaf may stay that way
  // until then, which saves many puts.
  if (was_known || complete_ || !counted.Empty() || marked_.contains(place)) {
    unsaved_.insert(place);
    ScheduleSave();
  }
  if (!was_known) return Settled::kBecameKnown;
  metrics_.tree_corrections.Add();
  return Settled::kCorrected;
}

std::optional<TreeUpkeep::Run> TreeUpkeep::NextUnknown(storage::BucketId id, uint32_t from) const {
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

void TreeUpkeep::Discover(storage::BucketId bucket) { UseBucket(bucket); }

void TreeUpkeep::MarkComplete() {
  if (!Loaded() || complete_) return;
  if (AnyUnknown()) return;
  complete_ = true;
  complete_unsaved_ = true;
  ++version_;
  ScheduleSave();
}

// --- storing beside the writes -----------------------------------------------------------------

void TreeUpkeep::ScheduleSave() {
  if (save_scheduled_) return;
  save_scheduled_ = true;
  queue_.Post([this, alive = std::weak_ptr<bool>(alive_)] {
    if (alive.expired()) return;
    save_scheduled_ = false;
    Save();
  });
}

void TreeUpkeep::Save() {
  storage::WriteBatch batch;
  if (head_unsaved_) batch.Put(Space::kTree, TreeHeadKey(), EncodeTreeHead(head_));
  auto end = unsaved_.begin();
  for (size_t i = 0; i < kSavedAtOnce && end != unsaved_.end(); ++i, ++end) {
    PutLeaf(*end, Leaf(*end).sum, &batch);
  }
  const bool all = end == unsaved_.end();
  if (complete_unsaved_ && all) {
    batch.Put(Space::kTree, TreeCompleteKey(options_.shard), EncodeGeneration(head_.generation));
  }
  for (const std::string& key : garbage_) batch.Remove(Space::kTree, key);
  if (batch.Empty() || !engine_.Write(batch)) return;  // Tick tries again
  // A log that was cut short must not be forgotten: at the next start nothing tells of it.
  if (head_unsaved_ && options_.log_truncated) engine_.Sync(&queue_, [](const base::Status&) {});
  head_unsaved_ = false;
  garbage_.clear();
  if (all) complete_unsaved_ = false;
  for (auto place = unsaved_.begin(); place != end; ++place) marked_.erase(*place);
  unsaved_.erase(unsaved_.begin(), end);
  ++version_;
  if (!all) ScheduleSave();
}

void TreeUpkeep::Tick() {
  if (!std::exchange(started_, true)) Start();
  if (auto again = std::exchange(again_, nullptr)) again();
  const bool unsaved = head_unsaved_ || complete_unsaved_ || !unsaved_.empty() || !garbage_.empty();
  if (unsaved && !save_scheduled_) Save();
  if (gauges_version_ == version_) return;
  gauges_version_ = version_;
  uint64_t tombstones = 0;
  size_t bytes = 0;
  for (const auto& [id, bucket] : buckets_) {
    tombstones += bucket.counts.tombstones;
    bytes += bucket.tree.MemoryBytes() + bucket.known.size() / 8;
  }
  metrics_.tombstones.Set(static_cast<int64_t>(tombstones));
  metrics_.tree_bytes.Set(static_cast<int64_t>(bytes));
  metrics_.tree_leaves_unknown.Set(static_cast<int64_t>(options_.keep ? UnknownLeaves() : 0));
}

}  // namespace lariat::replica
