// SPDX-License-Identifier: Apache-2.0
// The requests of one connection that wait for their replies, in the order in which they came.
// Replies may be ready in any order and leave in this one. Places are re-used.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/check.h"
#include "frontend/http/internal/reply.h"

namespace lariat::frontend::http {

struct Pending {
  ReplyForm form;
  std::string key;            // for replies that name it
  std::string accept;         // of a read, where it says anything
  std::string if_none_match;  // of a read
  size_t promised = 0;        // most bytes that the reply of a read may have, until it is there
  size_t expected = 0;        // likewise, in the totals
  bool answered = false;
  Reply reply;
};

class Pipeline {
 public:
  explicit Pipeline(size_t places_max) : places_max_(places_max) {}
  bool Empty() const { return first_ == next_; }
  bool Full() const { return next_ - first_ >= places_max_; }
  // Result: the number by which At finds the new place. REQUIRES: !Full().
  uint64_t Push() {
    LARIAT_CHECK(!Full(), "the pipeline is full");
    if (next_ - first_ == places_.size()) Grow();
    Pending& pending = Place(next_);
    pending.form = {};
    pending.key.clear();
    pending.accept.clear();
    pending.if_none_match.clear();
    pending.promised = pending.expected = 0;
    pending.answered = false;
    pending.reply = {};
    return next_++;
  }
  // nullptr if that reply has left already.
  Pending* At(uint64_t number) {
    return number >= first_ && number < next_ ? &Place(number) : nullptr;
  }
  bool IsFront(uint64_t number) const { return number == first_ && !Empty(); }
  Pending& Front() { return Place(first_); }  // REQUIRES: !Empty()
  void Pop() { ++first_; }                    // REQUIRES: !Empty()

 private:
  void Grow() {
    std::vector<Pending> larger(places_.empty() ? 1 : places_.size() * 2);
    for (uint64_t n = first_; n != next_; ++n) {
      larger[n & (larger.size() - 1)] = std::move(Place(n));
    }
    places_ = std::move(larger);
  }
  Pending& Place(uint64_t number) { return places_[number & (places_.size() - 1)]; }

  const size_t places_max_;
  std::vector<Pending> places_;  // a ring; its size is 0 or a power of two
  uint64_t first_ = 0;
  uint64_t next_ = 0;
};

}  // namespace lariat::frontend::http
