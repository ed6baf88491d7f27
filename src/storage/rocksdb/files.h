// SPDX-License-Identifier: Apache-2.0
// The files of a store, for an engine that has a log of its own: RocksDB without its log. What is
// read goes by Engine's methods, which see the files alone; what is written is sorted by the
// caller and taken as a whole. Write, Sync and Flush of Engine are those of RocksDB's own log: such
// an engine leaves them alone.
//
// Threads, errors: as Engine, but for what blocks. Take is for one thread at a time.
//
// Whose turn it is. RocksDB's own log says in the file END how far it came (end_mark.h). While
// another log holds what the files lack, END says a place that RocksDB never reaches: a program
// that knows RocksDB alone then finds its log cut, and owes a repair, instead of missing the rest
// without a word. What such a program leaves is recognized: used_by_others.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "storage/engine.h"
#include "storage/rocksdb/rocksdb_engine.h"

namespace rocksdb {
class Env;
}

namespace lariat::storage {

// A version of a key; nothing as value: there is none. Good until the next one is asked for.
struct VersionView {
  std::string_view key;
  std::optional<std::string_view> value;
};

class Files : public Engine {
 public:
  // --- reading; blocks.
  virtual std::vector<base::Result<std::string>> GetMany(Space space,
                                                         const std::vector<std::string>& keys) = 0;
  // The files as they are now. Released before they are closed.
  using Snapshot = std::shared_ptr<const void>;
  virtual Snapshot TakeSnapshot() = 0;
  // Over from <= key < to ("": to the end).
  class Cursor {
   public:
    virtual ~Cursor() = default;
    virtual bool Valid() const = 0;
    virtual std::string_view key() const = 0;
    virtual std::string_view value() const = 0;
    virtual void Next() = 0;
    virtual base::Status status() = 0;
  };
  struct Range {
    Space space = Space::kData;
    std::string from;
    std::string to;
  };
  // The range and the snapshot outlive it.
  virtual std::unique_ptr<Cursor> Scan(const Range& range, const Snapshot& snapshot) = 0;
  using Engine::Scan;
  // A thread for what blocks. False: too many tasks wait, and the task is as it was.
  virtual bool Run(base::UniqueFunction<void()>& task) = 0;
  // Runs what waits; then no Run may follow.
  virtual void StopReading() = 0;

  // --- writing
  // Whether there is room for a batch: ok or kDiskFull, as Engine::Write. Does not block.
  virtual base::Status Admit(const WriteBatch& batch) = 0;
  // Of what was admitted so many bytes are still to be taken: they count as used.
  virtual void SetPromised(uint64_t bytes) = 0;
  // By space: gives the next version in the order of keys, false at the end.
  using Versions = std::array<std::function<bool(VersionView*)>, kSpaces>;
  // ok: all of it is in files, durably, each space's as a whole. Otherwise any part may be there.
  // kDiskFull is a pause (until there is room it says so at once), everything else the end.
  virtual base::Status Take(const Versions& versions) = 0;
  // So many files wait for compaction that no more should come now.
  virtual bool Crowded() const = 0;
  // The engine ends, as after an error of its own.
  virtual void Die(const std::string& reason) = 0;
  virtual base::Error DeadError() const = 0;

  // --- whose turn it is
  // A program that does not know the other log may have written since that was in use: what the
  // log holds is older than the files.
  virtual bool used_by_others() const = 0;
  // When it was opened, another log held what the files lacked.
  virtual bool log_was_elsewhere() const = 0;
  // Of this store, for its log. Made at the first call.
  virtual base::Result<std::string> StoreId() = 0;
  // Puts kLogCutKey, durably. For start-up only: blocks.
  virtual base::Status NoteCut() = 0;
  // Another log holds what the files lack until LogIsEmpty. Durable when it returns.
  virtual base::Status LogIsElsewhere() = 0;
  virtual void LogIsEmpty() = 0;
};

// As OpenRocksEngine. `env`: for tests; null: the usual one.
base::Result<std::unique_ptr<Files>> OpenRocksFiles(const RocksOptions& options,
                                                    rocksdb::Env* env = nullptr);

// A name in kMeta: the id of the store, for its log.
inline constexpr std::string_view kLogStoreKey = "log_store";
// The value of kLogCutKey when an engine with a log of its own has put it.
inline constexpr std::string_view kCutOfOwnLog = "2";

}  // namespace lariat::storage
