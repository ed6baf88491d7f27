// SPDX-License-Identifier: Apache-2.0
#include "access/login_desk.h"

#include <utility>

#include "base/coding.h"
#include "security/password.h"
#include "security/secret.h"

namespace lariat::access {

using base::Code;
using base::Fail;
using telemetry::LoginOutcome;

namespace {

constexpr size_t kSaltBytes = 16;

// Limits are for a machine, not for each of its ports.
std::string HostOf(const std::string& address) { return address.substr(0, address.rfind(':')); }

}  // namespace

LoginDesk::LoginDesk(World world, int64_t failures_per_s)
    : world_(world), limits_(failures_per_s), key_(RandomBytes(security::kMacBytes)) {}

std::string LoginDesk::RandomBytes(size_t size) {
  std::string bytes;
  base::ByteWriter w(&bytes);
  while (bytes.size() < size) w.U64(world_.env.entropy.Next());
  return bytes;
}

void LoginDesk::Check(const std::shared_ptr<const security::Rights>& rights, Attempt attempt,
                      Checked done) {
  const auto& users = rights->book().users;
  const auto user = users.find(attempt.user);
  const bool exists = user != users.end() && !user->second.password.empty();
  std::string hash = exists ? user->second.password : security::NobodysHash();
  const uint64_t generation = exists ? user->second.generation : 0;
  // A new password has another hash, so what is remembered of the old one is never found.
  std::string mac = security::Mac(key_, hash + '\0' + attempt.password);
  const base::Instant now = world_.env.clock.Now();
  if (const auto known = known_.find(attempt.user);
      known != known_.end() && known->second.until > now &&
      security::IsSameSecret(known->second.mac, mac)) {
    world_.metrics.login_cache_hits.Add();
    world_.metrics.logins[LoginOutcome::kOk].Add();
    return done(generation);
  }
  const std::string address = HostOf(attempt.from);
  if (!limits_.Begin(attempt.user, address, now)) {
    world_.metrics.logins[LoginOutcome::kLimited].Add();
    return done(Fail(Code::kRateLimited, "too many failed logins; wait a second"));
  }
  auto& together = in_work_[mac];
  const bool first = together.empty();
  if (together.size() < kTogetherMax) {
    together.push_back({attempt.user, address, generation, std::move(done)});
  } else {
    return done(Fail(Code::kOverloaded, "too many logins at once; try again"));
  }
  if (!first) return;
  world_.metrics.login_queue.Add(1);
  auto check = [this, mac, hash = std::move(hash),
                password = std::move(attempt.password)]() mutable {
    const bool right = security::IsPassword(hash, password);
    security::Forget(&password);
    world_.env.executor.Post([this, mac, right] { End(mac, right); });
  };
  if (world_.workers.Run(std::move(check))) return;
  world_.metrics.login_queue.Add(-1);
  auto refused = in_work_.extract(mac);
  for (Waiting& each : refused.mapped()) {
    limits_.GiveBack(each.user, each.address);
    world_.metrics.logins[LoginOutcome::kBusy].Add();
    each.done(Fail(Code::kOverloaded, "too many logins at once; try again"));
  }
}

void LoginDesk::End(const std::string& mac, bool right) {
  world_.metrics.login_queue.Add(-1);
  auto ended = in_work_.extract(mac);
  if (ended.empty()) return;
  for (Waiting& each : ended.mapped()) {
    // Nobody's hash is no password of anybody, whatever was tried.
    if (!right || each.generation == 0) {
      world_.metrics.logins[LoginOutcome::kWrong].Add();
      each.done(Fail(Code::kUnauthenticated, "wrong user or password"));
      continue;
    }
    limits_.GiveBack(each.user, each.address);
    known_[each.user] = {mac, world_.env.clock.Now() + kRemembered};
    world_.metrics.logins[LoginOutcome::kOk].Add();
    each.done(each.generation);
  }
  if (known_.size() <= security::kUsersMax) return;
  const base::Instant now = world_.env.clock.Now();
  std::erase_if(known_, [now](const auto& entry) { return entry.second.until <= now; });
}

void LoginDesk::Hash(std::string password, Hashed done) {
  if (auto status = security::CheckPassword(password); !status) return done(Fail(status.error()));
  auto kept = std::make_shared<Hashed>(std::move(done));  // also where the task is dropped
  auto hash = [this, kept, salt = RandomBytes(kSaltBytes),
               password = std::move(password)]() mutable {
    auto result = security::HashPassword(password, salt);
    security::Forget(&password);
    world_.env.executor.Post(
        [kept, result = std::move(result)]() mutable { (*kept)(std::move(result)); });
  };
  if (world_.workers.Run(std::move(hash))) return;
  (*kept)(Fail(Code::kOverloaded, "too many logins at once; try again"));
}

}  // namespace lariat::access
