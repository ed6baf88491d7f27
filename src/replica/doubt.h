// SPDX-License-Identifier: Apache-2.0
// That this node's store has lost records, nobody knows which: until its ranges were compared with
// all their other replicas, what it lacks must not look absent, so reads are refused here
// (kUnavailable; a coordinator asks another replica). Writes, joins and comparisons go on.
//
// A value: the one in force is shared by all shards and replaced as a whole.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "base/coding.h"
#include "storage/record.h"

namespace lariat::replica {

// How the refusals of reads begin.
inline constexpr std::string_view kInDoubt = "this replica is being repaired";
// In Space::kMeta, while there is a doubt.
inline constexpr std::string_view kDoubtName = "doubt/store";

struct Doubt {
  int64_t since_ms = 0;                 // wall clock
  std::string why;                      // for people
  std::set<storage::BucketId> settled;  // buckets that were compared since; all others are covered
  bool Covers(storage::BucketId bucket) const { return !settled.contains(bucket); }
  bool operator==(const Doubt&) const = default;
};
inline constexpr uint8_t kDoubtVersion = 1;  // of its bytes

inline std::string EncodeDoubt(const Doubt& doubt) {
  std::string bytes;
  base::ByteWriter writer(&bytes);
  writer.U8(kDoubtVersion);
  writer.U64(static_cast<uint64_t>(doubt.since_ms));
  writer.Sized(doubt.why);
  writer.U32(static_cast<uint32_t>(doubt.settled.size()));
  for (const storage::BucketId bucket : doubt.settled) writer.U32(bucket);
  return bytes;
}

inline std::optional<Doubt> DecodeDoubt(std::string_view bytes) {
  base::ByteReader reader(bytes);
  if (reader.U8() != kDoubtVersion) return std::nullopt;
  Doubt doubt;
  doubt.since_ms = static_cast<int64_t>(reader.U64());
  doubt.why = std::string(reader.Sized());
  const uint32_t settled = reader.U32();
  if (settled > bytes.size()) return std::nullopt;
  for (uint32_t i = 0; i < settled; ++i) doubt.settled.insert(reader.U32());
  if (!reader.AtEnd()) return std::nullopt;
  return doubt;
}

}  // namespace lariat::replica
