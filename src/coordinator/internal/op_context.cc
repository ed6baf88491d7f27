// SPDX-License-Identifier: Apache-2.0
#include "coordinator/internal/op_context.h"

#include <algorithm>
#include <utility>

namespace lariat::coordinator {

using base::Code;
using base::Fail;

namespace {

// Between tries of a request that was refused as stale.
constexpr base::Duration kFirstWait = base::Millis(10);
constexpr base::Duration kLongestWait = base::Millis(200);
constexpr uint32_t kDoublingsMax = 5;

base::Duration WaitOf(uint32_t attempt) {
  return std::min(kFirstWait * (1 << std::min(attempt, kDoublingsMax)), kLongestWait);
}

}  // namespace

OpContext::OpContext(env::Env env, const config::Settings& settings, ReplicaPort& replicas,
                     ClusterPort& cluster, telemetry::Metrics& metrics)
    : env_(env),
      settings_(settings),
      replicas_(replicas),
      cluster_(cluster),
      metrics_(metrics),
      alive_(std::make_shared<bool>(true)) {}

void OpContext::SetView(std::shared_ptr<const membership::View> view) {
  view_ = std::move(view);
  view_is_new_ = true;
}

void OpContext::Tick(base::Instant now) {
  const auto again = [](const std::function<void()>& task) { task(); };
  if (std::exchange(view_is_new_, false)) {
    // Out of the member first: what still waits afterwards comes back into it.
    auto waiting = std::exchange(waiting_, Deadlines<std::function<void()>>());
    waiting.Expire(base::Instant::max(), again);
  }
  waiting_.Expire(now, again);
}

base::Result<Target> OpContext::Locate(const std::string& bucket, const std::string& key) const {
  if (auto status = membership::CheckKey(key); !status) return Fail(status.error());
  if (auto status = CheckBucket(bucket); !status) return Fail(status.error());
  return *FindTarget(view_, bucket, ring::TokenOf(key));
}

base::Status OpContext::CheckBucket(const std::string& name) const {
  if (auto status = membership::CheckBucketName(name); !status) return status;
  if (!view_) return Fail(Code::kUnavailable, "the cluster is not formed yet");
  if (view_->FindBucket(name) != nullptr) return {};
  return Fail(Code::kNotFound, "there is no bucket '" + name +
                                   "'; create it first (lariat bucket create " + name + ")");
}

std::shared_ptr<const membership::View> OpContext::NewerThan(
    const membership::View& planned) const {
  // A shard's views only ever get newer, so any other fence is a newer one.
  return view_ && view_->fence() != planned.fence() ? view_ : nullptr;
}

void OpContext::WaitFor(const std::shared_ptr<const membership::View>& planned,
                        ring::NodeIndex node, uint32_t attempt, std::function<void()> again,
                        base::Instant latest) {
  // The shards of one node get its views one after another by themselves.
  if (node != planned->self) cluster_.Reconcile(planned, node);
  waiting_.Add(std::min(env_.clock.Now() + WaitOf(attempt), latest), std::move(again));
}

}  // namespace lariat::coordinator
