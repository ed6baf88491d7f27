// SPDX-License-Identifier: Apache-2.0
// Errors are values. A code exists only if some caller reacts to it; numbers are part of the peer
// protocol and are never reused. Text for people is made where the error is made; protocol text
// (HTTP status, JSON) is made once, at the edge.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>

namespace lariat::base {

enum class Code : uint8_t {
  kOk = 0,
  kInvalidArgument = 1,       // the request can never succeed as it is
  kNotFound = 2,              // no live value (a tombstone or an expired value too)
  kPreconditionFailed = 3,    // a conditional write lost
  kTooLarge = 4,              // a named limit on size
  kTooManySiblings = 5,       // limits.siblings reached: resolve first
  kInsufficientReplicas = 6,  // definitely not done: too few replicas alive, known before waiting
  kUnavailable = 7,           // definitely not done: the node cannot serve this now
  kOverloaded = 8,            // definitely not done: a queue is full; try again later
  kTimeout = 9,               // reads: no answer in time (nothing was changed)
  kUnknown = 10,              // writes: may or may not have been applied
  kCorruption = 11,           // stored bytes do not match their checksum
  kIo = 12,                   // the disk or the network said no
  kStalled = 13,              // the engine asks writers to wait
  kDiskFull = 14,             // definitely not done: no room
  kUnsupported = 15,          // asked for something that this version does not have
  kStaleEpoch = 16,           // the sender's topology is not the receiver's
  kConflict = 17,             // not possible in the present state (for example wrong bucket kind)
  kInternal = 18,
  kObjectTooLarge = 21,   // limits.object_bytes reached: resolve first
  kNotCovered = 23,       // reads: nobody who could be asked in time has what the client has seen
  kUnauthenticated = 45,  // who asks has to say who that is, and prove it
  kForbidden = 46,        // who asks may not do that
  kRateLimited = 47,      // definitely not done: the caller's limit, not the node's; try later
  kClockOff = 22,  // definitely not done: this node's clock is not to be believed; ask another
  // Values that merge (causal/types): all are definitely not done.
  kWrongType = 40,          // the bucket's values are of another type
  kElementTooLarge = 41,    // one element or field
  kOperationTooLarge = 42,  // elements or bytes of one operation
  kTooManyElements = 43,    // limits.object_bytes reached by what the key holds
};

std::string_view CodeName(Code code);

// What a key of a serial bucket holds instead of what a condition asked for.
struct Winner {
  uint64_t version = 0;
  std::optional<std::string> value;  // nullopt: none, or it is not known any more
};

struct [[nodiscard]] Error {
  Code code = Code::kInternal;
  std::string message;
  // For kInsufficientReplicas: what the consistency level needs and what is alive. 0 elsewhere.
  uint32_t needed = 0;
  uint32_t alive = 0;
  // Of kPreconditionFailed in serial buckets; co-owned by the error's copies.
  std::shared_ptr<const Winner> winner = nullptr;
};

template <typename T>
using Result = tl::expected<T, Error>;
using Status = Result<void>;

inline tl::unexpected<Error> Fail(Code code, std::string message) {
  return tl::unexpected<Error>(Error{code, std::move(message)});
}
inline tl::unexpected<Error> Fail(Error error) { return tl::unexpected<Error>(std::move(error)); }

}  // namespace lariat::base
