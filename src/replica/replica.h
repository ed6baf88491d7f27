// SPDX-License-Identifier: Apache-2.0
// The local data of one shard: read, merge-write, and the coordinating update that makes new dots.
//
// Threads: one shard's thread. Nothing here waits: a read tries memory first and continues when the
// engine has fetched the block; writes of one turn of the loop go to the engine as one batch; one
// sync acknowledges all of them.
//
// What a caller may rely on:
//  * Every callback comes exactly once, on the shard's thread, possibly before the call returns.
//  * Write's and Update's `durable` gets ok only when the record is as durable as asked for.
//  * A read gives out only what is durable: a value that is still being synced is returned when
//    that is done. Otherwise it could be read, then lost with the power, and never be seen again.
//  * A record that cannot be read is an error, never "absent" (M6).
//  * No actor is ever continued that this incarnation did not mint for this very record (M2, M5).
//    After a failed write the incarnation is given up, because dots may have been seen by readers.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "base/unique_function.h"
#include "replica/clock.h"
#include "replica/doubt.h"
#include "replica/healing/leaf_checks.h"
#include "replica/healing/mender.h"
#include "replica/hint_keeper.h"
#include "replica/hint_store.h"
#include "replica/record/record_watch.h"
#include "replica/record/records.h"
#include "replica/registers/register_rules.h"
#include "replica/requests/event_maker.h"
#include "replica/requests/incarnation.h"
#include "replica/requests/merger.h"
#include "replica/requests/reader.h"
#include "replica/requests/requests.h"
#include "replica/requests/scanner.h"
#include "replica/requests/voter.h"
#include "replica/tree/leaf_check.h"
#include "replica/tree/upkeep.h"
#include "replica/tree/walk.h"
#include "ring/token.h"
#include "storage/engine.h"
#include "telemetry/log.h"
#include "telemetry/metrics.h"

namespace lariat::replica {

struct ReplicaOptions {
  uint64_t node = 0;                                  // the node's number
  uint64_t incarnation = 0;                           // random, never used before
  base::UniqueFunction<uint64_t()> draw_incarnation;  // for the next one, after a failed write
  size_t queue_max = 65536;  // requests waiting for a disk or a stalled engine
  TreeOptions tree;
  uint64_t tree_bytes_per_s = 32 << 20;  // for reading what the trees do not know
  // The node's, co-owned by the replicas of its shards.
  std::shared_ptr<HintBudget> hints = std::make_shared<HintBudget>();
  causal::HlcStamp watch_since;  // of RegisterWatch: no stored register has a greater stamp
};

class Replica {
 public:
  Replica(ReplicaOptions options, storage::Engine& engine, storage::CompletionQueue& queue,
          Clock& clock, telemetry::Metrics& metrics, telemetry::LogSink& log);
  Replica(const Replica&) = delete;
  Replica& operator=(const Replica&) = delete;

