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

TokenSlice SliceOf(uint32_t shard, uint32_t shards) {
  LARIAT_CHECK(shard < shards, "the shard is one of the node's");
  // shard * 2^64 / shards, rounded up, in two halves as above.
  const auto first_of = [shards](uint64_t at) {
    const uint64_t high = (at << 32) / shards;
    const uint64_t rest = ((at << 32) % shards) << 32;
    return (high << 32 | rest / shards) + (rest % shards != 0 ? 1 : 0);
  };
  const bool is_last = shard + 1 == shards;
  return {{first_of(shard)}, {is_last ? UINT64_MAX : first_of(shard + 1) - 1}};
}

}  // namespace lariat::ring
