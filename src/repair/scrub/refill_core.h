// SPDX-License-Identifier: Apache-2.0
// What to do about a record that is damaged here, by what its other replicas hold of it. Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

namespace lariat::repair {

struct RefillAnswer {
  std::string node;                                 // for people
  base::Result<std::optional<std::string>> object;  // nothing: it has none
};

struct RefillVerdict {
  enum class Kind : uint8_t {
    kRefill,  // with `object`
    kKeep,    // nobody has anything: the damaged bytes are all there is
    kLater,   // not everybody has answered
  } kind = Kind::kLater;
  std::string object;
  std::string why;  // it is not refilled
};

// Everybody has to answer: what was acknowledged by this node and one other alone would be missing
// from a state that is put together without that one, and reads here would not show it.
RefillVerdict JudgeRefill(const std::vector<RefillAnswer>& others);

}  // namespace lariat::repair
