// SPDX-License-Identifier: Apache-2.0
// A set of small numbers as bits. A value.
#pragma once

#include <bit>
#include <cstdint>
#include <vector>

namespace lariat::sim {

class TokenSet {
 public:
  explicit TokenSet(size_t size) : words_((size + 63) / 64) {}
  void Add(int token) { Word(token) |= Bit(token); }
  void Remove(int token) { Word(token) &= ~Bit(token); }
  bool Has(int token) const { return (words_[static_cast<size_t>(token) / 64] & Bit(token)) != 0; }
  void Join(const TokenSet& other) {
    for (size_t i = 0; i < words_.size(); ++i) words_[i] |= other.words_[i];
  }
  // The smallest number that is here and not in `other`, or -1.
  int FirstNotIn(const TokenSet& other) const {
    for (size_t i = 0; i < words_.size(); ++i) {
      const uint64_t left = words_[i] & ~other.words_[i];
      if (left != 0) return static_cast<int>(i * 64) + std::countr_zero(left);
    }
    return -1;
  }

 private:
  static uint64_t Bit(int token) { return uint64_t{1} << (static_cast<unsigned>(token) % 64); }
  uint64_t& Word(int token) { return words_[static_cast<size_t>(token) / 64]; }
  std::vector<uint64_t> words_;
};

}  // namespace lariat::sim
