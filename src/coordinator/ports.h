// SPDX-License-Identifier: Apache-2.0
// What a coordinator needs from its node: replicas to talk to (its own included, by the same
// calls) and the local making of events. Implemented by src/node; faked in tests.
//
// Threads: the shard's thread; callbacks come on it, exactly once, possibly before the call
// returns.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "base/result.h"
#include "base/time.h"
#include "base/unique_function.h"
#include "causal/object.h"
#include "membership/topology.h"
#include "wire/messages.h"

namespace lariat::coordinator {

enum class Condition : uint8_t { kNone, kNoLiveValue, kAnyLiveValue, kContextCoversAll };

struct UpdateRequest {
  uint32_t bucket = 0;
  uint64_t token = 0;
  std::string key;
  causal::Kind kind = causal::Kind::kSiblings;
  causal::Context context;
  causal::Value value;
  std::optional<int64_t> client_timestamp_ms;
  Condition condition = Condition::kNone;
  membership::Durability durability = membership::Durability::kSync;
  std::string idempotency_key;
  std::string bucket_name;  // contexts given out are bound to it
  size_t siblings_max = 100;
  base::WallTime now;
};
struct UpdateResult {
  std::string object;
  causal::Context context;
  std::map<uint64_t, uint64_t> version;
  std::string idempotency_answer;  // wire::WriteAnswer bytes
  bool replayed = false;
};

// The message of the kUnavailable that a port gives when a request was certainly not sent.
inline constexpr const char* kNotSent = "the request was not sent";

class ReplicaPort {
 public:
  virtual ~ReplicaPort() = default;
  using ReadDone = base::UniqueFunction<void(wire::ReadReply)>;
  using WriteDone = base::UniqueFunction<void(wire::WriteReply)>;
  using ForwardDone = base::UniqueFunction<void(wire::ForwardedWriteReply)>;
  using UpdateDone = base::UniqueFunction<void(base::Result<UpdateResult>)>;
  using DurableDone = base::UniqueFunction<void(base::Status)>;

  // A reply that never comes is given as Code::kTimeout after `timeout`.
  virtual void Read(ring::NodeIndex node, wire::ReadRequest request, base::Duration timeout,
                    ReadDone done) = 0;
  virtual void Write(ring::NodeIndex node, wire::WriteRequest request, base::Duration timeout,
                     WriteDone done) = 0;
  // kUnavailable with kNotSent: another node may be asked.
  virtual void Forward(ring::NodeIndex node, wire::ForwardedWrite request, base::Duration timeout,
                       ForwardDone done) = 0;
  // On this node's own replica.
  virtual void Update(UpdateRequest request, UpdateDone updated, DurableDone durable) = 0;
  // This node itself is always alive.
  virtual bool IsAlive(ring::NodeIndex node) const = 0;
};

// The cluster-wide side of a coordinator: bucket definitions and the seal of a young cluster.
class ClusterPort {
 public:
  virtual ~ClusterPort() = default;
  virtual void SetBucket(membership::BucketProperties bucket,
                         base::UniqueFunction<void(base::Status)> done) = 0;
  // Closes the list of first members before the first write (formation_core.h).
  virtual void Seal(base::UniqueFunction<void(base::Status)> done) = 0;
};

}  // namespace lariat::coordinator
