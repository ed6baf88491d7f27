// SPDX-License-Identifier: Apache-2.0
// What an operation ended in: a value or an Error, and in both cases an Outcome, which says whether
// the cluster did it. Values; C++17.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace lariat {

enum class Outcome : uint8_t {
  Done,
  NotDone,  // definitely: nothing was changed, and nothing will be
  Unknown,  // a write that may have been applied, or may be later: repeat it with its
            // idempotency key, or read
};

// Numbers are never reused.
enum class Code : uint8_t {
  Ok = 0,
  InvalidArgument = 1,       // can never succeed as it is
  NotFound = 2,              // no such key or bucket; a deleted key too
  PreconditionFailed = 3,    // a conditional write lost
  Conflict = 4,              // not possible as things are (for example a bucket of another kind)
  TooLarge = 5,              // a limit on sizes; the message names it
  TooManySiblings = 6,       // read, resolve, and write with the context first
  InsufficientReplicas = 7,  // too few alive for the level, known before anything was sent
  Unavailable = 8,           // the nodes that were asked cannot do it now
  Overloaded = 9,            // of the cluster, or this client's max_in_flight
  RateLimited = 10,          // a limit of the bucket, user or key
  Timeout = 11,              // no answer within the deadline
  Unknown = 12,              // replicas did not answer in time: the write may have been applied
  NotAuthorized = 13,        // who asks is not known, or may not
  Unreachable = 14,          // no node of the cluster could be reached
  Closed = 15,               // the client was closed
  Protocol = 16,             // an answer that is none
  Server = 17,               // an error of the node, never of the request
  NotCovered = 18,           // no reachable replica has what this session has seen
};

std::string_view NameOf(Code code);  // "insufficient_replicas"

struct [[nodiscard]] Error {
  Code code = Code::Server;
  std::string message;                 // for people; names the node where one is to blame
  Outcome outcome = Outcome::NotDone;  // never Done
};

// Either a T or an Error. What does not hold what is asked for throws std::bad_variant_access.
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : either_(std::move(value)) {}      // NOLINT: a value is a result
  Result(Error error) : either_(std::move(error)) {}  // NOLINT: and so is an error

  bool ok() const { return either_.index() == 0; }
  explicit operator bool() const { return ok(); }
  Code code() const { return ok() ? Code::Ok : error().code; }
  Outcome outcome() const { return ok() ? Outcome::Done : error().outcome; }

  const T& value() const& { return std::get<0>(either_); }
  T& value() & { return std::get<0>(either_); }
  T&& value() && { return std::get<0>(std::move(either_)); }
  const T& operator*() const { return value(); }
  const T* operator->() const { return &value(); }
  const Error& error() const { return std::get<1>(either_); }

 private:
  std::variant<T, Error> either_;
};

}  // namespace lariat
