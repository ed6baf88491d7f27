// SPDX-License-Identifier: Apache-2.0
// Where a key lies. The ring is all 64-bit tokens, in unsigned order, closed on itself. A key's
// token is Murmur3 of its partition key: the text between the first '{' and the next '}' if that is
// not empty, otherwise the whole key ({user:1}:a and {user:1}:b lie together).
#pragma once

#include <compare>
#include <cstdint>
#include <string_view>

namespace lariat::ring {

struct Token {
  uint64_t value = 0;
  auto operator<=>(const Token&) const = default;
};

std::string_view PartitionKey(std::string_view key);
Token TokenOf(std::string_view key);
// Shard that owns the token on a node with `shards` shards: equal slices of the token space.
uint32_t ShardOf(Token token, uint32_t shards);
// The tokens of a shard, both included. REQUIRES: shard < shards.
struct TokenSlice {
  Token first, last;
};
TokenSlice SliceOf(uint32_t shard, uint32_t shards);

}  // namespace lariat::ring
