// SPDX-License-Identifier: Apache-2.0
#include "repair/plan.h"

namespace lariat::repair {

CleanerPlan PlanCleaner(const membership::View& view) {
  CleanerPlan plan;
  plan.fence = view.fence();
  for (const auto& [name, bucket] : view.topology.buckets) {
    for (const TokenRange& range : NotOwned(view.ring, view.self, bucket.n)) {
      plan.items.push_back({bucket.id, range});
    }
  }
  return plan;
}

}  // namespace lariat::repair
