// SPDX-License-Identifier: Apache-2.0
#include "repair/exchange/pairs.h"

#include <algorithm>

#include "ring/diff.h"

namespace lariat::repair {

using membership::BucketProperties;
using membership::View;
using wire::TokenSpan;

namespace {

// Puts the range at the end, into the last one if they touch.
void Append(const TokenSpan& range, std::vector<TokenSpan>* ranges) {
  if (!ranges->empty() && ranges->back().to == range.from) {
    ranges->back().to = range.to;
  } else {
    ranges->push_back(range);
  }
}

void AddRange(const View& view, const BucketProperties& bucket, const TokenSpan& range,
              const std::vector<ring::NodeIndex>& owners, ExchangeMap* map) {
  ReplicaSet set;
  set.bucket = bucket.id;
  for (const ring::NodeIndex node : owners) {
    if (node != view.self) set.partners.push_back(view.MemberAt(node).Number());
  }
  if (set.partners.size() == owners.size()) return;  // not held here
  std::sort(set.partners.begin(), set.partners.end());
  if (!view.topology.operation) {
    for (const uint64_t partner : set.partners) Append(range, &map->pairs[{bucket.id, partner}]);
  }
  const auto same =
      std::find_if(map->sets.begin(), map->sets.end(), [&set](const ReplicaSet& known) {
        return known.bucket == set.bucket && known.partners == set.partners;
      });
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
  for (const Piece& piece : pieces) AddRange(view, bucket, piece.span, piece.owners, map);
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
