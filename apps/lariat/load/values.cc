// SPDX-License-Identifier: Apache-2.0
#include "apps/lariat/load/values.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "apps/lariat/load/keys.h"
#include "base/check.h"
#include "base/prng.h"

namespace lariat::cli::load {

namespace {

constexpr size_t kPlaces = 1 << 16;  // where a value may begin in the pool
constexpr size_t kStepBytes = 16;
constexpr size_t kNumberDigits = 16;
static_assert(Values::kMarkBytes == kKeyTextBytes + 1 + kNumberDigits);

std::string NoisePool(size_t bytes) {
  base::Prng random(1);
  std::string out(bytes, 'v');
  for (size_t i = 0; i + kStepBytes <= out.size(); i += kStepBytes) {
    const uint64_t bits = random.Next();
    out.replace(i, sizeof(bits), reinterpret_cast<const char*>(&bits), sizeof(bits));
  }
  return out;
}

}  // namespace

Values::Values(size_t bytes)
    : pool_(NoisePool(kPlaces * kStepBytes + bytes)), value_(bytes, '\0') {}

std::string_view Values::Make(uint64_t key, uint64_t number) {
  const uint64_t mixed = (key * 31 + number) * 0x9E3779B97F4A7C15ULL;  // 2^64 / golden ratio
  const size_t place = (mixed >> 32) % kPlaces * kStepBytes;
  std::copy_n(pool_.data() + place, value_.size(), value_.data());
  if (value_.size() >= kMarkBytes) {
    WriteKey(key, value_.data());
    fmt::format_to(value_.data() + kKeyTextBytes, ":{:016x}", number);
  }
  return value_;
}

std::optional<uint64_t> Values::NumberOf(uint64_t key, std::string_view value) {
  LARIAT_CHECK(value_.size() >= kMarkBytes, "a value is too short for its mark");
  if (value.size() != value_.size()) return std::nullopt;
  uint64_t number = 0;
  const char* digits = value.data() + kKeyTextBytes + 1;
  const auto read = std::from_chars(digits, digits + kNumberDigits, number, 16);
  if (read.ptr != digits + kNumberDigits || Make(key, number) != value) return std::nullopt;
  return number;
}

}  // namespace lariat::cli::load
