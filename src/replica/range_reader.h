// SPDX-License-Identifier: Apache-2.0
// Reads the records of a token range page by page, in key order, for whoever copies or removes
// them. Reads the engine alone: any shard's reader gives the records of every shard of the node.
//
// Why one snapshot for each page is enough for a copy of the range, and no snapshot has to live as
// long as the copy: no record vanishes while a topology change is under way; whatever is written
// after the change's fence goes to the new owner by itself; and the copy is joined into what the
// new owner has, which may be done in any order and any number of times. So a copy has to give
// each record that was there when it began, in that state or a later one, and it does: the pages
// follow each other in key order without a gap, and each shows every record that was written
// before it.
//
// Threads: one shard's thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/lifetime.h"
#include "base/result.h"
#include "base/unique_function.h"
#include "ring/diff.h"
#include "storage/engine.h"
#include "storage/record.h"
#include "telemetry/metrics.h"

namespace lariat::replica {

struct RecordRange {
  storage::BucketId bucket = 0;
  ring::TokenRange tokens;
};

struct PageOptions {
  size_t bytes_max = 256 << 10;  // of keys and stored records; one record always fits
  size_t entries_max = 4096;
  bool keys_only = false;  // records are not looked at: none is damaged, objects stay empty
};

struct RecordPage {
  struct Record {
    std::string key;     // storage::DataKey
    std::string object;  // causal::Object bytes
    size_t bytes = 0;    // of the key and the stored record
  };
  std::vector<Record> records;  // in key order
  // Go on after this one; empty if there was nothing at all.
  std::string last_key;
  bool done = false;  // nothing is left after last_key
  // Records that are there but fail their checksum. They are not among `records`, so the page is
  // not all of what it covers: whoever ignores this loses data.
  uint64_t damaged = 0;
  std::string damage;  // what is wrong with the first one
};

// Least key that is greater than every key of the token.
std::string KeyAfterToken(storage::BucketId bucket, uint64_t token);

class RangeReader {
 public:
  RangeReader(storage::Engine& engine, storage::CompletionQueue& queue,
              telemetry::Metrics& metrics);

  // The next page after the key `after` ("": from the start). A range that goes over zero is read
  // in key order too: from token 0 on. An error means that nothing can be said about any record of
  // the page: the disk is bad, too many reads wait, or the engine is dead. `done` comes once, from
  // the loop, unless the reader is gone.
  using Done = base::UniqueFunction<void(base::Result<RecordPage>)>;
  void Next(const RecordRange& range, std::string after, PageOptions options, Done done);

 private:
  struct Scan;
  void Step(std::shared_ptr<Scan> scan);
  void OnEntries(const std::shared_ptr<Scan>& scan, std::vector<storage::Entry> entries);

  storage::Engine& engine_;
  storage::CompletionQueue& queue_;
  telemetry::Metrics& metrics_;
  base::Lifetime lifetime_;
};

}  // namespace lariat::replica
