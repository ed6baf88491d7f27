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

// For people: node name -> that node's events. In serial buckets one number that only grows, under
// the empty name.
using Version = std::map<std::string, uint64_t>;
inline bool IsSerialVersion(const Version& version) {
  return version.size() == 1 && version.begin()->first.empty();
}

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
  // In serial buckets: by a full round, which settles what an earlier unknown write left.
  bool confirm = false;
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

// Keys with the prefix, from `start` on and before `end`, in byte order. "" and nothing: no bound.
struct KeyBounds {
  std::string prefix;
  std::string start;
  std::optional<std::string> end;
};

inline constexpr int64_t kListLimitDefault = 100;
inline constexpr int64_t kListLimitMax = 1000;

// A page of a bucket's keys that have a value. With bounds, those between them in byte order; they
// have to lie in one {hash tag}. Without, all keys of the bucket in the order of their tokens.
struct ListRequest {
  std::string bucket;
  std::optional<KeyBounds> bounds;
  int64_t limit = kListLimitDefault;
  std::string cursor;  // of an earlier reply; empty: from the start
  bool values = false;
  // Begins at this token. Without values it ends behind the last key of a token, so that a token is
  // all that a cursor has to say. Without bounds and cursor.
  std::optional<uint64_t> from_token;
  Consistency consistency;
  Caller caller;
};
struct ListedKey {
  std::string key;
  GetReply shown;  // as a Get of the key shows it; empty if values were not asked for
};
// May be empty and go on all the same: the work of a page is bounded by what is looked at.
struct ListReply {
  std::vector<ListedKey> keys;
  std::string cursor;       // empty: nothing is left
  uint64_t next_token = 0;  // of a page that ends with a token; 0: nothing is left
};

// How much a bucket holds, from samples of its keys at places spread over it. Exact where it is not
// much; otherwise within a few percent, unless a few hash tags hold most of the keys.
struct EstimateRequest {
  std::string bucket;
  bool values = false;  // of the values too
  Consistency consistency;
  Caller caller;
};
struct EstimateReply {
  uint64_t keys = 0;
  bool exact = false;
  uint64_t sampled = 0;  // keys looked at
  // With values:
  uint64_t value_bytes = 0;
  uint64_t conflicts = 0;  // keys with siblings
  struct LargeKey {
    std::string key;
    uint64_t bytes = 0;
  };
  std::vector<LargeKey> largest;  // of those sampled, the largest first
};

using EstimateDone = base::UniqueFunction<void(base::Result<EstimateReply>)>;
using ListDone = base::UniqueFunction<void(base::Result<ListReply>)>;
using GetDone = base::UniqueFunction<void(base::Result<GetReply>)>;
using WriteDone = base::UniqueFunction<void(base::Result<WriteReply>)>;
using StatusDone = base::UniqueFunction<void(base::Status)>;

class KvService {
 public:
  virtual ~KvService() = default;
  virtual void Get(GetRequest request, GetDone done) = 0;
  virtual void Write(WriteRequest request, WriteDone done) = 0;
  // A quorum read of a page. Every key that has a value from the first page's begin to the last
  // one's end is in exactly one of the pages, whatever becomes of the cluster meanwhile.
  // kInvalidArgument: a limit out of bounds, a cursor that is none, or of another list.
  virtual void List(ListRequest request, ListDone done) = 0;
  virtual void Estimate(EstimateRequest request, EstimateDone done) = 0;

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
