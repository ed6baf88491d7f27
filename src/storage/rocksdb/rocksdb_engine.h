// SPDX-License-Identifier: Apache-2.0
// The RocksDB engine. No other folder includes RocksDB's headers, and this header does not either.
//
// Threads of its own: one committer (group commit), `io_threads` readers, one that watches the
// disk's free space, and RocksDB's flush and compaction. The destructor completes what is still
// waiting, syncs the log and closes; no other call may be under way by then.
//
// Disk full: below `disk_reserve_bytes` of free space writes get kDiskFull while reads go on;
// writes resume by themselves when a quarter more than the reserve is free again.
#pragma once

#include <memory>
#include <string>

#include "storage/engine.h"

namespace lariat::storage {

struct RocksOptions {
  std::string directory;
  uint64_t block_cache_bytes = 256ULL << 20;
  uint64_t memtable_bytes = 64ULL << 20;
  uint32_t io_threads = 4;                     // disk reads that missed memory
  uint32_t io_queue_max = 4096;                // waiting reads; past it kOverloaded
  uint32_t background_threads = 2;             // flush and compaction
  uint64_t background_bytes_per_s = 0;         // rate limit of flush and compaction, 0 = none
  std::string compression = "lz4";             // none | lz4 | zstd
  uint64_t disk_reserve_bytes = 256ULL << 20;  // below this much free space (or an eighth of
                                               // the disk, if that is less) writes get kDiskFull
  uint64_t idempotency_ttl_s = 86400;
  uint64_t idempotency_bytes_max = 1ULL << 30;
  uint32_t open_files_max = 0;    // table files kept open at once, 0 = all there are
  uint32_t periodic_sync_ms = 0;  // > 0: a sync at least this often even if nobody asks
  bool log_elsewhere = false;     // set by OpenRocksFiles (files.h)
};

// Opens or creates. kConflict if another process has it open, kDiskFull if there is no room to
// start, kCorruption / kIo with the engine's words otherwise.
base::Result<std::unique_ptr<Engine>> OpenRocksEngine(const RocksOptions& options);
// What the next open would say if it had to copy a damaged store: kDiskFull, with figures, or ok.
base::Status CheckSalvage(const RocksOptions& options);

}  // namespace lariat::storage
