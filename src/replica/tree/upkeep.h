// SPDX-License-Identifier: Apache-2.0
// Keeps the hash trees of one shard's records: in memory, and in the engine in the very batch that
// changes the records, so that they are right after a crash without anything having been read.
//
// What the shard holds of a leaf (its part; a leaf may be cut by the border of two shards) is
//   known     the sum is that of the records in the engine;
//   loading   after a start, until the stored sum is read. Changes are kept apart meanwhile and
//             added to it then; a mark in the engine says that the stored sum alone is stale;
//   unknown   the records have to be read first (TreeWalk does): the trees were never complete, or
//             another number of shards kept them, or a record was changed that could not be read.
// Nothing here delays or fails a write: a leaf that cannot follow becomes unknown.
//
// Threads: one shard's thread.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "merkle/tree.h"
#include "replica/pending_writes.h"
#include "replica/tree/layout.h"
#include "ring/token.h"
#include "storage/engine.h"
#include "telemetry/metrics.h"

namespace lariat::replica {

struct TreeOptions {
  bool keep = true;  // false: nothing is kept, and the next run with trees begins anew
  uint32_t shard = 0;
  uint32_t shards = 1;
  bool log_truncated = false;  // what the engine said when it was opened
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

class TreeUpkeep final : public BatchRider {
 public:
  // `run`: a random number that no other run has. The constructor reads two small values from the
  // engine and waits for them.
  TreeUpkeep(TreeOptions options, uint64_t run, storage::Engine& engine,
             storage::CompletionQueue& queue, telemetry::Metrics& metrics);
  ~TreeUpkeep() override;

  bool keeps() const { return options_.keep; }

  // A record of the batch being gathered: what its leaf gains (what the new state adds less what
  // the old one added). `spoiled`: what the old one added is not known.
  void Stage(const std::string& data_key, const merkle::LeafSum& change, bool spoiled = false);

  // BatchRider
  uint64_t Version() const override { return version_; }
  void BeforeWrite(storage::WriteBatch* batch) override;
  void AfterWrite(bool applied) override;

  // --- reading. As the engine is now: what is staged is not in it.
  // REQUIRES: first <= last < merkle::kLeaves. Leaves of other shards are known and empty.
  std::vector<LeafPart> Leaves(storage::BucketId bucket, uint32_t first, uint32_t last) const;
  LeafPart Leaf(const LeafPlace& place) const;
  std::vector<storage::BucketId> Buckets() const;  // that hold or held a record, as far as known
  struct Counts {
    uint64_t keys = 0, tombstones = 0, expiring = 0, foldable = 0;  // of the known leaves
  };
  Counts CountsOf(storage::BucketId bucket) const;
  bool Loaded() const;             // nothing is `loading` any more
  uint64_t UnknownLeaves() const;  // `loading` ones too
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
    merkle::Tree tree;        // known: the sum; loading: the changes; unknown: empty
    std::vector<bool> known;  // by leaf of the slice; of loading ones: what they will be if nothing
                              // is stored
    uint64_t unknown = 0;     // leaves that are not `known`, loading ones not looked at
    Counts counts;
  };
  struct Touched {
    merkle::LeafSum change;
    bool spoiled = false;
  };
  struct Staged {
    std::string data_key;
    LeafPlace place;
    merkle::LeafSum change;
  };

  void ReadHead();
  Bucket& UseBucket(uint64_t bucket);
  bool IsMine(uint32_t leaf) const { return leaf >= first_leaf_ && leaf <= last_leaf_; }
  bool IsLoaded(const LeafPlace& place) const { return place < loaded_to_; }
  void SetKnown(Bucket& bucket, uint32_t leaf, bool known);
  void SetSum(Bucket& bucket, uint32_t leaf, const merkle::LeafSum& sum);
  void PutTouched(const LeafPlace& place, const Touched& touched, storage::WriteBatch* batch);
  void PutLeaf(const LeafPlace& place, const std::optional<merkle::LeafSum>& sum,
               storage::WriteBatch* batch);
  void Apply(const LeafPlace& place, const Touched& touched);

  void Start();
  void FindNextBucket(uint64_t from);
  void LoadPage(uint64_t bucket, std::string from);
  void OnPage(uint64_t bucket, std::vector<storage::Entry> entries);
  void OnEntry(const TreeKeyParts& parts, const storage::Entry& entry);
  bool LeafHasShard(const TreeKeyParts& parts) const;
  void EndHeldLeaf();
  void LoadUpTo(const LeafPlace& place);
  void EndLoad(const LeafPlace& place, const merkle::LeafSum& stored, bool known);
  void Scan(std::string from, std::string to, size_t entries_max,
            std::function<void(std::vector<storage::Entry>)> use);

  void ScheduleSave();
  void Save();

  TreeOptions options_;
  uint64_t run_;
  storage::Engine& engine_;
  storage::CompletionQueue& queue_;
  telemetry::Metrics& metrics_;
  ring::TokenSlice slice_;
  uint32_t first_leaf_, last_leaf_;  // of the slice
  TreeHead head_;
  bool head_unsaved_ = false;
  bool complete_ = false;
  bool complete_unsaved_ = false;
  std::map<uint64_t, Bucket> buckets_;

  // The batch being gathered, or written and refused so far.
  std::vector<Staged> staged_;
  std::map<LeafPlace, Touched> touched_;
  uint64_t version_ = 0;  // counts what could make the puts of a batch out of date

  std::map<LeafPlace, std::set<uint64_t>> marked_;  // by the runs whose marks are stored
  std::set<LeafPlace> spoiled_;                     // while loading: what is stored does not count
  std::set<LeafPlace> unsaved_;                     // known, but stored otherwise
  std::vector<std::string> garbage_;                // keys that mean nothing any more
  std::vector<ChangeWatcher*> watchers_;

  // Loading: everything before this place is done.
  LeafPlace loaded_to_;
  struct Held {  // the leaf whose keys are being read
    LeafPlace place;
    std::optional<TreeLeafValue> value;
    bool stale = false;
  };
  std::optional<Held> held_;
  bool started_ = false;
  std::function<void()> again_;  // after a failed read
  bool save_scheduled_ = false;
  uint64_t gauges_version_ = UINT64_MAX;  // of what the gauges show
  std::shared_ptr<bool> alive_;  // co-owned by callbacks in the engine, which may outlive us
};

}  // namespace lariat::replica
