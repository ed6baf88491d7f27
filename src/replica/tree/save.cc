// SPDX-License-Identifier: Apache-2.0
// What the trees store beside the records' batches: leaves that were counted again, and now and
// then whole pages in the place of the journal. Some in each turn, so that nobody waits for it.
#include <algorithm>
#include <utility>

#include "replica/tree/upkeep.h"

namespace lariat::replica {

using storage::Space;

namespace {

constexpr size_t kSettledAtOnce = 1024;
constexpr size_t kPagesAtOnce = 16;
constexpr size_t kRemovedAtOnce = 1000;
constexpr size_t kEntryBytes = 64;  // of a journal's entry without its events, about
constexpr size_t kEventBytes = 39;

}  // namespace

void TreeUpkeep::PutHead(storage::WriteBatch* batch) const {
  if (head_changed_) batch->Put(Space::kTree, TreeHeadKey(), EncodeTreeHead(head_));
  if (options_.keep) batch->Put(Space::kTree, TreePartKey(options_.shard), EncodeTreePart(part_));
}

void TreeUpkeep::PutJournal(const std::vector<LeafEvent>& events,
                            storage::WriteBatch* batch) const {
  batch->Put(Space::kTree, TreeJournalKey(options_.shard, {part_.run, journal_last_ + 1}),
             EncodeTreeJournal(head_.generation, events));
}

void TreeUpkeep::OnJournalWritten(size_t events) {
  ++journal_last_;
  journal_bytes_ += kEntryBytes + events * kEventBytes;
  if (journal_bytes_ > options_.journal_bytes_max) StartCheckpoint();
}

// Every page that is not as stored is stored after this; what the journal has said by now is then
// in the pages.
void TreeUpkeep::StartCheckpoint() {
  if (!Loaded() || checkpoint_) return;
  const std::vector<PagePlace> pages = TakeDirty();
  checkpoint_ = Checkpoint{journal_last_, {pages.begin(), pages.end()}, complete_unsaved_};
  journal_bytes_ = 0;
  ScheduleSave();
}

std::string TreeUpkeep::StoredPage(const PagePlace& place) const {
  TreePage page{head_.generation, {part_.run, journal_last_}, {}};
  const uint32_t start = place.page * kStoredPageLeaves;
  for (uint32_t leaf = start; leaf < start + kStoredPageLeaves; ++leaf) {
    if (!IsMine(leaf)) continue;
    const LeafPart part = Leaf({place.bucket, leaf});
    // What nothing is said of is empty, or not known as long as the trees are not complete.
    if (part.known && !part.sum.Empty()) page.leaves.push_back({leaf - start, part.sum});
    if (!part.known && Complete()) page.leaves.push_back({leaf - start, std::nullopt});
  }
  return EncodeTreePage(page);
}

bool TreeUpkeep::Unsaved() const {
  return head_changed_ || complete_unsaved_ || checkpoint_ || !settled_.empty() ||
         !leftovers_.garbage.empty();
}

void TreeUpkeep::ScheduleSave() {
  if (save_scheduled_) return;
  save_scheduled_ = true;
  queue_.Post(lifetime_.Guard([this] {
    save_scheduled_ = false;
    Save();
  }));
}

struct TreeUpkeep::Saving {
  size_t settled = 0, pages = 0, old_journal = 0, journal = 0, garbage = 0;
  bool pages_done = false;
};

TreeUpkeep::Saving TreeUpkeep::Gather(storage::WriteBatch* batch) const {
  Saving saving;
  if (head_unsaved_) PutHead(batch);
  std::vector<LeafEvent> events;
  saving.settled = std::min(settled_.size(), kSettledAtOnce);
  for (auto at = settled_.begin(); events.size() < saving.settled; ++at) {
    events.push_back({*at, LeafEventKind::kIs, Leaf(*at).sum});
  }
  if (!events.empty()) PutJournal(events, batch);
  if (checkpoint_) {
    saving.pages = std::min(checkpoint_->pages.size(), kPagesAtOnce);
    saving.pages_done = saving.pages == checkpoint_->pages.size();
    for (size_t i = 0; i < saving.pages; ++i) {
      const PagePlace& place = checkpoint_->pages[i];
      batch->Put(Space::kTree, TreePageKey(place, options_.shard), StoredPage(place));
    }
  }
  if (saving.pages_done) {
    TreePart part = part_;
    part.complete |= checkpoint_->complete;
    if (part != part_) {
      batch->Put(Space::kTree, TreePartKey(options_.shard), EncodeTreePart(part));
    }
    saving.old_journal = std::min(leftovers_.journal.size(), kRemovedAtOnce);
    for (size_t i = 0; i < saving.old_journal; ++i) {
      batch->Remove(Space::kTree, leftovers_.journal[leftovers_.journal.size() - 1 - i]);
    }
    const uint64_t left = checkpoint_->upto + 1 - journal_first_;
    saving.journal = std::min<uint64_t>(left, kRemovedAtOnce);
    for (size_t i = 0; i < saving.journal; ++i) {
      batch->Remove(Space::kTree, TreeJournalKey(options_.shard, {part_.run, journal_first_ + i}));
    }
  }
  saving.garbage = std::min(leftovers_.garbage.size(), kRemovedAtOnce);
  for (size_t i = 0; i < saving.garbage; ++i) {
    batch->Remove(Space::kTree, leftovers_.garbage[leftovers_.garbage.size() - 1 - i]);
  }
  return saving;
}

void TreeUpkeep::OnSaved(const Saving& saved) {
  head_unsaved_ = head_changed_ = false;
  settled_.erase(settled_.begin(),
                 std::next(settled_.begin(), static_cast<std::ptrdiff_t>(saved.settled)));
  leftovers_.garbage.resize(leftovers_.garbage.size() - saved.garbage);
  if (checkpoint_) {
    auto& pages = checkpoint_->pages;
    pages.erase(pages.begin(), pages.begin() + static_cast<std::ptrdiff_t>(saved.pages));
    leftovers_.journal.resize(leftovers_.journal.size() - saved.old_journal);
    journal_first_ += saved.journal;
    if (saved.pages_done && checkpoint_->complete) {
      part_.complete = true;
      complete_unsaved_ = false;
    }
    if (saved.pages_done && leftovers_.journal.empty() && journal_first_ > checkpoint_->upto) {
      checkpoint_.reset();
    }
  }
  if (saved.settled > 0) OnJournalWritten(saved.settled);
}

void TreeUpkeep::Save() {
  if (complete_unsaved_ && !checkpoint_) StartCheckpoint();
  storage::WriteBatch batch;
  const Saving saving = Gather(&batch);
  if (!batch.Empty() && !engine_.Write(batch)) return;  // Tick tries again
  // A log that was cut short must not be forgotten: at the next start nothing tells of it.
  const bool cut = head_changed_ && options_.log_truncated;
  if (cut) engine_.Sync(&queue_, [](const base::Status&) {});
  OnSaved(saving);
  ++version_;
  if (Unsaved()) ScheduleSave();
}

}  // namespace lariat::replica
