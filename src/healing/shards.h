// SPDX-License-Identifier: Apache-2.0
// What healing and moving data need of the shards of their node: their replicas, each on its own
// thread, and this node's records, whichever shard owns them.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "base/result.h"
#include "base/time.h"
#include "base/unique_function.h"
#include "membership/topology.h"
#include "replica/replica.h"
#include "storage/engine.h"
#include "wire/messages.h"

namespace lariat::healing {

// One of them. Everything on its own thread, except Post.
class LocalShard : public storage::CompletionQueue {
 public:
  virtual replica::Replica& replica() = 0;
  // What it works by; null before there is one.
  virtual const std::shared_ptr<const membership::View>& view() const = 0;
};

// Why a node gives itself a record that it did not have.
enum class IngestWhy : uint8_t { kMoved, kRepaired, kHinted };

// On shard 0's thread, and calls back on it, except where said.
class Shards {
 public:
  virtual ~Shards() = default;
  virtual uint32_t count() const = 0;             // thread-safe
  virtual LocalShard& shard(uint32_t index) = 0;  // thread-safe
  virtual replica::HintBudget& hint_budget() const = 0;
  // Requests of clients that were answered so far, and the time they took together. Thread-safe.
  virtual std::pair<uint64_t, base::Duration> RequestsSoFar() const = 0;

  // Joins a record that another node gave, on the shard that owns its token; ok when it is durable.
  using StatusDone = base::UniqueFunction<void(base::Status)>;
  virtual void Ingest(replica::KeyRef key, std::string object, StatusDone done, IngestWhy why) = 0;
  // This node's own record; kStaleEpoch if its shard works by another fence.
  using ReadDone = base::UniqueFunction<void(wire::ReadReply)>;
  virtual void Read(uint64_t fence, replica::KeyRef key, ReadDone done) = 0;
  // For comparisons: also while reads are refused.
  virtual void ReadInDoubt(uint64_t fence, replica::KeyRef key, ReadDone done) = 0;
};

}  // namespace lariat::healing
