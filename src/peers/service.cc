// SPDX-License-Identifier: Apache-2.0
#include "peers/service.h"

#include <algorithm>
#include <set>
#include <utility>

namespace lariat::peers {

// Of some bucket, for some keys, at the bucket's own r or w.
void Service::Look(const Peers& peers) {
  const auto& view = peers.view();
  if (has_served_ || !view) return;
  std::set<std::pair<uint32_t, uint32_t>> kinds;  // n, and what a request needs
  for (const auto& [name, bucket] : view->topology.buckets) {
    kinds.emplace(bucket.n, std::min(bucket.r, bucket.w));
  }
  // Nobody to wait for: what is not served wants more members.
  has_served_ = peers.PeersAlive() + 1 == view->ring.size();
  for (const auto& [n, needed] : kinds) {
    for (const ring::Ring::Range& range : view->ring.Ranges(n)) {
      uint32_t alive = 0;
      for (const ring::NodeIndex i : range.owners.primaries) alive += peers.IsAlive(i) ? 1 : 0;
      if (alive >= needed) has_served_ = true;
    }
  }
}

std::string Service::WhyNot(const Peers& peers) const {
  constexpr size_t kNamedMax = 5;
  const auto& view = peers.view();
  if (has_served_ || !view) return "";
  std::string missing;
  size_t count = 0;
  for (ring::NodeIndex i = 0; i < view->ring.size(); ++i) {
    if (i == view->self || peers.IsAlive(i) || ++count > kNamedMax) continue;
    const membership::Member& member = view->MemberAt(i);
    const std::string why = peers.TroubleOf(i);
    missing += (missing.empty() ? "" : ", ") + ("'" + member.name + "' at " + member.peer) +
               (why.empty() ? "" : " (" + why + ")");
  }
  if (count > kNamedMax) missing += ", and " + std::to_string(count - kNamedMax) + " more";
  return "no request of any bucket has the replicas it needs; not reached: " + missing;
}

}  // namespace lariat::peers
