// SPDX-License-Identifier: Apache-2.0
// 128-bit identities of nodes and clusters, written 8-4-4-4-12 in lower-case hexadecimal.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace lariat::base {

struct Uuid {
  uint64_t high = 0;
  uint64_t low = 0;
  auto operator<=>(const Uuid&) const = default;
  bool IsNil() const { return high == 0 && low == 0; }
  std::string ToString() const;
  static std::optional<Uuid> Parse(std::string_view text);
  // Version 4 (random) from 128 random bits.
  static Uuid FromRandom(uint64_t a, uint64_t b);
};

}  // namespace lariat::base
