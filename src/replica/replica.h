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
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "base/unique_function.h"
#include "causal/object.h"
#include "replica/clock.h"
#include "replica/doubt.h"
#include "replica/hint_store.h"
#include "replica/pending_writes.h"
#include "replica/record/record_watch.h"
#include "replica/registers/register_watch.h"
#include "replica/requests/requests.h"
#include "replica/tree/leaf_check.h"
#include "replica/tree/upkeep.h"
#include "replica/tree/walk.h"
#include "ring/token.h"
#include "storage/engine.h"
#include "storage/record.h"
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
  ~Replica();

  // kUnavailable while this node's records of the bucket are in doubt.
  void Read(KeyRef key, ReadOptions options, ReadDone done);
  void SetDoubt(std::shared_ptr<const Doubt> doubt) { doubt_ = std::move(doubt); }  // null: none
  // Joins the object (causal::Object bytes, from a peer) into the record.
  void Write(KeyRef key, std::string object, WriteOptions options, StatusDone done);
  // Makes a new event as the coordinator of a client's write.
  void Update(UpdateRequest request, UpdateDone updated, StatusDone durable);
  // The member `key.hint_for` lacks what this node itself holds of the key. kUnavailable,
  // kOverloaded: it cannot be kept. `done` does not wait for a sync.
  void Owe(KeyRef key, base::WallTime now, StatusDone done);
  // Removes the hints that are still as they were seen and that no request works on. Not synced: a
  // crash may bring them back. Gives the number of those removed, or why some were not.
  using RemovedDone = base::UniqueFunction<void(base::Result<size_t>)>;
  void RemoveHints(std::vector<HintMark> hints, RemovedDone done);
  // Those of the data keys for which there is a hint, on its way into the engine or in it, for any
  // member. kUnavailable while the hints of earlier runs are being counted.
  using KeysDone = base::UniqueFunction<void(base::Result<std::vector<std::string>>)>;
  void FindHinted(std::vector<std::string> data_keys, KeysDone done);
  // Counts the hints of earlier runs with these tokens. Call it first, if at all.
  void RecountHints(ring::Token first, ring::Token last) { hints_.Recount(first, last); }
  // Forgets records: not a delete, nobody else learns of it. Each is looked at in a turn of its
  // own and removed in that turn, if `allowed` still says so and the record is what was said; a
  // state for each, in order. An error: `allowed` said no (kStaleEpoch), or the engine failed; some
  // may have been removed all the same.
  void RemoveIf(std::vector<RecordVersion> records, std::function<bool()> allowed, StatesDone done);
  // In the same way, forgets the history of actors without a value (causal::Object::Fold).
  void FoldIf(std::vector<RecordVersion> records, std::function<bool()> allowed, StatesDone done);
  // Puts the object in the place of a record that fails its checksum, and the damaged bytes into
  // quarantine. kDifferent: the record is not damaged, or not these bytes.
  void Replace(std::string data_key, std::string damaged, std::string object, StateDone done);

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
  using CheckDone = base::UniqueFunction<void(base::Result<LeafCheck>)>;
  void CheckLeaf(storage::BucketId bucket, uint32_t leaf, CheckDone done);

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
  size_t Waiting() const;

 private:
  using Looked = base::Result<std::optional<std::string>>;  // nothing: there is no such record
  using Loaded = base::UniqueFunction<void(Looked)>;
  // Where a record is kept.
  struct Place {
    storage::Space space = storage::Space::kData;
    std::string key;  // of the engine
    // kHints: what is around the record there, once it was looked at. 0 bytes: nothing is there.
    int64_t hint_bytes = 0;
    int64_t hint_stored_ms = 0;
    bool hint_reference = false;

    std::string_view DataKey() const;
  };
  struct Load {
    std::deque<Loaded> waiting;
  };

  // Gives the record's present bytes: pending ones first, then the engine's.
  void WithRecord(storage::Space space, std::string key, Loaded use);
  bool ServeFromMemory(storage::Space space, const std::string& key, Loaded& use);
  void StartLoad(storage::Space space, const std::string& key);
  void OnLoaded(storage::Space space, const std::string& key, base::Result<std::string> result);
  std::unordered_map<std::string, Load>& Loads(storage::Space space) {
    return loads_[static_cast<size_t>(space)];
  }

  static Place PlaceOf(const KeyRef& key);
  // Takes the record that was found out of the hint around it, if that is what it is.
  static void Unwrap(Place* place, Looked* found);
  // The put of a record at its place; it has to be staged in this turn. kUnavailable: hints have
  // reached a limit.
  base::Result<PendingWrites::Put> PutFor(const Place& place, std::string record,
                                          base::WallTime now);

  void StartRead(Place place, ReadOptions options, ReadDone done);
  void FinishRead(Place place, ReadOptions options, ReadDone done, Looked record,
                  std::string answer);
  void Merge(Place place, std::string object, WriteOptions options, StatusDone done, Looked record);
  // Updates with one Idempotency-Key run one after the other: from the look at the recorded answer
  // until the event is staged nobody else may look.
  void TakeTurn(const std::string& answer_key, StatusDone turn);
  void EndTurn(const std::string& answer_key);
  void UpdateOnce(UpdateRequest request, Place place, UpdateDone updated, StatusDone durable);
  void Replay(const std::string& answer_key, std::string answer, UpdateDone updated,
              StatusDone durable);
  void StartUpdate(UpdateRequest request, Place place, UpdateDone updated, StatusDone durable);
  void ApplyUpdate(UpdateRequest& request, Place& place, UpdateDone updated, StatusDone durable,
                   Looked record);
  base::Result<UpdateResult> ChangeObject(UpdateRequest& request, const Place& place,
                                          causal::Object* object,
                                          std::optional<causal::Actor>* own_actor);
  base::Result<UpdateResult> ChangeSiblings(UpdateRequest& request, causal::DvvSet* set,
                                            std::optional<causal::Actor>* own_actor);
  base::Result<UpdateResult> ChangeRegister(UpdateRequest& request, const Place& place,
                                            causal::LwwRegister* lww);
  // May a peer's register come to where `present` is stored (null: nothing)? Fills in the answer.
  base::Status JudgeRegister(const Place& place, const causal::Object& sent,
                             const causal::Object* present, const WriteOptions& options);
  // Whether records were lost here among which there may have been greater ones than this.
  bool MayLack(const Place& place, causal::HlcStamp stamp) const;
  base::Status CheckCondition(const UpdateRequest& request, const causal::Object& object) const;
  causal::Actor MintActor();
  void DrawIncarnation();
  // What a record with these bytes adds to its leaf; nothing if it has none.
  merkle::LeafSum SumOf(const Place& place, std::string_view bytes,
                        const causal::Object& object) const;

  void ChangeEach(std::vector<RecordVersion> records, std::function<bool()> allowed,
                  StatesDone done,
                  void (Replica::*change)(const RecordVersion&, Looked, StateDone));
  void RemoveOne(const RecordVersion& record, Looked found, StateDone done);
  void FoldOne(const RecordVersion& record, Looked found, StateDone done);
  bool IsBusy(const std::string& data_key);
  void StageChange(std::vector<PendingWrites::Put> puts, StateDone done);
  void StepCheck(uint64_t id, CheckDone done);

  void NoteReference(Place place, base::WallTime now, StatusDone done, Looked found);
  base::Result<size_t> RemoveHintsNow(const std::vector<HintStore::Change>& changes);

  ReplicaOptions options_;
  storage::Engine& engine_;
  storage::CompletionQueue& queue_;
  Clock& clock_;
  telemetry::Metrics& metrics_;
  telemetry::LogSink& log_;
  uint64_t mints_ = 0;
  std::array<std::unordered_map<std::string, Load>, storage::kSpaces> loads_;
  std::unordered_map<std::string, std::deque<StatusDone>> turns_;  // by answer key, while taken
  size_t waiting_loads_ = 0;                                       // and waiting for their turn
  std::shared_ptr<bool> alive_;  // co-owned by callbacks in the engine, which may outlive us
  TreeUpkeep tree_;
  TreeWalk tree_walk_;
  std::map<uint64_t, std::unique_ptr<Recount>> checks_;  // of CheckLeaf, under way
  uint64_t checks_begun_ = 0;
  PendingWrites pending_;
  HintStore hints_;
  RegisterWatch registers_;
  RecordWatch watch_;
  std::shared_ptr<const Doubt> doubt_;  // co-owned by the other shards' replicas
};

// Key of the answer recorded for a write: in Space::kIdempotency, beside the record's own key.
std::string IdempotencyKey(std::string_view data_key, std::string_view client_key);

}  // namespace lariat::replica
