// SPDX-License-Identifier: Apache-2.0
#include "repair/cleaner_core.h"

#include <utility>

namespace lariat::repair {

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
