// SPDX-License-Identifier: Apache-2.0
#include "replica/tree/load.h"

#include "ring/token.h"

namespace lariat::replica {

using storage::Space;

namespace {

constexpr uint64_t kBucketEnd = 0xfffffffe;  // where the keys of pages end
constexpr uint32_t kPartEnd = 0xffff;
constexpr size_t kEntriesAtOnce = 256;

}  // namespace

TreeLoader::TreeLoader(const Job& job, LeafTable& leaves, Leftovers& leftovers,
                       storage::Engine& engine, storage::CompletionQueue& queue)
    : job_(job), leaves_(leaves), leftovers_(leftovers), engine_(engine), queue_(queue) {}

void TreeLoader::Start(Done done) {
  done_ = std::move(done);
  LoadJournal(TreeJournalKey(job_.shard, {}), TreeJournalKey(job_.shard, {job_.run, 0}), [this] {
    if (job_.shard != 0) return FindNextBucket(0);
    // The first shard clears away what shards have left that are no more.
    LoadJournal(TreeJournalKey(job_.shards, {}), TreeJournalKey(kPartEnd, {}),
                [this] { FindNextBucket(0); });
  });
}

void TreeLoader::Tick() {
  if (auto again = std::exchange(again_, nullptr)) again();
}

void TreeLoader::Scan(std::string from, std::string to, size_t entries_max,
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

void TreeLoader::LoadJournal(std::string from, std::string to, base::UniqueFunction<void()> then) {
  Scan(std::move(from), to, kEntriesAtOnce,
       [this, to, then = std::move(then)](Entries entries) mutable {
         if (entries.empty()) return then();
         std::string next = entries.back().key + '\0';
         for (storage::Entry& entry : entries) OnJournal(std::move(entry));
         LoadJournal(std::move(next), std::move(to), std::move(then));
       });
}

void TreeLoader::OnJournal(storage::Entry entry) {
  const auto key = ParseTreeJournalKey(entry.key);
  const bool mine = key && key->part == job_.shard;
  const auto journal = DecodeTreeJournal(entry.value);
  if (mine && !journal) broken_ = true;
  if (mine && journal && journal->generation == job_.generation) {
    for (const LeafEvent& event : journal->events) replay_.emplace_back(key->seq, event);
    leftovers_.journal.push_back(std::move(entry.key));
  } else {
    leftovers_.garbage.push_back(std::move(entry.key));
  }
}

void TreeLoader::FindNextBucket(uint64_t from) {
  if (from >= kBucketEnd) return End();
  const auto bucket = static_cast<storage::BucketId>(from);
  Scan(TreePageKey({bucket, 0}, 0), TreeJournalKey(0, {}), 1, [this](const Entries& entries) {
    const auto key = entries.empty() ? std::nullopt : ParseTreePageKey(entries[0].key);
    if (!key) return FindNextBucket(kBucketEnd);
    const storage::BucketId found = key->place.bucket;
    LoadPages(found, TreePageKey(PageOf({found, merkle::LeafOf(leaves_.slice().first.value)}), 0));
  });
}

void TreeLoader::LoadPages(storage::BucketId bucket, std::string from) {
  std::string to =
      TreePageKey(PageOf({bucket, merkle::LeafOf(leaves_.slice().last.value)}), kPartEnd) + '\0';
  Scan(std::move(from), std::move(to), kEntriesAtOnce, [this, bucket](Entries entries) {
    if (entries.empty()) return FindNextBucket(uint64_t{bucket} + 1);
    std::string next = entries.back().key + '\0';
    for (storage::Entry& entry : entries) {
      if (const auto key = ParseTreePageKey(entry.key)) OnPage(*key, std::move(entry));
    }
    LoadPages(bucket, std::move(next));
  });
}

bool TreeLoader::PageHasShard(const TreeKeyOfPage& key) const {
  if (key.part >= job_.shards) return false;
  const auto slice = ring::SliceOf(key.part, job_.shards);
  return PageOf({key.place.bucket, merkle::LeafOf(slice.first.value)}) <= key.place &&
         key.place <= PageOf({key.place.bucket, merkle::LeafOf(slice.last.value)});
}

void TreeLoader::OnPage(const TreeKeyOfPage& key, storage::Entry entry) {
  if (key.part != job_.shard) {
    // Of an earlier number of shards, or of a neighbour.
    if (!PageHasShard(key)) leftovers_.garbage.push_back(std::move(entry.key));
    return;
  }
  const auto page = DecodeTreePage(entry.value);
  if (!page) {
    broken_ = true;
    return;
  }
  if (page->generation != job_.generation) return;  // stored anew when it is used
  pages_upto_[key.place] = page->upto;
  leaves_.Discover(key.place.bucket);
  for (const TreePage::Leaf& leaf : page->leaves) {
    const uint32_t number = key.place.page * kStoredPageLeaves + leaf.leaf;
    if (leaves_.IsMine(number)) leaves_.SetStored({key.place.bucket, number}, leaf.sum);
  }
}

void TreeLoader::End() {
  for (const auto& [seq, event] : std::exchange(replay_, {})) {
    const auto page = pages_upto_.find(PageOf(event.place));
    const bool stored = page != pages_upto_.end() && seq <= page->second;
    if (!stored && leaves_.IsMine(event.place.leaf)) leaves_.Apply(event);
  }
  pages_upto_.clear();
  done_(!broken_);
}

}  // namespace lariat::replica
