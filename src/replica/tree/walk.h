// SPDX-License-Identifier: Apache-2.0
// Reads the records of unknown leaves in the background until the shard's trees are complete:
// after a start without trees, and when a leaf could not follow a change. Throttled.
//
// Threads: one shard's thread.
#pragma once

#include <cstdint>
#include <memory>

#include "base/lifetime.h"
#include "base/time.h"
#include "replica/tree/recount.h"

namespace lariat::replica {

class TreeWalk {
 public:
  TreeWalk(uint64_t bytes_per_s, TreeUpkeep& tree, storage::Engine& engine,
           storage::CompletionQueue& queue, telemetry::Metrics& metrics);
  ~TreeWalk();

  void SetRate(uint64_t bytes_per_s) { bytes_per_s_ = bytes_per_s; }
  // Goes on if it may. Call every few milliseconds.
  void Tick(base::Instant now);

 private:
  void Go();
  void Discover();
  bool FindRun();
  void OnStep(const base::Status& status);

  uint64_t bytes_per_s_;
  TreeUpkeep& tree_;
  storage::Engine& engine_;
  storage::CompletionQueue& queue_;
  telemetry::Metrics& metrics_;
  base::Instant now_{};
  base::Instant not_before_{};
  double allowance_ = 0;  // bytes
  bool busy_ = false;
  uint64_t next_bucket_ = 0;    // to look for
  bool discovered_ = false;     // all buckets that hold records
  LeafPlace at_;                // go on with unknown leaves from here
  bool left_some_ = false;      // that could not be read
  uint64_t bytes_counted_ = 0;  // of the recount's
  std::unique_ptr<Recount> recount_;
  base::Lifetime lifetime_;
};

}  // namespace lariat::replica
