// SPDX-License-Identifier: Apache-2.0
// One stored value of a key: what a client wrote, or the tombstone of a delete.
#pragma once

#include <cstdint>
#include <string>

#include "base/coding.h"
#include "base/time.h"
#include "causal/actor.h"

namespace lariat::causal {

// Room for what surrounds the bytes of one value or one history entry.
inline constexpr size_t kOverheadBytes = 40;

struct Value {
  bool tombstone = false;
  base::WallTime written;    // for people: "timestamp", Last-Modified; never decides in dvv
  int64_t expires_ms = 0;    // absolute, wall-clock ms; 0 = never
  std::string content_type;  // empty = not given
  std::string bytes;
  bool operator==(const Value&) const = default;

  bool ExpiredAt(base::WallTime now) const { return expires_ms != 0 && expires_ms <= now.ms; }
  bool LiveAt(base::WallTime now) const { return !tombstone && !ExpiredAt(now); }
  // About, and rather more: so that what it is encoded to seldom grows.
  size_t BytesExpected() const { return bytes.size() + content_type.size() + kOverheadBytes; }
};

struct DottedValue {
  Dot dot;
  Value value;
  bool operator==(const DottedValue&) const = default;
};

// Canonical, docs/formats/object.md. After bad bytes the reader is not ok().
void EncodeValue(const Value& value, base::ByteWriter* out);
Value DecodeValue(base::ByteReader* in);

}  // namespace lariat::causal
