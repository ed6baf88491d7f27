// SPDX-License-Identifier: Apache-2.0
// The leaves of one bucket, in pages that are allocated when a leaf of them is first used: at most
// 2 MiB, whatever the number of keys. Inner nodes are not kept: the hash of a run of leaves is
// computed when it is asked for (RunHash), which for all of them takes a few milliseconds.
#pragma once

#include <array>
#include <cstddef>
#include <memory>

#include "merkle/grid.h"
#include "merkle/leaf_sum.h"

namespace lariat::merkle {

class Tree {
 public:
  static constexpr uint32_t kPageLeaves = 256;

  const LeafSum& At(uint32_t leaf) const;  // an empty one if its page was never used
  LeafSum& Use(uint32_t leaf);
  // Adds the leaves first..last to the hash.
  void AddTo(uint32_t first, uint32_t last, RunHash* hash) const;
  // False: none of the leaves first..last was ever used.
  bool AnyUsed(uint32_t first, uint32_t last) const;
  size_t MemoryBytes() const { return sizeof(*this) + pages_used_ * sizeof(Page); }

 private:
  using Page = std::array<LeafSum, kPageLeaves>;
  std::array<std::unique_ptr<Page>, kLeaves / kPageLeaves> pages_;
  size_t pages_used_ = 0;
};

}  // namespace lariat::merkle
