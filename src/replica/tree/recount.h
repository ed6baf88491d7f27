// SPDX-License-Identifier: Apache-2.0
// Reads the records of a run of leaves again, page by page, and settles what each leaf adds up to.
// Exact however busy the leaves are: a page is a snapshot, every change that reached the engine
// after it is told to the recount, and is added if its key lies in what was read already.
//
// Threads: one shard's thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/lifetime.h"
#include "base/result.h"
#include "base/unique_function.h"
#include "replica/tree/leaf_check.h"
#include "replica/tree/record_sum.h"
#include "replica/tree/upkeep.h"
#include "storage/engine.h"
#include "telemetry/metrics.h"

namespace lariat::replica {

class Recount final : public ChangeWatcher {
 public:
  // The shard's part of the leaves first..last of the bucket. REQUIRES: the shard has a part of
  // `first` and of `last`.
  struct Job {
    storage::BucketId bucket = 0;
    uint32_t first = 0, last = 0;
    bool keep_damaged = true;  // their bytes, for the result
  };
  Recount(Job job, TreeUpkeep& tree, storage::Engine& engine, storage::CompletionQueue& queue,
          telemetry::Metrics& metrics);
  ~Recount() override;
  Recount(const Recount&) = delete;
  Recount& operator=(const Recount&) = delete;

  // Reads one page. What it has shown of the run so far is in result(). `done` comes from the loop,
  // unless the recount is gone; it may destroy the recount. After an error the same can be tried
  // again.
  using Done = base::UniqueFunction<void(base::Status)>;
  void Step(Done done);
  bool Finished() const { return leaf_ > job_.last; }
  uint32_t leaf() const { return leaf_; }              // the one that is being counted
  const LeafCheck& result() const { return result_; }  // sums: of the last leaf that was settled
  LeafCheck TakeResult() { return std::move(result_); }

  void OnChange(std::string_view data_key, const LeafPlace& place,
                const merkle::LeafSum& change) override;

 private:
  struct Change {
    std::string data_key;
    uint32_t leaf = 0;
    merkle::LeafSum change;
  };
  base::Status OnPage(base::Result<std::vector<storage::Entry>> entries);
  void CountRecord(storage::Entry entry);
  void CloseLeaf();
  void TakeChanges(std::string_view covered_to);

  Job job_;
  TreeUpkeep& tree_;
  storage::Engine& engine_;
  storage::CompletionQueue& queue_;
  telemetry::Metrics& metrics_;
  std::string from_, to_;  // keys still to be read
  uint32_t leaf_;
  merkle::LeafSum sum_;   // of the open leaf, as far as it was read
  bool damaged_ = false;  // a record of it
  bool reading_ = false;
  std::vector<Change> changes_;               // since the page's snapshot
  std::map<uint32_t, merkle::LeafSum> late_;  // of changes within the page
  LeafCheck result_;
  base::Lifetime lifetime_;
};

}  // namespace lariat::replica
