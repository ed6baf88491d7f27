// SPDX-License-Identifier: Apache-2.0
#include "ring/token.h"

#include "base/check.h"
#include "base/hash.h"

namespace lariat::ring {

std::string_view PartitionKey(std::string_view key) {
  const size_t open = key.find('{');
  if (open == std::string_view::npos) return key;
  const size_t close = key.find('}', open + 1);
  if (close == std::string_view::npos || close == open + 1) return key;
  return key.substr(open + 1, close - open - 1);
}

Token TokenOf(std::string_view key) { return {base::Murmur3(PartitionKey(key))}; }

uint32_t ShardOf(Token token, uint32_t shards) {
  LARIAT_CHECK(shards > 0, "a node has at least one shard");
  // (token * shards) >> 64 in two halves: standard C++ has no 128-bit product.
  const uint64_t low = (token.value & 0xffffffffU) * shards;
  const uint64_t high = (token.value >> 32) * shards;
  return static_cast<uint32_t>((high + (low >> 32)) >> 32);
}

}  // namespace lariat::ring
