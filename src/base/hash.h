// SPDX-License-Identifier: Apache-2.0
// Hashes with fixed, documented results: they are stored, sent and compared between nodes.
#pragma once

#include <compare>
#include <cstdint>
#include <string_view>

namespace lariat::base {

struct Hash128 {
  uint64_t high = 0;
  uint64_t low = 0;
  auto operator<=>(const Hash128&) const = default;
};

uint64_t Hash64(std::string_view bytes, uint64_t seed = 0);   // XXH3 64
Hash128 HashOf128(std::string_view bytes);                    // XXH3 128
uint32_t Crc32c(std::string_view bytes, uint32_t start = 0);  // Castagnoli, as in iSCSI (RFC 3720)
// MurmurHash3_x64_128 by Austin Appleby (public domain), seed 0, first 64 bits of the result.
uint64_t Murmur3(std::string_view bytes);

}  // namespace lariat::base
