// SPDX-License-Identifier: Apache-2.0
// Logins, the gate and what is written down of them, on one shard.
#include "access/access.h"

#include <gtest/gtest.h>

#include <deque>

#include "access/access_test_util.h"
#include "access/first_book.h"
#include "base/prng.h"

namespace lariat::access {
namespace {

using base::Code;
using coordinator::Caller;
using security::Action;
using testing::kTestPassword;
using testing::TestBook;
using testing::TestDoors;

class World : public env::Clock, public env::Entropy, public env::Executor, public env::Timers {
 public:
  base::Instant Now() const override { return now; }
  base::WallTime Wall() const override {
    return {1000000 + now.time_since_epoch() / base::Millis(1)};
  }
  uint64_t Next() override { return prng_.Next(); }
  void Post(env::Task task) override { tasks_.push_back(std::move(task)); }
  env::TimerId After(base::Duration, env::Task task) override {
    Post(std::move(task));
    return 1;
  }
  void Cancel(env::TimerId) override {}
  void Run() {
    for (; !tasks_.empty(); tasks_.pop_front()) tasks_.front()();
  }
  env::Env env() { return {*this, *this, *this, *this}; }
  base::Instant now{base::Seconds(1000)};

 private:
  base::Prng prng_{3};
  std::deque<env::Task> tasks_;
};

// Tasks wait until they are told to run.
class HeldWorkers final : public env::Workers {
 public:
  bool Run(env::Task task) override {
    if (held.size() >= most) return false;
    held.push_back(std::move(task));
    return true;
  }
  void RunAll() {
    for (env::Task& task : std::exchange(held, {})) task();
  }
  std::vector<env::Task> held;
  size_t most = 2;
};

class Kv final : public coordinator::KvService {
 public:
  void Get(coordinator::GetRequest, coordinator::GetDone done) override {
    ++calls;
    done(coordinator::GetReply());
  }
  void Write(coordinator::WriteRequest write, coordinator::WriteDone done) override {
    ++calls;
    if (write.write.if_match) {
      base::Error lost{Code::kPreconditionFailed, "lost"};
      lost.winner = std::make_shared<const base::Winner>(base::Winner{7, "secret"});
      return done(base::Fail(std::move(lost)));
    }
    coordinator::WriteReply reply;
    if (write.write.is_operation) reply.shown.bytes = "secret";
    done(std::move(reply));
  }
  void List(coordinator::ListRequest, coordinator::ListDone done) override {
    ++calls;
    done(coordinator::ListReply());
  }
  void Estimate(coordinator::EstimateRequest, coordinator::EstimateDone done) override {
    ++calls;
    done(coordinator::EstimateReply());
  }
  std::vector<membership::BucketProperties> Buckets() const override { return {}; }
  base::Result<membership::BucketProperties> Bucket(const std::string&) const override {
    return base::Fail(Code::kNotFound, "none");
  }
  void SetBucket(membership::BucketProperties, Caller, coordinator::StatusDone done) override {
    ++calls;
    done({});
  }
  uint64_t ValueBytesMax() const override { return 1; }
  int calls = 0;
};

class Admin final : public coordinator::AdminService {
 public:
  coordinator::ClusterStatus Status() const override { return {}; }
  std::vector<coordinator::RingRange> Ring(uint32_t) const override { return {}; }
  void Explain(std::string, std::string, Caller, coordinator::ExplainDone done) override {
    ++calls;
    done(coordinator::Explanation());
  }
  void Hot(coordinator::HotRequest, HotDone done) override {
    ++calls;
    done(coordinator::HotKeysShown());
  }
  void DeleteBucket(std::string, Caller, coordinator::TicketDone done) override {
    ++calls;
    done(coordinator::ChangeTicket());
  }
  void FinalizeUpgrade(Caller, coordinator::StatusDone done) override {
    ++calls;
    done({});
  }
  coordinator::HealthSummary Health() const override { return {}; }
  std::string MetricsText() const override { return ""; }
  void RequestChange(coordinator::ChangeRequest, coordinator::TicketDone done) override {
    ++calls;
    done(coordinator::ChangeTicket());
  }
  void Commit(Caller, coordinator::StatusDone done) override {
    ++calls;
    done({});
  }
  void Cancel(uint64_t, Caller, coordinator::StatusDone done) override {
    ++calls;
    done({});
  }
  coordinator::ClusterPlan Plan() const override { return {}; }
  std::vector<coordinator::TaskStatus> Tasks() const override { return {}; }
  void Drain(bool, Caller, coordinator::StatusDone done) override {
    ++calls;
    done({});
  }
  void Repair(coordinator::RepairRequest, coordinator::TicketDone done) override {
    ++calls;
    done(coordinator::ChangeTicket());
  }
  void GetRepairStatus(RepairStatusDone done) override { done({}); }
  int calls = 0;
};

class AccessTest : public ::testing::Test {
 protected:
  explicit AccessTest(Mode mode = Mode::kOn)
      : doors(mode, world.env(), kv, admin, &workers, true) {}
  Code Login(const std::string& user, const std::string& password,
             const std::string& from = "10.0.0.9:1") {
    std::optional<Code> code;
    doors.access.Login({user, password, from, "test"}, [&](base::Result<Caller> caller) {
      code = caller ? Code::kOk : caller.error().code;
      if (caller) last = *caller;
    });
    world.Run();
    workers.RunAll();
    world.Run();
    return code.value_or(Code::kUnknown);
  }
  uint64_t Logins(telemetry::LoginOutcome outcome) { return doors.metrics.logins[outcome].value(); }

