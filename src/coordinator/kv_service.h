// SPDX-License-Identifier: Apache-2.0
// What clients can ask of a node, whatever protocol they speak. Frontends translate to and from
// this and know nothing else of the store.
//
// Threads: one KvService per shard, called on the shard's thread; callbacks come on the same
// thread, exactly once, possibly before the call returns. Requests are checked here (key and value
// sizes, bucket names, impossible quorums), so that every protocol refuses the same things.
//
// Outcomes: a value = done. Error kTimeout (reads) = nothing was changed. Error kUnknown (writes) =
// may or may not have been applied. Every other error = definitely not done.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "base/unique_function.h"
#include "causal/change.h"
#include "coordinator/caller.h"
#include "membership/bucket.h"

namespace lariat::coordinator {

enum class Level : uint8_t {
  kBucketDefault = 0,
  kAny,
  kOne,
  kTwo,
  kThree,
  kQuorum,
  kLocalOne,
  kLocalQuorum,
  kEachQuorum,
  kAll,
  kSerial
};

// Of one request; what is not given comes from the bucket.
struct Consistency {
  Level level = Level::kBucketDefault;
  std::optional<int64_t> r, w, pr, pw;  // as given; checked against n by the service
  std::optional<bool> sloppy;
  std::optional<int64_t> timeout_ms;
};

// For people: node name -> that node's events.
using Version = std::map<std::string, uint64_t>;

// How many replicas answered with success before the reply.
struct Participation {
  uint32_t primaries = 0;
  uint32_t fallbacks = 0;
};

struct ShownValue {
  std::string bytes;
  std::string content_type;  // empty = none was given
  base::WallTime written;
  int64_t expires_ms = 0;  // absolute; 0 = never
  Version version;
};

struct GetRequest {
  std::string bucket;
  std::string key;
  Consistency consistency;
  Caller caller;
  // Answered only with a state that covers this, otherwise with kNotCovered; empty is none.
  std::optional<std::string> context = {};
};
struct GetReply {
  std::vector<ShownValue> values;  // none = not found; several = siblings
  Version version;
  base::WallTime timestamp;  // of the newest value shown
  std::string context;       // covers all that is shown; empty if the key was never written
  Participation replicas;
  // Of values that merge there is one, and its bytes are as causal/types/shown.h says.
  causal::Kind kind = causal::Kind::kSiblings;
};

struct WriteRequest {
  std::string bucket;
  std::string key;
  causal::ClientWrite write;  // what is to be done with it
  std::optional<std::string> idempotency_key;
  Consistency consistency;
  Caller caller;
};
struct WriteReply {
  Version version;
  std::string context;  // covers what the client's context covered and its own write, no more
  base::WallTime timestamp;
  Participation replicas;
  bool replayed = false;  // the answer of an earlier request with the same Idempotency-Key
  causal::Shown shown;    // what an operation has made of a value that merges
};

using GetDone = base::UniqueFunction<void(base::Result<GetReply>)>;
using WriteDone = base::UniqueFunction<void(base::Result<WriteReply>)>;
using StatusDone = base::UniqueFunction<void(base::Status)>;

class KvService {
 public:
  virtual ~KvService() = default;
  virtual void Get(GetRequest request, GetDone done) = 0;
  virtual void Write(WriteRequest request, WriteDone done) = 0;

  virtual std::vector<membership::BucketProperties> Buckets() const = 0;  // sorted by name
  virtual base::Result<membership::BucketProperties> Bucket(const std::string& name) const = 0;
  // Creates or changes; `name` chooses. kConflict for what cannot change (conflict kind of an
  // existing bucket). `id`, `version` and `editor` are ignored and set by the service. Done when
  // every node that answers, and a majority of all, has stored it.
  virtual void SetBucket(membership::BucketProperties bucket, Caller caller, StatusDone done) = 0;
  // Limits that frontends apply before they read a body.
  virtual uint64_t ValueBytesMax() const = 0;
};

}  // namespace lariat::coordinator
