// SPDX-License-Identifier: Apache-2.0
// The state of a key of a serial bucket as one acceptor holds it: what it accepted last and under
// which ballot (docs/serial.md). The promise is no part of it: replicas that agree differ there, so
// it lies beside the object in the record (docs/formats/record.md).
//
//   object  [version 1][kind 10][accepted ballot, 24 bytes][body]
//   body    version, value or tombstone, answers to requests with an id
//
// The body is the register that consensus decides; a round that changes nothing has the same body
// under another ballot. Join takes the greater ballot, and is only for copies that nobody votes by:
// an acceptor takes a state as a late accept, through consensus::Acceptor. A value type.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/coding.h"
#include "base/hash.h"
#include "base/result.h"
#include "causal/change.h"
#include "causal/value.h"
#include "consensus/ballot.h"

namespace lariat::causal {

struct SerialState {
  static constexpr Kind kKind = Kind::kSerial;
  // What became of a request with an Idempotency-Key: a repeat is told the same. Numbers are
  // stored; never reuse one.
  struct Answer {
    base::Hash128 id;
    int64_t written_ms = 0;
    bool lost = false;     // its condition was not met, by:
    uint64_t version = 0;  // what the key had, or has got by it
    bool operator==(const Answer&) const = default;
  };

  consensus::Ballot accepted;  // zero: nothing was accepted, and the rest is empty
  uint64_t version = 0;        // grows with each write and delete; 0: never written
  Value value = {
      .tombstone = true, .written = {}, .expires_ms = 0, .content_type = {}, .bytes = {}};
  std::vector<Answer> answers;  // oldest first
  bool operator==(const SerialState&) const = default;

  bool Empty() const { return accepted.IsZero(); }
  void Join(const SerialState& other) {
    if (accepted < other.accepted) *this = other;
  }
  template <typename Use>
  void ForEachValue(Use use) const {
    if (!Empty()) use(Dot{{accepted.node, accepted.incarnation, 0}, version}, value);
  }
  // Plain writes do not meet such keys: kInvalidArgument.
  base::Result<Applied> Apply(Change&& change, const Author& author);
  bool CoveredBy(const Context& context) const { return version <= context.lww_stamp.packed; }
  Context WholeContext() const { return {{}, {version}, 0}; }
  uint64_t LastEventOf(const Actor&) const { return 0; }
  bool CanFold() const { return false; }
  bool Fold() { return false; }
  std::map<uint64_t, uint64_t> Version() const { return {{0, version}}; }

  size_t BytesExpected() const;
  void Encode(base::ByteWriter* out) const;
  static std::optional<SerialState> Decode(base::ByteReader* in);

  std::string Body() const;
  // Without a ballot. kCorruption for what is no body.
  static base::Result<SerialState> OfBody(std::string_view body);
};

// An object's bytes, taken apart and put together without looking into the body.
struct SerialParts {
  consensus::Ballot accepted;
  std::string_view body;  // points into the object
};
std::optional<SerialParts> SerialPartsOf(std::string_view object);
std::string SerialObject(const consensus::Ballot& accepted, std::string_view body);

}  // namespace lariat::causal
