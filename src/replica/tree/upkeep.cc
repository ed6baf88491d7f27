// SPDX-License-Identifier: Apache-2.0
#include "replica/tree/upkeep.h"

#include <algorithm>
#include <utility>

#include "replica/tree/record_sum.h"

namespace lariat::replica {

using merkle::LeafSum;
using storage::Space;

namespace {

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

TreeUpkeep::TreeUpkeep(TreeOptions options, storage::Engine& engine,
                       storage::CompletionQueue& queue, telemetry::Metrics& metrics)
    : options_(options),
      engine_(engine),
      queue_(queue),
      metrics_(metrics),
      slice_(ring::SliceOf(options.shard, options.shards)),
      first_leaf_(merkle::LeafOf(slice_.first.value)),
      last_leaf_(merkle::LeafOf(slice_.last.value)) {
  ReadHead();
}

TreeUpkeep::~TreeUpkeep() = default;

// The generation is raised by the same rule on every shard, so that they agree without talking.
void TreeUpkeep::ReadHead() {
  std::optional<TreeHead> head;
  if (const auto value = engine_.GetBlocking(Space::kTree, TreeHeadKey())) {
    head = DecodeTreeHead(*value);
  }
  const uint32_t shards = options_.keep ? options_.shards : 0;
  const bool same = head && head->shards == shards && !options_.log_truncated;
  head_ = same ? *head : TreeHead{shards, (head ? head->generation : 0) + 1};
  head_changed_ = !same && (options_.keep || head);
  head_unsaved_ = options_.keep || head_changed_;
  loaded_ = !options_.keep;
  if (!options_.keep) return;
  std::optional<TreePart> part;
  if (const auto value = engine_.GetBlocking(Space::kTree, TreePartKey(options_.shard))) {
    part = DecodeTreePart(*value);
  }
  part_.generation = head_.generation;
  part_.run = (part ? part->run : 0) + 1;
  part_.complete = part && part->complete && part->generation == head_.generation;
  complete_ = part_.complete;
}

// --- what happens to records -------------------------------------------------------------------

void TreeUpkeep::OnChange(const RecordChange& change) {
  if (!options_.keep) return;
  const auto sum_of = [&](const std::optional<RecordImage>& image) {
    return image ? RecordSum(change.data_key, *image) : LeafSum{};
  };
  const LeafSum gain = sum_of(change.after) - sum_of(change.before);
  if (gain.Empty() && !change.spoiled) return;
  const auto key = storage::ParseDataKey(change.data_key);
  if (!key || key->token < slice_.first.value || key->token > slice_.last.value) return;
  // It is staged for known and unknown leaves alike: whether a leaf is known may have changed until
  // the batch is written, and an unknown leaf stays unknown whatever is added to it.
  const LeafPlace place = {key->bucket, merkle::LeafOf(key->token)};
  if (change.spoiled) {
    events_.push_back({place, LeafEventKind::kUnknown, {}});
  } else {
    events_.push_back({place, LeafEventKind::kChange, gain});
  }
  staged_.push_back({std::string(change.data_key), gain});
  ++version_;
}

void TreeUpkeep::BeforeWrite(storage::WriteBatch* batch) {
  if (head_unsaved_) PutHead(batch);
  if (!events_.empty()) PutJournal(events_, batch);
}

void TreeUpkeep::AfterWrite(bool applied) {
  if (applied) {
    head_unsaved_ = head_changed_ = false;
    for (size_t i = 0; i < staged_.size(); ++i) {
      if (loaded_) {
        Apply(events_[i]);
      } else {
        early_.push_back(events_[i]);
      }
      for (ChangeWatcher* watcher : watchers_) {
        watcher->OnChange(staged_[i].data_key, events_[i].place, staged_[i].change);
      }
    }
    if (!events_.empty()) OnJournalWritten(events_.size());
  }
  staged_.clear();
  events_.clear();
  ++version_;
}

void TreeUpkeep::Apply(const LeafEvent& event) {
  const auto [id, leaf] = event.place;
  Bucket& bucket = UseBucket(id);
  ++bucket.version;
  bucket.dirty.set(PageOf(event.place).page);
  switch (event.kind) {
    case LeafEventKind::kUnknown:
      SetSum(bucket, leaf, {});
      SetKnown(bucket, leaf, false);
      settled_.erase(event.place);
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

// --- leaves ------------------------------------------------------------------------------------

TreeUpkeep::Bucket& TreeUpkeep::UseBucket(storage::BucketId id) {
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
  if (!options_.keep || !loaded_) return {{}, false};
  const auto bucket = buckets_.find(place.bucket);
  if (bucket == buckets_.end()) return {{}, complete_};
  return {bucket->second.tree.At(place.leaf), bucket->second.known[place.leaf - first_leaf_]};
}

// Called for all leaves at once: what is the same for each is looked up once.
std::vector<LeafPart> TreeUpkeep::Leaves(storage::BucketId id, uint32_t first,
                                         uint32_t last) const {
  std::vector<LeafPart> leaves(last - first + 1);
  const uint32_t own_first = std::max(first, first_leaf_);
  const uint32_t own_last = std::min(last, last_leaf_);
  const bool counted = options_.keep && loaded_;
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

std::vector<LeafPart> TreeUpkeep::LeavesIfAny(storage::BucketId id, uint32_t first,
                                              uint32_t last) const {
  if (HoldNothing(id, first, last)) return {};
  return Leaves(id, first, last);
}

bool TreeUpkeep::HoldNothing(storage::BucketId id, uint32_t first, uint32_t last) const {
  if (!options_.keep || !loaded_) return false;
  const auto found = buckets_.find(id);
  if (found == buckets_.end()) return complete_;
  return found->second.unknown == 0 && !found->second.tree.AnyUsed(first, last);
}

uint64_t TreeUpkeep::VersionOf(storage::BucketId id) const {
  const auto found = buckets_.find(id);
  const uint64_t changes = found == buckets_.end() ? 0 : found->second.version + 1;
  return changes + (loaded_ ? 1 : 0) + (complete_ ? 1 : 0);
}

std::vector<storage::BucketId> TreeUpkeep::Buckets() const {
  std::vector<storage::BucketId> ids;
  for (const auto& [id, bucket] : buckets_) ids.push_back(id);
  return ids;
}

TreeUpkeep::Counts TreeUpkeep::CountsOf(storage::BucketId bucket) const {
  const auto found = buckets_.find(bucket);
  return found == buckets_.end() ? Counts{} : found->second.counts;
}

uint64_t TreeUpkeep::UnknownLeaves() const {
  // As long as there may be buckets that nobody has looked for, all leaves of one more.
  uint64_t unknown = loaded_ && complete_ ? 0 : last_leaf_ - first_leaf_ + 1;
  for (const auto& [id, bucket] : buckets_) unknown += bucket.unknown;
  return unknown;
}

bool TreeUpkeep::AnyUnknown() const {
  return std::any_of(buckets_.begin(), buckets_.end(),
                     [](const auto& entry) { return entry.second.unknown > 0; });
}

// --- records read again ------------------------------------------------------------------------

TreeUpkeep::Settled TreeUpkeep::Settle(const LeafPlace& place, const LeafSum& counted) {
  if (!options_.keep || !loaded_) return Settled::kUnchecked;
  const LeafPart leaf = Leaf(place);
  if (leaf.known && leaf.sum == counted) return Settled::kMatched;
  Apply({place, LeafEventKind::kIs, counted});
  ++version_;
  // Before the trees are complete, what nothing is said of is unknown: an empty leaf may stay that
  // way until the pages are stored, which saves many entries.
  if (leaf.known || complete_ || !counted.Empty()) {
    settled_.insert(place);
    ScheduleSave();
  }
  if (!leaf.known) return Settled::kBecameKnown;
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
  if (!loaded_ || complete_ || AnyUnknown()) return;
  complete_ = true;
  complete_unsaved_ = true;
  ++version_;
  ScheduleSave();
}

void TreeUpkeep::Tick() {
  if (!std::exchange(started_, true)) Start();
  if (auto again = std::exchange(again_, nullptr)) again();
  if (Unsaved() && !save_scheduled_) Save();
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
