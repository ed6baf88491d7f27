// SPDX-License-Identifier: Apache-2.0
// Messages by which replicas heal: comparison of hash trees, exchange of what differs, hints, and
// the proofs of the stability sweep. Part of messages.h. Every request carries the fence in its
// envelope and is refused with kStaleEpoch by a node that works by another topology.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/hash.h"
#include "wire/outcome.h"

namespace lariat::wire {

// Tokens in (from, to], over zero if to <= from; from == to is the whole ring.
struct TokenSpan {
  uint64_t from = 0;
  uint64_t to = 0;
  bool operator==(const TokenSpan&) const = default;
};
inline constexpr size_t kSpansMax = 4096;           // in one request
inline constexpr size_t kRecordsMax = 4096;         // in one request, page or push
inline constexpr size_t kRecordBytesMax = 4 << 20;  // of one page or push

// A record's storage key and the digest of its object.
struct KeyDigest {
  std::string key;  // storage::DataKey
  base::Hash128 digest;
  bool operator==(const KeyDigest&) const = default;
};

// What the receiver holds of the bucket in each span, as hashes of its tree.
struct TreeRequest {
  uint32_t bucket = 0;
  std::vector<TokenSpan> spans;
};
struct TreeReply {
  struct Hash {
    base::Hash128 hash;
    uint64_t keys = 0;
    bool known = true;  // false: the receiver is still reading that part of its data
  };
  Outcome outcome;
  std::vector<Hash> hashes;  // of each span, in order
};

// The keys of one span and their digests, in key order.
struct LeafRequest {
  uint32_t bucket = 0;
  TokenSpan span;
  std::string after_key;  // go on after this one; "": from the start
};
struct LeafReply {
  Outcome outcome;
  std::vector<KeyDigest> entries;
  std::string last_key;
  bool done = false;
};

// The objects of these keys.
struct FetchRequest {
  std::vector<std::string> keys;  // storage::DataKey
  bool certain = false;           // a node that may have lost records refuses (kUnavailable)
};
struct FetchReply {
  struct Entry {
    std::string key;
    std::string object;
    bool operator==(const Entry&) const = default;
  };
  Outcome outcome;
  // Without those that are not there. Less than was asked for when it would be too much for one
  // message: whoever asked asks again for what comes behind the last one.
  std::vector<Entry> entries;
  bool complete = true;
};

// States to be joined into what the receiver holds; answered when all are durable.
enum class PushKind : uint8_t { kRepair = 0, kHint = 1 };
struct RecordPush {
  PushKind kind = PushKind::kRepair;
  std::vector<FetchReply::Entry> entries;
};
struct RecordPushReply {
  Outcome outcome;  // kOk: all of them
};

// What could still bring back an old state of these keys, apart from their replicas.
struct HintsRequest {
  std::vector<std::string> keys;  // storage::DataKey
};
struct HintsReply {
  Outcome outcome;
  std::vector<std::string> hinted;  // those of the keys for which the receiver holds a hint
  // Why the receiver as a whole may hold old records; empty: it does not.
  std::string unclean;
};

// One step of the stability sweep for these keys, each with the digest that is agreed on.
enum class SweepStep : uint8_t { kConfirm = 0, kPurge = 1, kFold = 2 };
enum class SweepState : uint8_t { kSame = 0, kDifferent = 1, kAbsent = 2, kBusy = 3 };
struct SweepRequest {
  SweepStep step = SweepStep::kConfirm;
  std::vector<KeyDigest> keys;
  SweepStep aim = SweepStep::kPurge;  // of kConfirm: what is to be done with them, or kFold
  // Who has confirmed them, and how far that one had got: known durably before anything goes.
  struct Confirmed {
    uint64_t member = 0;  // its number
    uint64_t run = 0;
    uint64_t confirmed = 0;  // Progress::confirmed
  };
  std::vector<Confirmed> confirmed;
};
struct SweepReply {
  Outcome outcome;
  // Of each key: what was found (confirm), or kSame if it was done.
  std::vector<SweepState> states;
  uint64_t run = 0;  // of a replica that confirms; 0: a build that draws none
  uint64_t confirmed = 0;
};

}  // namespace lariat::wire
