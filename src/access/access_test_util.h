// SPDX-License-Identifier: Apache-2.0
// The doors of one shard over services of a test's own, with a book of its own and no other
// members.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "access/access.h"
#include "access/guarded_admin.h"
#include "access/guarded_kv.h"
#include "env/workers.h"
#include "security/password.h"
#include "security/token.h"

namespace lariat::access::testing {

class KeptLines final : public AuditSink {
 public:
  void Write(std::string line) override { text += line; }
  uint64_t TakeDropped() override { return std::exchange(dropped, 0); }
  std::string text;
  uint64_t dropped = 0;
};

class KeptLog final : public telemetry::LogSink {
 public:
  bool Enabled(telemetry::LogLevel) const override { return true; }
  void Write(telemetry::LogLevel, std::string_view, std::string line) override {
    text += line + '\n';
  }
  std::string text;
};

inline const std::string& TestKey() {
  static const std::string kKey(32, 'k');
  return kKey;
}

inline constexpr const char* kTestPassword = "planted-password-1";

// "admin" may do all; "ada" reads, writes and deletes keys that begin with "own" in "default" and
// "redis-0"; "eve" may read "other"; all have kTestPassword.
inline security::Book TestBook() {
  static const std::string kHash =
      security::HashPassword(kTestPassword, std::string(16, 's')).value();
  security::Book book = security::FirstBook(TestKey(), kHash);
  book.roles["editor"].grants = {{7, "default", "own"}, {7, "redis-0", "own"}};
  book.roles["guest"].grants = {{1, "other", ""}};
  book.users["ada"] = {kHash, 1, {"editor"}};
  book.users["eve"] = {kHash, 1, {"guest"}};
  return book;
}

class TestDoors final : public AccessHost {
 public:
  TestDoors(Mode mode, env::Env env, coordinator::KvService& kv, coordinator::AdminService& admin,
            env::Workers* workers = nullptr, bool audit_data = false)
      : env_(env),
        desk_({env, workers != nullptr ? *workers : no_workers_, metrics}, 5),
        audit_(&lines, "node1", env.clock, metrics),
        gate({mode, audit_data}, {[this] { return &book_; }, audit_, env.clock, metrics, log}),
        guarded_kv(gate, kv),
        guarded_admin(gate, admin),
        access({base::Seconds(3600), false}, {gate, *this, env, metrics}) {
    SetBook(TestBook());
  }

  void SetBook(const security::Book& book) {
    book_ = std::make_shared<const std::string>(security::EncodeBook(book));
  }
  security::Book Book() const { return *security::DecodeBook(*book_); }
  // As a new login of the user would get it.
  std::string TokenOf(const std::string& user) {
    const int64_t ms = env_.clock.Wall().ms + 3600 * 1000;
    return security::WriteToken({user, Book().users.at(user).generation, {ms}}, TestKey());
  }
  coordinator::Caller CallerOf(const std::string& user) {
    return {user, "10.0.0.9:1", "test", Book().users.at(user).generation};
  }

  void PostHome(env::Task task) override { task(); }
  LoginDesk& desk() override { return desk_; }
  void ProposeBook(Edit edit, StatusDone done) override {
    const security::Book before = Book();
    auto after = edit(&before);
    if (!after) return done(base::Fail(after.error()));
    if (*after) SetBook(**after);
    done({});
  }

  telemetry::Metrics metrics;
  KeptLines lines;
  KeptLog log;

 private:
  env::Env env_;
  env::NoWorkers no_workers_;
  LoginDesk desk_;
  Audit audit_;
  std::shared_ptr<const std::string> book_;

 public:
  Gate gate;
  GuardedKv guarded_kv;
  GuardedAdmin guarded_admin;
  Access access;
};

}  // namespace lariat::access::testing
