// SPDX-License-Identifier: Apache-2.0
// A value that merges as clients are shown it, apart from any protocol. A value type.
//
//   shape    bytes
//   kText    the text itself
//   kNumber  decimal, with a sign if it is below 0
//   kBool    "1" or "0"
//   kList    each element: its length as a varint, and the element; in the order of their bytes
//   kFields  each field: name (length, bytes), kind (u8), content (length, and bytes of its shape);
//            in the order of names, then kinds
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "causal/kind.h"

namespace lariat::causal {

struct Shown {
  Kind kind = Kind::kSiblings;
  std::optional<std::string> bytes;  // nothing: too much to show unasked, or nothing is there
  bool operator==(const Shown&) const = default;
  bool Merges() const { return causal::Merges(kind); }
};

// Views into the bytes. Nothing if they are not of that shape.
std::optional<std::vector<std::string_view>> ElementsOf(std::string_view bytes);
struct ShownField {
  std::string_view name;
  Kind kind = Kind::kRegister;
  std::string_view bytes;
};
std::optional<std::vector<ShownField>> FieldsOf(std::string_view bytes);

}  // namespace lariat::causal
