// SPDX-License-Identifier: Apache-2.0
#include "access/guarded_kv.h"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

namespace lariat::access {

using base::Fail;
using security::Action;

namespace {

// The first key behind all that begin with the prefix; empty: there is none.
std::string Behind(std::string prefix) {
  while (!prefix.empty() && prefix.back() == '\xff') prefix.pop_back();
  if (!prefix.empty()) ++prefix.back();
  return prefix;
}

coordinator::WriteDone WithoutValue(coordinator::WriteDone done) {
  return [done = std::move(done)](base::Result<coordinator::WriteReply> reply) mutable {
    if (reply) {
      reply->shown.bytes.reset();
    } else if (reply.error().winner) {
      reply.error().winner =
          std::make_shared<const base::Winner>(base::Winner{reply.error().winner->version, {}});
    }
    done(std::move(reply));
  };
}

}  // namespace

void GuardedKv::Get(coordinator::GetRequest request, coordinator::GetDone done) {
  auto may = gate_.Authorize(request.caller, Action::kRead, request.bucket, request.key);
  if (!may) return done(Fail(std::move(may.error())));
  kv_.Get(std::move(request), std::move(done));
}

void GuardedKv::Write(coordinator::WriteRequest request, coordinator::WriteDone done) {
  const Action action = request.write.is_delete ? Action::kDelete : Action::kWrite;
  auto may = gate_.Authorize(request.caller, action, request.bucket, request.key);
  if (!may) return done(Fail(std::move(may.error())));
  // An operation's reply shows what it has made, a lost condition what is there: that is a read.
  const bool shows = request.write.is_operation || request.write.IsConditional();
  if (shows && !gate_.Allows(request.caller, Action::kRead, request.bucket, request.key)) {
    done = WithoutValue(std::move(done));
  }
  kv_.Write(std::move(request), std::move(done));
}

void GuardedKv::List(coordinator::ListRequest request, coordinator::ListDone done) {
  std::string start, end;  // whole bucket
  if (request.bounds) {
    start = std::max(request.bounds->prefix, request.bounds->start);
    end = Behind(request.bounds->prefix);
    const auto& before = request.bounds->end;
    if (before && (end.empty() || *before < end)) end = *before;
    // Nothing lies in it: there is no key that could be judged.
    if (before && *before <= start) end = start + '\0';
  }
  auto may = gate_.AuthorizeRange(request.caller, Action::kRead, request.bucket, start, end);
  if (!may) return done(Fail(std::move(may.error())));
  kv_.List(std::move(request), std::move(done));
}

void GuardedKv::Estimate(coordinator::EstimateRequest request, coordinator::EstimateDone done) {
  auto may = gate_.AuthorizeRange(request.caller, Action::kRead, request.bucket, "", "");
  if (!may) return done(Fail(std::move(may.error())));
  kv_.Estimate(std::move(request), std::move(done));
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
