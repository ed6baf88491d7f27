// SPDX-License-Identifier: Apache-2.0
// What the log needs of the outside world: its files, a way to make blocks durable, and threads
// that wait. posix_disk.h makes the first one real; tests put a disk with faults in its place.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "base/unique_function.h"
#include "storage/engine.h"

namespace lariat::storage::log {

// A file of the log by number: the control file, or the slot FileOfSlot(slot).
using FileNumber = uint32_t;
inline constexpr FileNumber kControlFile = 0;
constexpr FileNumber FileOfSlot(uint64_t slot) { return static_cast<FileNumber>(slot + 1); }

// The files of one log. All calls block. Thread-safe, but for Make, which is called by one thread
// at a time. Errors name the file; a caller never repeats a
// write or a sync that failed.
class Disk {
 public:
  virtual ~Disk() = default;
  // kNotFound if there is no such file.
  virtual base::Result<uint64_t> Size(FileNumber file) = 0;
  // Makes it, or makes it longer: so many bytes, the new ones zeros that are really written,
  // durable with its name. After a crash or a failure it may be there with fewer. kDiskFull if
  // there is no room.
  virtual base::Status Make(FileNumber file, uint64_t bytes) = 0;
  // What lies behind its end reads as zeros. What was written is read, durable or not.
  virtual base::Status Read(FileNumber file, uint64_t offset, size_t size, char* out) = 0;
  // Survives the process, not the machine.
  virtual base::Status Write(FileNumber file, uint64_t offset, std::string_view bytes) = 0;
  // Durable when it returns, and nothing else is; a crash before leaves any part of it. Offset and
  // size are multiples of kBlock.
  virtual base::Status WriteDurably(FileNumber file, uint64_t offset, std::string_view bytes) = 0;
  // Makes all Writes to the file that returned before durable.
  virtual base::Status Sync(FileNumber file) = 0;
};

struct Piece {
  FileNumber file;
  uint64_t offset;
  std::string_view bytes;
};

// What is to become durable together.
struct Group {
  std::vector<Piece> pieces;  // in the order of the log
  // Files with Writes that are not durable. If there are none, all pieces are whole blocks at
  // offsets and in memory that are multiples of kBlock.
  std::vector<FileNumber> dirty;
};

// The seam for other ways to make a group durable (a ring, a thread of its own).
class GroupWriter {
 public:
  virtual ~GroupWriter() = default;
  // One group at a time; it stays as it is until `done` was called, which is on the caller's stack
  // or later on any thread. ok: all pieces are durable, and so is what was written to the dirty
  // files before the call. It is told only then.
  using Done = base::UniqueFunction<void(base::Status)>;
  virtual void Write(const Group& group, Done done) = 0;
};

// Writes on the caller's stack: directly where nothing is dirty, else through the page cache, with
// one sync for each file. The disk outlives it.
class BlockingWriter final : public GroupWriter {
 public:
  explicit BlockingWriter(Disk* disk) : disk_(disk) {}
  void Write(const Group& group, Done done) override { done(WriteNow(group)); }

 private:
  base::Status WriteNow(const Group& group);
  Disk* const disk_;
};

// A thread that waits for durability: a shard. Outlives the log.
class SyncQueue : public CompletionQueue {
 public:
  // Thread-safe. Runs the task later on the owner's thread, not before `delay` (below 1 ms) is
  // over.
  virtual void PostAfter(base::Duration delay, base::UniqueFunction<void()> task) = 0;
};

}  // namespace lariat::storage::log
