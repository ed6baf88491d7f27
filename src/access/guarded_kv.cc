// SPDX-License-Identifier: Apache-2.0
#include "access/guarded_kv.h"

#include <utility>

namespace lariat::access {

using base::Fail;
using security::Action;

void GuardedKv::Get(coordinator::GetRequest request, coordinator::GetDone done) {
  auto may = gate_.Authorize(request.caller, Action::kRead, request.bucket, request.key);
  if (!may) return done(Fail(std::move(may.error())));
  kv_.Get(std::move(request), std::move(done));
}

void GuardedKv::Write(coordinator::WriteRequest request, coordinator::WriteDone done) {
  const Action action = request.write.is_delete ? Action::kDelete : Action::kWrite;
  auto may = gate_.Authorize(request.caller, action, request.bucket, request.key);
  if (!may) return done(Fail(std::move(may.error())));
  kv_.Write(std::move(request), std::move(done));
}

void GuardedKv::SetBucket(membership::BucketProperties bucket, coordinator::Caller caller,
                          coordinator::StatusDone done) {
  if (auto may = gate_.Authorize(caller, Action::kAdmin, bucket.name, ""); !may) {
    return done(Fail(std::move(may.error())));
  }
  std::string name = bucket.name;
  kv_.SetBucket(
      std::move(bucket), caller,
      [this, name = std::move(name), caller, done = std::move(done)](base::Status status) mutable {
        gate_.audit().Write({.event = "admin",
                             .outcome = status ? "ok" : base::CodeName(status.error().code),
                             .action = "set_bucket",
                             .bucket = name},
                            caller);
        done(std::move(status));
      });
}

}  // namespace lariat::access
