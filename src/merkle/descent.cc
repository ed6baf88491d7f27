// SPDX-License-Identifier: Apache-2.0
#include "merkle/descent.h"

#include <algorithm>

namespace lariat::merkle {
namespace {

constexpr uint32_t kFanOut = 16;

// The span, which does not go over zero, as parts of leaves and a run of whole ones.
void CutAtLeaves(const Span& span, std::deque<Span>* out) {
  if (span.FirstLeaf() == span.LastLeaf()) return out->push_back(span);
  Span whole = span;
  if (span.CutsFirstLeaf()) {
    whole.from = LastToken(span.FirstLeaf());
    out->push_back({span.from, whole.from});
  }
  if (span.CutsLastLeaf()) whole.to = FirstToken(span.LastLeaf()) - 1;
  if (whole.from != whole.to || !span.CutsFirstLeaf()) out->push_back(whole);
  if (span.CutsLastLeaf()) out->push_back({whole.to, span.to});
}

}  // namespace

Descent::Descent(const std::vector<Span>& spans, uint64_t keys_enough) : keys_enough_(keys_enough) {
  for (const Span& span : spans) {
    if (span.from == span.to) {
      CutAtLeaves({UINT64_MAX, UINT64_MAX}, &open_);
    } else if (span.First() <= span.to) {
      CutAtLeaves(span, &open_);
    } else {
      CutAtLeaves({span.from, UINT64_MAX}, &open_);
      CutAtLeaves({UINT64_MAX, span.to}, &open_);
    }
  }
}

std::vector<Span> Descent::Next(size_t spans_max) {
  asked_ = std::min(spans_max, open_.size());
  return {open_.begin(), open_.begin() + static_cast<std::ptrdiff_t>(asked_)};
}

bool Descent::Compare(const std::vector<SpanHash>& mine, const std::vector<SpanHash>& theirs) {
  if (mine.size() != asked_ || theirs.size() != asked_) return false;
  for (size_t i = 0; i < mine.size(); ++i) {
    const Span span = open_.front();
    open_.pop_front();
    Judge(span, mine[i], theirs[i]);
  }
  hashes_compared_ += mine.size();
  asked_ = 0;
  return true;
}

void Descent::Judge(const Span& span, const SpanHash& mine, const SpanHash& theirs) {
  const bool known = mine.known && theirs.known;
  if (known && mine == theirs) return;
  if (span.FirstLeaf() == span.LastLeaf()) {
    (known ? differing_ : unknown_).push_back(span);
  } else if (known && mine.keys <= keys_enough_ && theirs.keys <= keys_enough_ - mine.keys) {
    differing_.push_back(span);
  } else {
    Split(span);
  }
}

void Descent::Split(const Span& span) {
  const uint32_t leaves = span.LastLeaf() - span.FirstLeaf() + 1;
  const uint32_t step = (leaves + kFanOut - 1) / kFanOut;
  for (uint32_t at = 0; at < leaves; at += step) {
    const uint32_t first = span.FirstLeaf() + at;
    open_.push_back(SpanOfLeaves(first, std::min(first + step - 1, span.LastLeaf())));
  }
}

}  // namespace lariat::merkle