  World world;
  Kv kv;
  Admin admin;
  HeldWorkers workers;
  TestDoors doors;
  Caller last;
};

TEST_F(AccessTest, APasswordLetsIn) {
  EXPECT_EQ(Login("ada", kTestPassword), Code::kOk);
  EXPECT_EQ(last.who(), "ada");
  EXPECT_TRUE(doors.gate.AuthorizeUser(last));
}

TEST_F(AccessTest, AWrongOneAndNobodyAreRefusedAlike) {
  EXPECT_EQ(Login("ada", "planted-password-2"), Code::kUnauthenticated);
  EXPECT_EQ(Login("nobody", kTestPassword), Code::kUnauthenticated);
  EXPECT_EQ(Login("", ""), Code::kUnauthenticated);
  EXPECT_EQ(Logins(telemetry::LoginOutcome::kWrong), 3U);
  EXPECT_EQ(doors.metrics.login_queue.value(), 0);
}

TEST_F(AccessTest, WhatWasRightIsRememberedForAMinuteAndNotAfterAChange) {
  ASSERT_EQ(Login("ada", kTestPassword), Code::kOk);
  workers.most = 0;  // nothing can be hashed
  EXPECT_EQ(Login("ada", kTestPassword), Code::kOk);
  EXPECT_EQ(doors.metrics.login_cache_hits.value(), 1U);
  EXPECT_EQ(Login("ada", "another"), Code::kOverloaded);
  security::Book book = doors.Book();
  book.version = 2;
  book.users["ada"].password = *security::HashPassword("a new password", std::string(16, 't'));
  book.users["ada"].generation = 2;
  doors.SetBook(book);
  EXPECT_EQ(Login("ada", kTestPassword), Code::kOverloaded);
  doors.SetBook(TestBook());
  world.now += base::Seconds(61);
  EXPECT_EQ(Login("ada", kTestPassword), Code::kOverloaded);
}

TEST_F(AccessTest, FailuresAreLimitedByUserAndAddressWhateverThePort) {
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(Login("ada", "wrong-one", "10.0.0.9:" + std::to_string(i)), Code::kUnauthenticated);
  }
  EXPECT_EQ(Login("ada", "wrong-one"), Code::kRateLimited);
  EXPECT_EQ(Login("ada", kTestPassword), Code::kRateLimited);
  EXPECT_EQ(Login("ada", kTestPassword, "10.0.0.8:1"), Code::kOk);
  EXPECT_EQ(Login("eve", kTestPassword), Code::kOk);
  world.now += base::Seconds(1);
  EXPECT_EQ(Login("ada", kTestPassword), Code::kOk);
  EXPECT_EQ(Logins(telemetry::LoginOutcome::kLimited), 1U + 1U);
}

TEST_F(AccessTest, TheSameAttemptIsHashedOnceAndTheQueueIsBounded) {
  int in = 0, busy = 0;
  const auto count = [&](const base::Result<Caller>& caller) {
    in += caller ? 1 : 0;
    busy += !caller && caller.error().code == Code::kOverloaded ? 1 : 0;
  };
  for (int i = 0; i < 100; ++i) {
    doors.access.Login({"ada", kTestPassword, "10.0.1." + std::to_string(i) + ":1", "test"}, count);
  }
  EXPECT_EQ(workers.held.size(), 1U);
  doors.access.Login({"eve", kTestPassword, "10.0.0.9:1", "test"}, count);  // the same hash
  doors.access.Login({"eve", "another-one", "10.0.0.9:1", "test"}, count);
  EXPECT_EQ(workers.held.size(), 2U);
  doors.access.Login({"eve", "yet-another", "10.0.0.9:1", "test"}, count);
  world.Run();
  EXPECT_EQ(busy, 1);
  workers.RunAll();
  world.Run();
  EXPECT_EQ(in, 101);
  EXPECT_EQ(doors.metrics.login_queue.value(), 0);
}

TEST_F(AccessTest, ATokenIsGoodUntilItExpiresOrItsUserChanges) {
  ASSERT_EQ(Login("ada", kTestPassword), Code::kOk);
  const auto token = doors.access.MakeToken(last);
  ASSERT_TRUE(token);
  const auto come = [&] { return doors.access.ByToken(token->text, "10.0.0.9:1", "test"); };
  const auto visit = come();
  ASSERT_TRUE(visit);
  EXPECT_EQ(visit->caller.who(), "ada");
  EXPECT_FALSE(doors.access.ByToken(token->text + "A", "10.0.0.9:1", "test"));
  world.now += base::Seconds(3599);
  EXPECT_TRUE(come());
  world.now += base::Seconds(2);
  EXPECT_FALSE(come());
  world.now -= base::Seconds(2);
  security::Book book = doors.Book();
  book.version = 5;
  book.users["ada"].generation = 5;
  doors.SetBook(book);
  EXPECT_FALSE(come());
  EXPECT_EQ(doors.gate.Authorize(visit->caller, Action::kRead, "default", "own1").error().code,
            Code::kUnauthenticated);
}

TEST_F(AccessTest, ACertificateNamesAUserThatExists) {
  const auto ada = doors.access.ByCertificate("ada", "10.0.0.9:1", "test");
  ASSERT_TRUE(ada);
  EXPECT_TRUE(doors.gate.Authorize(*ada, Action::kRead, "default", "own1"));
  EXPECT_FALSE(doors.access.ByCertificate("node1", "10.0.0.9:1", "test"));
}

TEST_F(AccessTest, TheGateSaysWhichGrantIsMissingAndNotWhoExists) {
  const auto refused = doors.gate.Authorize(doors.CallerOf("ada"), Action::kWrite, "carts", "own1");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kForbidden);
  EXPECT_NE(refused.error().message.find("lariat role grant ROLE write --bucket carts"),
            std::string::npos);
  EXPECT_EQ(refused.error().message.find("admin'"), std::string::npos);
}

