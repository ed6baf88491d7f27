// SPDX-License-Identifier: Apache-2.0
#include "replica/hint.h"

#include "base/coding.h"
#include "base/hash.h"
#include "storage/record.h"

namespace lariat::replica {
namespace {

constexpr uint8_t kHintVersion = 1;
constexpr uint8_t kReference = 1;
constexpr size_t kPrefixSize = 2;    // version and flags
constexpr size_t kChecksumSize = 4;  // between the prefix and the rest

uint32_t Checksum(std::string_view value) {
  return base::Crc32c(value.substr(kPrefixSize + kChecksumSize),
                      base::Crc32c(value.substr(0, kPrefixSize)));
}

base::Result<Hint> Bad(const char* why) { return base::Fail(base::Code::kCorruption, why); }

}  // namespace

std::string EncodeHint(const Hint& hint) {
  std::string out;
  base::ByteWriter writer(&out);
  writer.U8(kHintVersion);
  writer.U8(hint.reference ? kReference : 0);
  writer.U32(0);  // the checksum, filled in below
  writer.U64(static_cast<uint64_t>(hint.stored_ms));
  writer.U64(hint.version);
  writer.Raw(hint.record);
  const uint32_t checksum = Checksum(out);
  for (size_t i = 0; i < kChecksumSize; ++i) {
    out[kPrefixSize + i] = static_cast<char>(checksum >> (8 * i));
  }
  return out;
}

base::Result<Hint> ParseHint(std::string_view value) {
  base::ByteReader reader(value);
  const uint8_t version = reader.U8();
  const uint8_t flags = reader.U8();
  const uint32_t checksum = reader.U32();
  if (!reader.ok()) return Bad("hint: too short");
  // First of all: after bit rot in the version byte "unknown version" would mislead.
  if (checksum != Checksum(value)) return Bad("hint: wrong checksum");
  if (version != kHintVersion) return Bad("hint: unknown version");
  if ((flags & ~kReference) != 0) return Bad("hint: unknown flags");
  Hint hint;
  hint.reference = (flags & kReference) != 0;
  hint.stored_ms = static_cast<int64_t>(reader.U64());
  hint.version = reader.U64();
  if (!reader.ok()) return Bad("hint: too short");
  hint.record = reader.Rest();
  if (!hint.reference && hint.record.empty()) return Bad("hint: it says nothing");
  return hint;
}

std::string HintKey(uint64_t target, std::string_view data_key) {
  std::string out;
  out.reserve(kHintTargetSize + data_key.size());
  base::ByteWriter writer(&out);
  writer.BigEndian64(target);
  writer.Raw(data_key);
  return out;
}

std::optional<HintKeyParts> ParseHintKey(std::string_view key) {
  base::ByteReader reader(key);
  HintKeyParts parts;
  parts.target = reader.BigEndian64();
  parts.data_key = reader.Rest();
  if (!reader.ok() || !storage::ParseDataKey(parts.data_key)) return std::nullopt;
  return parts;
}

}  // namespace lariat::replica
