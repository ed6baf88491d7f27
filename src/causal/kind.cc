// SPDX-License-Identifier: Apache-2.0
#include "causal/kind.h"

#include <string>

namespace lariat::causal {

using base::Code;
using base::Fail;

namespace {

std::string Choices() {
  std::string text = "conflict is one of";
  for (const KindRow& row : kKinds) {
    text += &row == kKinds ? " " : ", ";
    text += row.name;
  }
  return text;
}

}  // namespace

std::optional<Kind> KindOf(uint32_t number) {
  for (const KindRow& row : kKinds) {
    if (static_cast<uint32_t>(row.kind) == number) return row.kind;
  }
  return std::nullopt;
}

base::Result<Kind> ParseKind(std::string_view name) {
  for (const KindRow& row : kKinds) {
    if (row.name == name) return row.kind;
  }
  if (name == "typed") {
    return Fail(Code::kUnsupported, "conflict 'typed' is not in this version; " + Choices());
  }
  return Fail(Code::kInvalidArgument, Choices());
}

}  // namespace lariat::causal
