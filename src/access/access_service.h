// SPDX-License-Identifier: Apache-2.0
// What a protocol asks about its clients. Frontends know nothing else of users and grants: keys are
// judged below them, by the services that they are given (guarded_kv.h).
//
// Threads: one AccessService per shard, called on the shard's thread; callbacks come on it, exactly
// once, possibly before the call returns.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/time.h"
#include "base/unique_function.h"
#include "coordinator/caller.h"
#include "security/book_change.h"
#include "security/rights.h"

namespace lariat::access {

// security.auth
enum class Mode : uint8_t { kOff, kPermissive, kOn };
Mode ParseMode(std::string_view text);

// What a route or a command asks for before anything of it is looked at. Each has one: without it
// the tables do not compile.
enum class Door : uint8_t {
  kOpen,     // nothing
  kMetrics,  // a login, unless security.open_metrics
  kUser,     // a login
  kKeys,     // a login; each key that it touches is judged where it is touched
  kBucket,   // any grant in the bucket that it names
  kAdmin,    // 'admin' on all buckets
  kUsers,    // the same, and security.auth has to be on or permissive, which lets nobody through
};

// Somebody who says who they are. Not kept longer than it takes to check.
struct Attempt {
  std::string user, password;
  std::string from, protocol;  // as of Caller
};

// A login by a token is good until then.
struct Visit {
  coordinator::Caller caller;
  std::optional<base::WallTime> expires;
};

struct NewToken {
  std::string text;
  base::WallTime expires;
};

// A change of users, roles or grants, with a new password as it was typed.
struct AccessChange {
  security::BookChange change;
  std::optional<std::string> password = {};
};

class AccessService {
 public:
  using LoginDone = base::UniqueFunction<void(base::Result<coordinator::Caller>)>;
  using StatusDone = base::UniqueFunction<void(base::Status)>;
  virtual ~AccessService() = default;
  virtual Mode mode() const = 0;

  // kUnauthenticated, kForbidden. `bucket`: of Door::kBucket.
  virtual base::Status Check(Door door, const coordinator::Caller& caller,
                             std::string_view bucket) = 0;
  // Whether a list of buckets shows it that one.
  virtual bool Sees(const coordinator::Caller& caller, std::string_view bucket) = 0;
  // kUnauthenticated: wrong, or there is no such user, which nobody can tell apart. kRateLimited,
  // kOverloaded: not looked at.
  virtual void Login(Attempt attempt, LoginDone done) = 0;
  // In permissive mode a bad token is noted, and the caller is nobody.
  virtual base::Result<Visit> ByToken(std::string_view token, std::string_view from,
                                      std::string_view protocol) = 0;
  // A client whose certificate was verified and names that user.
  virtual base::Result<coordinator::Caller> ByCertificate(std::string_view user,
                                                          std::string_view from,
                                                          std::string_view protocol) = 0;
  // REQUIRES: a caller of Login or ByCertificate.
  virtual base::Result<NewToken> MakeToken(const coordinator::Caller& caller) = 0;

  // nullptr: none are known here. For administrators, who see all but the secrets in it.
  virtual std::shared_ptr<const security::Rights> rights() = 0;
  // Done when the members have agreed, and all that answer know it.
  virtual void Change(AccessChange change, coordinator::Caller caller, StatusDone done) = 0;
};

// Of a node without logins: every door is open. Stateless.
AccessService& NoAccess();

}  // namespace lariat::access
