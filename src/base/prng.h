// SPDX-License-Identifier: Apache-2.0
// A seeded random generator that is a value: xoshiro256** by Blackman and Vigna (public domain
// algorithm, https://prng.di.unimi.it), seeded with splitmix64. Not for secrets. Not thread-safe.
#pragma once

#include <array>
#include <cstdint>

namespace lariat::base {

class Prng {
 public:
  explicit Prng(uint64_t seed);
  uint64_t Next();
  // Uniform in [0, bound). REQUIRES: bound > 0.
  uint64_t Below(uint64_t bound);
  // Uniform in [low, high].
  int64_t Between(int64_t low, int64_t high);
  // True with probability p (0 to 1).
  bool Chance(double p);
  double Unit();  // [0, 1)

 private:
  std::array<uint64_t, 4> state_;
};

}  // namespace lariat::base
