// SPDX-License-Identifier: Apache-2.0
// One operation of a client on a value that merges. Frontends make one, encode it, and hand it on
// as the value of a ClientWrite; nobody looks into it before it is applied. A value type.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "causal/kind.h"

namespace lariat::causal {

inline constexpr size_t kElementBytesMax = 1024;            // also of a field's name
inline constexpr size_t kFieldBytesMax = size_t{64} << 10;  // what a register in a map holds
inline constexpr size_t kOperationElementsMax = 1000;
inline constexpr size_t kOperationBytesMax = size_t{1} << 20;

// What is done to one value that has no fields. Only what its kind knows is set.
struct Step {
  Kind kind = Kind::kCounter;
  int64_t increment = 0;                 // counter
  std::string text;                      // register
  bool on = false;                       // flag
  std::vector<std::string> add, remove;  // set; hll adds only
  bool operator==(const Step&) const = default;

  bool Removes() const { return !remove.empty() || (kind == Kind::kFlag && !on); }
};

struct FieldStep {
  std::string name;
  bool remove = false;  // the field of this name and kind; the rest of `step` means nothing
  Step step;
  bool operator==(const FieldStep&) const = default;
};

struct Operation {
  Step step;                      // its kind is the operation's; of a map nothing else of it
  std::vector<FieldStep> fields;  // map only
  bool operator==(const Operation&) const = default;

  bool Removes() const;
  // kInvalidArgument: it says nothing, or two things of one element or field. kElementTooLarge,
  // kOperationTooLarge: the limits above.
  base::Status Check() const;

  // Form: docs/formats/peer-protocol.md.
  std::string Encode() const;
  static std::optional<Operation> Decode(std::string_view bytes);
};

// Of an encoded one, by its first bytes.
std::optional<Kind> KindOfOperation(std::string_view encoded);
bool Removes(std::string_view encoded);

}  // namespace lariat::causal
