// SPDX-License-Identifier: Apache-2.0
// Every route by everybody, with the real gate before services of a test's own: generated from the
// table, so that a new route is in it.
#include <gtest/gtest.h>

#include <deque>

#include "access/access_test_util.h"
#include "base/base64.h"
#include "base/prng.h"
#include "frontend/http/internal/routes.h"
#include "frontend/http/test_client.h"

namespace lariat::frontend::http {
namespace {

using access::Door;
using access::Mode;
using access::testing::kTestPassword;
using access::testing::TestDoors;
using testing::FakeClient;
using testing::FakeNode;
using testing::MakeRequest;
using testing::ParsedReply;
using testing::ParseReplies;

std::string Basic(const std::string& user, const std::string& password) {
  return "Authorization: Basic " + base::Base64Encode(user + ":" + password) + "\r\n";
}

class HttpAccess : public ::testing::Test {
 protected:
  explicit HttpAccess(Mode mode = Mode::kOn)
      : doors(mode, node.env, node.kv, node.admin),
        frontend(doors.guarded_kv, doors.guarded_admin, node.settings, node.metrics, node.env,
                 doors.access) {
    node.kv.buckets["other"] = {.name = "other"};
  }
  std::string Bearer(const std::string& user) {
    return "Authorization: Bearer " + doors.TokenOf(user) + "\r\n";
  }
  ParsedReply Send(std::string_view start, std::string_view headers = "",
                   std::string_view body = "", const std::string& certified = "") {
    FakeClient client(frontend);
    client.Send(MakeRequest(start, headers, body, !start.starts_with("GET")));
    node.world.RunTasks();
    static_cast<void>(certified);
    const auto replies = ParseReplies(client.stream.out, start.starts_with("HEAD"));
    if (!replies || replies->size() != 1) return {};
    return replies->front();
  }
  int Status(std::string_view start, std::string_view headers = "", std::string_view body = "") {
    return Send(start, headers, body).status;
  }