  // kUnavailable while this node's records of the bucket are in doubt.
  void Read(const KeyRef& key, ReadOptions options, ReadDone done) {
    reader_.Read(key, std::move(options), std::move(done));
  }
  // A stretch of the node's records, of all its shards, for a page of a list.
  void Scan(ScanQuery query, Scanner::MayGoOn may_go_on, Scanner::Done done) {
    scanner_.Scan(std::move(query), std::move(may_go_on), std::move(done));
  }
  void SetDoubt(std::shared_ptr<const Doubt> doubt) {  // null: none
    records_.SetDoubt(std::move(doubt));
  }
  // Joins the object (causal::Object bytes, from a peer) into the record.
  void Write(const KeyRef& key, std::string object, WriteOptions options, StatusDone done) {
    merger_.Write(key, std::move(object), std::move(options), std::move(done));
  }
  // Makes a new event as the coordinator of a client's write.
  void Update(UpdateRequest request, UpdateDone updated, StatusDone durable) {
    event_maker_.Update(request, std::move(updated), std::move(durable));
  }
  // The member `key.hint_for` lacks what this node itself holds of the key. kUnavailable,
  // kOverloaded: it cannot be kept. `done` does not wait for a sync.
  void Owe(const KeyRef& key, base::WallTime now, StatusDone done) {
    hint_keeper_.Owe(key, now, std::move(done));
  }
  // Removes the hints that are still as they were seen and that no request works on. Not synced: a
  // crash may bring them back. Gives the number of those removed, or why some were not.
  using RemovedDone = HintKeeper::RemovedDone;
  void RemoveHints(std::vector<HintMark> hints, RemovedDone done) {
    hint_keeper_.RemoveHints(std::move(hints), std::move(done));
  }
  // Those of the data keys for which there is a hint, on its way into the engine or in it, for any
  // member. kUnavailable while the hints of earlier runs are being counted.
  using KeysDone = HintKeeper::KeysDone;
  void FindHinted(std::vector<std::string> data_keys, KeysDone done) {
    hint_keeper_.FindHinted(std::move(data_keys), std::move(done));
  }
  // Counts the hints of earlier runs with these tokens. Call it first, if at all.
  void RecountHints(ring::Token first, ring::Token last) { hints_.Recount(first, last); }
  // Forgets records: not a delete, nobody else learns of it. Each is looked at in a turn of its
  // own and removed in that turn, if `allowed` still says so and the record is what was said; a
  // state for each, in order. An error: `allowed` said no (kStaleEpoch), or the engine failed; some
  // may have been removed all the same.
  void RemoveIf(std::vector<RecordVersion> records, std::function<bool()> allowed,
                StatesDone done) {
    mender_.RemoveIf(std::move(records), std::move(allowed), std::move(done));
  }
  // In the same way, forgets the history of actors without a value (causal::Object::Fold).
  void FoldIf(std::vector<RecordVersion> records, std::function<bool()> allowed, StatesDone done) {
    mender_.FoldIf(std::move(records), std::move(allowed), std::move(done));
  }
  // Puts the object in the place of a record that fails its checksum, and the damaged bytes into
  // quarantine. kDifferent: the record is not damaged, or not these bytes.
  void Replace(std::string data_key, std::string damaged, std::string object, StateDone done) {
    mender_.Replace(std::move(data_key), std::move(damaged), std::move(object), std::move(done));
  }

  // The hash trees of this shard's records, as they are in the engine now. A leaf may be cut by the
  // border of two shards: it is the sum of their parts, and known if both are.
  // REQUIRES: first <= last < merkle::kLeaves. Leaves of other shards are known and empty.
  std::vector<LeafPart> LeafSums(storage::BucketId bucket, uint32_t first, uint32_t last) const {
    return tree_.Leaves(bucket, first, last);
  }
  std::vector<storage::BucketId> Buckets() const { return tree_.Buckets(); }
  const TreeUpkeep& tree() const { return tree_; }
  // Reads all records of this shard's part of a leaf, verifies them, and corrects the tree if it
  // says anything else. An error: not all of them could be read.
  using CheckDone = LeafChecks::Done;
  void CheckLeaf(storage::BucketId bucket, uint32_t leaf, CheckDone done) {
    leaf_checks_.Check(bucket, leaf, std::move(done));
  }

  void SetRecordLimits(const RecordLimits& limits) { watch_.SetLimits(limits); }
  // For reading what the trees do not know; 0: not at all.
  void SetTreeRate(uint64_t bytes_per_s) { tree_walk_.SetRate(bytes_per_s); }

  // Runs `done` when every write and update that was asked for before this call is in the engine,
  // where a range reader sees it, or was refused: the shard's part of a topology change's barrier.
  // Later requests are not waited for.
  void WhenSettled(base::UniqueFunction<void()> done);
  // Tries again what the engine asked to wait with, and goes on with the trees. Call every few
  // milliseconds.
  void Tick(base::Instant now);
  // Work that is waiting: 0 means that a stop loses no acknowledgement.
  size_t Waiting() const { return records_.Waiting(); }

 private:
  // In the order in which they need each other.
  ShardEnv env_;
  Incarnation incarnation_;
  TreeUpkeep tree_;
  TreeWalk tree_walk_;
  LeafChecks leaf_checks_;
  Riders riders_;
  HintStore hints_;
  Records records_;
  RecordWatch watch_;
  RegisterRules registers_;
  Voter voter_;
  Reader reader_;
  Scanner scanner_;
  Merger merger_;
  EventMaker event_maker_;
  HintKeeper hint_keeper_;
  Mender mender_;
};

}  // namespace lariat::replica
