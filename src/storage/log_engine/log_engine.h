// SPDX-License-Identifier: Apache-2.0
// The engine with a log and tables of its own over RocksDB's files (README.md).
//
//   Write   -> log -> tables (unflushed)         Sync   -> log, one write for all who wait
//   flusher -> tables, sorted -> files -> cut    Get    -> tables -> RocksDB's cache -> I/O thread
//
// Threads of its own: one committer, one flusher, and those of its files (rocksdb_engine.h). The
// destructor completes what is still waiting, flushes and closes: what it leaves is a store that
// OpenRocksEngine opens, with all that was written. No other call may be under way by then.
#pragma once

#include <memory>

#include "env/env.h"
#include "storage/engine.h"
#include "storage/rocksdb/rocksdb_engine.h"

namespace lariat::storage {

enum class EngineKind : uint8_t { kRocksDb, kLog };

struct LogEngineOptions {
  // Of the files. memtable_bytes is the size that their levels begin with; there are no memtables.
  RocksOptions files;
  uint64_t table_bytes = 192ULL << 20;  // what is not in files yet, and records that are in use
  // A part of it is made at the open, the rest when it is needed. Fixed when the log is made.
  uint64_t log_bytes = 256ULL << 20;
};

// Opens or creates; errors as OpenRocksEngine. The clock outlives the engine and is read by all
// threads. kRocksDb: RocksDB's own log; what a log engine that was killed has left in its log is
// put into files first. Either kind opens what the other one has left.
base::Result<std::unique_ptr<Engine>> OpenEngine(EngineKind kind, const LogEngineOptions& options,
                                                 const env::Clock& clock);

}  // namespace lariat::storage
