// SPDX-License-Identifier: Apache-2.0
#include "repair/cleaner_core.h"

#include <algorithm>
#include <utility>

namespace lariat::repair {

std::vector<TokenRange> NotOwned(const ring::Ring& ring, ring::NodeIndex self, uint32_t n) {
  std::vector<TokenRange> ranges;
  bool owns_any = false;
  for (const ring::Ring::Range& range : ring.Ranges(n)) {
    const auto& owners = range.owners.primaries;
    if (std::find(owners.begin(), owners.end(), self) != owners.end()) {
      owns_any = true;
    } else if (!ranges.empty() && ranges.back().to == range.from) {
      ranges.back().to = range.to;
    } else {
      ranges.push_back({range.from, range.to});
    }
  }
  if (!owns_any) return {TokenRange{}};
  if (ranges.size() > 1 && ranges.back().to == ranges.front().from) {
    ranges.front().from = ranges.back().from;
    ranges.pop_back();
  }
  return ranges;
}

std::optional<CleanerCore::Place> CleanerCore::Next() const {
  if (at_ == plan_.items.size()) return std::nullopt;
  return Place{plan_.items[at_], after_};
}

void CleanerCore::OnPage(std::string last_key, bool done, bool skipped_some) {
  skipped_ = skipped_ || skipped_some;
  after_ = std::move(last_key);
  if (!done) return;
  if (skipped_) again_.push_back(plan_.items[at_]);
  skipped_ = false;
  after_.clear();
  if (++at_ < plan_.items.size()) return;
  plan_.items = std::exchange(again_, {});
  at_ = 0;
}

}  // namespace lariat::repair
