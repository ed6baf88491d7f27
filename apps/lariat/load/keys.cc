// SPDX-License-Identifier: Apache-2.0
#include "apps/lariat/load/keys.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"

namespace lariat::cli::load {

namespace {
constexpr double kTheta = 0.99;
}

void WriteKey(uint64_t index, char* out) {
  out[0] = 'k';
  for (size_t i = kKeyTextBytes - 1; i > 0; --i) {
    out[i] = static_cast<char>('0' + index % 10);
    index /= 10;
  }
}

std::string KeyText(uint64_t index) {
  std::string out(kKeyTextBytes, '\0');
  WriteKey(index, out.data());
  return out;
}

KeyPicker::KeyPicker(Distribution distribution, uint64_t keys, uint64_t seed)
    : random_(seed), keys_(keys), zipf_(distribution == Distribution::kZipf && keys > 2) {
  LARIAT_CHECK(keys > 0, "a picker needs keys");
  if (!zipf_) return;
  for (uint64_t i = 1; i <= keys; ++i) zeta_ += 1 / std::pow(static_cast<double>(i), kTheta);
  const double zeta2 = 1 + std::pow(0.5, kTheta);
  alpha_ = 1 / (1 - kTheta);
  eta_ = (1 - std::pow(2.0 / static_cast<double>(keys), 1 - kTheta)) / (1 - zeta2 / zeta_);
}

uint64_t KeyPicker::NextRank() {
  if (!zipf_) return random_.Below(keys_);
  double u = random_.Unit();
  double scaled = u * zeta_;
  if (scaled < 1) return 0;
  if (scaled < 1 + std::pow(0.5, kTheta)) return 1;
  double rank = static_cast<double>(keys_) * std::pow(eta_ * u - eta_ + 1, alpha_);
  return std::min(static_cast<uint64_t>(rank), keys_ - 1);
}

uint64_t KeyPicker::Next() {
  uint64_t rank = NextRank();
  if (!zipf_) return rank;
  uint64_t mixed = (rank + 1) * 0x9E3779B97F4A7C15ULL;  // 2^64 / golden ratio
  mixed ^= mixed >> 32;
  return mixed % keys_;
}

}  // namespace lariat::cli::load
