// SPDX-License-Identifier: Apache-2.0
// What clients' operations do to the state of a key of a serial bucket. All that wait for one key
// go in one proposal: they are applied one after another, and each has an outcome of its own.
//
//   state v7 "a" | put "b" if 7 -> v8 | put "c" if 7 -> lost to v8 "b" | read -> v8 "b"
//
// A value past its expiry is first replaced by a tombstone, which is a write like any other: so
// whoever has seen that it is gone has made it so for all. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/hash.h"
#include "base/result.h"
#include "base/time.h"
#include "causal/change.h"
#include "causal/serial/serial.h"

namespace lariat::serial {

// Requests with an id that a key remembers, for so long: further ones are refused meanwhile.
inline constexpr size_t kAnswersMax = 1000;
inline constexpr int64_t kAnswerMs = 24 * 3600 * 1000;

struct Op {
  enum class Kind : uint8_t { kRead, kPut, kDelete };
  Kind kind = Kind::kRead;
  causal::Value value;  // of a put
  // What has to be true of the key; all that is given.
  std::optional<uint64_t> if_version;    // of a value that is there
  std::optional<uint64_t> if_version_2;  // the client's context, beside If-Match
  bool if_any = false;                   // it has a value
  bool if_none = false;                  // it has none
  std::optional<std::string> expect;     // it has this value
  std::optional<base::Hash128> id;       // of the request: a repeat gets the first answer

  bool IsWrite() const { return kind != Kind::kRead; }
};

// Takes value and content type out of the write. `ttl_s`: the bucket's.
base::Result<Op> OpOf(causal::ClientWrite* write, const std::string& idempotency_key,
                      const causal::ChangeTerms& terms);

struct Outcome {
  enum class Kind : uint8_t { kDone, kLost, kTooManyIds };
  Kind kind = Kind::kDone;
  bool replayed = false;
  uint64_t version = 0;                // after it; of what it lost to
  int64_t written_ms = 0;              // of the value or tombstone
  std::optional<causal::Value> value;  // reads and kLost: what is there, if anything
  uint32_t replicas = 0;               // that had it before the answer; set by who asked them
};

struct Terms {
  base::WallTime now;
  int64_t drift_ms = 0;  // expiries are honoured so much later
};

// Whether the value has expired beyond doubt, or is a tombstone.
bool IsGone(const causal::Value& value, const Terms& terms);
// Applies the operations in order; a result for each. True: the state became another one.
bool Apply(std::span<const Op> ops, const Terms& terms, causal::SerialState* state,
           std::vector<Outcome>* results);
// The recorded answer to the request, if the state knows it.
std::optional<Outcome> AnswerTo(const base::Hash128& id, const causal::SerialState& state,
                                const Terms& terms);

// What became of an operation whose round ended as unknown. `made`: what came of it in the proposal
// that went out; `confirmed`: what the key held afterwards by a round, null if that is not known.
enum class Fate : uint8_t {
  kUnknown,
  kAnswered,  // it is in: AnswerTo says how
  kOut        // it is in no state that can still be decided, or had no effect: it may be made again
};
Fate FateOf(const Op& op, const Outcome& made, const causal::SerialState* confirmed,
            const Terms& terms);

}  // namespace lariat::serial
