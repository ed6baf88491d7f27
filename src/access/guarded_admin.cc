// SPDX-License-Identifier: Apache-2.0
#include "access/guarded_admin.h"

#include <utility>

namespace lariat::access {

using base::Fail;
using coordinator::Caller;
using security::Action;

namespace {

std::string VerbOf(const coordinator::ChangeRequest& request) {
  switch (request.verb) {
    case coordinator::ChangeVerb::kDecommission:
      return "decommission";
    case coordinator::ChangeVerb::kRemove:
      return "remove";
    case coordinator::ChangeVerb::kReweight:
      return "reweight";
  }
  return "change";
}

}  // namespace

base::Status GuardedAdmin::MayAdminister(const Caller& caller) {
  return gate_.Authorize(caller, Action::kAdmin, security::kAllBuckets, "");
}

template <typename Done>
Done GuardedAdmin::Noted(std::string act, std::string subject, Caller caller, Done done) {
  return [this, act = std::move(act), subject = std::move(subject), caller = std::move(caller),
          done = std::move(done)](auto result) mutable {
    gate_.audit().Write({.event = "admin",
                         .outcome = result ? "ok" : base::CodeName(result.error().code),
                         .action = act,
                         .subject = subject},
                        caller);
    done(std::move(result));
  };
}

void GuardedAdmin::Explain(std::string bucket, std::string key, Caller caller,
                           coordinator::ExplainDone done) {
  if (auto may = gate_.Authorize(caller, Action::kRead, bucket, key); !may) {
    return done(Fail(std::move(may.error())));
  }
  admin_.Explain(std::move(bucket), std::move(key), std::move(caller), std::move(done));
}

void GuardedAdmin::Hot(coordinator::HotRequest request, HotDone done) {
  if (auto may = MayAdminister(request.caller); !may) return done(Fail(std::move(may.error())));
  admin_.Hot(std::move(request), std::move(done));
}

void GuardedAdmin::RequestChange(coordinator::ChangeRequest request, coordinator::TicketDone done) {
  if (auto may = MayAdminister(request.caller); !may) return done(Fail(std::move(may.error())));
  done = Noted(VerbOf(request), request.node, request.caller, std::move(done));
  admin_.RequestChange(std::move(request), std::move(done));
}

void GuardedAdmin::Commit(Caller caller, coordinator::StatusDone done) {
  if (auto may = MayAdminister(caller); !may) return done(std::move(may));
  done = Noted("commit", "", caller, std::move(done));
  admin_.Commit(std::move(caller), std::move(done));
}

void GuardedAdmin::Cancel(uint64_t task, Caller caller, coordinator::StatusDone done) {
  if (auto may = MayAdminister(caller); !may) return done(std::move(may));
  done = Noted("cancel", std::to_string(task), caller, std::move(done));
  admin_.Cancel(task, std::move(caller), std::move(done));
}

void GuardedAdmin::DeleteBucket(std::string bucket, Caller caller, coordinator::TicketDone done) {
  if (auto may = gate_.Authorize(caller, Action::kAdmin, bucket, ""); !may) {
    return done(Fail(std::move(may.error())));
  }
  done = Noted("delete_bucket", bucket, caller, std::move(done));
  admin_.DeleteBucket(std::move(bucket), std::move(caller), std::move(done));
}

void GuardedAdmin::FinalizeUpgrade(Caller caller, coordinator::StatusDone done) {
  if (auto may = MayAdminister(caller); !may) return done(std::move(may));
  done = Noted("finalize_upgrade", "", caller, std::move(done));
  admin_.FinalizeUpgrade(std::move(caller), std::move(done));
}

void GuardedAdmin::Drain(bool on, Caller caller, coordinator::StatusDone done) {
  if (auto may = MayAdminister(caller); !may) return done(std::move(may));
  done = Noted(on ? "drain" : "undrain", "", caller, std::move(done));
  admin_.Drain(on, std::move(caller), std::move(done));
}

void GuardedAdmin::Repair(coordinator::RepairRequest request, coordinator::TicketDone done) {
  if (auto may = MayAdminister(request.caller); !may) return done(Fail(std::move(may.error())));
  done = Noted("repair", request.bucket, request.caller, std::move(done));
  admin_.Repair(std::move(request), std::move(done));
}

}  // namespace lariat::access
