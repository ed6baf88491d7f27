// SPDX-License-Identifier: Apache-2.0
// Last-writer-wins register with a total order: (stamp, node, tombstone over value, value bytes).
// Join takes the greater; commutative, associative, idempotent. The state of kind `lww`
// (object.h says what each member that all kinds have is for). A value type.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <utility>

#include "base/coding.h"
#include "base/result.h"
#include "causal/change.h"
#include "causal/hlc.h"
#include "causal/value.h"

namespace lariat::causal {

// What a replica says of a register that it was given. Numbers are sent; never reuse one.
enum class Standing : uint8_t {
  kHeld = 0,       // it is the replica's value, or was until a greater one came
  kNeverHeld = 1,  // a greater one was there first, so it never was and never will be
  kUnsure = 2,     // a greater one is there; what was before is not known any more
};

struct LwwRegister {
  static constexpr Kind kKind = Kind::kLww;
  HlcStamp stamp;
  uint64_t node = 0;
  Value value;
  bool operator==(const LwwRegister&) const = default;

  RegisterId Id() const { return {stamp, node}; }
  bool Loses(const LwwRegister& other) const;  // other is strictly greater
  void Join(const LwwRegister& other);

  // Not by the stamp alone: a client may give timestamp 0 to a write that was acknowledged.
  bool Empty() const { return *this == LwwRegister{}; }
  template <typename Use>
  void ForEachValue(Use use) const {
    if (!Empty()) use(Dot{{node, 0, 0}, stamp.packed}, value);
  }
  base::Result<Applied> Apply(Change&& change, const Author& author);
  bool CoveredBy(const Context& context) const { return Id() <= context.Id(); }
  Context WholeContext() const { return {{}, stamp, node}; }
  uint64_t LastEventOf(const Actor&) const { return 0; }
  bool CanFold() const { return false; }
  bool Fold() { return false; }
  std::map<uint64_t, uint64_t> Version() const;

  size_t BytesExpected() const { return value.BytesExpected(); }
  void Encode(base::ByteWriter* out) const;
  static std::optional<LwwRegister> Decode(base::ByteReader* in);
};

}  // namespace lariat::causal
