// SPDX-License-Identifier: Apache-2.0
#include "causal/types/operation.h"

#include <algorithm>
#include <set>
#include <utility>

#include "base/coding.h"

namespace lariat::causal {

using base::Code;
using base::Fail;

namespace {

constexpr uint8_t kRemoves = 1;  // of the flags

void PutTexts(const std::vector<std::string>& texts, base::ByteWriter* out) {
  out->Varint(texts.size());
  for (const std::string& text : texts) out->Sized(text);
}

void TakeTexts(base::ByteReader* in, std::vector<std::string>* texts) {
  const uint64_t size = in->Varint();
  if (size > in->Rest().size()) return in->MarkBad();
  texts->reserve(size);
  for (uint64_t i = 0; i < size && in->ok(); ++i) texts->emplace_back(in->Sized());
}

void PutStep(const Step& step, base::ByteWriter* out) {
  switch (step.kind) {
    case Kind::kCounter:
      return out->U64(static_cast<uint64_t>(step.increment));
    case Kind::kRegister:
      return out->Sized(step.text);
    case Kind::kFlag:
      return out->U8(step.on ? 1 : 0);
    case Kind::kHll:
      return PutTexts(step.add, out);
    case Kind::kSet:
      PutTexts(step.add, out);
      return PutTexts(step.remove, out);
    default:
      return;
  }
}

void TakeStep(base::ByteReader* in, Step* step) {
  switch (step->kind) {
    case Kind::kCounter:
      step->increment = static_cast<int64_t>(in->U64());
      return;
    case Kind::kRegister:
      step->text = in->Sized();
      return;
    case Kind::kFlag: {
      const uint8_t on = in->U8();
      if (on > 1) in->MarkBad();
      step->on = on == 1;
      return;
    }
    case Kind::kHll:
      return TakeTexts(in, &step->add);
    case Kind::kSet:
      TakeTexts(in, &step->add);
      return TakeTexts(in, &step->remove);
    default:
      return in->MarkBad();
  }
}

bool MayBeField(Kind kind) {
  return kind == Kind::kCounter || kind == Kind::kRegister || kind == Kind::kFlag ||
         kind == Kind::kSet;
}

base::Status Invalid(const char* what) { return Fail(Code::kInvalidArgument, what); }

base::Status CheckElement(std::string_view element) {
  if (element.size() <= kElementBytesMax) return {};
  return Fail(Code::kElementTooLarge, "an element, or a field's name, has " +
                                          std::to_string(element.size()) + " bytes; the limit is " +
                                          std::to_string(kElementBytesMax));
}

// Counts what the limit on elements counts.
base::Status CheckStep(const Step& step, size_t* elements) {
  if (step.kind != Kind::kSet && step.kind != Kind::kHll) {
    ++*elements;
    return {};
  }
  if (step.add.empty() && step.remove.empty()) return Invalid("the operation names no element");
  *elements += step.add.size() + step.remove.size();
  std::set<std::string_view> added;
  for (const std::string& element : step.add) {
    if (auto fits = CheckElement(element); !fits) return fits;
    added.insert(element);
  }
  for (const std::string& element : step.remove) {
    if (auto fits = CheckElement(element); !fits) return fits;
    if (added.contains(element)) return Invalid("an element is both added and removed");
  }
  return {};
}

base::Status CheckFields(const std::vector<FieldStep>& fields, size_t* elements) {
  if (fields.empty()) return Invalid("the operation names no field");
  std::set<std::pair<std::string_view, Kind>> named;
  for (const FieldStep& field : fields) {
    if (auto fits = CheckElement(field.name); !fits) return fits;
    if (!named.emplace(field.name, field.step.kind).second) {
      return Invalid("a field is named twice");
    }
    if (field.remove) {
      ++*elements;
      continue;
    }
    if (auto good = CheckStep(field.step, elements); !good) return good;
    if (field.step.text.size() > kFieldBytesMax) {
      return Fail(Code::kElementTooLarge,
                  "a field has more than " + std::to_string(kFieldBytesMax) + " bytes");
    }
  }
  return {};
}

}  // namespace

bool Operation::Removes() const {
  return step.Removes() || std::any_of(fields.begin(), fields.end(), [](const FieldStep& field) {
           return field.remove || field.step.Removes();
         });
}

base::Status Operation::Check() const {
  size_t elements = 0;
  auto good = step.kind == Kind::kMap ? CheckFields(fields, &elements) : CheckStep(step, &elements);
  if (!good) return good;
  if (elements > kOperationElementsMax) {
    return Fail(Code::kOperationTooLarge, "the operation has " + std::to_string(elements) +
                                              " elements; the limit is " +
                                              std::to_string(kOperationElementsMax));
  }
  if (Encode().size() > kOperationBytesMax) {
    return Fail(Code::kOperationTooLarge,
                "the operation has more than " + std::to_string(kOperationBytesMax) + " bytes");
  }
  return {};
}

std::string Operation::Encode() const {
  std::string bytes;
  base::ByteWriter out(&bytes);
  out.U8(static_cast<uint8_t>(step.kind));
  out.U8(Removes() ? kRemoves : 0);
  if (step.kind != Kind::kMap) {
    PutStep(step, &out);
    return bytes;
  }
  out.Varint(fields.size());
  for (const FieldStep& field : fields) {
    out.Sized(field.name);
    out.U8(static_cast<uint8_t>(field.step.kind));
    out.U8(field.remove ? kRemoves : 0);
    if (!field.remove) PutStep(field.step, &out);
  }
  return bytes;
}

std::optional<Operation> Operation::Decode(std::string_view bytes) {
  base::ByteReader in(bytes);
  const auto kind = KindOf(in.U8());
  if (!kind || !Merges(*kind)) return std::nullopt;
  Operation operation;
  operation.step.kind = *kind;
  const uint8_t flags = in.U8();
  if (*kind != Kind::kMap) {
    TakeStep(&in, &operation.step);
  } else {
    const uint64_t size = in.Varint();
    if (size > in.Rest().size()) return std::nullopt;
    for (uint64_t i = 0; i < size && in.ok(); ++i) {
      FieldStep field;
      field.name = in.Sized();
      const auto field_kind = KindOf(in.U8());
      if (!field_kind || !MayBeField(*field_kind)) return std::nullopt;
      field.step.kind = *field_kind;
      const uint8_t removes = in.U8();
      if (removes > kRemoves) return std::nullopt;
      field.remove = removes == kRemoves;
      if (!field.remove) TakeStep(&in, &field.step);
      operation.fields.push_back(std::move(field));
    }
  }
  const bool good = in.AtEnd() && flags == (operation.Removes() ? kRemoves : 0);
  return good ? std::optional(std::move(operation)) : std::nullopt;
}

std::optional<Kind> KindOfOperation(std::string_view encoded) {
  return encoded.empty() ? std::nullopt : KindOf(static_cast<uint8_t>(encoded[0]));
}

bool Removes(std::string_view encoded) {
  return encoded.size() > 1 && static_cast<uint8_t>(encoded[1]) == kRemoves;
}

}  // namespace lariat::causal
