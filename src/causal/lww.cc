// SPDX-License-Identifier: Apache-2.0
#include "causal/lww.h"

#include <tuple>
#include <utility>

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

base::Result<Applied> LwwRegister::Apply(Change&& change, const Author& author) {
  LwwRegister written{author.stamp, author.actor.node, std::move(change.value)};
  Applied applied{written.WholeContext(), Loses(written)};
  if (applied.changed) *this = std::move(written);
  return applied;
}

std::map<uint64_t, uint64_t> LwwRegister::Version() const {
  if (Empty()) return {};
  return {{node, static_cast<uint64_t>(stamp.WallMs())}};
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
