// SPDX-License-Identifier: Apache-2.0
// Properties of a bucket, as users set them (docs/buckets.md) and as the topology document carries
// them. A value type.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "causal/kind.h"

namespace lariat::membership {

// Numbers are sent and stored; never reuse one.
enum class Durability : uint8_t { kSync = 1, kPeriodic = 2, kNone = 3 };

std::string_view DurabilityText(Durability durability);
base::Result<Durability> ParseDurability(std::string_view text);

inline constexpr std::string_view kDefaultBucket = "default";
inline constexpr size_t kBucketNameBytesMax = 64;
inline constexpr size_t kKeyBytesMax = 256;
inline constexpr uint32_t kReplicationMax = 16;  // ring::Ring::kMaxReplication
inline constexpr uint32_t kReadRepairDefault = 10;

constexpr uint32_t MajorityOf(uint32_t n) { return n / 2 + 1; }

struct BucketProperties {
  std::string name;
  uint32_t id = 0;  // given at creation, never used twice; prefix of stored keys
  uint32_t n = 3;
  uint32_t r = 2;
  uint32_t w = 2;
  uint32_t pr = 0;  // 0 = not asked for
  uint32_t pw = 0;
  bool sloppy = false;
  bool allow_eventual = false;  // R + W <= N was accepted knowingly
  causal::Kind conflict = causal::Kind::kSiblings;
  Durability durability = Durability::kSync;
  uint64_t ttl_s = 0;          // given to writes that bring no ttl; 0 = none
  uint64_t gc_grace_s = 3600;  // least age of a tombstone before it may be purged
  // Percent of the reads with r + w <= n after which the replicas not asked are compared too.
  uint32_t read_repair = kReadRepairDefault;
  // Which definition wins where two differ: the greater (version, editor).
  uint64_t version = 0;
  uint64_t editor = 0;  // number of the node that accepted the change

  bool Eventual() const { return r + w <= n; }
  // r and w of a list of so many replicas, while another n is on its way: a majority stays one, any
  // other number stays as far as the list has it.
  uint32_t ReadersOf(uint32_t list_n) const { return CountOf(r, list_n); }
  uint32_t WritersOf(uint32_t list_n) const { return CountOf(w, list_n); }
  bool operator==(const BucketProperties&) const = default;

 private:
  uint32_t CountOf(uint32_t count, uint32_t list_n) const {
    return count == MajorityOf(n) ? MajorityOf(list_n) : std::min(count, list_n);
  }
};

base::Status CheckBucketName(std::string_view name);  // kInvalidArgument
base::Status CheckKey(std::string_view key);          // kInvalidArgument: 1 to 256 bytes
// The rules of docs/buckets.md: counts within 1..n, R + W > N unless allow_eventual, and so on.
base::Status CheckBucket(const BucketProperties& bucket);

}  // namespace lariat::membership
