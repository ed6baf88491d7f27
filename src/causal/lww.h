// SPDX-License-Identifier: Apache-2.0
// Last-writer-wins register with a total order: (stamp, node, tombstone over value, value bytes).
// Join takes the greater; commutative, associative, idempotent. A value type.
#pragma once

#include <optional>

#include "base/coding.h"
#include "causal/hlc.h"
#include "causal/value.h"

namespace lariat::causal {

struct LwwRegister {
  HlcStamp stamp;
  uint64_t node = 0;
  Value value;
  bool operator==(const LwwRegister&) const = default;

  bool Loses(const LwwRegister& other) const;  // other is strictly greater
  void Join(const LwwRegister& other);
  void Encode(base::ByteWriter* out) const;
  static std::optional<LwwRegister> Decode(base::ByteReader* in);
};

}  // namespace lariat::causal
