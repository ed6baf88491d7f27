// SPDX-License-Identifier: Apache-2.0
// Items that stand for events, each with its dot: how two lists of them become one. The one rule of
// every state in this folder that is made of events: an item stays if both sides have it, or if one
// has it and the other has never heard of its dot. Pure.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include "causal/dot_set.h"

namespace lariat::causal {

// Both lists ascend by dot, and every dot is in its side's history. The histories are joined by the
// caller, and last: the items are decided against both as they were. Copies only what it takes
// over.
template <typename Item, typename DotOf>
void JoinDotted(std::vector<Item>* mine, const std::vector<Item>& theirs, const DotSet& my_history,
                const DotSet& their_history, DotOf dot_of) {
  const auto less = [&dot_of](const Item& a, const Item& b) { return dot_of(a) < dot_of(b); };
  std::erase_if(*mine, [&](const Item& item) {
    const auto same = std::lower_bound(theirs.begin(), theirs.end(), item, less);
    const bool both_have_it = same != theirs.end() && dot_of(*same) == dot_of(item);
    return !both_have_it && their_history.Contains(dot_of(item));
  });
  const auto kept = static_cast<std::ptrdiff_t>(mine->size());
  for (const Item& item : theirs) {
    if (!my_history.Contains(dot_of(item))) mine->push_back(item);
  }
  const auto middle = mine->begin() + kept;
  if (middle != mine->end()) std::inplace_merge(mine->begin(), middle, mine->end(), less);
}

}  // namespace lariat::causal
