// SPDX-License-Identifier: Apache-2.0
#include "access/first_book.h"

#include <utility>

#include "base/coding.h"
#include "security/book_change.h"
#include "security/secret.h"

namespace lariat::access {

using telemetry::LogLevel;

namespace {

constexpr base::Duration kLookAgain = base::Millis(200);
constexpr base::Duration kProposeAgain = base::Seconds(1);

}  // namespace

void FirstBook::Start() { Tick(); }

void FirstBook::Tick() {
  if (world_.exists()) return security::Forget(&password_);
  const auto again = [this](base::Duration pause) {
    world_.env.timers.After(pause, [this] { Tick(); });
  };
  if (!world_.formed()) return again(kLookAgain);
  if (password_.empty()) {
    if (!std::exchange(said_none_, true)) {
      world_.log.Log(LogLevel::kWarn, "access",
                     "security.auth is not off, and there are no users: nobody can log in before "
                     "some node has security.bootstrap_password_file");
    }
    return again(kProposeAgain);
  }
  world_.host.desk().Hash(password_, [this, again](const base::Result<std::string>& hash) {
    if (hash) return Propose(*hash);
    world_.log.Log(LogLevel::kError, "access", "no first administrator: {}", hash.error().message);
    again(kProposeAgain);
  });
}

void FirstBook::Propose(const std::string& hash) {
  std::string key;
  base::ByteWriter w(&key);
  while (key.size() < security::kMacBytes) w.U64(world_.env.entropy.Next());
  world_.host.ProposeBook(
      [hash, key](const security::Book* now) -> base::Result<std::optional<security::Book>> {
        if (now != nullptr) return std::optional<security::Book>();
        return std::optional(security::FirstBook(key, hash));
      },
      [this](const base::Status& status) {
        if (status) {
          world_.log.Log(LogLevel::kInfo, "access",
                         "the cluster has its first administrator, user '{}'",
                         security::kFirstUser);
          return security::Forget(&password_);
        }
        world_.log.Log(LogLevel::kWarn, "access", "no first administrator yet: {}",
                       status.error().message);
        world_.env.timers.After(kProposeAgain, [this] { Tick(); });
      });
}

}  // namespace lariat::access
