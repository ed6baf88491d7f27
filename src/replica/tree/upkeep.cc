// SPDX-License-Identifier: Apache-2.0
#include "replica/tree/upkeep.h"

#include <utility>

#include "replica/tree/record_sum.h"

namespace lariat::replica {

using merkle::LeafSum;
using storage::Space;

TreeUpkeep::TreeUpkeep(TreeOptions options, storage::Engine& engine,
                       storage::CompletionQueue& queue, telemetry::Metrics& metrics)
    : LeafTable(options.keep, ring::SliceOf(options.shard, options.shards)),
      options_(options),
      engine_(engine),
      queue_(queue),
      metrics_(metrics) {
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
  if (!options_.keep) return;
  std::optional<TreePart> part;
  if (const auto value = engine_.GetBlocking(Space::kTree, TreePartKey(options_.shard))) {
    part = DecodeTreePart(*value);
  }
  part_.generation = head_.generation;
  part_.run = (part ? part->run : 0) + 1;
  part_.complete = part && part->complete && part->generation == head_.generation;
  SetComplete(part_.complete);
  const TreeLoader::Job job{options_.shard, options_.shards, head_.generation, part_.run};
  loader_ = std::make_unique<TreeLoader>(job, *this, leftovers_, engine_, queue_);
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
  if (!key || key->token < slice().first.value || key->token > slice().last.value) return;
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
      if (Loaded()) {
        ApplyEvent(events_[i]);
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

// --- records read again ------------------------------------------------------------------------

TreeUpkeep::Settled TreeUpkeep::Settle(const LeafPlace& place, const LeafSum& counted) {
  if (!keeps() || !Loaded()) return Settled::kUnchecked;
  const LeafPart leaf = Leaf(place);
  if (leaf.known && leaf.sum == counted) return Settled::kMatched;
  ApplyEvent({place, LeafEventKind::kIs, counted});
  ++version_;
  // Before the trees are complete, what nothing is said of is unknown: an empty leaf may stay that
  // way until the pages are stored, which saves many entries.
  if (leaf.known || Complete() || !counted.Empty()) {
    settled_.insert(place);
    ScheduleSave();
  }
  if (!leaf.known) return Settled::kBecameKnown;
  metrics_.tree_corrections.Add();
  return Settled::kCorrected;
}

void TreeUpkeep::MarkComplete() {
  if (!Loaded() || Complete() || AnyUnknown()) return;
  SetComplete(true);
  complete_unsaved_ = true;
  ++version_;
  ScheduleSave();
}

void TreeUpkeep::ApplyEvent(const LeafEvent& event) {
  Apply(event);
  if (event.kind == LeafEventKind::kUnknown) settled_.erase(event.place);
}

// --- time --------------------------------------------------------------------------------------

void TreeUpkeep::Tick() {
  if (!std::exchange(started_, true)) {
    if (head_changed_) ScheduleSave();
    if (loader_) loader_->Start([this](bool understood) { OnLoaded(understood); });
  }
  if (loader_) loader_->Tick();
  if (Unsaved() && !save_scheduled_) Save();
  if (gauges_version_ == version_) return;
  gauges_version_ = version_;
  const Totals totals = CountAll();
  metrics_.tombstones.Set(static_cast<int64_t>(totals.tombstones));
  metrics_.tree_bytes.Set(static_cast<int64_t>(totals.memory_bytes));
  metrics_.tree_leaves_unknown.Set(static_cast<int64_t>(keeps() ? UnknownLeaves() : 0));
}

void TreeUpkeep::OnLoaded(bool understood) {
  if (!understood) {
    // Nothing can be relied on: all records are read again.
    Clear();
    part_.complete = false;
    SetComplete(false);
    head_unsaved_ = head_changed_ = true;
    ScheduleSave();
  }
  SetLoaded();
  for (const LeafEvent& event : std::exchange(early_, {})) ApplyEvent(event);
  ++version_;
  if (!leftovers_.journal.empty()) StartCheckpoint();
  if (Unsaved()) ScheduleSave();
}

}  // namespace lariat::replica
