// SPDX-License-Identifier: Apache-2.0
// RocksDB's options for one engine, with the reason beside each that is not the default.
#pragma once

#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/options.h>

#include <memory>
#include <vector>

#include "storage/rocksdb/rocksdb_engine.h"

namespace lariat::storage::internal {

rocksdb::DBOptions DatabaseOptions(const RocksOptions& options, rocksdb::Env* env);
std::shared_ptr<rocksdb::Cache> BlockCache(const RocksOptions& options);
// The column families, each space with its number. The last one has what kMeta has: whoever cannot
// read the one reads the other.
inline constexpr size_t kMetaCopy = kSpaces;
inline constexpr size_t kFamilies = kSpaces + 1;
std::vector<rocksdb::ColumnFamilyDescriptor> Families(const RocksOptions& options,
                                                      const std::shared_ptr<rocksdb::Cache>& cache);
// How often the idempotency answers' files are closed and looked at for their age.
uint64_t IdempotencySweepSeconds(const RocksOptions& options);

}  // namespace lariat::storage::internal
