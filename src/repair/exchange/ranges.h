// SPDX-License-Identifier: Apache-2.0
// Values that comparisons are made of. Pure.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <vector>

#include "ring/diff.h"
#include "wire/messages.h"

namespace lariat::repair {

// A bucket and another member that holds parts of it.
struct ExchangePair {
  uint32_t bucket = 0;
  uint64_t partner = 0;  // the member's number
  auto operator<=>(const ExchangePair&) const = default;
};

// By bucket, in the order of First(), none over zero.
using HeldRanges = std::map<uint32_t, std::vector<ring::TokenRange>>;

// At most two, none of which goes over zero.
std::vector<wire::TokenSpan> CutAtZero(const wire::TokenSpan& span);
// What of the ranges is in the span (the ranges in the order of tokens, none over zero).
std::vector<wire::TokenSpan> Clip(const std::vector<wire::TokenSpan>& ranges,
                                  const wire::TokenSpan& span);
// Of the token space, 0 to 1.
double ShareOf(const wire::TokenSpan& span);
double ShareOf(const std::vector<wire::TokenSpan>& ranges);

}  // namespace lariat::repair
