// SPDX-License-Identifier: Apache-2.0
// What several tests of this folder need.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>

#include "base/prng.h"
#include "causal/object.h"

namespace lariat::causal {

inline Actor MakeActor(uint64_t node, uint64_t incarnation = 7, uint64_t mint = 0) {
  return {node, incarnation, mint};
}

inline Value MakeValue(std::string bytes) {
  Value value;
  value.bytes = std::move(bytes);
  return value;
}

inline std::string Hex(std::string_view bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (const char c : bytes) {
    text += kDigits[static_cast<unsigned char>(c) >> 4];
    text += kDigits[static_cast<unsigned char>(c) & 15];
  }
  return text;
}

// Spaces in `text` are for the reader.
inline std::string FromHex(std::string_view text) {
  std::string digits(text);
  std::erase(digits, ' ');
  std::string bytes;
  for (size_t i = 0; i + 1 < digits.size(); i += 2) {
    bytes += static_cast<char>(std::stoi(digits.substr(i, 2), nullptr, 16));
  }
  return bytes;
}

// `bytes` after one to three small changes: a flipped bit, a byte put in, taken out or doubled.
inline std::string Mutate(std::string bytes, base::Prng* prng) {
  for (uint64_t changes = 1 + prng->Below(3); changes > 0 && !bytes.empty(); --changes) {
    const size_t at = prng->Below(bytes.size());
    switch (prng->Below(4)) {
      case 0:
        bytes[at] = static_cast<char>(bytes[at] ^ (1 << prng->Below(8)));
        break;
      case 1:
        bytes.insert(at, 1, static_cast<char>(prng->Below(4)));
        break;
      case 2:
        bytes.erase(at, 1);
        break;
      default:
        bytes.insert(at, 1, bytes[at]);
        break;
    }
  }
  return bytes;
}

}  // namespace lariat::causal
