// SPDX-License-Identifier: Apache-2.0
// Where a key of the engine belongs: bucket and token as numbers, for the directory, and the whole
// key, for the order among equals. A key shorter than both counts as if zeros followed, which keeps
// the order of bytes: among equal padded prefixes the keys themselves decide.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "storage/record.h"

namespace lariat::storage::table {

struct Place {
  uint32_t bucket = 0;
  uint64_t token = 0;
  std::string_view key;
};

inline Place PlaceOf(std::string_view key) {
  static_assert(kDataKeyPrefixSize == sizeof(uint32_t) + sizeof(uint64_t));
  static_assert(std::endian::native == std::endian::little);
  std::array<char, kDataKeyPrefixSize> padded{};
  const char* prefix = key.data();
  if (key.size() < kDataKeyPrefixSize) {
    std::copy(key.begin(), key.end(), padded.begin());
    prefix = padded.data();
  }
  uint32_t bucket = 0;
  uint64_t token = 0;
  std::memcpy(&bucket, prefix, sizeof(bucket));
  std::memcpy(&token, prefix + sizeof(bucket), sizeof(token));
  return {__builtin_bswap32(bucket), __builtin_bswap64(token), key};
}

}  // namespace lariat::storage::table
