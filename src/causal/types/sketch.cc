// SPDX-License-Identifier: Apache-2.0
#include "causal/types/sketch.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "base/coding.h"
#include "base/hash.h"

namespace lariat::causal {
namespace {

constexpr uint64_t kSeed = 0x4c617269486c6c31;  // "LariHll1"; stored sketches rest on it
constexpr size_t kSparseBytesMax = 3 << 10;
constexpr uint8_t kSparse = 0, kDense = 1;

// Ertl's sums over the registers that are full, and that are empty.
double Tau(double x) {
  if (x == 0 || x == 1) return 0;
  double y = 1;
  double z = 1 - x;
  for (double before = -1; z != before;) {
    x = std::sqrt(x);
    before = z;
    y *= 0.5;
    z -= (1 - x) * (1 - x) * y;
  }
  return z / 3;
}

double Sigma(double x) {
  if (x == 1) return std::numeric_limits<double>::infinity();
  double y = 1;
  double z = x;
  for (double before = -1; z != before;) {
    x *= x;
    before = z;
    z += x * y;
    y += y;
  }
  return z;
}

}  // namespace

void Sketch::Add(std::string_view element) {
  const uint64_t hash = base::Hash64(element, kSeed);
  const size_t index = hash & (kRegisters - 1);
  // A 1 behind the last bit ends the search.
  const uint64_t rest = hash >> kIndexBits | uint64_t{1} << (64 - kIndexBits);
  const auto rank = static_cast<char>(std::countr_zero(rest) + 1);
  ranks_[index] = std::max(ranks_[index], rank);
}

void Sketch::Join(const Sketch& other) {
  for (size_t i = 0; i < kRegisters; ++i) ranks_[i] = std::max(ranks_[i], other.ranks_[i]);
}

uint64_t Sketch::Estimate() const {
  constexpr double kCount = kRegisters;
  double with_rank[kRankMax + 1] = {};
  for (const char rank : ranks_) ++with_rank[static_cast<size_t>(rank)];
  double z = kCount * Tau((kCount - with_rank[kRankMax]) / kCount);
  for (size_t rank = kRankMax - 1; rank >= 1; --rank) z = (z + with_rank[rank]) * 0.5;
  z += kCount * Sigma(with_rank[0] / kCount);
  const double alpha = 0.5 / std::log(2.0);
  return static_cast<uint64_t>(std::llround(alpha * kCount * kCount / z));
}

std::string Sketch::Encode() const {
  std::string sparse;
  base::ByteWriter out(&sparse);
  out.U8(kSparse);
  size_t next = 0;
  for (size_t i = 0; i < kRegisters && sparse.size() < kSparseBytesMax; ++i) {
    if (ranks_[i] == 0) continue;
    out.Varint(i - next);
    out.U8(static_cast<uint8_t>(ranks_[i]));
    next = i + 1;
  }
  if (sparse.size() < kSparseBytesMax) return sparse;
  std::string dense(1, static_cast<char>(kDense));
  // Four ranks of six bits are three bytes.
  for (size_t i = 0; i < kRegisters; i += 4) {
    uint32_t four = 0;
    for (size_t j = 0; j < 4; ++j) four |= static_cast<uint32_t>(ranks_[i + j]) << (6 * j);
    for (int byte = 0; byte < 3; ++byte) dense += static_cast<char>(four >> (8 * byte));
  }
  return dense;
}

std::optional<Sketch> Sketch::Decode(std::string_view bytes) {
  Sketch sketch;
  base::ByteReader in(bytes);
  const uint8_t form = in.U8();
  if (form == kSparse) {
    size_t next = 0;
    while (in.ok() && !in.Rest().empty()) {
      const uint64_t gap = in.Varint();
      const uint8_t rank = in.U8();
      if (!in.ok() || gap >= kRegisters - next || rank == 0 || rank > kRankMax) return std::nullopt;
      sketch.ranks_[next + gap] = static_cast<char>(rank);
      next += gap + 1;
    }
  } else if (form == kDense && in.Rest().size() == kRegisters / 4 * 3) {
    for (size_t i = 0; i < kRegisters; ++i) {
      const size_t bit = i * 6;
      const auto low = static_cast<uint8_t>(in.Rest()[bit / 8]);
      const bool split = bit % 8 > 2;
      const auto high = split ? static_cast<uint8_t>(in.Rest()[bit / 8 + 1]) : 0;
      const uint32_t rank = ((static_cast<uint32_t>(high) << 8 | low) >> (bit % 8)) & 63;
      if (rank > kRankMax) return std::nullopt;
      sketch.ranks_[i] = static_cast<char>(rank);
    }
  } else {
    return std::nullopt;
  }
  // One sketch has one form.
  if (!in.ok() || sketch.Encode() != bytes) return std::nullopt;
  return sketch;
}

}  // namespace lariat::causal
