// SPDX-License-Identifier: Apache-2.0
// RocksDB's options for one engine, with the reason beside each that is not the default.
#pragma once

#include <rocksdb/cache.h>
#include <rocksdb/env.h>
#include <rocksdb/options.h>

#include <memory>

#include "storage/rocksdb/rocksdb_engine.h"

namespace lariat::storage::internal {

rocksdb::DBOptions DatabaseOptions(const RocksOptions& options, rocksdb::Env* env);
rocksdb::ColumnFamilyOptions SpaceOptions(Space space, const RocksOptions& options,
                                          const std::shared_ptr<rocksdb::Cache>& cache);
std::shared_ptr<rocksdb::Cache> BlockCache(const RocksOptions& options);
// The name of the column family; stored.
std::string SpaceName(Space space);
// How often the idempotency answers' files are closed and looked at for their age.
uint64_t IdempotencySweepSeconds(const RocksOptions& options);

}  // namespace lariat::storage::internal
