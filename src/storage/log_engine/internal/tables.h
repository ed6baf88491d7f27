// SPDX-License-Identifier: Apache-2.0
// The newest versions of all spaces in memory: tables behind locks, so that every shard and every
// I/O thread may come. kData, which shards write at once, has several, by the top bits of the
// token; each other space has one.
//
//   part     0 .. 7              8      9             10     11     12
//   space    kData by token      kMeta  kIdempotency  kHints kTree  kQuarantine
//
// What belongs together (the parts of a batch and the log's order, all parts and the begin of a
// flush) is done under one Lock of those parts. Locks are taken in the order of the parts.
#pragma once

#include <array>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "storage/engine.h"
#include "storage/table/table.h"

namespace lariat::storage::log_engine {

class Tables {
 public:
  static constexpr size_t kDataParts = 8;
  static constexpr size_t kParts = kDataParts + kSpaces - 1;
  using Parts = uint32_t;  // one bit each
  static constexpr Parts kAll = (Parts{1} << kParts) - 1;

  explicit Tables(size_t budget_bytes);

  class Lock {
   public:
    Lock(Tables& tables, Parts parts);
    ~Lock();
    Lock(const Lock&) = delete;
    Lock& operator=(const Lock&) = delete;

   private:
    Tables& tables_;
    const Parts parts_;
  };

  // --- single keys; these lock for themselves.
  struct Answer {
    table::Known known = table::Known::kUnknown;
    table::ReadToken token;
  };
  // *value is set for kRecord.
  Answer Find(Space space, std::string_view key, std::string* value);
  // What the files said (nothing: they have no such key) when they were asked after Find.
  void Fill(Space space, std::string_view key, const std::optional<std::string_view>& value,
            table::ReadToken token);

  // --- batches. REQUIRES, but for PartsOf: a Lock of the batch's parts.
  static Parts PartsOf(const WriteBatch& batch);
  bool HasRoom(const WriteBatch& batch) const;
  // True: one of them should be flushed soon.
  bool Apply(const WriteBatch& batch, uint64_t lsn);

  // --- ranges. REQUIRES, but for PartsOf: a Lock of the range's parts.
  static Parts PartsOf(Space space, std::string_view from, std::string_view to);
  struct Unflushed {
    std::vector<table::VersionRef> versions;  // in order, "absent" included
    // Complete for keys below it (nothing: for the range), and then at least one is a record.
    std::optional<std::string> next;
    bool lost = false;
  };
  Unflushed Scan(Space space, std::string_view from, std::string_view to,
                 const ScanLimits& limits) const;

  // --- flushing. Begin REQUIRES a Lock of all; the others lock for themselves.
  void BeginFlush(uint64_t upto);
  // Appends the next ones of the part, false if those were the last.
  bool NextToFlush(size_t part, std::vector<table::VersionRef>* out);
  void EndFlush(bool ok);
  static Space SpaceOf(size_t part);
  void Fail(uint64_t durable_lsn);

  table::TableStats Stats() const;
  bool WantsFlush() const;
  void CountFinds(uint64_t* hits, uint64_t* misses) const;
  // Unflushed bytes of a space that has one part.
  size_t UnflushedOf(Space space) const;

 private:
  struct alignas(64) Part {
    explicit Part(const table::TableOptions& options) : table(options) {}
    mutable std::mutex mutex;
    table::Table table;
    uint64_t hits = 0;
    uint64_t misses = 0;
    size_t budget_bytes = 0;
    size_t stall_bytes = 0;  // so much unflushed makes writers wait
    size_t flush_bytes = 0;  // so much asks for a flush
  };
  static size_t PartOf(Space space, std::string_view key);
  static Unflushed ScanPart(const table::Table& table, std::string_view from, std::string_view to,
                            const ScanLimits& limits);

  std::array<std::unique_ptr<Part>, kParts> parts_;
};

}  // namespace lariat::storage::log_engine
