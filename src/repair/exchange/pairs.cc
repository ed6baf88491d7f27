// SPDX-License-Identifier: Apache-2.0
#include "repair/exchange/pairs.h"

#include <algorithm>

#include "ring/diff.h"

namespace lariat::repair {

using membership::BucketProperties;
using membership::View;
using wire::TokenSpan;

namespace {

bool ComparesOwners(const View& view) {
  using membership::Phase;
  const auto& operation = view.topology.operation;
  return !operation || operation->phase == Phase::kPrepare || operation->phase == Phase::kStream;
}

// Puts the range at the end, into the last one if they touch.
void Append(const TokenSpan& range, std::vector<TokenSpan>* ranges) {
  if (!ranges->empty() && ranges->back().to == range.from) {
    ranges->back().to = range.to;
  } else {
    ranges->push_back(range);
  }
}

// `first_set`: of the bucket.
void AddRange(const View& view, const BucketProperties& bucket, const TokenSpan& range,
              const std::vector<ring::NodeIndex>& owners, size_t first_set, ExchangeMap* map) {
  ReplicaSet set;
  set.bucket = bucket.id;
  for (const ring::NodeIndex node : owners) {
    if (node != view.self) set.partners.push_back(view.MemberAt(node).Number());
  }
  if (set.partners.size() == owners.size()) return;  // not held here
  std::sort(set.partners.begin(), set.partners.end());
  if (ComparesOwners(view)) {
    for (const ring::NodeIndex node : owners) {
      const membership::Member& owner = view.MemberAt(node);
      if (node == view.self || owner.given_up) continue;  // it is never asked for anything again
      Append(range, &map->pairs[{bucket.id, owner.Number()}]);
    }
  }
  const auto same =
      std::find_if(map->sets.begin() + static_cast<std::ptrdiff_t>(first_set), map->sets.end(),
                   [&set](const ReplicaSet& known) { return known.partners == set.partners; });
  if (same != map->sets.end()) return Append(range, &same->ranges);
  set.ranges.push_back(range);
  map->sets.push_back(std::move(set));
}

void AddBucket(const View& view, const BucketProperties& bucket, ExchangeMap* map) {
  struct Piece {
    TokenSpan span;
    std::vector<ring::NodeIndex> owners;
  };
  std::vector<Piece> pieces;
  for (const ring::Ring::Range& range : view.ring.Ranges(bucket.n)) {
    for (const TokenSpan& span : CutAtZero({range.from.value, range.to.value})) {
      pieces.push_back({span, range.owners.primaries});
    }
  }
  std::sort(pieces.begin(), pieces.end(),
            [](const Piece& a, const Piece& b) { return a.span.from + 1 < b.span.from + 1; });
  const size_t first_set = map->sets.size();
  for (const Piece& piece : pieces) {
    AddRange(view, bucket, piece.span, piece.owners, first_set, map);
  }
  auto& held = map->held[bucket.id];
  held = ring::OwnedRanges(view.ring, bucket.n, view.self);
  if (!view.next) return;
  for (const ring::TokenRange& range :
       ring::OwnedRanges(*view.next, view.topology.NextN(bucket), view.self)) {
    held.push_back(range);
  }
}

}  // namespace

ExchangeMap MapOf(const View& view) {
  ExchangeMap map;
  for (const auto& [name, bucket] : view.topology.buckets) AddBucket(view, bucket, &map);
  return map;
}

}  // namespace lariat::repair
