// SPDX-License-Identifier: Apache-2.0
#include "storage/rocksdb/internal/rocks_config.h"

#include <rocksdb/db.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/rate_limiter.h>
#include <rocksdb/statistics.h>
#include <rocksdb/table.h>

#include <algorithm>
#include <string>

namespace lariat::storage::internal {
namespace {

constexpr uint64_t kCacheShardBytes = 32ULL << 20;  // at least, if there are several
constexpr uint64_t kSmallMemtableBytes = 8ULL << 20;
constexpr double kBloomBitsPerKey = 10;
constexpr double kCacheShareForIndexes = 0.4;

rocksdb::CompressionType Compression(const std::string& name) {
  if (name == "none") return rocksdb::kNoCompression;
  if (name == "zstd") return rocksdb::kZSTD;
  return rocksdb::kLZ4Compression;
}

std::shared_ptr<rocksdb::TableFactory> Tables(const std::shared_ptr<rocksdb::Cache>& cache) {
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = cache;
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(kBloomBitsPerKey));
  // Indexes and filters count against the cache's limit, so memory stays bounded however much data
  // there is; they go last when room is needed, because a miss on them costs every read.
  table.cache_index_and_filter_blocks = true;
  table.cache_index_and_filter_blocks_with_high_priority = true;
  table.pin_l0_filter_and_index_blocks_in_cache = true;
  return std::shared_ptr<rocksdb::TableFactory>(rocksdb::NewBlockBasedTableFactory(table));
}

void SetUpRecovery(rocksdb::DBOptions* db) {
  // The log ends at its first bad record: what follows a hole must not be seen. (Demanding a
  // perfect log would refuse to start after every kill -9.)
  db->wal_recovery_mode = rocksdb::WALRecoveryMode::kPointInTimeRecovery;
  db->paranoid_checks = true;
  // Reused log files hold old records where the torn end of a log should be.
  db->recycle_log_file_num = 0;
  // Syncing parts of a newer log before an older one can leave a hole; only SyncWAL syncs.
  db->wal_bytes_per_sync = 0;
  // track_and_verify_wals_in_manifest stays off: in this version it can report a log as missing
  // that was rightly deleted, which would keep a healthy node from starting.
  db->max_bgerror_resume_count = 0;        // after an I/O error nothing is tried again
  db->avoid_flush_during_shutdown = true;  // the log has it all and is synced before closing
}

// Stored.
std::string SpaceName(Space space) {
  switch (space) {
    case Space::kData:
      return rocksdb::kDefaultColumnFamilyName;
    case Space::kMeta:
      return "meta";
    case Space::kIdempotency:
      return "idempotency";
    case Space::kHints:
      return "hints";
    case Space::kTree:
      return "tree";
    case Space::kQuarantine:
      return "quarantine";
  }
  return {};
}

rocksdb::ColumnFamilyOptions SpaceOptions(Space space, const RocksOptions& options,
                                          const std::shared_ptr<rocksdb::Cache>& cache) {
  rocksdb::ColumnFamilyOptions family;
  family.table_factory = Tables(cache);
  family.compression = Compression(options.compression);
  if (space == Space::kData) {
    family.write_buffer_size = options.memtable_bytes;
    // Room for bursts while a flush runs; past it writers are stalled.
    family.max_write_buffer_number = 4;
    family.max_bytes_for_level_base = 4 * options.memtable_bytes;
    // A compaction needs room for some files: on a small disk small ones.
    family.target_file_size_base =
        std::min(family.target_file_size_base, uint64_t{options.memtable_bytes});
    family.level_compaction_dynamic_level_bytes = true;  // at most about 10 % of dead bytes
    return family;
  }
  family.write_buffer_size = std::min(kSmallMemtableBytes, options.memtable_bytes);
  if (space == Space::kIdempotency) {
    // Whole files are dropped when there is too much, never rewritten, and by age in the engine's
    // sweep: FIFO's own time limit asks for all files to be open.
    family.compaction_style = rocksdb::kCompactionStyleFIFO;
    family.ttl = 0;
    family.compaction_options_fifo =
        rocksdb::CompactionOptionsFIFO(options.idempotency_bytes_max, /*_allow_compaction=*/false);
  }
  return family;
}

}  // namespace

std::shared_ptr<rocksdb::Cache> BlockCache(const RocksOptions& options) {
  // Many shards keep threads out of each other's way, but each has to hold the largest block: an
  // index block that does not fit is read again by every look-up.
  int shard_bits = 0;
  while (shard_bits < 6 && options.block_cache_bytes >> (shard_bits + 1) >= kCacheShardBytes) {
    ++shard_bits;
  }
  return rocksdb::NewLRUCache(options.block_cache_bytes, shard_bits,
                              /*strict_capacity_limit=*/false, kCacheShareForIndexes);
}

uint64_t IdempotencySweepSeconds(const RocksOptions& options) {
  return std::max<uint64_t>(options.idempotency_ttl_s / 24, 1);
}

rocksdb::DBOptions DatabaseOptions(const RocksOptions& options, rocksdb::Env* env) {
  rocksdb::DBOptions db;
  db.env = env;
  db.create_if_missing = true;
  db.create_missing_column_families = true;
  SetUpRecovery(&db);
  db.max_open_files = -1;  // a look-up saves the table cache
  if (options.open_files_max > 0) db.max_open_files = static_cast<int>(options.open_files_max);
  db.max_background_jobs = static_cast<int>(std::max(options.background_threads, 1U));
  // The rarely written spaces would otherwise hold back old logs for ever.
  db.max_total_wal_size = 4 * options.memtable_bytes;
  db.bytes_per_sync =
      1ULL << 20;  // table files: spreads their write-out, so that log syncs are even
  db.compaction_readahead_size = 2ULL << 20;
  if (options.background_bytes_per_s > 0) {
    db.rate_limiter.reset(
        rocksdb::NewGenericRateLimiter(static_cast<int64_t>(options.background_bytes_per_s)));
  }
  db.statistics = rocksdb::CreateDBStatistics();
  db.statistics->set_stats_level(rocksdb::StatsLevel::kExceptHistogramOrTimers);
  db.stats_dump_period_sec = 0;
  db.stats_persist_period_sec = 0;
  return db;
}

std::vector<rocksdb::ColumnFamilyDescriptor> Families(
    const RocksOptions& options, const std::shared_ptr<rocksdb::Cache>& cache) {
  std::vector<rocksdb::ColumnFamilyDescriptor> families;
  for (size_t i = 0; i < kSpaces; ++i) {
    const auto space = static_cast<Space>(i);
    families.emplace_back(SpaceName(space), SpaceOptions(space, options, cache));
  }
  families.emplace_back("meta_copy", SpaceOptions(Space::kMeta, options, cache));
  return families;
}

}  // namespace lariat::storage::internal
