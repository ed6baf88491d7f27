// SPDX-License-Identifier: Apache-2.0
// What a coordinator needs from its node: replicas to talk to (its own included, by the same
// calls) and the local making of events. Implemented by src/node; faked in tests.
//
// Threads: the shard's thread; callbacks come on it, exactly once, possibly before the call
// returns.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "base/result.h"
#include "base/time.h"
#include "base/unique_function.h"
#include "causal/object.h"
#include "membership/topology.h"
#include "wire/messages.h"

namespace lariat::coordinator {

struct UpdateRequest {
  uint32_t bucket = 0;
  uint64_t token = 0;
  std::string key;
  causal::Change change;
  membership::Durability durability = membership::Durability::kSync;
  std::string idempotency_key;
  std::string bucket_name;  // contexts given out are bound to it
  uint64_t fence = 0;       // of the view that the write was planned by
  // Number of a member for which this node stands in: the event is made in what it keeps for that
  // one. 0: in its own record.
  uint64_t hint_for = 0;
};
struct UpdateResult {
  std::string object;
  causal::Context context;
  std::map<uint64_t, uint64_t> version;
  std::string idempotency_answer;  // wire::WriteAnswer bytes
  bool replayed = false;
  // Not null: the replica's view has another fence. Nothing was done, and the request is given back
  // as it was so that the write can be planned again; the rest is empty.
  std::unique_ptr<UpdateRequest> stale;
  // Of a kind ordered by clock; kUnsure: the replica may lack records.
  causal::Standing standing = causal::Standing::kHeld;
  bool tell_when_durable = false;  // nobody may be sent the event before it is durable here
  causal::Shown shown;             // by an operation on a value that merges
};

// A replica as the operation knows it that sends to it. Indexes mean nothing in another view than
// the one they were taken from, and the shard may have a newer one by now.
struct Destination {
  const membership::View& view;  // for the length of the call
  ring::NodeIndex node;
  base::Duration timeout;
};

struct OwedKey {
  uint32_t bucket = 0;
  uint64_t token = 0;
  std::string key;
};

// What transports say, for people, of a request that they certainly did not send.
inline constexpr const char* kNotSent = "the request was not sent";

// Requests carry the fence of the view that they were planned by. A replica, the own one too, whose
// view has another fence refuses with kStaleEpoch: certainly not done.
class ReplicaPort {
 public:
  virtual ~ReplicaPort() = default;
  using ReadDone = base::UniqueFunction<void(wire::ReadReply)>;
  using WriteDone = base::UniqueFunction<void(wire::WriteReply)>;
  using ScanDone = base::UniqueFunction<void(wire::ScanReply)>;
  // An error: it was certainly not sent. What the other node says, and that nothing is known, is a
  // reply with an outcome.
  using ForwardDone = base::UniqueFunction<void(base::Result<wire::ForwardedWriteReply>)>;
  using UpdateDone = base::UniqueFunction<void(base::Result<UpdateResult>)>;
  using DurableDone = base::UniqueFunction<void(base::Status)>;

  // A reply that never comes is given as Code::kTimeout after `timeout`.
  virtual void Read(const Destination& to, wire::ReadRequest&& request, ReadDone done) = 0;
  virtual void Write(const Destination& to, wire::WriteRequest&& request, WriteDone done) = 0;
  // kUnsupported: the node's build is older.
  virtual void Scan(const Destination& to, wire::ScanRequest&& request, ScanDone done) = 0;
  // An error kUnavailable: another node may be asked.
  virtual void Forward(const Destination& to, wire::ForwardedWrite request, ForwardDone done) = 0;
  // On this node's own replica.
  virtual void Update(UpdateRequest&& request, UpdateDone updated, DurableDone durable) = 0;
  // The node has not acknowledged what this node's own replica holds of the key: it is owed a hint.
  // Nobody waits for it; where it cannot be kept the range is marked for repair.
  virtual void Owe(const membership::View& view, ring::NodeIndex node, OwedKey key) = 0;
  // This node itself is always alive.
  virtual bool IsAlive(const membership::View& view, ring::NodeIndex node) const = 0;
  // False: asked last, for example because it is being drained. It still counts as alive.
  virtual bool IsPreferred(const membership::View&, ring::NodeIndex) const { return true; }
};

// The cluster-wide side of a coordinator: bucket definitions and the seal of a young cluster.
class ClusterPort {
 public:
  virtual ~ClusterPort() = default;
  virtual void SetBucket(membership::BucketProperties bucket,
                         base::UniqueFunction<void(base::Status)> done) = 0;
  // Closes the list of first members before the first write (formation_core.h).
  virtual void Seal(base::UniqueFunction<void(base::Status)> done) = 0;
  // The node has refused a request as stale: it and this node shall exchange their documents.
  // Called for each refused request, so it has to be cheap. The result shows as a new view, here or
  // there.
  virtual void Reconcile(std::shared_ptr<const membership::View> view, ring::NodeIndex node) = 0;
  // kClockOff while stamps and expiries may not be made by this node's clock.
  virtual base::Status CheckClock() const { return {}; }
};

}  // namespace lariat::coordinator
