// SPDX-License-Identifier: Apache-2.0
// Things that are due at some instant, looked at every few milliseconds: cheaper than a timer for
// each request. A value type.
#pragma once

#include <cstdint>
#include <queue>
#include <utility>
#include <vector>

#include "base/time.h"

namespace lariat::coordinator {

template <typename T>
class Deadlines {
 public:
  void Add(base::Instant due, T what) { queue_.push({due, next_++, std::move(what)}); }
  // Calls use(what) for everything due, in order.
  template <typename Use>
  void Expire(base::Instant now, Use use) {
    while (!queue_.empty() && queue_.top().due <= now) {
      T what = queue_.top().what;
      queue_.pop();
      use(std::move(what));
    }
  }
  size_t size() const { return queue_.size(); }

 private:
  struct Item {
    base::Instant due;
    uint64_t order;
    T what;
    bool operator<(const Item& other) const {  // the queue gives the greatest first
      return std::tie(other.due, other.order) < std::tie(due, order);
    }
  };
  std::priority_queue<Item> queue_;
  uint64_t next_ = 0;
};

}  // namespace lariat::coordinator
