// SPDX-License-Identifier: Apache-2.0
// The replica lists of a key. Reads ask the first one, the read list. While the topology changes
// under the key there is a second one: the move list, to which the change moves the key or, after
// the switch, from which it came (membership::View::Replicas::other). What is written, and what a
// strict read returns, has to be held in every list, by as many as that list needs; a node that is
// in several counts in each:
//
//   read A B C needs 2, move B C D needs 2: A and B hold it -> 2 and 1: C or D is missing
//
// Nothing here or in the cores knows how many lists there are, up to kListsMax, or why: a list for
// each datacenter is the same arithmetic. Pure; no heap.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>

#include "base/check.h"

namespace lariat::coordinator {

inline constexpr size_t kListsMax = 4;

// Bits: which lists a replica is in. 0: none any more.
using ListSet = uint8_t;
constexpr ListSet InList(size_t list) { return static_cast<ListSet>(1U << list); }
constexpr bool IsIn(ListSet set, size_t list) { return (set & InList(list)) != 0; }
inline constexpr ListSet kInRead = InList(0);
inline constexpr ListSet kInMove = InList(1);
inline constexpr ListSet kInBoth = kInRead | kInMove;

// One value for each list, the read list's first. Of a list that is not named it is T().
template <typename T>
class PerList {
 public:
  PerList() = default;
  PerList(std::initializer_list<T> values) {
    LARIAT_CHECK(values.size() <= kListsMax, "more lists than there are bits for");
    size_t i = 0;
    for (const T& value : values) values_[i++] = value;
  }

  T& operator[](size_t list) { return values_[list]; }
  const T& operator[](size_t list) const { return values_[list]; }

 private:
  std::array<T, kListsMax> values_{};
};

}  // namespace lariat::coordinator
