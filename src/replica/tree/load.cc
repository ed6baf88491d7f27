// SPDX-License-Identifier: Apache-2.0
// How the trees come back after a start: the journal of earlier runs, then the pages of the shard's
// slice of every bucket that has any; together they are what the leaves were. Writes go on
// meanwhile and are added at the end.
#include <utility>

#include "replica/tree/upkeep.h"

namespace lariat::replica {

using storage::Space;

namespace {

constexpr uint64_t kBucketEnd = 0xfffffffe;  // where the keys of pages end
constexpr uint32_t kPartEnd = 0xffff;
constexpr size_t kEntriesAtOnce = 256;

}  // namespace

void TreeUpkeep::Start() {
  if (head_changed_) ScheduleSave();
  if (!options_.keep) return;
  const uint32_t part = options_.shard;
  LoadJournal(TreeJournalKey(part, {}), TreeJournalKey(part, {part_.run, 0}), [this] {
    if (options_.shard != 0) return FindNextBucket(0);
    // The first shard clears away what shards have left that are no more.
    LoadJournal(TreeJournalKey(options_.shards, {}), TreeJournalKey(kPartEnd, {}),
                [this] { FindNextBucket(0); });
  });
}

void TreeUpkeep::Scan(std::string from, std::string to, size_t entries_max,
                      base::UniqueFunction<void(Entries)> use) {
  storage::ScanLimits limits;
  limits.entries_max = entries_max;
  auto take = [this, from, to, entries_max,
               use = std::move(use)](base::Result<Entries> entries) mutable {
    if (entries) return use(std::move(*entries));
    again_ = [this, from = std::move(from), to = std::move(to), entries_max,
              use = std::move(use)]() mutable { Scan(from, to, entries_max, std::move(use)); };
  };
  engine_.Scan(Space::kTree, from, to, limits, &queue_, lifetime_.Guard(std::move(take)));
}

void TreeUpkeep::LoadJournal(std::string from, std::string to, base::UniqueFunction<void()> then) {
  Scan(std::move(from), to, kEntriesAtOnce,
       [this, to, then = std::move(then)](Entries entries) mutable {
         if (entries.empty()) return then();
         std::string next = entries.back().key + '\0';
         for (storage::Entry& entry : entries) OnJournal(std::move(entry));
         LoadJournal(std::move(next), std::move(to), std::move(then));
       });
}

void TreeUpkeep::OnJournal(storage::Entry entry) {
  const auto key = ParseTreeJournalKey(entry.key);
  const bool mine = key && key->part == options_.shard;
  const auto journal = DecodeTreeJournal(entry.value);
  if (mine && !journal) broken_ = true;
  if (mine && journal && journal->generation == head_.generation) {
    for (const LeafEvent& event : journal->events) replay_.emplace_back(key->seq, event);
    old_journal_.push_back(std::move(entry.key));
  } else {
    garbage_.push_back(std::move(entry.key));
  }
}

void TreeUpkeep::FindNextBucket(uint64_t from) {
  if (from >= kBucketEnd) return EndLoad();
  const auto bucket = static_cast<storage::BucketId>(from);
  Scan(TreePageKey({bucket, 0}, 0), TreeJournalKey(0, {}), 1, [this](const Entries& entries) {
    const auto key = entries.empty() ? std::nullopt : ParseTreePageKey(entries[0].key);
    if (!key) return FindNextBucket(kBucketEnd);
    const storage::BucketId found = key->place.bucket;
    LoadPages(found, TreePageKey(PageOf({found, first_leaf_}), 0));
  });
}

void TreeUpkeep::LoadPages(storage::BucketId bucket, std::string from) {
  std::string to = TreePageKey(PageOf({bucket, last_leaf_}), kPartEnd) + '\0';
  Scan(std::move(from), std::move(to), kEntriesAtOnce, [this, bucket](Entries entries) {
    if (entries.empty()) return FindNextBucket(uint64_t{bucket} + 1);
    std::string next = entries.back().key + '\0';
    for (storage::Entry& entry : entries) {
      if (const auto key = ParseTreePageKey(entry.key)) OnPage(*key, std::move(entry));
    }
    LoadPages(bucket, std::move(next));
  });
}

bool TreeUpkeep::PageHasShard(const TreeKeyOfPage& key) const {
  if (key.part >= options_.shards) return false;
  const auto slice = ring::SliceOf(key.part, options_.shards);
  return PageOf({key.place.bucket, merkle::LeafOf(slice.first.value)}) <= key.place &&
         key.place <= PageOf({key.place.bucket, merkle::LeafOf(slice.last.value)});
}

void TreeUpkeep::OnPage(const TreeKeyOfPage& key, storage::Entry entry) {
  if (key.part != options_.shard) {
    // Of an earlier number of shards, or of a neighbour.
    if (!PageHasShard(key)) garbage_.push_back(std::move(entry.key));
    return;
  }
  const auto page = DecodeTreePage(entry.value);
  if (!page) {
    broken_ = true;
    return;
  }
  if (page->generation != head_.generation) return;  // stored anew when it is used
  pages_upto_[key.place] = page->upto;
  Bucket& bucket = UseBucket(key.place.bucket);
  for (const TreePage::Leaf& leaf : page->leaves) {
    const uint32_t number = key.place.page * kStoredPageLeaves + leaf.leaf;
    if (!IsMine(number)) continue;
    SetSum(bucket, number, leaf.sum.value_or(merkle::LeafSum{}));
    SetKnown(bucket, number, leaf.sum.has_value());
  }
}

void TreeUpkeep::EndLoad() {
  for (const auto& [seq, event] : std::exchange(replay_, {})) {
    const auto page = pages_upto_.find(PageOf(event.place));
    const bool stored = page != pages_upto_.end() && seq <= page->second;
    if (!stored && IsMine(event.place.leaf)) Apply(event);
  }
  if (broken_) {
    // Nothing can be relied on: all records are read again.
    buckets_.clear();
    complete_ = part_.complete = false;
    head_unsaved_ = head_changed_ = true;
    ScheduleSave();
  }
  loaded_ = true;
  for (const LeafEvent& event : std::exchange(early_, {})) Apply(event);
  pages_upto_.clear();
  ++version_;
  if (!old_journal_.empty()) StartCheckpoint();
  if (Unsaved()) ScheduleSave();
}

}  // namespace lariat::replica
