// SPDX-License-Identifier: Apache-2.0
#include "replica/healing/leaf_checks.h"

#include <utility>

namespace lariat::replica {

void LeafChecks::Check(storage::BucketId bucket, uint32_t leaf, Done done) {
  const ring::TokenSlice& slice = tree_.slice();
  const bool is_mine =
      merkle::LeafOf(slice.first.value) <= leaf && leaf <= merkle::LeafOf(slice.last.value);
  if (!is_mine) return done(LeafCheck{});
  const uint64_t id = ++begun_;
  checks_[id] = std::make_unique<Recount>(Recount::Job{bucket, leaf, leaf}, tree_, env_.engine,
                                          env_.queue, env_.metrics);
  Step(id, std::move(done));
}

void LeafChecks::Step(uint64_t id, Done done) {
  Recount& check = *checks_.find(id)->second;
  check.Step([this, id, done = std::move(done)](const base::Status& status) mutable {
    if (status && !checks_.find(id)->second->Finished()) return Step(id, std::move(done));
    const auto ended = checks_.extract(id);
    if (!status) return done(base::Fail(status.error()));
    done(ended.mapped()->TakeResult());
  });
}

}  // namespace lariat::replica
