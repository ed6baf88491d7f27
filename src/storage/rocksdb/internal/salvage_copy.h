// SPDX-License-Identifier: Apache-2.0
// The first step of a salvage (salvage.h): what can be read of a store, in a new one.
#pragma once

#include <rocksdb/env.h>

#include <string>

#include "storage/rocksdb/rocksdb_engine.h"

namespace lariat::storage::internal {

// Copies the store of the options into the empty directory given, durably, and puts kSalvagedKey
// into it. REQUIRES: no other process has it open. Nothing is changed in it.
base::Status CopyReadable(const RocksOptions& options, rocksdb::Env* env,
                          const std::string& directory);

}  // namespace lariat::storage::internal
