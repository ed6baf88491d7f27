// SPDX-License-Identifier: Apache-2.0
// Keeps the hash trees of one shard's records: in memory, and in the engine in the very batch that
// changes the records, so that they are right after a crash without any record having been read.
//
// Nothing here delays or fails a write: a leaf that cannot follow becomes unknown.
//
// In the engine: a batch brings one entry of a journal, with what its leaves gain. An entry for
// each leaf in its place would make a put a fifth dearer, because every one of them is another
// insertion somewhere in a sorted memtable; entries of a journal all go to its end. From time to
// time the pages with the changed leaves are stored as a whole, and what they say goes out of the
// journal. A page tells up to where of the journal it has everything, so each entry counts once.
//
// Threads: one shard's thread.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/lifetime.h"
#include "merkle/leaf_sum.h"
#include "replica/record/change.h"
#include "replica/tree/layout.h"
#include "replica/tree/leaf_table.h"
#include "replica/tree/load.h"
#include "storage/engine.h"
#include "telemetry/metrics.h"

namespace lariat::replica {

struct TreeOptions {
  bool keep = true;  // false: nothing is kept, and the next run with trees begins anew
  uint32_t shard = 0;
  uint32_t shards = 1;
  bool log_truncated = false;          // what the engine said when it was opened
  size_t journal_bytes_max = 4 << 20;  // then pages are stored
};

// Told of every change that reached the engine, in order.
class ChangeWatcher {
 public:
  virtual ~ChangeWatcher() = default;
  virtual void OnChange(std::string_view data_key, const LeafPlace& place,
                        const merkle::LeafSum& change) = 0;
};

class TreeUpkeep final : public LeafTable {
 public:
  // The constructor reads two small values from the engine and waits for them.
  TreeUpkeep(TreeOptions options, storage::Engine& engine, storage::CompletionQueue& queue,
             telemetry::Metrics& metrics);
  ~TreeUpkeep();

  // RecordRider (record/change.h). A leaf gains what the new state of the record adds less what the
  // old one added; if that is not known, it becomes unknown.
  void OnChange(const RecordChange& change);
  uint64_t Version() const { return version_; }
  void BeforeWrite(storage::WriteBatch* batch);
  void AfterWrite(bool applied);

  // --- for those that read the records again
  void AddWatcher(ChangeWatcher* watcher) { watchers_.push_back(watcher); }
  void RemoveWatcher(ChangeWatcher* watcher) { std::erase(watchers_, watcher); }
  enum class Settled : uint8_t { kMatched, kCorrected, kBecameKnown, kUnchecked };
  // The sum of the records of the shard's part, as the engine is at this moment.
  Settled Settle(const LeafPlace& place, const merkle::LeafSum& counted);
  // Every bucket that holds a record was discovered. If no leaf is unknown, the trees are complete
  // from now on.
  void MarkComplete();

  // Begins to read what is stored, tries again what the engine refused, and sets the gauges. Call
  // every few milliseconds.
  void Tick();

 private:
  // Pages being stored, some in each turn.
  struct Checkpoint {
    uint64_t upto = 0;  // entries of this run that all pages will have
    std::deque<PagePlace> pages;
    bool complete = false;  // the trees are
  };

  void ReadHead();
  void PutHead(storage::WriteBatch* batch) const;
  void ApplyEvent(const LeafEvent& event);
  void OnLoaded(bool understood);

  // save.cc
  void PutJournal(const std::vector<LeafEvent>& events, storage::WriteBatch* batch) const;
  void OnJournalWritten(size_t events);
  void StartCheckpoint();
  std::string StoredPage(const PagePlace& place) const;
  void ScheduleSave();
  void Save();
  // How a batch is put together, and what is left when it is in the engine.
  struct Saving;
  Saving Gather(storage::WriteBatch* batch) const;
  void OnSaved(const Saving& saved);
  bool Unsaved() const;

  TreeOptions options_;
  storage::Engine& engine_;
  storage::CompletionQueue& queue_;
  telemetry::Metrics& metrics_;
  TreeHead head_;
  TreePart part_;              // as it is or will be stored
  bool head_unsaved_ = false;  // both
  bool head_changed_ = false;  // something stored must not be believed any more
  bool complete_unsaved_ = false;

  // The batch being gathered, or written and refused so far.
  struct Staged {
    std::string data_key;
    merkle::LeafSum change;
  };
  std::vector<Staged> staged_;
  std::vector<LeafEvent> events_;  // of the same records
  uint64_t version_ = 0;           // counts what could make the puts of a batch out of date

  uint64_t journal_last_ = 0;    // number of this run's last entry
  uint64_t journal_first_ = 1;   // those before are removed
  size_t journal_bytes_ = 0;     // since the last checkpoint began
  std::set<LeafPlace> settled_;  // not stored yet
  TreeLoader::Leftovers leftovers_;
  std::optional<Checkpoint> checkpoint_;
  std::vector<ChangeWatcher*> watchers_;

  std::unique_ptr<TreeLoader> loader_;  // null: nothing is kept
  std::vector<LeafEvent> early_;        // changes of this run, until what is stored was read

  bool started_ = false;
  bool save_scheduled_ = false;
  uint64_t gauges_version_ = UINT64_MAX;  // of what the gauges show
  base::Lifetime lifetime_;
};

}  // namespace lariat::replica
