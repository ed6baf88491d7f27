// SPDX-License-Identifier: Apache-2.0
#include "coordinator/internal/write_plan.h"

#include <algorithm>
#include <string>
#include <utility>

namespace lariat::coordinator {

using base::Code;
using base::Fail;

namespace {

constexpr const char* kNoHints =
    "; nobody can stand in, because hints.enabled is false on this node";

}  // namespace

base::Status CheckRequest(const WriteRequest& request, uint64_t value_bytes_max) {
  const uint64_t bytes = request.write.value.size();
  if (bytes > value_bytes_max) {
    return Fail(Code::kTooLarge, "the value has " + std::to_string(bytes) +
                                     " bytes; the limit is " + std::to_string(value_bytes_max));
  }
  const auto& repeat = request.idempotency_key;
  if (repeat && (repeat->empty() || repeat->size() > 128)) {
    return Fail(Code::kInvalidArgument, "an Idempotency-Key has 1 to 128 characters");
  }
  return request.write.Check();
}

bool MeetsOthers(const WriteRequest& request) {
  return request.write.IsConditional() || request.idempotency_key;
}

bool MeetsOthers(const WriteJob& job) {
  return MeetsOthers(job.request) || causal::IsAgreed(job.target.bucket->conflict);
}

bool NeedsRead(const WriteJob& job) {
  return job.request.write.NeedsRead(job.target.bucket->conflict) || job.request.idempotency_key;
}

base::Result<UpdateRequest> MakeUpdate(WriteJob* job, int64_t now_us, size_t values_max) {
  const membership::BucketProperties& bucket = *job->target.bucket;
  const WriteRequest& request = job->request;
  auto change = causal::Change::Of(&job->request.write, {.kind = bucket.conflict,
                                                         .bucket = request.bucket,
                                                         .key = request.key,
                                                         .ttl_s = bucket.ttl_s,
                                                         .now_us = now_us,
                                                         .values_max = values_max});
  if (!change) return Fail(std::move(change.error()));
  UpdateRequest update;
  update.bucket = bucket.id;
  update.token = job->target.token.value;
  update.key = request.key;
  update.change = std::move(*change);
  update.durability = bucket.durability;
  update.idempotency_key = request.idempotency_key.value_or("");
  update.bucket_name = request.bucket;
  return update;
}

base::Status LocateWrite(const OpContext& context, WriteJob* job) {
  const WriteRequest& request = job->request;
  auto target = context.Locate(request.bucket, request.key);
  if (!target) return Fail(target.error());
  const membership::BucketProperties& bucket = *target->bucket;
  auto status = request.write.CheckFor(bucket.conflict, request.bucket, request.key);
  if (!status) return status;
  Consistency asked = request.consistency;
  // The numbers of a forwarded write are those of its sender, which has checked what was asked.
  if (job->forwarded && causal::IsAgreed(bucket.conflict)) {
    asked = {.level = Level::kSerial, .timeout_ms = asked.timeout_ms};
  }
  auto quorum = WriteQuorum(asked, bucket, context.settings().request_timeout_ms,
                            context.view()->topology.NextN(bucket));
  if (!quorum) return Fail(quorum.error());
  job->target = std::move(*target);
  job->quorum = *quorum;
  if (job->plans++ == 0) job->deadline = context.clock().Now() + base::Millis(quorum->timeout_ms);
  return CheckWritable(context, *job);
}

base::Status CheckWritable(const OpContext& context, const WriteJob& job) {
  const Quorum& quorum = job.quorum;
  const auto [n, other_n] = job.target.Ns();
  const bool with_fallbacks = quorum.sloppy && context.settings().hints_enabled;
  auto status =
      CheckAlive(job.target, context.replicas(), {quorum.NeededOf(n), quorum.primaries},
                 {quorum.NeededOfOther(other_n), quorum.PrimariesOf(other_n)}, with_fallbacks);
  if (status || with_fallbacks || !quorum.sloppy) return status;
  status.error().message += kNoHints;
  return status;
}

std::vector<ring::NodeIndex> Coordinators(const OpContext& context, const WriteJob& job) {
  const Target& target = job.target;
  std::vector<ring::NodeIndex> nodes;
  for (const ring::NodeIndex node : target.replicas.read) {
    if (context.replicas().IsAlive(*target.view, node)) nodes.push_back(node);
  }
  // Conditional and repeated writes of a key have to meet, so each goes to the first live replica.
  // That it is preferred or not is hearsay, which one node has and another has not.
  if (MeetsOthers(job)) return nodes;
  std::stable_partition(nodes.begin(), nodes.end(), [&](ring::NodeIndex node) {
    return context.replicas().IsPreferred(*target.view, node);
  });
  return nodes;
}

base::Status CheckFallback(const OpContext& context, const WriteJob& job) {
  const auto refuse = [](const std::string& why) {
    return Fail(Code::kUnavailable, "no replica of the key could be reached" + why);
  };
  if (!job.quorum.sloppy) return refuse("");
  if (!context.settings().hints_enabled) return refuse(kNoHints);
  if (MeetsOthers(job.request)) {
    return refuse("; conditional and idempotent writes need one, sloppy or not");
  }
  if (job.quorum.primaries > 0) return refuse("; pw asks for primaries");
  const auto fallbacks = FallbacksOf(job.target, context.replicas());
  const bool may =
      std::find(fallbacks.begin(), fallbacks.end(), job.target.view->self) != fallbacks.end();
  return may ? base::Status() : refuse(", and this node cannot stand in for one");
}

ReadPlan FirstRead(const WriteJob& job) {
  const membership::BucketProperties& bucket = *job.target.bucket;
  const bool repeatable = job.request.idempotency_key.has_value();
  // Enough replicas that any acknowledged earlier write is among them. A repeat is answered when
  // the earlier event is where its acknowledgement says it is.
  const auto needed = [&](uint32_t n, uint32_t of_the_write) {
    const uint32_t any_write = n - bucket.WritersOf(n) + 1;
    const uint32_t usual = std::max(bucket.ReadersOf(n), any_write);
    return repeatable ? std::max(usual, of_the_write) : usual;
  };
  const auto [n, other_n] = job.target.Ns();
  ReadPlan plan{job.request.key, job.request.idempotency_key.value_or(""),
                needed(n, job.quorum.NeededOf(n)),
                needed(other_n, job.quorum.NeededOfOther(other_n)), job.deadline};
  // Fallbacks know too little to judge a condition by, or a repeat.
  plan.sloppy = job.quorum.sloppy && !MeetsOthers(job.request);
  return plan;
}

}  // namespace lariat::coordinator
