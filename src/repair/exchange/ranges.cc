// SPDX-License-Identifier: Apache-2.0
#include "repair/exchange/ranges.h"

#include <algorithm>

namespace lariat::repair {

using wire::TokenSpan;

std::vector<TokenSpan> CutAtZero(const TokenSpan& span) {
  if (span.from == span.to) return {{UINT64_MAX, UINT64_MAX}};
  if (span.from == UINT64_MAX || span.from < span.to) return {span};
  if (span.to == UINT64_MAX) return {span};
  return {{UINT64_MAX, span.to}, {span.from, UINT64_MAX}};
}

std::vector<TokenSpan> Clip(const std::vector<TokenSpan>& ranges, const TokenSpan& span) {
  std::vector<TokenSpan> clipped;
  const std::vector<TokenSpan> parts = CutAtZero(span);
  for (const TokenSpan& range : ranges) {
    for (const TokenSpan& part : parts) {
      const uint64_t low = std::max(range.from + 1, part.from + 1);
      const uint64_t high = std::min(range.to, part.to);
      if (low <= high) clipped.push_back({low - 1, high});
    }
  }
  return clipped;
}

double ShareOf(const TokenSpan& span) { return ring::TokenRange{{span.from}, {span.to}}.Share(); }

double ShareOf(const std::vector<TokenSpan>& ranges) {
  double share = 0;
  for (const TokenSpan& range : ranges) share += ShareOf(range);
  return share;
}

}  // namespace lariat::repair
