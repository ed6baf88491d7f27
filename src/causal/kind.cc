// SPDX-License-Identifier: Apache-2.0
#include "causal/kind.h"

#include <string>

namespace lariat::causal {

using base::Code;
using base::Fail;

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
  for (const char* later : {"counter", "set", "map", "register", "flag", "hll"}) {
    if (name == later) {
      return Fail(Code::kUnsupported, "conflict '" + std::string(name) +
                                          "' is not in this version; use siblings, lww or serial");
    }
  }
  return Fail(Code::kInvalidArgument, "conflict is one of siblings, lww, serial");
}

}  // namespace lariat::causal
