// SPDX-License-Identifier: Apache-2.0
#include "frontend/resp/internal/slots.h"

#include <algorithm>
#include <numeric>

namespace lariat::frontend::resp {
namespace {

uint16_t Crc16(std::string_view bytes) {
  constexpr uint16_t kPolynomial = 0x1021;
  uint16_t crc = 0;
  for (const char c : bytes) {
    crc = static_cast<uint16_t>(crc ^ (static_cast<uint8_t>(c) << 8));
    for (int bit = 0; bit < 8; ++bit) {
      const bool carry = (crc & 0x8000) != 0;
      crc = static_cast<uint16_t>(crc << 1);
      if (carry) crc ^= kPolynomial;
    }
  }
  return crc;
}

}  // namespace

uint32_t SlotOf(std::string_view key) {
  const size_t open = key.find('{');
  const size_t close = open == std::string_view::npos ? open : key.find('}', open + 1);
  const bool tagged = close != std::string_view::npos && close > open + 1;
  return Crc16(tagged ? key.substr(open + 1, close - open - 1) : key) % kSlots;
}

std::vector<SlotRange> DivideSlots(std::span<const double> shares) {
  const double all = std::accumulate(shares.begin(), shares.end(), 0.0);
  std::vector<SlotRange> ranges;
  double sum = 0;
  uint32_t next = 0;
  for (size_t i = 0; i < shares.size(); ++i) {
    sum += all > 0 ? shares[i] / all : 1.0 / static_cast<double>(shares.size());
    const bool is_last = i + 1 == shares.size();
    const auto end = is_last ? kSlots : std::min(kSlots, static_cast<uint32_t>(sum * kSlots));
    ranges.push_back({next, std::max(end, next) - 1});
    if (end <= next) ranges.back() = {1, 0};
    next = std::max(end, next);
  }
  return ranges;
}

}  // namespace lariat::frontend::resp
