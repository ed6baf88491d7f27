// SPDX-License-Identifier: Apache-2.0
#include "coordinator/internal/buckets.h"

#include <utility>

namespace lariat::coordinator {

using base::Code;
using base::Fail;

std::vector<membership::BucketProperties> Buckets::All() const {
  std::vector<membership::BucketProperties> buckets;
  if (!context_.view()) return buckets;
  for (const auto& [name, bucket] : context_.view()->topology.buckets) buckets.push_back(bucket);
  return buckets;
}

base::Result<membership::BucketProperties> Buckets::Find(const std::string& name) const {
  if (auto status = context_.CheckBucket(name); !status) return Fail(status.error());
  return *context_.view()->FindBucket(name);
}

void Buckets::Set(membership::BucketProperties bucket, StatusDone done) {
  if (auto status = membership::CheckBucket(bucket); !status) return done(status);
  const auto& view = context_.view();
  if (!view) return done(Fail(Code::kUnavailable, "the cluster is not formed yet"));
  const bool is_new = view->FindBucket(bucket.name) == nullptr;
  const auto most = static_cast<size_t>(context_.settings().limits_buckets);
  if (is_new && view->topology.buckets.size() >= most) {
    return done(Fail(Code::kTooLarge, "the cluster has as many buckets as limits.buckets allows"));
  }
  context_.cluster().SetBucket(std::move(bucket), std::move(done));
}

}  // namespace lariat::coordinator
