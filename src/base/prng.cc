// SPDX-License-Identifier: Apache-2.0
#include "base/prng.h"

#include <bit>

#include "base/check.h"

namespace lariat::base {

Prng::Prng(uint64_t seed) {
  for (uint64_t& word : state_) {  // splitmix64
    seed += 0x9e3779b97f4a7c15ULL;
    uint64_t z = seed;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    word = z ^ (z >> 31);
  }
}

uint64_t Prng::Next() {
  const uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
  const uint64_t t = state_[1] << 17;
  state_[2] ^= state_[0];
  state_[3] ^= state_[1];
  state_[1] ^= state_[2];
  state_[0] ^= state_[3];
  state_[2] ^= t;
  state_[3] = std::rotl(state_[3], 45);
  return result;
}

uint64_t Prng::Below(uint64_t bound) {
  LARIAT_CHECK(bound > 0, "Below needs a positive bound");
  // The bias of a plain remainder is bound / 2^64: far below anything measured here.
  return Next() % bound;
}

int64_t Prng::Between(int64_t low, int64_t high) {
  LARIAT_CHECK(low <= high, "Between needs low <= high");
  return low + static_cast<int64_t>(Below(static_cast<uint64_t>(high - low) + 1));
}

double Prng::Unit() { return static_cast<double>(Next() >> 11) * 0x1.0p-53; }

bool Prng::Chance(double p) { return Unit() < p; }

}  // namespace lariat::base
