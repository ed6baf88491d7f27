// SPDX-License-Identifier: Apache-2.0
// The walk of a clean-up: over every range that a node does not own, bucket by bucket, page by
// page. Pure.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "ring/diff.h"

namespace lariat::repair {

struct CleanerPlan {
  // The fence of the document by which the ranges are not owned.
  uint64_t fence = 0;
  struct Item {
    uint32_t bucket = 0;
    ring::TokenRange range;
  };
  std::vector<Item> items;
};

class CleanerCore {
 public:
  explicit CleanerCore(CleanerPlan plan) : plan_(std::move(plan)) {}

  uint64_t fence() const { return plan_.fence; }
  struct Place {
    CleanerPlan::Item item;
    std::string after;  // go on after this key
  };
  // Where to look next; nothing: finished.
  std::optional<Place> Next() const;
  // The page after the present place was dealt with.
  void OnPage(std::string last_key, bool done, bool skipped_some);

 private:
  CleanerPlan plan_;
  size_t at_ = 0;
  std::string after_;
  bool skipped_ = false;                  // in the present item
  std::vector<CleanerPlan::Item> again_;  // items where keys were skipped
};

}  // namespace lariat::repair
