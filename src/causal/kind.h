// SPDX-License-Identifier: Apache-2.0
// What a bucket keeps of a key that several clients write: its kind. A kind is one row of kKinds
// and one state, which is an alternative of Object: its members are what the state is, how it
// joins, takes a change, shows values and folds. Outside of this folder kinds are passed on, never
// told apart: who has to act by one asks for the property that matters. Values.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/result.h"

namespace lariat::causal {

// Numbers are stored and sent; never reuse one.
enum class Kind : uint8_t {
  kSiblings = 1,
  kLww = 2,
  kCounter = 3,
  kRegister = 4,
  kFlag = 5,
  kHll = 6,
  kSet = 7,
  kMap = 8,
  kSerial = 10
};

// How the bytes of a value that merges are shown (types/shown.h). kOpaque: values do not merge,
// and are the client's own bytes.
enum class Shape : uint8_t { kOpaque, kText, kNumber, kBool, kList, kFields };

struct KindRow {
  Kind kind;
  std::string_view name;  // as a bucket's property "conflict"
  // The writes of a key have one order, that of stamps, and the greatest is all that is kept: they
  // have to be brought into that order everywhere (coordinator/put_core.h, replica/registers). The
  // writes of other kinds are events of actors, and causality decides.
  bool ordered_by_clock;
  Shape shape;
  // Each write of a key is agreed by a majority of its replicas (coordinator/serial); plain writes
  // never meet such a key.
  bool agreed = false;
};
inline constexpr KindRow kKinds[] = {{Kind::kSiblings, "siblings", false, Shape::kOpaque},
                                     {Kind::kLww, "lww", true, Shape::kOpaque},
                                     {Kind::kCounter, "counter", false, Shape::kNumber},
                                     {Kind::kRegister, "register", false, Shape::kText},
                                     {Kind::kFlag, "flag", false, Shape::kBool},
                                     {Kind::kHll, "hll", false, Shape::kNumber},
                                     {Kind::kSet, "set", false, Shape::kList},
                                     {Kind::kMap, "map", false, Shape::kFields},
                                     {Kind::kSerial, "serial", false, Shape::kOpaque, true}};

constexpr const KindRow& RowOf(Kind kind) {
  for (const KindRow& row : kKinds) {
    if (row.kind == kind) return row;
  }
  return kKinds[0];
}
constexpr bool IsOrderedByClock(Kind kind) { return RowOf(kind).ordered_by_clock; }
constexpr bool IsAgreed(Kind kind) { return RowOf(kind).agreed; }
// Values are changed by operations, and what is concurrent is joined by their type's own rule.
constexpr bool Merges(Kind kind) { return RowOf(kind).shape != Shape::kOpaque; }
// A write of plain bytes assigns.
constexpr bool TakesBytes(Kind kind) {
  return RowOf(kind).shape == Shape::kOpaque || RowOf(kind).shape == Shape::kText;
}

// Nothing for a number that no kind has.
std::optional<Kind> KindOf(uint32_t number);
// kUnsupported for the names of later versions.
base::Result<Kind> ParseKind(std::string_view name);

}  // namespace lariat::causal