  FakeNode node;
  TestDoors doors;
  HttpFrontend frontend;
};

std::string Replaced(std::string text, std::string_view what, std::string_view with) {
  const size_t at = text.find(what);
  return at == std::string::npos ? text : text.replace(at, what.size(), with);
}

std::string_view NameOfMethod(Method method) {
  if (method == Method::kGet) return "GET";
  if (method == Method::kPut) return "PUT";
  return method == Method::kPost ? "POST" : "DELETE";
}

// Of what a row asks for "admin", a user with a grant on what is asked for ("ada", or "eve" for
// another bucket), one without, and nobody.
struct Expected {
  bool nobody, stranger, owner, admin;
};

Expected ExpectedAt(const Route& route, bool own) {
  // Refusals of a batch stand in its results.
  if (route.body == BodyRule::kBatchJson) return {false, true, true, true};
  // Every key of the bucket is in it.
  const bool whole = route.pattern.ends_with("/keys") || route.pattern.ends_with("/stats");
  if (whole) return {false, false, false, true};
  switch (route.door) {
    case Door::kOpen:
      return {true, true, true, true};
    case Door::kMetrics:
    case Door::kUser:
      return {false, true, true, true};
    case Door::kKeys:
      return {false, false, own, true};
    case Door::kBucket:
      return {false, false, own && route.method == Method::kGet, true};
    case Door::kAdmin:
    case Door::kUsers:
      return {false, false, false, true};
  }
  return {};
}

std::string_view BodyFor(const Route& route) {
  if (route.op == telemetry::Op::kUpdate) return R"({"increment":1})";
  if (route.body == BodyRule::kValueJson) return R"({"value":"AA=="})";
  if (route.pattern == "/v1/login") return R"({"user":"x","password":"y"})";
  if (route.pattern.ends_with("grants")) return R"({"actions":["read"],"bucket":"b"})";
  return route.body == BodyRule::kNone ? "" : "{}";
}

// Guards M42.
TEST_F(HttpAccess, EveryRouteByEverybody) {
  int seen = 0;
  for (const Route& route : RouteTable()) {
    if (route.pattern == "/v1/login") continue;  // answers 401 by itself
    for (const bool own : {true, false}) {
      std::string path(route.pattern);
      // ada's keys begin with "own" in "default"; eve's bucket is "other".
      path = Replaced(path, "{bucket}", "default");
      path = Replaced(path, "{key}", own ? "own1" : "alien");
      path = Replaced(path, "{task}", "1");
      path = Replaced(path, "{user}", "someone");
      path = Replaced(path, "{role}", "some");
      if (path == "/v1/debug/explain") path += own ? "?key=own1" : "?key=alien";
      const bool listed = path.ends_with("/kv") || path.ends_with("/kv/range");
      if (path.ends_with("/kv")) path += own ? "?prefix=own" : "?prefix=alien";
      if (path.ends_with("/kv/range")) path += own ? "?start=own1&end=own5" : "?start=alien";
      const std::string start = std::string(NameOfMethod(route.method)) + " " + path;
      const bool keyed = listed || route.pattern.find("{key}") != std::string::npos ||
                         route.door == Door::kBucket || path.find("explain") != std::string::npos;
      const Expected may = ExpectedAt(route, keyed ? own || route.door == Door::kBucket : true);
      const auto check = [&](const std::string& headers, bool passes, int otherwise) {
        const int calls = node.kv.calls;
        const ParsedReply reply = Send(start, headers, BodyFor(route));
        EXPECT_NE(reply.status, 0) << start;
        const bool refused = reply.status == 401 || reply.status == 403;
        EXPECT_EQ(refused, !passes) << start << " " << headers << reply.status << reply.body;
        if (!passes) {
          EXPECT_EQ(reply.status, otherwise) << start << reply.body;
        }
        if (!passes) {
          EXPECT_EQ(node.kv.calls, calls) << start;
        }
        ++seen;
      };
      // Where this version has nothing, the door alone is there.
      const bool lacking = route.summary.empty();
      check("", may.nobody, 401);
      check(Bearer("eve"), lacking || may.stranger, 403);
      check(Bearer("ada"), lacking || may.owner, 403);
      check(Bearer("admin"), may.admin, 403);
      const bool batch = route.body == BodyRule::kBatchJson;
      if (route.pattern.find("{bucket}") == std::string::npos || lacking || batch) continue;
      const std::string unknown = Replaced(start, "default", "there-is-none");
      EXPECT_EQ(Send(unknown, Bearer("ada"), BodyFor(route)).status, 403) << unknown;
    }
  }
  EXPECT_GT(seen, 300);
}

TEST_F(HttpAccess, WhoComesIsAskedFor) {
  const ParsedReply reply = Send("GET /kv/own1");
  EXPECT_EQ(reply.status, 401);
  EXPECT_NE(reply.headers.at("www-authenticate").find("Basic"), std::string::npos);
  EXPECT_NE(reply.body.find("\"unauthenticated\""), std::string::npos);
  EXPECT_EQ(Status("PUT /kv/own1", "Expect: 100-continue\r\n", "v"), 401);
}

TEST_F(HttpAccess, EachWayOfLoggingInGivesTheSameRights) {
  EXPECT_EQ(Status("PUT /kv/own1", Basic("ada", kTestPassword), "v"), 201);
  EXPECT_EQ(Status("PUT /kv/alien", Basic("ada", kTestPassword), "v"), 403);
  EXPECT_EQ(Status("PUT /kv/own1", Bearer("ada"), "v"), 201);
  EXPECT_EQ(Status("PUT /kv/alien", Bearer("ada"), "v"), 403);
  const ParsedReply reply =
      Send("POST /v1/login", "", R"({"user":"ada","password":"planted-password-1"})");
  ASSERT_EQ(reply.status, 200) << reply.body;
  const size_t start = reply.body.find("lariat1.");
  const std::string token = reply.body.substr(start, reply.body.find('"', start) - start);
  EXPECT_EQ(Status("PUT /kv/own1", "Authorization: bearer " + token + "\r\n", "v"), 201);
  EXPECT_EQ(Status("PUT /kv/alien", "Authorization: bearer " + token + "\r\n", "v"), 403);
}

TEST_F(HttpAccess, WrongOnesAreRefused) {
  EXPECT_EQ(Status("GET /kv/own1", Basic("ada", "wrong")), 401);
  EXPECT_EQ(Status("GET /kv/own1", Basic("nobody", kTestPassword)), 401);
  for (const char* bad : {"", "Basic", "Basic ", "Basic !!!", "Basic YWRh", "Bearer", "Bearer ",
                          "Bearer x", "Bearer lariat1.", "Digest x", "ada:pw", "Basic Og=="}) {
    EXPECT_EQ(Status("GET /kv/own1", "Authorization: " + std::string(bad) + "\r\n"), 401) << bad;
  }
  EXPECT_EQ(Status("GET /kv/own1", "Authorization: Bearer " + std::string(9000, 'a') + "\r\n"),
            401);
}

TEST_F(HttpAccess, MutatedTokensLetNobodyIn) {
  base::Prng prng(5);
  const std::string good = doors.TokenOf("admin");
  for (int i = 0; i < 3000; ++i) {
    std::string token = good;
    for (uint64_t n = 1 + prng.Next() % 3; n > 0; --n) {
      const char c = static_cast<char>('!' + prng.Next() % 94);
      token[prng.Next() % token.size()] = c;
    }
    if (token == good) continue;
    const ParsedReply reply = Send("GET /kv/k", "Authorization: Bearer " + token + "\r\n");
    EXPECT_EQ(reply.status, 401) << token;
    EXPECT_EQ(reply.body.find(token), std::string::npos);
  }
}

TEST_F(HttpAccess, RequestsOfOneConnectionMayBeOfDifferentPeople) {
  FakeClient client(frontend);
  client.Send(MakeRequest("GET /kv/own1", Bearer("ada")) + MakeRequest("GET /kv/own1") +
              MakeRequest("GET /kv/own1", Bearer("eve")) +
              MakeRequest("GET /kv/own1", Bearer("ada")));
  const auto replies = ParseReplies(client.stream.out);
  ASSERT_TRUE(replies);
  ASSERT_EQ(replies->size(), 4U);
  EXPECT_EQ((*replies)[0].status, 404);
  EXPECT_EQ((*replies)[1].status, 401);
  EXPECT_EQ((*replies)[2].status, 403);
  EXPECT_EQ((*replies)[3].status, 404);
}

// The pipeline behind a password waits for it, and is answered in order.
TEST_F(HttpAccess, APipelineBehindAPasswordWaitsForIt) {
  FakeClient client(frontend);
  std::string all = MakeRequest("PUT /kv/own1", Basic("ada", kTestPassword), "v");
  for (int i = 0; i < 20; ++i) all += MakeRequest("GET /kv/own1", Basic("ada", kTestPassword));
  client.Send(all);
  EXPECT_EQ(client.stream.out, "");
  for (int i = 0; i < 5; ++i) {
    node.world.RunTasks();
    client.Deliver();
  }
  const auto replies = ParseReplies(client.stream.out);
  ASSERT_TRUE(replies);
  ASSERT_EQ(replies->size(), 21U);
  EXPECT_EQ((*replies)[0].status, 201);
  for (size_t i = 1; i < 21; ++i) EXPECT_EQ((*replies)[i].status, 200);
  EXPECT_EQ(doors.metrics.logins[telemetry::LoginOutcome::kOk].value(), 1U);
}

TEST_F(HttpAccess, AClientThatGoesDuringItsLoginIsForgotten) {
  auto client = std::make_unique<FakeClient>(frontend);
  client->Send(MakeRequest("GET /kv/own1", Basic("ada", kTestPassword)));
  client.reset();
  node.world.RunTasks();
  EXPECT_EQ(node.kv.calls, 0);
}

TEST_F(HttpAccess, AKeptConnectionLosesItsRightsWithTheUser) {
  FakeClient client(frontend);
  const std::string request = MakeRequest("GET /kv/own1", Bearer("ada"));
  client.Send(request);
  EXPECT_TRUE(client.TakeOutput().starts_with("HTTP/1.1 404"));
  security::Book book = doors.Book();
  book.roles["editor"].grants.clear();
  doors.SetBook(book);
  client.Send(request);
  EXPECT_TRUE(client.TakeOutput().starts_with("HTTP/1.1 403"));
  book.users.erase("ada");
  doors.SetBook(book);
  client.Send(request);
  EXPECT_TRUE(client.TakeOutput().starts_with("HTTP/1.1 401"));
}

TEST_F(HttpAccess, UsersAndRolesAreChangedAndShownWithoutSecrets) {
  const std::string admin = Bearer("admin");
  EXPECT_EQ(Status("PUT /v1/admin/roles/reader", admin, "{}"), 200);
  EXPECT_EQ(Status("POST /v1/admin/roles/reader/grants", admin,
                   R"({"actions":["read","write"],"bucket":"other","prefix":"p"})"),
            200);
  EXPECT_EQ(Status("PUT /v1/admin/users/bob", admin,
                   R"({"password":"planted-password-5","roles":["reader"]})"),
            200);
  EXPECT_EQ(Status("GET /buckets/other/kv/p1", Basic("bob", "planted-password-5")), 404);
  EXPECT_EQ(Status("DELETE /v1/admin/roles/reader/grants", admin,
                   R"({"actions":["read"],"bucket":"other","prefix":"p"})"),
            200);
  EXPECT_EQ(Status("GET /buckets/other/kv/p1", Basic("bob", "planted-password-5")), 403);
  for (const char* path : {"GET /v1/admin/users", "GET /v1/admin/users/bob", "GET /v1/admin/roles",
                           "GET /v1/admin/roles/reader/grants"}) {
    const ParsedReply reply = Send(path, admin);
    EXPECT_EQ(reply.status, 200) << path;
    for (const char* secret : {"planted", "argon2", "kkkk"}) {
      EXPECT_EQ(reply.body.find(secret), std::string::npos) << reply.body;
    }
  }
  EXPECT_EQ(Send("GET /v1/admin/users/bob", admin).body,
            R"({"name":"bob","roles":["reader"],"has_password":true})");
  EXPECT_EQ(Status("DELETE /v1/admin/users/bob", admin), 200);
  EXPECT_EQ(Status("GET /v1/admin/users/bob", admin), 404);
  EXPECT_EQ(Status("DELETE /v1/admin/users/admin", admin), 409);
}

TEST_F(HttpAccess, BadBodiesSayWhatIsWrongAndRepeatNothing) {
  const std::string admin = Bearer("admin");
  for (const char* body :
       {"", "[]", "{", R"({"password":5})", R"({"roles":"planted"})", R"({"roles":[1]})",
        R"({"planted":"planted"})", R"({"password":"short"})", R"({"roles":[["planted"]]})"}) {
    const ParsedReply reply = Send("PUT /v1/admin/users/bob", admin, body);
    EXPECT_EQ(reply.status, 400) << body;
    EXPECT_EQ(reply.body.find("planted"), std::string::npos) << reply.body;
  }
  for (const char* body : {"{}", R"({"actions":["own"],"bucket":"b"})",
                           R"({"actions":[],"bucket":"b"})", R"({"actions":["read"]})",
                           R"({"actions":["read"],"bucket":"b","prefix":{"base64":"!"}})"}) {
    EXPECT_EQ(Status("POST /v1/admin/roles/editor/grants", admin, body), 400) << body;
  }
  EXPECT_EQ(Status("PUT /v1/admin/users/a%20b", admin, R"({"roles":[]})"), 400);
  EXPECT_EQ(Status("POST /v1/login", "", R"({"user":"ada"})"), 400);
}

TEST_F(HttpAccess, AListOfBucketsShowsWhatOneHasToDoWith) {
  EXPECT_NE(Send("GET /v1/buckets", Bearer("admin")).body.find("\"other\""), std::string::npos);
  const std::string own = Send("GET /v1/buckets", Bearer("ada")).body;
  EXPECT_NE(own.find("\"default\""), std::string::npos);
  EXPECT_EQ(own.find("\"other\""), std::string::npos);
}

class HttpPermissive : public HttpAccess {
 protected:
  HttpPermissive() : HttpAccess(Mode::kPermissive) {}
};

TEST_F(HttpPermissive, LetsEverythingThroughButUsers) {
  EXPECT_EQ(Status("PUT /kv/k", "", "v"), 201);
  EXPECT_EQ(Status("PUT /kv/k", "Authorization: Bearer x\r\n", "v"), 201);
  EXPECT_EQ(Status("PUT /kv/k", Basic("ada", "wrong"), "v"), 201);
  EXPECT_EQ(Status("GET /v1/admin/tasks"), 200);
  EXPECT_EQ(Status("GET /v1/admin/users"), 401);
  EXPECT_EQ(Status("GET /v1/admin/users", Bearer("ada")), 403);
  EXPECT_EQ(Status("GET /v1/admin/users", Bearer("admin")), 200);
}

TEST(HttpWithoutLogins, NobodyIsAskedAndUsersAreUnsupported) {
  FakeNode node;
  const auto ask = [&node](std::string_view start, std::string_view headers = "") {
    return testing::Ask(node, start, headers).status;
  };
  EXPECT_EQ(ask("PUT /kv/k", "Authorization: Basic !!!\r\n"), 201);
  EXPECT_EQ(ask("GET /v1/admin/users"), 400);
  EXPECT_EQ(ask("GET /v1/admin/tasks"), 200);
}

}  // namespace
}  // namespace lariat::frontend::http
