// SPDX-License-Identifier: Apache-2.0
// Which key comes next: uniform, or Zipf-distributed as web traffic is. Values; not thread-safe.
#pragma once

#include <cstdint>
#include <string>

#include "base/prng.h"

namespace lariat::cli::load {

// Key number `index` as text, always of the same length.
inline constexpr size_t kKeyTextBytes = 13;
void WriteKey(uint64_t index, char* out);  // exactly kKeyTextBytes
std::string KeyText(uint64_t index);

enum class Distribution : uint8_t { kUniform, kZipf };

// Zipf with exponent 0.99 by the method of Gray et al. ("Quickly generating billion-record
// synthetic databases", 1994): constant time per draw after one pass over the ranks. The ranks are
// scattered over the keys, so that hot keys do not lie side by side.
class KeyPicker {
 public:
  // REQUIRES: keys > 0.
  KeyPicker(Distribution distribution, uint64_t keys, uint64_t seed);
  uint64_t Next();
  uint64_t NextRank();  // 0 is the hottest; uniform when the distribution is

 private:
  base::Prng random_;
  uint64_t keys_;
  bool zipf_;
  double zeta_ = 0;
  double alpha_ = 0;
  double eta_ = 0;
};

}  // namespace lariat::cli::load
