// SPDX-License-Identifier: Apache-2.0
#include "causal/types/shown.h"

#include "base/coding.h"

namespace lariat::causal {

std::optional<std::vector<std::string_view>> ElementsOf(std::string_view bytes) {
  base::ByteReader in(bytes);
  std::vector<std::string_view> elements;
  while (in.ok() && !in.Rest().empty()) elements.push_back(in.Sized());
  if (!in.ok()) return std::nullopt;
  return elements;
}

std::optional<std::vector<ShownField>> FieldsOf(std::string_view bytes) {
  base::ByteReader in(bytes);
  std::vector<ShownField> fields;
  while (in.ok() && !in.Rest().empty()) {
    ShownField field;
    field.name = in.Sized();
    const auto kind = KindOf(in.U8());
    if (!kind) return std::nullopt;
    field.kind = *kind;
    field.bytes = in.Sized();
    fields.push_back(field);
  }
  if (!in.ok()) return std::nullopt;
  return fields;
}

}  // namespace lariat::causal
