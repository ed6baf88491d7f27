// SPDX-License-Identifier: Apache-2.0
// Keeps the hash trees of one shard's records: in memory, and in the engine in the very batch that
// changes the records, so that they are right after a crash without any record having been read.
//
// What the shard holds of a leaf (its part; a leaf may be cut by the border of two shards) is
//   known     the sum is that of the records in the engine;
//   unknown   the records have to be read first (TreeWalk does): the trees were never complete, or
//             another number of shards kept them, or a record was changed that could not be read.
//             After a start all leaves count as unknown until what is stored has been read.
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

#include <bitset>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/lifetime.h"
#include "base/unique_function.h"
#include "merkle/tree.h"
#include "replica/record/change.h"
#include "replica/tree/layout.h"
#include "ring/token.h"
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

// One shard's part of a leaf. The leaf is the sum of all shards' parts, and known if all are.
struct LeafPart {
  merkle::LeafSum sum;
  bool known = true;
};

// Told of every change that reached the engine, in order.
class ChangeWatcher {
 public:
  virtual ~ChangeWatcher() = default;
  virtual void OnChange(std::string_view data_key, const LeafPlace& place,
                        const merkle::LeafSum& change) = 0;
};

class TreeUpkeep final {
 public:
  // The constructor reads two small values from the engine and waits for them.
  TreeUpkeep(TreeOptions options, storage::Engine& engine, storage::CompletionQueue& queue,
             telemetry::Metrics& metrics);
  ~TreeUpkeep();

  bool keeps() const { return options_.keep; }

  // RecordRider (record/change.h). A leaf gains what the new state of the record adds less what the
  // old one added; if that is not known, it becomes unknown.
  void OnChange(const RecordChange& change);
  uint64_t Version() const { return version_; }
  void BeforeWrite(storage::WriteBatch* batch);
  void AfterWrite(bool applied);

  // --- reading. As the engine is now: what is staged is not in it.
  // REQUIRES: first <= last < merkle::kLeaves. Leaves of other shards are known and empty.
  std::vector<LeafPart> Leaves(storage::BucketId id, uint32_t first, uint32_t last) const;
  // The same, but for leaves that all are known and hold nothing: then empty. Of a bucket without
  // records, of which there may be thousands, it costs next to nothing.
  std::vector<LeafPart> LeavesIfAny(storage::BucketId id, uint32_t first, uint32_t last) const;
  bool HoldNothing(storage::BucketId id, uint32_t first, uint32_t last) const;  // as said there
  // Grows with every change of a leaf of the bucket, and of what is known of it.
  uint64_t VersionOf(storage::BucketId bucket) const;
  LeafPart Leaf(const LeafPlace& place) const;
  std::vector<storage::BucketId> Buckets() const;  // that hold or held a record, as far as known
  struct Counts {
    uint64_t keys = 0, tombstones = 0, expiring = 0, foldable = 0;  // of the known leaves
  };
  Counts CountsOf(storage::BucketId bucket) const;
  bool Loaded() const { return loaded_; }  // what is stored was read
  uint64_t UnknownLeaves() const;
  bool AnyUnknown() const;
  const ring::TokenSlice& slice() const { return slice_; }

  // --- for those that read the records again
  void AddWatcher(ChangeWatcher* watcher) { watchers_.push_back(watcher); }
  void RemoveWatcher(ChangeWatcher* watcher) { std::erase(watchers_, watcher); }
  enum class Settled : uint8_t { kMatched, kCorrected, kBecameKnown, kUnchecked };
  // The sum of the records of the shard's part, as the engine is at this moment.
  Settled Settle(const LeafPlace& place, const merkle::LeafSum& counted);
  // The next run of unknown leaves of the bucket, from this leaf on.
  struct Run {
    uint32_t first = 0, last = 0;
  };
  std::optional<Run> NextUnknown(storage::BucketId bucket, uint32_t from) const;
  // Whether buckets that were never heard of are known to be empty.
  bool Complete() const { return complete_; }
  // A bucket was found to hold records.
  void Discover(storage::BucketId bucket);
  // Every bucket that holds a record was discovered. If no leaf is unknown, the trees are complete
  // from now on.
  void MarkComplete();

