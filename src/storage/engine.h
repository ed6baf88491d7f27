// SPDX-License-Identifier: Apache-2.0
// The local store under a replica: ordered bytes with atomic batches, where writing and making
// durable are two steps, so that one sync serves many writes.
//
// Threads: an Engine belongs to one node and is called by all its shards at once. Completions are
// handed to the caller's CompletionQueue (the shard's executor), never run on the caller's stack.
// A queue outlives the engine.
//
// Durability: Write applies a batch at once: every later read sees it, a crash may lose it. When
// the callback of a Sync gets ok, everything written (by any shard) before that Sync was called
// survives a crash. An error from Sync is final: the engine is dead (`health` says so), because
// after a failed fsync nobody knows what is on disk.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "base/unique_function.h"

namespace lariat::storage {

// Separate key spaces of one engine (column families). Numbers are stored.
enum class Space : uint8_t {
  kData = 0,         // records, key = storage::DataKey
  kMeta = 1,         // what the node keeps for itself: docs/formats/meta.md
  kIdempotency = 2,  // answers of writes with an Idempotency-Key; forgotten after 24 h
  kHints = 3,        // what other members have missed, by target
  kTree = 4,         // leaves of the hash trees over kData, written with the records they count
  kQuarantine = 5,   // damaged records, as they were found; for people
};
inline constexpr size_t kSpaces = 6;

struct WriteBatch {
  struct Operation {
    Space space = Space::kData;
    bool remove = false;
    std::string key;
    std::string value;
  };
  std::vector<Operation> operations;
  size_t bytes = 0;  // keys and values, for limits
  // It is a delete: small itself, and what it covers can be freed.
  bool is_delete = false;
  // Its writer asks for a Sync next and tells nobody before that is done: until then it need not
  // survive the process either.
  bool sync_follows = false;

  // Goes on while a nearly full disk refuses others: a delete, or nothing but removals and kMeta.
  bool UsesReserve() const;
  void Put(Space space, std::string key, std::string value);
  void Remove(Space space, std::string key);
  bool Empty() const { return operations.empty(); }
  void Clear();
};

class CompletionQueue {
 public:
  virtual ~CompletionQueue() = default;
  // Thread-safe. Runs the task later on the owner's thread.
  virtual void Post(base::UniqueFunction<void()> task) = 0;
};

enum class Lookup : uint8_t { kFound, kAbsent, kNotInMemory, kError };

struct ScanLimits {
  size_t entries_max = 1000;
  size_t bytes_max = 1 << 20;
};
struct Entry {
  std::string key;
  std::string value;
};

struct EngineStats {
  uint64_t disk_bytes = 0;
  uint64_t memory_bytes = 0;  // block cache + memtables + table readers
  uint64_t keys_estimate = 0;
  uint64_t syncs = 0;
  uint64_t sync_nanoseconds = 0;
  uint64_t writes_stalled = 0;
  uint64_t reads_from_disk = 0;
  uint64_t read_errors = 0;
  uint64_t block_cache_hits = 0;
  uint64_t block_cache_misses = 0;
  uint64_t compaction_bytes_pending = 0;
  uint64_t compaction_bytes = 0;  // read and written by compaction and flush, since the open
  uint64_t disk_free_bytes = 0;
  // Below so much free space writes are refused, and below the second deletes too; 0: never.
  uint64_t disk_reserve_bytes = 0;
  uint64_t disk_delete_reserve_bytes = 0;
  // At the last open a bad record ended the log early: what came after it is forgotten, perhaps
  // writes that were acknowledged. The node owes its ranges a repair. Said at every open until
  // kLogCutKey is removed.
  bool log_truncated = false;
  // The store was damaged, and what could be read of it was copied into a new one: any record but
  // those of kMeta may be missing. Said at every open until kSalvagedKey is removed.
  bool salvaged = false;
  uint64_t quarantine_bytes = 0;  // of damaged stores that are kept for people, at the last open
  // Of an engine with a log and tables of its own; 0 otherwise.
  uint64_t table_bytes = 0;            // in memory_bytes
  uint64_t table_unflushed_bytes = 0;  // in table_bytes: not in files yet
  uint64_t table_evicted = 0;          // versions
  uint64_t table_hits = 0;             // look-ups that the tables answered, and others
  uint64_t table_misses = 0;
  uint64_t log_slots = 0;
  uint64_t log_live_slots = 0;  // hold what the files lack
  uint64_t log_durable = 0;     // position up to which the log is durable
  uint64_t log_bytes = 0;       // written, synced or not, since the open
  uint64_t flushes = 0;
  uint64_t flush_bytes = 0;  // of files
  uint64_t flush_nanoseconds = 0;
};

// In kMeta: put there, durably, when the store is salvaged or its log was cut, before the open
// returns. Whoever has durably taken note of what that means removes them.
inline constexpr std::string_view kSalvagedKey = "salvaged";
inline constexpr std::string_view kLogCutKey = "log_cut";

// kDiskFull: writes are refused, and deletes may be.
enum class Health : uint8_t { kOk, kDiskFull, kDead };

class Engine {
 public:
  virtual ~Engine() = default;

