// SPDX-License-Identifier: Apache-2.0
#include "base/uuid.h"

namespace lariat::base {
namespace {

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

std::string Uuid::ToString() const {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  text.reserve(36);
  for (int i = 0; i < 32; ++i) {
    if (i == 8 || i == 12 || i == 16 || i == 20) text.push_back('-');
    const uint64_t word = i < 16 ? high : low;
    text.push_back(kDigits[(word >> (60 - 4 * (i % 16))) & 0xf]);
  }
  return text;
}

std::optional<Uuid> Uuid::Parse(std::string_view text) {
  if (text.size() != 36) return std::nullopt;
  Uuid uuid;
  int digits = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if (i == 8 || i == 13 || i == 18 || i == 23) {
      if (text[i] != '-') return std::nullopt;
      continue;
    }
    const int digit = HexDigit(text[i]);
    if (digit < 0) return std::nullopt;
    uint64_t& word = digits < 16 ? uuid.high : uuid.low;
    word = (word << 4) | static_cast<uint64_t>(digit);
    ++digits;
  }
  return uuid;
}

Uuid Uuid::FromRandom(uint64_t a, uint64_t b) {
  return {(a & ~0xf000ULL) | 0x4000ULL, (b & ~(3ULL << 62)) | (2ULL << 62)};
}

}  // namespace lariat::base