  // Begins to read what is stored, tries again what the engine refused, and sets the gauges. Call
  // every few milliseconds.
  void Tick();

 private:
  struct Bucket {
    merkle::Tree tree;        // of the known leaves; the others are empty
    std::vector<bool> known;  // by leaf of the slice
    uint64_t unknown = 0;
    uint64_t version = 0;
    Counts counts;
    std::bitset<merkle::kLeaves / kStoredPageLeaves> dirty;  // pages that are not as stored
  };
  // Pages being stored, some in each turn.
  struct Checkpoint {
    uint64_t upto = 0;  // entries of this run that all pages will have
    std::deque<PagePlace> pages;
    bool complete = false;  // the trees are
  };

  void ReadHead();
  void PutHead(storage::WriteBatch* batch) const;
  Bucket& UseBucket(storage::BucketId bucket);
  bool IsMine(uint32_t leaf) const { return leaf >= first_leaf_ && leaf <= last_leaf_; }
  void SetKnown(Bucket& bucket, uint32_t leaf, bool known);
  void SetSum(Bucket& bucket, uint32_t leaf, const merkle::LeafSum& sum);
  void Apply(const LeafEvent& event);

  // load.cc
  void Start();
  void LoadJournal(std::string from, std::string to, base::UniqueFunction<void()> then);
  void OnJournal(storage::Entry entry);
  void FindNextBucket(uint64_t from);
  void LoadPages(storage::BucketId bucket, std::string from);
  void OnPage(const TreeKeyOfPage& key, storage::Entry entry);
  bool PageHasShard(const TreeKeyOfPage& key) const;
  void EndLoad();
  using Entries = std::vector<storage::Entry>;
  void Scan(std::string from, std::string to, size_t entries_max,
            base::UniqueFunction<void(Entries)> use);

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
  ring::TokenSlice slice_;
  uint32_t first_leaf_, last_leaf_;  // of the slice
  TreeHead head_;
  TreePart part_;              // as it is or will be stored
  bool head_unsaved_ = false;  // both
  bool head_changed_ = false;  // something stored must not be believed any more
  bool complete_ = false;
  bool complete_unsaved_ = false;
  std::map<storage::BucketId, Bucket> buckets_;

  // The batch being gathered, or written and refused so far.
  struct Staged {
    std::string data_key;
    merkle::LeafSum change;
  };
  std::vector<Staged> staged_;
  std::vector<LeafEvent> events_;  // of the same records
  uint64_t version_ = 0;           // counts what could make the puts of a batch out of date

  uint64_t journal_last_ = 0;             // number of this run's last entry
  uint64_t journal_first_ = 1;            // those before are removed
  size_t journal_bytes_ = 0;              // since the last checkpoint began
  std::set<LeafPlace> settled_;           // not stored yet
  std::vector<std::string> old_journal_;  // keys of earlier runs' entries
  std::vector<std::string> garbage_;      // keys that mean nothing any more
  std::optional<Checkpoint> checkpoint_;
  std::vector<ChangeWatcher*> watchers_;

  // Until what is stored was read.
  bool loaded_ = false;
  bool broken_ = false;           // something stored could not be understood
  std::vector<LeafEvent> early_;  // changes of this run
  std::vector<std::pair<JournalSeq, LeafEvent>> replay_;
  std::map<PagePlace, JournalSeq> pages_upto_;
  base::UniqueFunction<void()> again_;  // after a failed read

  bool started_ = false;
  bool save_scheduled_ = false;
  uint64_t gauges_version_ = UINT64_MAX;  // of what the gauges show
  base::Lifetime lifetime_;
};

}  // namespace lariat::replica
