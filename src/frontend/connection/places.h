// SPDX-License-Identifier: Apache-2.0
// A ring of places for the requests of a connection that are in work, found by their numbers.
// Places are re-used, so that what was put into them keeps its memory.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

namespace lariat::frontend::connection {

template <typename Place>
class Places {
 public:
  // The place of number `next`, as its last user left it. Those of `first` to `next` - 1 stay.
  Place& Add(uint64_t first, uint64_t next) {
    if (next - first == places_.size()) Grow(first, next);
    return At(next);
  }
  // REQUIRES: added, and not before the `first` of a later Add.
  Place& At(uint64_t number) { return places_[number & (places_.size() - 1)]; }

 private:
  void Grow(uint64_t first, uint64_t next) {
    std::vector<Place> larger(places_.empty() ? 1 : places_.size() * 2);
    for (uint64_t n = first; n != next; ++n) larger[n & (larger.size() - 1)] = std::move(At(n));
    places_ = std::move(larger);
  }

  std::vector<Place> places_;  // its size is 0 or a power of two
};

}  // namespace lariat::frontend::connection
