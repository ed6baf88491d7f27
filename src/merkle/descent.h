// SPDX-License-Identifier: Apache-2.0
// The comparison of two trees, step by step and pure: it says which spans to hash next on both
// sides, is told the hashes, and ends with the spans whose keys have to be compared one by one.
// Spans that differ are split in 16 along the borders of leaves, so one differing key among
// 65,536 leaves is found after five rounds. The parts of leaves that the given spans cut off are
// spans of their own from the start, because whoever hashes them has to read their records.
//
//   Descent descent(spans);
//   while (true) {
//     auto ask = descent.Next(4096);
//     if (ask.empty()) break;
//     descent.Compare(MyHashes(ask), TheirHashes(ask));
//   }
//   descent.differing()  -> compare these key by key
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <utility>
#include <vector>

#include "base/hash.h"
#include "merkle/grid.h"

namespace lariat::merkle {

// What one side holds of a span.
struct SpanHash {
  base::Hash128 hash;
  uint64_t keys = 0;
  bool known = true;  // false: some leaf of the span is not known there
  bool operator==(const SpanHash&) const = default;
};

class Descent {
 public:
  // `keys_enough`: a span that differs and holds at most so many keys on both sides together is not
  // split any further.
  explicit Descent(const std::vector<Span>& spans, uint64_t keys_enough = 64);

  // The next spans to be hashed, at most `spans_max`; none goes over zero, and one that cuts a leaf
  // lies within that leaf. Empty: finished. Asked again before Compare, it gives the same.
  std::vector<Span> Next(size_t spans_max);
  // The hashes of what Next gave, in the same order. False, and nothing is done, if there are not
  // as many.
  bool Compare(const std::vector<SpanHash>& mine, const std::vector<SpanHash>& theirs);

  // To be compared key by key, in the order found.
  const std::vector<Span>& differing() const { return differing_; }
  std::vector<Span> TakeDiffering() { return std::exchange(differing_, {}); }
  // Leaves, or parts of leaves, that could not be compared because a side does not know them.
  const std::vector<Span>& unknown() const { return unknown_; }
  uint64_t hashes_compared() const { return hashes_compared_; }

 private:
  void Judge(const Span& span, const SpanHash& mine, const SpanHash& theirs);
  void Split(const Span& span);

  uint64_t keys_enough_;
  std::deque<Span> open_;
  size_t asked_ = 0;  // of the front of open_
  std::vector<Span> differing_;
  std::vector<Span> unknown_;
  uint64_t hashes_compared_ = 0;
};

}  // namespace lariat::merkle