  // Answers from memory or says kNotInMemory; never waits for a disk. On kError *error is set;
  // an error is never reported as kAbsent (M6).
  virtual Lookup TryGet(Space space, std::string_view key, std::string* value,
                        base::Error* error) = 0;
  // May read from disk, on an I/O thread. The result is kNotFound only if the key is truly absent.
  // kOverloaded when too many reads are waiting.
  using GetDone = base::UniqueFunction<void(base::Result<std::string>)>;
  virtual void Get(Space space, std::string key, CompletionQueue* queue, GetDone done) = 0;
  // Applies the whole batch or nothing; in memory and in the log, not synced. Does not block:
  // kStalled (ask again later; nothing was applied), kDiskFull, or kIo (dead). While health() is
  // kDiskFull a batch that UsesReserve goes on, until a smaller reserve is used up too.
  virtual base::Status Write(const WriteBatch& batch) = 0;
  // Whoever gathers writes into a batch stops when it has so many bytes: one more operation fits,
  // whatever it is, and much more may be kTooLarge.
  virtual size_t batch_bytes_max() const { return SIZE_MAX; }
  // See the comment at the top. Concurrent and repeated calls share one sync.
  using SyncDone = base::UniqueFunction<void(base::Status)>;
  virtual void Sync(CompletionQueue* queue, SyncDone done) = 0;
  // ok: what was written to the space before the call lies in files of its own, and no damage of
  // the log can take it back. Costs a file: not for every request.
  virtual void Flush(Space space, CompletionQueue* queue, SyncDone done) = 0;
  // One value in a file of its own, where damage of the log or of a table does not reach it. It is
  // replaced as a whole, and the newest of concurrent calls stays. ok: it is durable, or a newer
  // one is. kDiskFull: ask again. Costs a file: for what is rare.
  virtual void WriteApart(std::string bytes, CompletionQueue* queue, SyncDone done) = 0;
  // For start-up only: blocks. kNotFound: there is none, or the store was used since by a program
  // that does not write it, so that it is out of date.
  virtual base::Result<std::string> ReadApart() = 0;
  // Entries with from <= key < to in key order ("" as `to` = to the end), from a snapshot of the
  // call's start, bounded by the limits; at least one entry if there is one and entries_max > 0,
  // however large, so that a caller that goes on after the last key always gets further. May read
  // from disk, on an I/O thread; kOverloaded as in Get.
  using ScanDone = base::UniqueFunction<void(base::Result<std::vector<Entry>>)>;
  virtual void Scan(Space space, std::string from, std::string to, ScanLimits limits,
                    CompletionQueue* queue, ScanDone done) = 0;
  // For start-up only: blocks. kNotFound if absent.
  virtual base::Result<std::string> GetBlocking(Space space, std::string_view key) = 0;

  // Very much of kData was removed: gives its room back in the background, which costs compactions.
  virtual void FreeRemoved() {}

  virtual Health health() const = 0;
  // A file cannot be read, as far as is known: reads of what is in it fail. The next open copies
  // the rest into a new store (EngineStats::salvaged).
  virtual bool damaged() const { return false; }
  // kDead because compaction or flush met that, and of nothing else.
  virtual bool died_of_damage() const { return false; }
  virtual EngineStats Stats() const = 0;
  // How many seconds the machine's wall clock is known to be ahead of the right time (below 0:
  // behind). What the engine itself keeps for a time (recorded answers) goes by the right one.
  virtual void SetClockAhead(int64_t /*seconds*/) {}
};

}  // namespace lariat::storage
