// SPDX-License-Identifier: Apache-2.0
#include "replica/tree/layout.h"

#include "base/coding.h"

namespace lariat::replica {
namespace {

constexpr uint8_t kVersion = 1;
constexpr size_t kLeafKeySize = 8;
constexpr size_t kMarkKeySize = 16;

void PutBigEndian(uint64_t value, int bytes, std::string* out) {
  for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) {
    out->push_back(static_cast<char>(value >> shift));
  }
}

uint64_t GetBigEndian(std::string_view bytes) {
  uint64_t value = 0;
  for (const char byte : bytes) value = value << 8 | static_cast<uint8_t>(byte);
  return value;
}

}  // namespace

std::string TreeLeafKey(const LeafPlace& place, uint32_t part) {
  std::string key;
  PutBigEndian(place.bucket, 4, &key);
  PutBigEndian(place.leaf, 2, &key);
  PutBigEndian(part, 2, &key);
  return key;
}

std::string TreeMarkKey(const LeafPlace& place, uint32_t part, uint64_t run) {
  std::string key = TreeLeafKey(place, part);
  PutBigEndian(run, 8, &key);
  return key;
}

std::optional<TreeKeyParts> ParseTreeKey(std::string_view key) {
  if (key.size() != kLeafKeySize && key.size() != kMarkKeySize) return std::nullopt;
  TreeKeyParts parts;
  parts.place.bucket = GetBigEndian(key.substr(0, 4));
  parts.place.leaf = static_cast<uint32_t>(GetBigEndian(key.substr(4, 2)));
  parts.part = static_cast<uint32_t>(GetBigEndian(key.substr(6, 2)));
  if (key.size() == kMarkKeySize) parts.mark_of_run = GetBigEndian(key.substr(kLeafKeySize));
  return parts;
}

std::string TreeHeadKey() { return std::string(4, '\xff'); }

std::string TreeCompleteKey(uint32_t part) {
  std::string key = TreeHeadKey();
  PutBigEndian(part, 2, &key);
  return key;
}

std::string EncodeTreeLeaf(uint32_t generation, const std::optional<merkle::LeafSum>& sum) {
  std::string value;
  value.reserve(4 + merkle::kLeafSumBytes);
  base::ByteWriter(&value).U32(generation);
  if (sum) sum->AppendTo(&value);
  return value;
}

std::optional<TreeLeafValue> DecodeTreeLeaf(std::string_view value) {
  base::ByteReader reader(value);
  TreeLeafValue leaf;
  leaf.generation = reader.U32();
  if (!reader.ok()) return std::nullopt;
  if (reader.AtEnd()) return leaf;
  leaf.sum = merkle::LeafSum::Decode(reader.Rest());
  if (!leaf.sum) return std::nullopt;
  return leaf;
}

std::string EncodeTreeHead(const TreeHead& head) {
  std::string value;
  base::ByteWriter writer(&value);
  writer.U8(kVersion);
  writer.U32(head.shards);
  writer.U32(head.generation);
  return value;
}

std::optional<TreeHead> DecodeTreeHead(std::string_view value) {
  base::ByteReader reader(value);
  const uint8_t version = reader.U8();
  TreeHead head;
  head.shards = reader.U32();
  head.generation = reader.U32();
  if (!reader.AtEnd() || version != kVersion) return std::nullopt;
  return head;
}

std::string EncodeGeneration(uint32_t generation) {
  std::string value;
  base::ByteWriter(&value).U32(generation);
  return value;
}

std::optional<uint32_t> DecodeGeneration(std::string_view value) {
  base::ByteReader reader(value);
  const uint32_t generation = reader.U32();
  return reader.AtEnd() ? std::optional(generation) : std::nullopt;
}

}  // namespace lariat::replica
