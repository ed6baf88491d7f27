// SPDX-License-Identifier: Apache-2.0
// The log of one node: batches over all spaces in one order, durable a group at a time.
//
//   shard A   Append Append Sync ............ told     A waited first and leads: it writes what
//   shard B      Append Sync ................ told     both have appended, and both are told
//   shard C                    Append Sync ......      waits for the next group, and leads that
//   disk                  [A A B      ]     [C ..
//
// A batch is in memory after Append, with the process's life after WriteBehind, with the machine's
// when Sync has said ok. Between the beginnings of two syncs lies at least `sync_gap`, unless the
// second one is for a single waiter: groups stay large when turns get short.
//
// The log keeps what is behind its cut. Whoever puts batches into files takes a CutPoint before it
// looks at what to put there, and cuts there when the files are durable. Slots below are used
// again; when none is free Append says kStalled, and nothing is overwritten.
//
// Threads: shards call Append, WriteBehind and Sync at once. Cut, Grow, Tick and Close block for
// the disk; each is for one thread at a time. Append blocks for one durable write when it begins a
// segment; Sync blocks for the group that it leads if the GroupWriter does. Callbacks are posted to
// the waiter's queue, never run on the caller's stack.
//
// Errors: the first write or sync that fails ends the log. Everything after it fails with the same
// error, and nothing is told durable any more.
#pragma once

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "env/env.h"
#include "storage/engine.h"
#include "storage/log/disk.h"
#include "storage/log/internal/segments.h"
#include "storage/log/internal/tail.h"
#include "storage/log/recovery.h"

namespace lariat::storage::log {

struct LogOptions {
  // The store is compared with what the log was made for; the rest is fixed when it is made.
  Shape shape{.store = {}, .segment_bytes = 64ULL << 20, .slots_max = 16};
  uint32_t slots_at_open = 2;           // so many are made by then, 2 at least; Grow adds others
  size_t buffer_bytes_max = 32U << 20;  // appended and not written; past it kStalled
  base::Duration sync_gap = std::chrono::microseconds(300);
  base::Duration mark_gap = base::Seconds(1);
};

struct LogStats {
  Lsn cut = 0, end = 0, durable = 0;
  uint32_t slots = 0, live_slots = 0;  // live: needed behind the cut, and those being written
  size_t buffered_bytes = 0;
  uint64_t syncs = 0, sync_nanoseconds = 0, synced_bytes = 0, behind_bytes = 0;
};

// The end of the log at a moment. Only a log makes one, so a cut never lies where nothing was.
class CutPoint {
 public:
  Lsn lsn() const { return lsn_; }

 private:
  friend class Log;
  explicit CutPoint(Lsn lsn) : lsn_(lsn) {}
  Lsn lsn_;
};

class Log : public std::enable_shared_from_this<Log> {
 public:
  // Makes the log if there is none and recovers it otherwise: `replay` gets what is behind the cut,
  // before the call returns. The log is owned by the caller, and for moments by tasks of waiters'
  // queues, which come too late then and do nothing. `writer` may be null: groups are then
  // written on the leader's stack. The clock is read by all threads.
  // kConflict: it belongs to another store; otherwise as Recover. Errors of reading are damage.
  static base::Result<std::shared_ptr<Log>> Open(LogOptions options, std::unique_ptr<Disk> disk,
                                                 std::unique_ptr<GroupWriter> writer,
                                                 const env::Clock* clock, Replay* replay);
  // As a killed process: waiters hear nothing, what is buffered is gone. REQUIRES: no group is
  // under way.
  ~Log() = default;

  // In order of the calls; gives its end. kStalled: nothing was appended, cut or write first, or
  // Grow. kTooLarge: it never fits.
  base::Result<Lsn> Append(const WriteBatch& batch);
  // All that was appended before survives the process from here on; while a group is under way,
  // from its end on, for nothing is read behind a group that did not leave.
  base::Status WriteBehind();
  // Told ok when all up to `upto`, which an Append gave, is durable. May lead a group.
  using SyncDone = base::UniqueFunction<void(base::Status)>;
  void Sync(Lsn upto, SyncQueue* queue, SyncDone done);

  // Everything that was appended before lies before it.
  CutPoint TakeCutPoint() const;
  // What lies before the point is in files for good, and the log forgets it. kConflict: it is not
  // durable in the log yet (a crash now would leave the log shorter than the files); Sync first. A
  // point before the present cut changes nothing.
  base::Status Cut(const CutPoint& point);
  // Makes one more slot, up to shape.slots_max (kStalled); takes as long as writing it. kDiskFull
  // leaves the log as it was.
  base::Status Grow();
  // Call it about once a second: says in the log, unsynced, what time it is and what is durable, if
  // there is news of either.
  base::Status Tick();
  // A clean stop: all is made durable, who waits is told, and the log says that it was stopped.
  // Every later call fails with kUnavailable. kStalled: no room for the last words; all else is
  // done. REQUIRES: no other call is under way, and a group in flight ends without this thread.
  base::Status Close();

  const Recovered& recovered() const { return recovered_; }
  const Shape& shape() const { return options_.shape; }
  Lsn end() const;  // of what was appended
  Lsn durable() const { return durable_.load(std::memory_order_acquire); }
  LogStats Stats() const;

 private:
  struct Waiter {
    Lsn upto;
    SyncQueue* queue;
    SyncDone done;
  };
  Log(LogOptions options, std::unique_ptr<Disk> disk, std::unique_ptr<GroupWriter> writer,
      const env::Clock* clock, const Found& found, Segments::State segments);

  base::Result<Lsn> AppendLocked(FrameKind kind, std::string_view body);
  base::Result<Lsn> AppendMarkLocked(bool clean_stop);
  base::Status Usable() const;
  void FailLocked(const base::Error& error);
  void Lead();
  void Finish(const base::Status& status);
  std::vector<Waiter> TakeDurableLocked();
  static void Tell(std::vector<Waiter> waiters, const base::Status& status);
  base::Status SyncNow();

  const LogOptions options_;
  const std::unique_ptr<Disk> disk_;
  const std::unique_ptr<GroupWriter> writer_;
  const env::Clock* const clock_;
  const Recovered recovered_;

  // Held from taking bytes to having written them: who syncs afterwards has them all. Before
  // mutex_.
  std::mutex write_mutex_;
  mutable std::mutex mutex_;  // of all that follows
  std::condition_variable landed_;
  Tail tail_;
  Segments segments_;
  std::atomic<Lsn> durable_;
  std::optional<base::Error> failed_;
  std::vector<Waiter> waiting_;
  bool leading_ = false;  // a waiter leads, or has been asked to
  bool closing_ = false;
  std::optional<Taken> in_flight_;  // the group
  base::Instant sync_began_{};
  std::set<FileNumber> dirty_;  // written behind, not synced
  Lsn batch_end_ = 0;           // of the last batch
  Lsn claimed_ = 0;             // what the last frame calls durable
  bool unmarked_ = false;       // a batch came after the last mark
  base::Instant marked_{};
  std::string scratch_;
  LogStats counts_;
};

}  // namespace lariat::storage::log
