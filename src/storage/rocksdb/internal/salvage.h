// SPDX-License-Identifier: Apache-2.0
// What happens to a store with a damaged file. Whoever meets the damage notes it in the file
// SALVAGE of the data directory and goes on with errors; the next start copies whatever can be read
// into a new store and keeps the old files for people in quarantine-<unix time>.
//
// Of a place that cannot be read every key is left out, older states in other files too: what is
// missing is refilled from other replicas, what is out of date would be believed. kMeta is kept
// twice, and one of the two has to be readable as a whole, or the node would not know who it is.
// Hash trees are left out: they are counted again.
//
// The steps, each of which can be done again after a crash:
//   SALVAGE "damaged"   copy into salvage-new/      (what a crash left there is removed first)
//   SALVAGE "copied"    move the old files into quarantine-<time>/
//   SALVAGE "moved"     move the new files here, then remove SALVAGE
#pragma once

#include <rocksdb/env.h>

#include <string>

#include "storage/rocksdb/rocksdb_engine.h"

namespace lariat::storage::internal {

// Of the damaged stores that are kept.
uint64_t QuarantineBytes(const std::string& directory);

// Notes, durably, that the store in this directory is damaged. Thread-safe; best effort.
void NoteDamage(rocksdb::Env* env, const std::string& directory, const std::string& why);
bool IsDamageNoted(rocksdb::Env* env, const std::string& directory);

// kDiskFull, with figures: a copy would not fit beside the store.
base::Status CheckSalvageSpace(const RocksOptions& options, rocksdb::Env* env,
                               uint64_t reserve_bytes);

// REQUIRES: no other process has the store open. ok: it can be opened, and says `salvaged`.
base::Status Salvage(const RocksOptions& options, rocksdb::Env* env, uint64_t reserve_bytes);

}  // namespace lariat::storage::internal
