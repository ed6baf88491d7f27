// SPDX-License-Identifier: Apache-2.0
#include "causal/lww.h"

#include <tuple>

namespace lariat::causal {
namespace {

// The fields after the bytes matter only if one node used one stamp twice for equal bytes. They are
// here so that the order is total, and Join therefore commutative, whatever arrives.
auto Rank(const LwwRegister& r) {
  return std::tie(r.stamp, r.node, r.value.tombstone, r.value.bytes, r.value.content_type,
                  r.value.expires_ms, r.value.written);
}

}  // namespace

bool LwwRegister::Loses(const LwwRegister& other) const { return Rank(*this) < Rank(other); }

void LwwRegister::Join(const LwwRegister& other) {
  if (Loses(other)) *this = other;
}

void LwwRegister::Encode(base::ByteWriter* out) const {
  out->U64(stamp.packed);
  out->U64(node);
  EncodeValue(value, out);
}

std::optional<LwwRegister> LwwRegister::Decode(base::ByteReader* in) {
  LwwRegister r;
  r.stamp.packed = in->U64();
  r.node = in->U64();
  r.value = DecodeValue(in);
  if (!in->ok()) return std::nullopt;
  return r;
}

}  // namespace lariat::causal
