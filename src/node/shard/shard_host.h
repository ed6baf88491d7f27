// SPDX-License-Identifier: Apache-2.0
// What a shard needs of its node, beyond the other shards: the parts that live on shard 0. Nothing
// of it stands in the way of a read or a write. Called on any shard's thread.
#pragma once

#include <cstdint>
#include <vector>

#include "base/result.h"
#include "base/unique_function.h"
#include "membership/topology.h"
#include "node/past/past.h"
#include "replica/dirty_marks.h"
#include "storage/engine.h"
#include "wire/messages.h"

namespace lariat::node {

class ShardHost {
 public:
  using StatusDone = base::UniqueFunction<void(base::Status)>;
  virtual ~ShardHost() = default;

  // A request that is not about keys. `fence`: that of its envelope. `from_shard`: the caller.
  // Calls back on shard 0's thread.
  struct ClusterRequest {
    base::Uuid from;
    uint64_t fence = 0;
    wire::Body body;
    uint32_t from_shard = 0;
  };
  virtual void OnClusterRequest(ClusterRequest request,
                                base::UniqueFunction<void(wire::Body)> done) = 0;
  // They call back through `back`.
  virtual void SetBucket(membership::BucketProperties bucket, storage::CompletionQueue& back,
                         StatusDone done) = 0;
  virtual void Seal(storage::CompletionQueue& back, StatusDone done) = 0;
  // The member with that number and this node shall exchange their documents.
  virtual void ExchangeDocuments(uint64_t number, uint32_t from_shard) = 0;
  // Hints could not be kept there.
  virtual void MarkDirty(std::vector<replica::DirtyMark> marks) = 0;
  // The connection of that shard to a member.
  virtual void OnPeerUp(uint64_t number, uint32_t from_shard) = 0;
  virtual void OnPeerDown(uint64_t number) = 0;
  // Only what is thread-safe there.
  virtual Past& past() = 0;
};

}  // namespace lariat::node