// Every method of both services with what it is asked about, and who may: of admin, ada, eve.
class Guards : public AccessTest {
 protected:
  using Done = std::function<void(bool)>;
  struct Row {
    std::string what;
    std::function<void(const Caller&, Done)> call;
    std::string who;
  };
  Row Get(std::string bucket, std::string key, std::string who) {
    return {"get " + key,
            [this, bucket, key](const Caller& caller, Done done) {
              doors.guarded_kv.Get({.bucket = bucket, .key = key, .caller = caller},
                                   [done](const auto& r) { done(r.has_value()); });
            },
            who};
  }
  Row Write(std::string bucket, std::string key, bool is_delete, std::string who) {
    return {(is_delete ? "delete " : "write ") + key,
            [this, bucket, key, is_delete](const Caller& caller, Done done) {
              coordinator::WriteRequest request{.bucket = bucket, .key = key, .caller = caller};
              request.write.is_delete = is_delete;
              doors.guarded_kv.Write(std::move(request),
                                     [done](const auto& r) { done(r.has_value()); });
            },
            who};
  }
  using Bounds = std::optional<coordinator::KeyBounds>;
  Row List(std::string what, std::string bucket, Bounds bounds, std::string who) {
    return {"list " + what,
            [this, bucket, bounds](const Caller& caller, Done done) {
              coordinator::ListRequest list;
              list.bucket = bucket;
              list.bounds = bounds;
              list.caller = caller;
              doors.guarded_kv.List(std::move(list),
                                    [done](const auto& page) { done(page.has_value()); });
            },
            who};
  }
  Row Estimate(std::string bucket, std::string who) {
    return {"estimate " + bucket,
            [this, bucket](const Caller& caller, Done done) {
              coordinator::EstimateRequest request;
              request.bucket = bucket;
              request.caller = caller;
              doors.guarded_kv.Estimate(std::move(request),
                                        [done](const auto& reply) { done(reply.has_value()); });
            },
            who};
  }
  Row Explain(std::string key, std::string who) {
    return {"explain " + key,
            [this, key](const Caller& caller, Done done) {
              doors.guarded_admin.Explain("default", key, caller,
                                          [done](const auto& e) { done(e.has_value()); });
            },
            who};
  }
  static auto Status(Done done) {
    return [done](const base::Status& status) { done(status.has_value()); };
  }
  static auto Ticket(Done done) {
    return [done](const base::Result<coordinator::ChangeTicket>& t) { done(t.has_value()); };
  }
  std::vector<Row> AdministrativeActs() {
    coordinator::AdminService& guarded = doors.guarded_admin;
    return {
        {"bucket",
         [this](const Caller& c, Done done) {
           doors.guarded_kv.SetBucket({.name = "default"}, c, Status(done));
         },
         "admin"},
        {"change",
         [&guarded](const Caller& c, Done done) {
           guarded.RequestChange({.node = "n", .caller = c}, Ticket(done));
         },
         "admin"},
        {"delete bucket",
         [&guarded](const Caller& c, Done done) {
           guarded.DeleteBucket("default", c, Ticket(done));
         },
         "admin"},
        {"finalize",
         [&guarded](const Caller& c, Done done) { guarded.FinalizeUpgrade(c, Status(done)); },
         "admin"},
        {"hot keys",
         [&guarded](const Caller& c, Done done) {
           guarded.Hot({.caller = c}, [done](const auto& keys) { done(keys.has_value()); });
         },
         "admin"},
        {"commit", [&guarded](const Caller& c, Done done) { guarded.Commit(c, Status(done)); },
         "admin"},
        {"cancel", [&guarded](const Caller& c, Done done) { guarded.Cancel(1, c, Status(done)); },
         "admin"},
        {"drain", [&guarded](const Caller& c, Done done) { guarded.Drain(true, c, Status(done)); },
         "admin"},
        {"repair",
         [&guarded](const Caller& c, Done done) {
           guarded.Repair({.bucket = "", .range = {}, .caller = c}, Ticket(done));
         },
         "admin"},
    };
  }
};

