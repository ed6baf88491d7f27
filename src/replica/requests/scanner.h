// SPDX-License-Identifier: Apache-2.0
// Reads stretches of this node's records for pages of lists: what is there in key order, records of
// every shard of the node, tombstones too. What is told of them is durable by then. A record that
// cannot be read is told as such and never left out: whoever asked reads that key in another way.
//
// It goes in small steps, so that other reads of the disk get their turn between two of them.
//
// Threads: one shard's thread.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "base/lifetime.h"
#include "base/result.h"
#include "base/time.h"
#include "base/unique_function.h"
#include "replica/record/records.h"

namespace lariat::replica {

enum class ScanForm : uint8_t { kDigests, kLive, kObjects };

struct ScanQuery {
  storage::BucketId bucket = 0;
  std::string from, to;  // storage::DataKey: from <= key < to, all of the bucket
  size_t entries_max = 1000;
  size_t bytes_max = 1 << 20;  // of what is told; one entry always fits
  ScanForm form = ScanForm::kDigests;
  base::WallTime now;  // what has expired by then is not live
};
struct ScanResult {
  struct Entry {
    std::string key;
    base::Hash128 digest;  // zero: the record is there and cannot be read
    bool live = false;     // of kLive
    std::string object;    // of kObjects
  };
  std::vector<Entry> entries;
  std::string next;  // what stands before it was looked at; empty: all up to `to`
};

class Scanner {
 public:
  Scanner(const ShardEnv& env, Records& records) : env_(env), records_(records) {}

  // Asked between two steps: false ends the page there.
  using MayGoOn = base::UniqueFunction<bool()>;
  using Done = base::UniqueFunction<void(base::Result<ScanResult>)>;
  // kUnavailable while records of the bucket may be missing here.
  void Scan(ScanQuery query, MayGoOn may_go_on, Done done);

 private:
  struct Job;
  using JobPtr = std::shared_ptr<Job>;  // co-owners: the callbacks that carry it on

  bool RefuseDoubt(const JobPtr& job) const;
  void Step(const JobPtr& job);
  void OnEntries(const JobPtr& job, std::vector<storage::Entry> entries);
  void Finish(const JobPtr& job);

  const ShardEnv& env_;
  Records& records_;
  base::Lifetime lifetime_;
};

}  // namespace lariat::replica
