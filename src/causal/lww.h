// SPDX-License-Identifier: Apache-2.0
// Last-writer-wins register with a total order: (stamp, node, tombstone over value, value bytes).
// Join takes the greater; commutative, associative, idempotent. A value type.
#pragma once

#include <compare>
#include <optional>

#include "base/coding.h"
#include "causal/hlc.h"
#include "causal/value.h"

namespace lariat::causal {

// What tells one write of a register from another: nodes do not use a stamp twice.
struct RegisterId {
  HlcStamp stamp;
  uint64_t node = 0;
  auto operator<=>(const RegisterId&) const = default;
};

// What a replica says of a register that it was given. Numbers are sent; never reuse one.
enum class Standing : uint8_t {
  kHeld = 0,       // it is the replica's value, or was until a greater one came
  kNeverHeld = 1,  // a greater one was there first, so it never was and never will be
  kUnsure = 2,     // a greater one is there; what was before is not known any more
};

struct LwwRegister {
  HlcStamp stamp;
  uint64_t node = 0;
  Value value;
  bool operator==(const LwwRegister&) const = default;

  RegisterId Id() const { return {stamp, node}; }
  bool Loses(const LwwRegister& other) const;  // other is strictly greater
  void Join(const LwwRegister& other);
  void Encode(base::ByteWriter* out) const;
  static std::optional<LwwRegister> Decode(base::ByteReader* in);
};

}  // namespace lariat::causal
