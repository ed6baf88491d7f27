// SPDX-License-Identifier: Apache-2.0
#include "causal/value.h"

namespace lariat::causal {
namespace {

// Bits of the flags byte; stored, never reuse one.
constexpr uint8_t kTombstone = 1;
constexpr uint8_t kExpires = 2;
constexpr uint8_t kContentType = 4;
constexpr uint8_t kAllFlags = kTombstone | kExpires | kContentType;

}  // namespace

void EncodeValue(const Value& value, base::ByteWriter* out) {
  const bool expires = value.expires_ms != 0;
  const bool typed = !value.content_type.empty();
  out->U8(static_cast<uint8_t>((value.tombstone ? kTombstone : 0) | (expires ? kExpires : 0) |
                               (typed ? kContentType : 0)));
  out->Varint(static_cast<uint64_t>(value.written.ms));
  if (expires) out->Varint(static_cast<uint64_t>(value.expires_ms));
  if (typed) out->Sized(value.content_type);
  out->Sized(value.bytes);
}

Value DecodeValue(base::ByteReader* in) {
  Value value;
  const uint8_t flags = in->U8();
  if ((flags & ~kAllFlags) != 0) in->MarkBad();
  value.tombstone = (flags & kTombstone) != 0;
  value.written.ms = static_cast<int64_t>(in->Varint());
  if ((flags & kExpires) != 0) {
    value.expires_ms = static_cast<int64_t>(in->Varint());
    if (value.expires_ms == 0) in->MarkBad();
  }
  if ((flags & kContentType) != 0) {
    value.content_type = in->Sized();
    if (value.content_type.empty()) in->MarkBad();
  }
  value.bytes = in->Sized();
  return value;
}

}  // namespace lariat::causal
