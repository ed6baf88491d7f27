// SPDX-License-Identifier: Apache-2.0
// The books of one shard's hints: what a change of a hint means for the node's budget, and at the
// start a count of what earlier runs left. Replica itself writes and removes them.
//
// The count goes through the shard's stretch of each target and bucket in key order while hints
// come and go. What lies before its place is counted, so changes there are booked; what lies
// behind will be counted as it is then. Changes in between, while a page is being read, are
// remembered until the page is here: it shows what was there when it was asked for.
//
// Threads: one shard's thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/lifetime.h"
#include "base/result.h"
#include "replica/hint_budget.h"
#include "ring/token.h"
#include "storage/engine.h"

namespace lariat::replica {

// A hint as somebody saw it.
struct HintMark {
  std::string key;       // HintKey
  uint64_t version = 0;  // 0: it was damaged
};

class HintStore {
 public:
  HintStore(storage::Engine& engine, storage::CompletionQueue& queue,
            std::shared_ptr<HintBudget> budget, uint64_t first_version);

  // Begins the count, of the shard's tokens. Before the first change.
  void Recount(ring::Token first, ring::Token last);
  bool Counted() const { return counted_; }
  // Reads a page again that the engine did not give.
  void Tick();

  // Sizes of key and value; 0: there is none.
  struct Change {
    std::string key;  // HintKey
    int64_t before = 0;
    int64_t after = 0;
    int64_t stored_ms = 0;
  };
  // False: a limit is reached. Otherwise Settle is called once.
  bool Reserve(const Change& change);
  void Settle(const Change& change, bool applied);
  // The change is in the engine.
  void Book(const Change& change);

  uint64_t NextVersion() { return ++version_; }
  HintBudget& budget() { return *budget_; }

 private:
  void ReadPage();
  void OnPage(base::Result<std::vector<storage::Entry>> entries);
  void Count(const Change& change);

  storage::Engine& engine_;
  storage::CompletionQueue& queue_;
  std::shared_ptr<HintBudget> budget_;  // co-owned by the stores of the node's shards
  uint64_t version_;
  bool counted_ = true;
  bool reading_ = false;
  ring::Token first_, last_;
  std::string at_;                 // hints before this key are counted
  std::vector<Change> meanwhile_;  // since the page was asked for
  base::Lifetime lifetime_;
};

}  // namespace lariat::replica
