// SPDX-License-Identifier: Apache-2.0
#include "access/access.h"

#include <utility>

#include "security/token.h"

namespace lariat::access {

using base::Code;
using base::Fail;
using coordinator::Caller;
using security::Action;
using security::BookChange;
using telemetry::LoginOutcome;

namespace {

constexpr const char* kNoUsers =
    "this node knows no users yet: the cluster is not formed, or its first administrator has not "
    "been made (security.bootstrap_password_file)";

// Of names that do not exist nothing is written down: somebody may have typed a password there.
std::string_view KnownName(const security::Rights& rights, std::string_view user) {
  const auto found = rights.book().users.find(std::string(user));
  return found == rights.book().users.end() ? "(unknown)" : std::string_view(found->first);
}

}  // namespace

base::Status Access::Check(Door door, const Caller& caller, std::string_view bucket) {
  switch (door) {
    case Door::kOpen:
      return {};
    case Door::kMetrics:
      return rules_.open_metrics ? base::Status() : world_.gate.AuthorizeUser(caller);
    case Door::kKeys:
      // Whether the login still holds is judged with each key.
      if (!caller.who().empty()) return {};
      [[fallthrough]];
    case Door::kUser:
      return world_.gate.AuthorizeUser(caller);
    case Door::kBucket:
      return world_.gate.AuthorizeAnythingIn(caller, bucket);
    case Door::kAdmin:
      return world_.gate.Authorize(caller, Action::kAdmin, security::kAllBuckets, "");
    case Door::kUsers:
      return world_.gate.AuthorizeUsers(caller);
  }
  return Fail(Code::kForbidden, "an unknown door");
}

bool Access::Sees(const Caller& caller, std::string_view bucket) {
  if (mode() != Mode::kOn) return true;
  const auto& known = world_.gate.rights();
  const auto* own = known ? known->Find(caller.who(), caller.generation()) : nullptr;
  return own != nullptr && own->AllowsAnythingIn(bucket);
}

void Access::Login(Attempt attempt, LoginDone done) {
  auto known = rights();
  if (!known) {
    world_.metrics.logins[LoginOutcome::kFailed].Add();
    return done(Fail(Code::kUnavailable, kNoUsers));
  }
  auto checked = [this, known, user = attempt.user, from = attempt.from,
                  protocol = attempt.protocol,
                  done = std::move(done)](base::Result<uint64_t> generation) mutable {
    const Caller caller(generation ? user : "", from, protocol, generation.value_or(0));
    world_.gate.audit().Write(
        {.event = "login",
         .outcome = generation ? "ok" : base::CodeName(generation.error().code),
         .user = KnownName(*known, user)},
        caller);
    if (!generation) return done(Fail(std::move(generation.error())));
    done(caller);
  };
  world_.host.PostHome(
      [this, known, attempt = std::move(attempt), checked = std::move(checked)]() mutable {
        world_.host.desk().Check(
            known, std::move(attempt),
            [this, checked = std::move(checked)](base::Result<uint64_t> generation) mutable {
              world_.env.executor.Post(
                  [checked = std::move(checked), generation = std::move(generation)]() mutable {
                    checked(std::move(generation));
                  });
            });
      });
}

base::Error Access::Wrong(const Caller& caller) {
  world_.metrics.logins[LoginOutcome::kWrong].Add();
  world_.gate.audit().Write(
      {.event = "login", .outcome = base::CodeName(Code::kUnauthenticated), .user = "(unknown)"},
      caller);
  return {Code::kUnauthenticated,
          "this token is not good here: it has expired, its user has a new password or is gone, or "
          "it is of another cluster; log in again"};
}

base::Result<Visit> Access::ByToken(std::string_view text, std::string_view from,
                                    std::string_view protocol) {
  const auto known = rights();
  if (!known) return Fail(Code::kUnavailable, kNoUsers);
  const auto token = security::ReadToken(text, known->book().key);
  const bool good = token && token->expires > world_.env.clock.Wall() &&
                    known->Find(token->user, token->generation) != nullptr;
  if (!good) {
    Caller nobody("", std::string(from), std::string(protocol));
    base::Error wrong = Wrong(nobody);
    if (mode() == Mode::kOn) return Fail(std::move(wrong));
    world_.gate.NoteWrong(nobody, wrong);
    return Visit{nobody, world_.env.clock.Wall()};  // looked at anew, each time
  }
  world_.metrics.logins[LoginOutcome::kOk].Add();
  return Visit{Caller(token->user, std::string(from), std::string(protocol), token->generation),
               token->expires};
}

base::Result<Caller> Access::ByCertificate(std::string_view user, std::string_view from,
                                           std::string_view protocol) {
  const auto known = rights();
  if (!known) return Fail(Code::kUnavailable, kNoUsers);
  const auto found = known->book().users.find(std::string(user));
  if (found == known->book().users.end()) {
    return Fail(Wrong(Caller("", std::string(from), std::string(protocol))));
  }
  return Caller(found->first, std::string(from), std::string(protocol), found->second.generation);
}

base::Result<NewToken> Access::MakeToken(const Caller& caller) {
  const auto known = rights();
  if (!known || known->Find(caller.who(), caller.generation()) == nullptr) {
    return Fail(Code::kUnauthenticated, "the user was changed meanwhile; log in again");
  }
  const base::WallTime expires{world_.env.clock.Wall().ms + rules_.token_ttl / base::Millis(1)};
  const security::Token token{std::string(caller.who()), caller.generation(), expires};
  return NewToken{security::WriteToken(token, known->book().key), expires};
}

void Access::Change(AccessChange change, Caller caller, StatusDone done) {
  if (auto may = world_.gate.AuthorizeUsers(caller); !may) return done(std::move(may));
  done = [this, act = std::string(VerbText(change.change.verb)), name = change.change.name,
          bucket = change.change.grant.bucket, caller = std::move(caller),
          done = std::move(done)](base::Status status) mutable {
    world_.env.executor.Post([this, act = std::move(act), name = std::move(name),
                              bucket = std::move(bucket), caller = std::move(caller),
                              done = std::move(done), status = std::move(status)]() mutable {
      world_.gate.audit().Write({.event = "admin",
                                 .outcome = status ? "ok" : base::CodeName(status.error().code),
                                 .action = act,
                                 .bucket = bucket,
                                 .subject = name},
                                caller);
      done(std::move(status));
    });
  };
  world_.host.PostHome([this, change = std::move(change), done = std::move(done)]() mutable {
    if (!change.password) return Propose(std::move(change.change), std::move(done));
    world_.host.desk().Hash(std::move(*change.password),
                            [this, change = std::move(change.change),
                             done = std::move(done)](base::Result<std::string> hash) mutable {
                              if (!hash) return done(Fail(std::move(hash.error())));
                              change.password = std::move(*hash);
                              Propose(std::move(change), std::move(done));
                            });
  });
}

// On shard 0's thread.
void Access::Propose(BookChange change, StatusDone done) {
  world_.host.ProposeBook(
      [change = std::move(change)](
          const security::Book* now) -> base::Result<std::optional<security::Book>> {
        if (now == nullptr) return Fail(Code::kUnavailable, kNoUsers);
        return security::Apply(*now, change);
      },
      std::move(done));
}

}  // namespace lariat::access
