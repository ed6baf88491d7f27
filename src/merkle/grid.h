// SPDX-License-Identifier: Apache-2.0
// The fixed grid that hash trees are built over: the token space cut into 65,536 equal leaves. A
// leaf is the top 16 bits of a token, whatever the ring looks like and however many keys there are,
// so two replicas always mean the same by a leaf.
#pragma once

#include <cstdint>

namespace lariat::merkle {

inline constexpr uint32_t kLeaves = 65536;
inline constexpr int kLeafShift = 48;

inline uint32_t LeafOf(uint64_t token) { return static_cast<uint32_t>(token >> kLeafShift); }
inline uint64_t FirstToken(uint32_t leaf) { return uint64_t{leaf} << kLeafShift; }
inline uint64_t LastToken(uint32_t leaf) {
  return FirstToken(leaf) | ((uint64_t{1} << kLeafShift) - 1);
}

// Tokens in (from, to], clockwise; (x, x] is the whole ring.
struct Span {
  uint64_t from = 0;
  uint64_t to = 0;
  bool operator==(const Span&) const = default;
  uint64_t First() const { return from + 1; }
  bool Contains(uint64_t token) const { return from == to || token - from - 1 < to - from; }
  // For spans that do not go over zero (Descent gives no others).
  uint32_t FirstLeaf() const { return LeafOf(First()); }
  uint32_t LastLeaf() const { return LeafOf(to); }
  bool CutsFirstLeaf() const { return First() != FirstToken(FirstLeaf()); }
  bool CutsLastLeaf() const { return to != LastToken(LastLeaf()); }
};

// REQUIRES: first <= last < kLeaves.
inline Span SpanOfLeaves(uint32_t first, uint32_t last) {
  return {FirstToken(first) - 1, LastToken(last)};
}

}  // namespace lariat::merkle
