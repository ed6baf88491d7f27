// SPDX-License-Identifier: Apache-2.0
#include "merkle/leaf_sum.h"

#include "base/coding.h"

namespace lariat::merkle {
namespace {

void AddTo(const base::Hash128& value, base::Hash128* sum) {
  sum->low += value.low;
  sum->high += value.high + (sum->low < value.low ? 1 : 0);
}

void TakeFrom(const base::Hash128& value, base::Hash128* sum) {
  const bool borrow = sum->low < value.low;
  sum->low -= value.low;
  sum->high -= value.high + (borrow ? 1 : 0);
}

LeafSum SumOf(const base::Hash128& entry, const Traits& traits) {
  return {entry, 1, traits.tombstone, traits.expiring, traits.foldable};
}

}  // namespace

LeafSum& LeafSum::operator+=(const LeafSum& other) {
  AddTo(other.sum, &sum);
  keys += other.keys;
  tombstones += other.tombstones;
  expiring += other.expiring;
  foldable += other.foldable;
  return *this;
}

LeafSum& LeafSum::operator-=(const LeafSum& other) {
  TakeFrom(other.sum, &sum);
  keys -= other.keys;
  tombstones -= other.tombstones;
  expiring -= other.expiring;
  foldable -= other.foldable;
  return *this;
}

void LeafSum::Add(const base::Hash128& entry, const Traits& traits) {
  *this += SumOf(entry, traits);
}

void LeafSum::Remove(const base::Hash128& entry, const Traits& traits) {
  *this -= SumOf(entry, traits);
}

void LeafSum::AppendTo(std::string* out) const {
  base::ByteWriter writer(out);
  writer.U64(sum.low);
  writer.U64(sum.high);
  writer.U32(keys);
  writer.U32(tombstones);
  writer.U32(expiring);
  writer.U32(foldable);
}

std::optional<LeafSum> LeafSum::Decode(std::string_view bytes) {
  base::ByteReader reader(bytes);
  LeafSum leaf;
  leaf.sum.low = reader.U64();
  leaf.sum.high = reader.U64();
  leaf.keys = reader.U32();
  leaf.tombstones = reader.U32();
  leaf.expiring = reader.U32();
  leaf.foldable = reader.U32();
  if (!reader.AtEnd()) return std::nullopt;
  return leaf;
}

base::Hash128 EntryHash(std::string_view data_key, const base::Hash128& digest) {
  std::string bytes;
  bytes.reserve(data_key.size() + 32);
  base::ByteWriter writer(&bytes);
  writer.Sized(data_key);
  writer.U64(digest.low);
  writer.U64(digest.high);
  return base::HashOf128(bytes);
}

void RunHash::Add(uint32_t leaf, const LeafSum& sum) {
  if (sum.keys == 0 && sum.sum == base::Hash128{}) return;
  std::string bytes;
  bytes.reserve(32);
  base::ByteWriter writer(&bytes);
  writer.U32(leaf);
  writer.U64(sum.sum.low);
  writer.U64(sum.sum.high);
  writer.U32(sum.keys);
  AddTo(base::HashOf128(bytes), &hash_);
  keys_ += sum.keys;
}

}  // namespace lariat::merkle
