// SPDX-License-Identifier: Apache-2.0
// Things that are due at some instant, looked at every few milliseconds: cheaper than a timer for
// each request. A value type.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <queue>
#include <tuple>
#include <utility>

#include "base/time.h"

namespace lariat::coordinator {

template <typename T>
class Deadlines {
 public:
  void Add(base::Instant due, T what) {
    Item item{due, next_++, std::move(what)};
    if (line_.empty() || line_.back().due <= due) {
      line_.push_back(std::move(item));
    } else {
      early_.push(std::move(item));
    }
  }
  // Calls use(what) for everything due, in order.
  template <typename Use>
  void Expire(base::Instant now, Use use) {
    while (std::optional<T> what = PopDue(now)) use(std::move(*what));
  }
  size_t size() const { return line_.size() + early_.size(); }

 private:
  struct Item {
    base::Instant due;
    uint64_t order;
    T what;
    bool operator<(const Item& other) const {  // the queue gives the greatest first
      return std::tie(other.due, other.order) < std::tie(due, order);
    }
  };

  std::optional<T> PopDue(base::Instant now) {
    const bool early = !early_.empty() && (line_.empty() || line_.front() < early_.top());
    if (early) {
      if (early_.top().due > now) return std::nullopt;
      T what = early_.top().what;
      early_.pop();
      return what;
    }
    if (line_.empty() || line_.front().due > now) return std::nullopt;
    T what = std::move(line_.front().what);
    line_.pop_front();
    return what;
  }

  // Nearly all wait equally long, so they come in the order in which they are due; a heap of all of
  // them costs a walk through its whole depth, with a cache miss at each step, for each one.
  std::deque<Item> line_;
  std::priority_queue<Item> early_;  // those that are due before one that came earlier
  uint64_t next_ = 0;
};

}  // namespace lariat::coordinator