TEST_F(Guards, WhoMayOnlyWriteIsNotShownWhatIsThere) {
  security::Book book = doors.Book();
  book.version = 9;
  book.roles["guest"].grants = {{2, "default", "own"}};  // eve writes
  doors.SetBook(book);
  for (const char* user : {"ada", "eve"}) {
    const bool reads = std::string_view(user) == "ada";
    coordinator::WriteRequest request{
        .bucket = "default", .key = "own1", .caller = doors.CallerOf(user)};
    request.write.is_operation = true;
    doors.guarded_kv.Write(request, [&](const base::Result<coordinator::WriteReply>& reply) {
      ASSERT_TRUE(reply);
      EXPECT_EQ(reply->shown.bytes.has_value(), reads);
    });
    request.write.is_operation = false;
    request.write.if_match = "7";
    doors.guarded_kv.Write(request, [&](const base::Result<coordinator::WriteReply>& reply) {
      ASSERT_FALSE(reply);
      EXPECT_EQ(reply.error().winner->version, 7U);
      EXPECT_EQ(reply.error().winner->value.has_value(), reads);
    });
  }
}

TEST_F(Guards, NothingPassesWithoutAGrant) {
  std::vector<Row> rows = AdministrativeActs();
  for (const Row& row :
       {Get("default", "own1", "admin ada"), Get("default", "alien", "admin"),
        Get("other", "x", "admin eve"), Write("default", "own1", false, "admin ada"),
        Write("default", "own1", true, "admin ada"), Write("other", "x", false, "admin"),
        Write("default", "alien", true, "admin"), Explain("own1", "admin ada"),
        Explain("alien", "admin"), List("all", "default", {}, "admin"),
        List("own prefix", "default", Bounds({"own", "", {}}), "admin ada"),
        List("own range", "default", Bounds({"", "own1", "own5"}), "admin ada"),
        List("past own", "default", Bounds({"", "own1", "zzz"}), "admin"),
        List("without end", "default", Bounds({"", "own1", {}}), "admin"),
        List("shorter prefix", "default", Bounds({"ow", "", {}}), "admin"),
        List("nothing, of others", "default", Bounds({"alien", "", "alien"}), "admin"),
        Estimate("default", "admin"), List("all of other", "other", {}, "admin eve"),
        Estimate("other", "admin eve")}) {
    rows.push_back(row);
  }
  const std::pair<const char*, Caller> callers[] = {
      {"admin", doors.CallerOf("admin")},  {"ada", doors.CallerOf("ada")},
      {"eve", doors.CallerOf("eve")},      {"(nobody)", Caller()},
      {"(gone)", {"gone", "", "test", 1}}, {"(old)", {"ada", "", "test", 77}}};
  for (const Row& row : rows) {
    for (const auto& [name, caller] : callers) {
      const int before = kv.calls + admin.calls;
      std::optional<bool> passed;
      row.call(caller, [&passed](bool ok) { passed = ok; });
      const bool may = row.who.find(name) != std::string::npos;
      EXPECT_EQ(passed, may) << row.what << " by " << name;
      EXPECT_EQ(kv.calls + admin.calls - before, may ? 1 : 0) << row.what << " by " << name;
    }
  }
}

