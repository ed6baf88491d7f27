// SPDX-License-Identifier: Apache-2.0
// A HyperLogLog: how many different elements were added, within about 0.8 %, in at most 12 KiB.
// (Flajolet, Fusy, Gandouet, Meunier: "HyperLogLog", AofA 2007; the estimate is that of Otmar Ertl,
// "New cardinality estimation algorithms for HyperLogLog sketches", 2017.)
//
// 2^14 registers. An element's hash names one of them and a rank, the place of the first 1 in its
// other 50 bits; a register keeps the greatest rank. Two sketches join by the greater ranks. A
// value type.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace lariat::causal {

class Sketch {
 public:
  void Add(std::string_view element);
  void Join(const Sketch& other);
  uint64_t Estimate() const;
  bool operator==(const Sketch&) const = default;

  // Canonical, docs/formats/object.md: sparse if that takes less than 3 KiB, otherwise dense.
  // Nothing for bytes that Encode does not make.
  std::string Encode() const;
  static std::optional<Sketch> Decode(std::string_view bytes);

 private:
  static constexpr int kIndexBits = 14;
  static constexpr size_t kRegisters = size_t{1} << kIndexBits;
  static constexpr uint8_t kRankMax = 64 - kIndexBits + 1;
  std::string ranks_ = std::string(kRegisters, '\0');
};

}  // namespace lariat::causal
