// SPDX-License-Identifier: Apache-2.0
#include "coordinator/coordinator.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace lariat::coordinator {

using base::Code;
using base::Fail;

namespace {

// Between tries of a request that was refused as stale.
constexpr base::Duration kFirstWait = base::Millis(10);
constexpr base::Duration kLongestWait = base::Millis(200);
constexpr uint32_t kDoublingsMax = 5;

}  // namespace

Version NameVersion(const std::map<uint64_t, uint64_t>& version, const membership::View& view) {
  Version named;
  for (const auto& [number, events] : version) {
    const auto found = view.by_number.find(number);
    const std::string name = found != view.by_number.end() ? view.MemberAt(found->second).name
                                                           : "former-" + std::to_string(number);
    named[name] += events;
  }
  return named;
}

Coordinator::Coordinator(env::Env env, const config::Settings& settings, ReplicaPort& replicas,
                         ClusterPort& cluster, telemetry::Metrics& metrics)
    : env_(env),
      settings_(settings),
      replicas_(replicas),
      cluster_(cluster),
      metrics_(metrics),
      random_(env.entropy.Next()),
      alive_(std::make_shared<bool>(true)) {}

Coordinator::~Coordinator() = default;

void Coordinator::SetView(std::shared_ptr<const membership::View> view) {
  view_ = std::move(view);
  view_is_new_ = true;
}

void Coordinator::Tick(base::Instant now) {
  const auto again = [](const std::function<void()>& task) { task(); };
  if (std::exchange(view_is_new_, false)) {
    // Out of the member first: what still waits afterwards comes back into it.
    auto waiting = std::exchange(waiting_, Deadlines<std::function<void()>>());
    waiting.Expire(base::Instant::max(), again);
  }
  waiting_.Expire(now, again);
  hedges_.Expire(now, [](const std::weak_ptr<ReadOp>& weak) {
    if (auto op = weak.lock()) op->OnHedge();
  });
  read_deadlines_.Expire(now, [](const std::weak_ptr<ReadOp>& weak) {
    if (auto op = weak.lock()) op->OnTimeout();
  });
  write_deadlines_.Expire(now, [](const std::weak_ptr<WriteOp>& weak) {
    if (auto op = weak.lock()) op->OnTimeout();
  });
  waiter_deadlines_.Expire(now, [](const std::weak_ptr<Waiter>& weak) {
    if (auto waiter = weak.lock()) waiter->End(Fail(TooLate(waiter->needed)));
  });
}

base::Status Coordinator::Admit(size_t bytes) {
  if (in_flight_ >= static_cast<size_t>(settings_.limits_in_flight_requests)) {
    return Fail(Code::kOverloaded, "too many requests are in work (limits.in_flight_requests)");
  }
  if (in_flight_bytes_ + bytes > static_cast<size_t>(settings_.limits_in_flight_bytes)) {
    return Fail(Code::kOverloaded, "too many bytes are in work (limits.in_flight_bytes)");
  }
  ++in_flight_;
  in_flight_bytes_ += bytes;
  metrics_.requests_in_flight.Set(static_cast<int64_t>(in_flight_));
  return {};
}

void Coordinator::Leave(size_t bytes) {
  LARIAT_CHECK(in_flight_ > 0, "a request leaves once");
  --in_flight_;
  in_flight_bytes_ -= bytes;
  metrics_.requests_in_flight.Set(static_cast<int64_t>(in_flight_));
}

base::Result<Target> Coordinator::Locate(const std::string& bucket, const std::string& key) const {
  if (auto status = membership::CheckKey(key); !status) return Fail(status.error());
  if (auto status = CheckBucket(bucket); !status) return Fail(status.error());
  return *FindTarget(view_, bucket, ring::TokenOf(key));
}

base::Status Coordinator::CheckAlive(const Target& target, Demand read, Demand other,
                                     bool stand_ins) const {
  const auto check = [&](const std::vector<ring::NodeIndex>& stood_for) {
    auto status = CheckAliveIn(target.replicas.read, target, read, stood_for);
    if (!status || target.replicas.other.empty()) return status;
    return CheckAliveIn(target.replicas.other, target, other, stood_for);
  };
  auto strictly = check({});
  if (strictly || !stand_ins) return strictly;
  // One node for each, in the order in which the operation will take them.
  const Lineup lineup = WriteLineup(target, replicas_);
  const size_t spares = SparesOf(target, replicas_).size();
  std::vector<ring::NodeIndex> stood_for;
  for (size_t i = 0; i < lineup.nodes.size() && stood_for.size() < spares; ++i) {
    if (!lineup.usable[i]) stood_for.push_back(lineup.nodes[i]);
  }
  return check(stood_for);
}