TEST_F(AccessTest, ChangesAreForAdministratorsAndHashTheirPasswords) {
  const auto change = [&](const Caller& caller, AccessChange wanted) {
    std::optional<base::Status> done;
    doors.access.Change(std::move(wanted), caller, [&](base::Status s) { done = std::move(s); });
    workers.RunAll();
    world.Run();
    return done.value_or(base::Fail(Code::kUnknown, "not answered"));
  };
  AccessChange add{{security::BookChange::Verb::kPutUser, "bob"}, "planted-password-3"};
  EXPECT_EQ(change(doors.CallerOf("ada"), add).error().code, Code::kForbidden);
  EXPECT_EQ(change(Caller(), add).error().code, Code::kUnauthenticated);
  EXPECT_TRUE(change(doors.CallerOf("admin"), add));
  EXPECT_EQ(Login("bob", "planted-password-3"), Code::kOk);
  add.password = "short";
  EXPECT_EQ(change(doors.CallerOf("admin"), add).error().code, Code::kInvalidArgument);
}

// Guards M42.
TEST_F(AccessTest, TheAuditHoldsFieldsAndNoSecret) {
  Login("ada", kTestPassword);
  Login("ada", "planted-password-2");
  Login("planted-password-4", "x");  // typed into the wrong field
  const auto token = doors.access.MakeToken(doors.CallerOf("ada"));
  doors.access.ByToken(token->text + "A", "10.0.0.9:1", "test");
  doors.gate.Authorize(doors.CallerOf("ada"), Action::kRead, "default", "a\"\n%z");
  doors.gate.Authorize(doors.CallerOf("ada"), Action::kRead, "default", "own1");
  const std::string& text = doors.lines.text;
  EXPECT_NE(text.find(R"("event":"login","outcome":"ok","user":"ada","from":"10.0.0.9:1")"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find(R"x("outcome":"unauthenticated","user":"(unknown)")x"), std::string::npos);
  EXPECT_NE(text.find(R"("event":"refused","outcome":"forbidden","user":"ada")"),
            std::string::npos);
  EXPECT_NE(text.find(R"("key":"a%22%0A%25z")"), std::string::npos);
  EXPECT_NE(text.find(R"("event":"data")"), std::string::npos);
  EXPECT_NE(text.find(R"({"time":"1970-01-01T00:33:20.000Z","node":"node1")"), std::string::npos)
      << text;
  EXPECT_EQ(text.find("planted"), std::string::npos);
  EXPECT_EQ(text.find("lariat1."), std::string::npos);
  EXPECT_EQ(doors.log.text.find("planted"), std::string::npos);
}

TEST_F(AccessTest, DroppedAuditLinesAreCounted) {
  doors.lines.dropped = 7;
  doors.gate.AuthorizeUser(Caller());
  EXPECT_EQ(doors.metrics.audit_dropped.value(), 7U);
}

class Permissive : public AccessTest {
 protected:
  Permissive() : AccessTest(Mode::kPermissive) {}
};

TEST_F(Permissive, LetsEverythingThroughAndSaysWhatItWouldNot) {
  bool read = false;
  coordinator::GetRequest request{.bucket = "default", .key = "k"};
  doors.guarded_kv.Get(request, [&](const auto& reply) { read = reply.has_value(); });
  EXPECT_TRUE(read);
  EXPECT_EQ(doors.metrics.access_refused[telemetry::AccessRefusal::kWouldRefuse].value(), 1U);
  EXPECT_NE(doors.log.text.find("would have been refused"), std::string::npos);
  EXPECT_NE(doors.lines.text.find("would_refuse"), std::string::npos);
  EXPECT_TRUE(doors.access.ByToken("bad", "10.0.0.9:1", "test"));
}

TEST_F(Permissive, UsersAreStillForAdministrators) {
  EXPECT_FALSE(doors.access.Check(Door::kUsers, Caller(), ""));
  EXPECT_FALSE(doors.access.Check(Door::kUsers, doors.CallerOf("ada"), ""));
  EXPECT_TRUE(doors.access.Check(Door::kUsers, doors.CallerOf("admin"), ""));
  std::optional<base::Status> done;
  doors.access.Change({{security::BookChange::Verb::kPutRole, "r"}}, Caller(),
                      [&](base::Status s) { done = std::move(s); });
  ASSERT_TRUE(done);
  EXPECT_FALSE(*done);
}

TEST_F(Permissive, AWrongPasswordIsAWrongPassword) {
  EXPECT_EQ(Login("ada", "planted-password-2"), Code::kUnauthenticated);
}

}  // namespace
}  // namespace lariat::access
