// SPDX-License-Identifier: Apache-2.0
// How the trees come back after a start: the journal of earlier runs, then the pages of the shard's
// slice of every bucket that has any; together they are what the leaves were. Writes go on
// meanwhile, and are added at the end by whoever waits for it.
//
// Threads: one shard's thread.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/lifetime.h"
#include "base/unique_function.h"
#include "replica/tree/layout.h"
#include "replica/tree/leaf_table.h"
#include "storage/engine.h"

namespace lariat::replica {

class TreeLoader {
 public:
  struct Job {
    uint32_t shard = 0, shards = 1;
    uint32_t generation = 0;  // what is stored of another one means nothing
    uint32_t run = 0;         // the one that begins now
  };
  // Keys in the engine.
  struct Leftovers {
    std::vector<std::string> journal;  // earlier runs' entries, until their pages are stored
    std::vector<std::string> garbage;  // what means nothing any more
  };
  // All arguments outlive it.
  TreeLoader(const Job& job, LeafTable& leaves, Leftovers& leftovers, storage::Engine& engine,
             storage::CompletionQueue& queue);

  // `done` is told whether everything that is stored could be understood; if not, nothing of it
  // can be relied on. Comes once, from the loop, unless the loader is gone.
  using Done = base::UniqueFunction<void(bool understood)>;
  void Start(Done done);
  void Tick();  // tries a read again that has failed

 private:
  void LoadJournal(std::string from, std::string to, base::UniqueFunction<void()> then);
  void OnJournal(storage::Entry entry);
  void FindNextBucket(uint64_t from);
  void LoadPages(storage::BucketId bucket, std::string from);
  void OnPage(const TreeKeyOfPage& key, storage::Entry entry);
  bool PageHasShard(const TreeKeyOfPage& key) const;
  void End();
  using Entries = std::vector<storage::Entry>;
  void Scan(std::string from, std::string to, size_t entries_max,
            base::UniqueFunction<void(Entries)> use);

  Job job_;
  LeafTable& leaves_;
  Leftovers& leftovers_;
  storage::Engine& engine_;
  storage::CompletionQueue& queue_;
  Done done_;
  bool broken_ = false;  // something stored could not be understood
  std::vector<std::pair<JournalSeq, LeafEvent>> replay_;
  std::map<PagePlace, JournalSeq> pages_upto_;
  base::UniqueFunction<void()> again_;  // after a failed read
  base::Lifetime lifetime_;
};

}  // namespace lariat::replica
