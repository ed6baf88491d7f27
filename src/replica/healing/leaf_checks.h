// SPDX-License-Identifier: Apache-2.0
// Reads all records of a leaf again, verifies them, and corrects the tree if it says anything else;
// any number of leaves at a time. A shard's thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>

#include "base/result.h"
#include "base/unique_function.h"
#include "replica/record/records.h"
#include "replica/tree/leaf_check.h"
#include "replica/tree/recount.h"

namespace lariat::replica {

class LeafChecks {
 public:
  LeafChecks(TreeUpkeep& tree, const ShardEnv& env) : tree_(tree), env_(env) {}

  // The shard's part of the leaf; of another shard's leaf there is none. An error: not all of its
  // records could be read.
  using Done = base::UniqueFunction<void(base::Result<LeafCheck>)>;
  void Check(storage::BucketId bucket, uint32_t leaf, Done done);

 private:
  void Step(uint64_t id, Done done);

  TreeUpkeep& tree_;
  ShardEnv env_;
  std::map<uint64_t, std::unique_ptr<Recount>> checks_;  // under way
  uint64_t begun_ = 0;
};

}  // namespace lariat::replica
