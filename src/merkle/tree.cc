// SPDX-License-Identifier: Apache-2.0
#include "merkle/tree.h"

#include <algorithm>

namespace lariat::merkle {

const LeafSum& Tree::At(uint32_t leaf) const {
  static constexpr LeafSum kEmpty;
  const auto& page = pages_[leaf / kPageLeaves];
  return page ? (*page)[leaf % kPageLeaves] : kEmpty;
}

LeafSum& Tree::Use(uint32_t leaf) {
  auto& page = pages_[leaf / kPageLeaves];
  if (!page) {
    page = std::make_unique<Page>();
    ++pages_used_;
  }
  return (*page)[leaf % kPageLeaves];
}

bool Tree::AnyUsed(uint32_t first, uint32_t last) const {
  if (pages_used_ == 0) return false;
  const auto begin = pages_.begin();
  return std::any_of(begin + first / kPageLeaves, begin + last / kPageLeaves + 1,
                     [](const auto& page) { return page != nullptr; });
}

void Tree::AddTo(uint32_t first, uint32_t last, RunHash* hash) const {
  for (uint32_t leaf = first; leaf <= last; ++leaf) {
    if (!pages_[leaf / kPageLeaves]) {
      leaf |= kPageLeaves - 1;  // to the end of the page
      continue;
    }
    hash->Add(leaf, At(leaf));
  }
}

}  // namespace lariat::merkle
