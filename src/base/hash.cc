// SPDX-License-Identifier: Apache-2.0
#include "base/hash.h"

#define XXH_INLINE_ALL
#include <isa-l/crc.h>
#include <xxhash.h>

#include <bit>
#include <cstring>

namespace lariat::base {
namespace {

uint64_t Mix(uint64_t k) {
  k ^= k >> 33;
  k *= 0xff51afd7ed558ccdULL;
  k ^= k >> 33;
  k *= 0xc4ceb9fe1a85ec53ULL;
  k ^= k >> 33;
  return k;
}

uint64_t Load64(const char* p) {
  uint64_t value;
  std::memcpy(&value, p, sizeof(value));
  return value;
}

}  // namespace

uint64_t Hash64(std::string_view bytes, uint64_t seed) {
  return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed);
}

Hash128 HashOf128(std::string_view bytes) {
  const XXH128_hash_t h = XXH3_128bits(bytes.data(), bytes.size());
  return {h.high64, h.low64};
}

uint32_t Crc32c(std::string_view bytes, uint32_t start) {
  // isa-l takes a non-const pointer but does not write; its value is inverted on both ends.
  auto* data = reinterpret_cast<unsigned char*>(const_cast<char*>(bytes.data()));
  return ~crc32_iscsi(data, static_cast<int>(bytes.size()), ~start);
}

uint64_t Murmur3(std::string_view bytes) {
  constexpr uint64_t c1 = 0x87c37b91114253d5ULL;
  constexpr uint64_t c2 = 0x4cf5ad432745937fULL;
  uint64_t h1 = 0;
  uint64_t h2 = 0;
  const size_t blocks = bytes.size() / 16;
  for (size_t i = 0; i < blocks; ++i) {
    uint64_t k1 = Load64(bytes.data() + i * 16);
    uint64_t k2 = Load64(bytes.data() + i * 16 + 8);
    h1 ^= std::rotl(k1 * c1, 31) * c2;
    h1 = (std::rotl(h1, 27) + h2) * 5 + 0x52dce729;
    h2 ^= std::rotl(k2 * c2, 33) * c1;
    h2 = (std::rotl(h2, 31) + h1) * 5 + 0x38495ab5;
  }
  uint64_t k1 = 0;
  uint64_t k2 = 0;
  const std::string_view tail = bytes.substr(blocks * 16);
  for (size_t i = tail.size(); i > 8; --i) {
    k2 ^= static_cast<uint64_t>(static_cast<unsigned char>(tail[i - 1])) << (8 * (i - 9));
  }
  if (tail.size() > 8) h2 ^= std::rotl(k2 * c2, 33) * c1;
  for (size_t i = std::min<size_t>(tail.size(), 8); i > 0; --i) {
    k1 ^= static_cast<uint64_t>(static_cast<unsigned char>(tail[i - 1])) << (8 * (i - 1));
  }
  if (!tail.empty()) h1 ^= std::rotl(k1 * c1, 31) * c2;
  h1 ^= bytes.size();
  h2 ^= bytes.size();
  h1 += h2;
  h2 += h1;
  h1 = Mix(h1);
  h2 = Mix(h2);
  return h1 + h2;
}

}  // namespace lariat::base
