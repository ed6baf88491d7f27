// SPDX-License-Identifier: Apache-2.0
// What comparisons read of this node, put together from all its shards, and what is removed there.
// Lives on shard 0 and is called on its thread only.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "healing/shards.h"
#include "peers/home.h"
#include "repair/exchange/source.h"

namespace lariat::healing {

// Removes records of this node's, all of one bucket, by Replica::RemoveIf on the shards that own
// them, each only if `allowed` says so on that shard at that moment (otherwise kStaleEpoch). Gives
// the keys that were skipped because requests work on them.
struct OwnWorld {
  Shards& shards;
  peers::Home& home;
};
using RemovedDone = base::UniqueFunction<void(base::Result<std::vector<std::string>>)>;
void RemoveOwn(const OwnWorld& world, std::vector<std::string> data_keys,
               std::function<bool(const LocalShard&)> allowed, RemovedDone done);

class OwnRecords final : public repair::SourcePort {
 public:
  // `fence`: of the view that the reads go by; nothing while there is none.
  OwnRecords(Shards& shards, peers::Home& home, std::function<std::optional<uint64_t>()> fence)
      : shards_(shards), home_(home), fence_(std::move(fence)) {}

  void Leaves(uint32_t bucket, uint32_t first, uint32_t last, LeavesDone done) override;
  void StateOf(uint32_t bucket, TreeStateDone done) override;
  void Read(std::vector<std::string> data_keys, ObjectsDone done) override;

 private:
  Shards& shards_;
  peers::Home& home_;
  const std::function<std::optional<uint64_t>()> fence_;
};

}  // namespace lariat::healing
