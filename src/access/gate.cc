// SPDX-License-Identifier: Apache-2.0
#include "access/gate.h"

#include <fmt/format.h>

#include <utility>

namespace lariat::access {

using base::Code;
using base::Fail;
using coordinator::Caller;
using security::Action;
using telemetry::AccessRefusal;

namespace {

constexpr base::Duration kSayPause = base::Seconds(1);

std::string MissingGrant(std::string_view who, Action action, std::string_view bucket) {
  const std::string_view text = security::ActionText(action);
  const std::string place =
      bucket == security::kAllBuckets ? "all buckets" : fmt::format("bucket '{}'", bucket);
  return fmt::format(
      "user '{}' lacks the grant '{}' on {}, or on the keys asked for; an administrator gives it: "
      "lariat role grant ROLE {} --bucket {}",
      who, text, place, text, bucket);
}

constexpr std::string_view kNoLogin =
    "log in: a user and a password, a token of 'lariat login', or a client certificate";
constexpr std::string_view kLoginEnded =
    "this login has ended: the password was changed, or the user removed; log in again";

}  // namespace

const std::shared_ptr<const security::Rights>& Gate::rights() {
  const std::shared_ptr<const std::string>* now = world_.book();
  if (now == nullptr || *now == seen_) return rights_;
  const bool same = *now && seen_ && **now == *seen_;
  seen_ = *now;
  if (same) return rights_;
  rights_ = nullptr;
  auto book = seen_ ? security::DecodeBook(*seen_) : std::nullopt;
  if (!book) return rights_;
  world_.metrics.access_version.Set(static_cast<int64_t>(book->version));
  rights_ = std::make_shared<const security::Rights>(std::move(*book));
  return rights_;
}

const security::Rights::OfUser* Gate::Find(const Caller& caller) {
  const auto& known = rights();
  if (!known || caller.who().empty()) return nullptr;
  return known->Find(caller.who(), caller.generation());
}

base::Status Gate::Authorize(const Caller& caller, Action action, std::string_view bucket,
                             std::string_view key) {
  if (rules_.mode == Mode::kOff || caller.IsNode()) return {};
  const auto* own = Find(caller);
  if (own == nullptr || !own->Allows(action, bucket, key)) {
    return Refuse(caller, own != nullptr, {action, bucket, key});
  }
  if (rules_.audit_data && action != Action::kAdmin) {
    world_.audit.Write(
        {.event = "data", .action = security::ActionText(action), .bucket = bucket, .key = key},
        caller);
  }
  return {};
}

bool Gate::Allows(const Caller& caller, Action action, std::string_view bucket,
                  std::string_view key) {
  if (rules_.mode != Mode::kOn || caller.IsNode()) return true;
  const auto* own = Find(caller);
  return own != nullptr && own->Allows(action, bucket, key);
}

base::Status Gate::AuthorizeRange(const Caller& caller, Action action, std::string_view bucket,
                                  std::string_view start, std::string_view end) {
  if (rules_.mode == Mode::kOff || caller.IsNode()) return {};
  const auto* own = Find(caller);
  if (own != nullptr && own->AllowsRange(action, bucket, start, end)) return {};
  return Refuse(caller, own != nullptr, {action, bucket, start});
}

base::Status Gate::AuthorizeAnythingIn(const Caller& caller, std::string_view bucket) {
  if (rules_.mode == Mode::kOff || caller.IsNode()) return {};
  const auto* own = Find(caller);
  if (own != nullptr && own->AllowsAnythingIn(bucket)) return {};
  return Refuse(caller, own != nullptr, {Action::kRead, bucket, ""});
}

base::Status Gate::AuthorizeUser(const Caller& caller) {
  if (rules_.mode == Mode::kOff || caller.IsNode() || Find(caller) != nullptr) return {};
  return Refuse(caller, false, {Action::kRead, "", ""});
}

base::Status Gate::AuthorizeUsers(const Caller& caller) {
  const auto* own = Find(caller);
  if (own != nullptr && own->Allows(Action::kAdmin, security::kAllBuckets, "")) return {};
  return Refuse(caller, own != nullptr, {Action::kAdmin, security::kAllBuckets, "", true});
}

base::Status Gate::Refuse(const Caller& caller, bool known, const Question& asked) {
  const bool lets_through = rules_.mode == Mode::kPermissive && !asked.strict;
  const AccessRefusal reason = lets_through ? AccessRefusal::kWouldRefuse
                               : known      ? AccessRefusal::kForbidden
                                            : AccessRefusal::kUnauthenticated;
  world_.metrics.access_refused[reason].Add();
  world_.audit.Write({.event = lets_through ? "would_refuse" : "refused",
                      .outcome = base::CodeName(known ? Code::kForbidden : Code::kUnauthenticated),
                      .action = security::ActionText(asked.action),
                      .bucket = asked.bucket,
                      .key = asked.key},
                     caller);
  std::string why = known                  ? MissingGrant(caller.who(), asked.action, asked.bucket)
                    : caller.who().empty() ? std::string(kNoLogin)
                                           : std::string(kLoginEnded);
  if (lets_through) {
    SayWouldRefuse(caller, why);
    return {};
  }
  return Fail(known ? Code::kForbidden : Code::kUnauthenticated, std::move(why));
}

void Gate::NoteWrong(const Caller& caller, const base::Error& why) {
  world_.metrics.access_refused[AccessRefusal::kWouldRefuse].Add();
  SayWouldRefuse(caller, why.message);
}

// The audit has each of them; the log says that there are some.
void Gate::SayWouldRefuse(const Caller& caller, const std::string& why) {
  ++unsaid_;
  const base::Instant now = world_.clock.Now();
  if (said_at_ && now < *said_at_ + kSayPause) return;
  said_at_ = now;
  world_.log.Log(
      telemetry::LogLevel::kWarn, "access",
      "security.auth is permissive; {} request(s) would have been refused, the last from "
      "{} ({}): {}",
      std::exchange(unsaid_, 0), caller.from(), caller.protocol(), why);
}

}  // namespace lariat::access