base::Status Coordinator::CheckAliveIn(const std::vector<ring::NodeIndex>& list,
                                       const Target& target, Demand demand,
                                       const std::vector<ring::NodeIndex>& stood_for) const {
  uint32_t primaries = 0;
  uint32_t alive = 0;
  for (const ring::NodeIndex node : list) {
    const bool lives = replicas_.IsAlive(*target.view, node);
    primaries += lives ? 1 : 0;
    const bool held =
        lives || std::find(stood_for.begin(), stood_for.end(), node) != stood_for.end();
    alive += held ? 1 : 0;
  }
  const bool of_primaries = alive >= demand.nodes;
  if (of_primaries && primaries >= demand.primaries) return {};
  base::Error error{Code::kInsufficientReplicas, "", of_primaries ? demand.primaries : demand.nodes,
                    of_primaries ? primaries : alive};
  error.message = "too few replicas are alive for the consistency asked: needed " +
                  std::to_string(error.needed) + (of_primaries ? " primaries" : "") + ", alive " +
                  std::to_string(error.alive);
  if (!stood_for.empty() && !of_primaries) error.message += ", stand-ins included";
  if (!target.replicas.other.empty()) {
    error.message += "; the key's range is moving, so its old and its new replicas count apart";
  } else if (list.size() < error.needed) {
    error.message += "; the cluster has only " + std::to_string(target.view->ring.size()) +
                     " node(s): a bucket with a smaller n would do";
  }
  return Fail(std::move(error));
}

// --- another topology ----------------------------------------------------------------------------

std::shared_ptr<const membership::View> Coordinator::NewerThan(const membership::View& planned) {
  // A shard's views only ever get newer, so any other fence is a newer one.
  return view_ && view_->fence() != planned.fence() ? view_ : nullptr;
}

void Coordinator::WaitFor(const std::shared_ptr<const membership::View>& planned,
                          ring::NodeIndex node, uint32_t attempt, std::function<void()> again) {
  // The shards of one node get its views one after another by themselves.
  if (node != planned->self) cluster_.Reconcile(planned, node);
  waiting_.Add(env_.clock.Now() + WaitOf(attempt), std::move(again));
}

base::Duration Coordinator::WaitOf(uint32_t attempt) {
  return std::min(kFirstWait * (1 << std::min(attempt, kDoublingsMax)), kLongestWait);
}

// --- buckets -----------------------------------------------------------------------------------

std::vector<membership::BucketProperties> Coordinator::Buckets() const {
  std::vector<membership::BucketProperties> buckets;
  if (!view_) return buckets;
  for (const auto& [name, bucket] : view_->topology.buckets) buckets.push_back(bucket);
  return buckets;
}

base::Result<membership::BucketProperties> Coordinator::Bucket(const std::string& name) const {
  if (auto status = CheckBucket(name); !status) return Fail(status.error());
  return *view_->FindBucket(name);
}

base::Status Coordinator::CheckBucket(const std::string& name) const {
  if (auto status = membership::CheckBucketName(name); !status) return status;
  if (!view_) return Fail(Code::kUnavailable, "the cluster is not formed yet");
  if (view_->FindBucket(name) != nullptr) return {};
  return Fail(Code::kNotFound, "there is no bucket '" + name +
                                   "'; create it first (lariat bucket create " + name + ")");
}

void Coordinator::SetBucket(membership::BucketProperties bucket, StatusDone done) {
  if (auto status = membership::CheckBucket(bucket); !status) return done(status);
  if (!view_) return done(Fail(Code::kUnavailable, "the cluster is not formed yet"));
  const bool is_new = view_->FindBucket(bucket.name) == nullptr;
  if (is_new && view_->topology.buckets.size() >= static_cast<size_t>(settings_.limits_buckets)) {
    return done(Fail(Code::kTooLarge, "the cluster has as many buckets as limits.buckets allows"));
  }
  cluster_.SetBucket(std::move(bucket), std::move(done));
}

}  // namespace lariat::coordinator
