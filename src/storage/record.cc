// SPDX-License-Identifier: Apache-2.0
#include "storage/record.h"

#include "base/coding.h"
#include "base/hash.h"

namespace lariat::storage {
namespace {

constexpr uint8_t kVersion = 1;
constexpr uint8_t kHasOwnActor = 1;
constexpr size_t kPrefixSize = 2;    // version and flags
constexpr size_t kChecksumSize = 4;  // between the prefix and the body
constexpr size_t kActorSizeMax = 8 + 8 + 10;

uint32_t Checksum(std::string_view prefix, std::string_view body) {
  return base::Crc32c(body, base::Crc32c(prefix));
}

}  // namespace

std::string DataKey(BucketId bucket, uint64_t token, std::string_view key) {
  std::string out;
  out.reserve(kDataKeyPrefixSize + key.size());
  for (int shift = 24; shift >= 0; shift -= 8) out.push_back(static_cast<char>(bucket >> shift));
  base::ByteWriter writer(&out);
  writer.BigEndian64(token);
  writer.Raw(key);
  return out;
}

std::optional<DataKeyParts> ParseDataKey(std::string_view data_key) {
  if (data_key.size() < kDataKeyPrefixSize) return std::nullopt;
  DataKeyParts parts;
  for (int i = 0; i < 4; ++i) parts.bucket = parts.bucket << 8 | static_cast<uint8_t>(data_key[i]);
  base::ByteReader reader(data_key.substr(4));
  parts.token = reader.BigEndian64();
  parts.key = reader.Rest();
  return parts;
}

std::string EncodeRecord(const std::optional<causal::Actor>& own_actor, std::string_view object) {
  std::string out;
  out.reserve(kPrefixSize + kChecksumSize + kActorSizeMax + object.size());
  base::ByteWriter writer(&out);
  writer.U8(kVersion);
  writer.U8(own_actor.has_value() ? kHasOwnActor : 0);
  writer.U32(0);  // the checksum, filled in below
  if (own_actor.has_value()) causal::EncodeActor(*own_actor, &writer);
  writer.Raw(object);

  const std::string_view bytes(out);
  const uint32_t checksum =
      Checksum(bytes.substr(0, kPrefixSize), bytes.substr(kPrefixSize + kChecksumSize));
  for (size_t i = 0; i < kChecksumSize; ++i) {
    out[kPrefixSize + i] = static_cast<char>(checksum >> (8 * i));
  }
  return out;
}

base::Result<RecordView> ParseRecord(std::string_view record) {
  base::ByteReader reader(record);
  const uint8_t version = reader.U8();
  const uint8_t flags = reader.U8();
  const uint32_t checksum = reader.U32();
  if (!reader.ok()) return base::Fail(base::Code::kCorruption, "record: too short");
  // The checksum comes first: after bit rot in the version byte "unknown version" would mislead.
  if (checksum != Checksum(record.substr(0, kPrefixSize), reader.Rest())) {
    return base::Fail(base::Code::kCorruption, "record: wrong checksum");
  }
  if (version != kVersion) {
    return base::Fail(base::Code::kCorruption,
                      "record: unknown version " + std::to_string(version));
  }
  if ((flags & ~kHasOwnActor) != 0) {
    return base::Fail(base::Code::kCorruption, "record: unknown flags " + std::to_string(flags));
  }
  RecordView view;
  if ((flags & kHasOwnActor) != 0) view.own_actor = causal::DecodeActor(&reader);
  if (!reader.ok()) return base::Fail(base::Code::kCorruption, "record: bad own actor");
  view.object = reader.Rest();
  return view;
}

}  // namespace lariat::storage
