// SPDX-License-Identifier: Apache-2.0
// Every command by everybody, with the real gate before a store of a test's own: generated from the
// table, so that a new command is in it.
#include <gtest/gtest.h>

#include "access/access_test_util.h"
#include "frontend/resp/internal/command.h"
#include "frontend/resp/test_fakes.h"

namespace lariat::frontend::resp {
namespace {

using access::Door;
using access::Mode;
using access::testing::kTestPassword;
using access::testing::TestDoors;
using testing::FakeClient;
using testing::FakeNode;
using testing::MakeCommand;

class RespAccess : public ::testing::Test {
 protected:
  explicit RespAccess(Mode mode = Mode::kOn)
      : doors(mode, node.env, node.kv, node.admin),
        frontend(doors.guarded_kv, doors.guarded_admin, node.settings, node.metrics, node.env,
                 doors.access) {}

  class Client {
   public:
    explicit Client(RespAccess& test) : test_(test), client_(test.frontend) {}
    std::string Ask(const std::vector<std::string_view>& args) {
      client_.Send(MakeCommand(args));
      for (int i = 0; i < 4; ++i) {
        test_.node.world.RunTasks();
        client_.Deliver();
      }
      return client_.TakeOutput();
    }
    std::string LogIn(std::string_view user) { return Ask({"auth", user, kTestPassword}); }

   private:
    RespAccess& test_;
    FakeClient client_;
  };
  static bool Refused(const std::string& reply) {
    return reply.starts_with("-NOAUTH") || reply.starts_with("-NOPERM");
  }

  FakeNode node;
  TestDoors doors;
  RespFrontend frontend;
};

// Arguments that the command takes, with `key` where keys are.
std::vector<std::string> ArgumentsOf(const Command& command, const std::string& key) {
  std::vector<std::string> args;
  if (!command.container().empty()) args.emplace_back(command.container());
  args.emplace_back(command.short_name());
  const auto least = static_cast<size_t>(std::abs(command.arity));
  while (args.size() < least) args.emplace_back("1");
  if ((command.flags & kInBucket) != 0 && args.size() > 1) args[1] = "default";
  const int last =
      command.keys.last < 0 ? static_cast<int>(args.size()) + command.keys.last : command.keys.last;
  for (int i = command.keys.first; command.keys.first > 0 && i <= last; i += command.keys.step) {
    args[static_cast<size_t>(i)] = key;
  }
  if (command.name == "copy") args[2] += "2";
  if (command.name == "lariat.once") args = {"lariat.once", "id-1", "set", key, "v"};
  return args;
}

// Guards M42.
TEST_F(RespAccess, EveryCommandByEverybody) {
  int seen = 0;
  for (const Command& command : CommandTable()) {
    if (command.name == "auth" || command.name == "hello") continue;
    if (!SubcommandsOf(command).empty()) continue;  // an error of the parser's
    for (const char* key : {"own1", "alien"}) {
      const bool own = std::string_view(key) == "own1";
      const auto text = ArgumentsOf(command, key);
      const std::vector<std::string_view> args(text.begin(), text.end());
      const auto check = [&](std::string_view user, bool passes, std::string_view otherwise) {
        Client client(*this);
        if (!user.empty()) {
          EXPECT_EQ(client.LogIn(user), "+OK\r\n");
        }
        const uint64_t events = node.kv.events;
        const std::string reply = client.Ask(args);
        EXPECT_EQ(Refused(reply), !passes) << command.name << " " << key << " " << user << reply;
        if (!passes) {
          EXPECT_TRUE(reply.starts_with(otherwise)) << command.name << reply;
        }
        if (!passes) {
          EXPECT_EQ(node.kv.events, events) << command.name;
        }
        ++seen;
      };
      const bool never = command.name == "object|freq" || command.name == "object|idletime";
      const bool keyed = command.door == Door::kKeys && !never &&
                         (command.keys.first > 0 || command.name == "lariat.once");
      // Every key of the database is in it.
      const bool whole = command.name == "dbsize" || command.name == "keys" ||
                         command.name == "randomkey" || command.name == "scan";
      const bool open = command.door == Door::kOpen;
      const bool is_admin = command.door == Door::kAdmin;
      check("", open, "-NOAUTH");
      check("ada", open || (!is_admin && !whole && (!keyed || own)), "-NOPERM");
      check("eve", open || (!is_admin && !keyed && !command.UsesDatabase()), "-NOPERM");
      check("admin", true, "");
    }
  }
  EXPECT_GT(seen, 500);
}

TEST_F(RespAccess, AuthAndHelloLogIn) {
  Client client(*this);
  EXPECT_EQ(client.Ask({"get", "own1"}).substr(0, 7), "-NOAUTH");
  EXPECT_EQ(client.Ask({"auth", "ada", "wrong"}).substr(0, 10), "-WRONGPASS");
  EXPECT_EQ(client.Ask({"auth", "wrong"}).substr(0, 10), "-WRONGPASS");
  EXPECT_EQ(client.Ask({"hello", "3"}).substr(0, 7), "-NOAUTH");
  EXPECT_EQ(client.Ask({"hello", "3", "auth", "ada", "wrong"}).substr(0, 10), "-WRONGPASS");
  EXPECT_EQ(client.Ask({"hello", "3", "auth", "ada", kTestPassword}).substr(0, 2), "%7");
  EXPECT_EQ(client.Ask({"set", "own1", "v"}), "+OK\r\n");
  EXPECT_EQ(client.Ask({"reset"}), "+RESET\r\n");
  EXPECT_EQ(client.Ask({"get", "own1"}).substr(0, 7), "-NOAUTH");
}

TEST_F(RespAccess, APipelineBehindAuthRunsAsThatUser) {
  FakeClient client(frontend);
  client.Send(MakeCommand({"auth", "ada", kTestPassword}) + MakeCommand({"set", "own1", "v"}) +
              MakeCommand({"get", "own1"}) + MakeCommand({"get", "alien"}));
  for (int i = 0; i < 6; ++i) {
    node.world.RunTasks();
    client.Deliver();
  }
  const std::string out = client.TakeOutput();
  EXPECT_TRUE(out.starts_with("+OK\r\n+OK\r\n$1\r\nv\r\n-NOPERM ")) << out;
}

TEST_F(RespAccess, ManyKeysAreJudgedEach) {
  Client client(*this);
  client.LogIn("ada");
  EXPECT_EQ(client.Ask({"mget", "own1", "own2"}).substr(0, 2), "*2");
  EXPECT_EQ(client.Ask({"mget", "own1", "alien"}).substr(0, 7), "-NOPERM");
  client.Ask({"mset", "own1", "a", "alien", "b"});
  EXPECT_EQ(node.kv.stored.count("redis-0/alien"), 0U);
  EXPECT_EQ(client.Ask({"lariat.put", "default", "alien", "v"}).substr(0, 7), "-NOPERM");
  EXPECT_EQ(client.Ask({"lariat.get", "nowhere", "own1"}).substr(0, 7), "-NOPERM");
  EXPECT_EQ(client.Ask({"copy", "own1", "alien"}).substr(0, 7), "-NOPERM");
  EXPECT_EQ(client.Ask({"lariat.once", "id", "set", "alien", "v"}).substr(0, 7), "-NOPERM");
}

TEST_F(RespAccess, ABucketIsNotMadeForWhoHasNothingToDoThere) {
  Client client(*this);
  client.LogIn("eve");
  EXPECT_EQ(client.Ask({"set", "own1", "v"}).substr(0, 7), "-NOPERM");
  EXPECT_EQ(node.kv.buckets.count("redis-0"), 0U);
}

TEST_F(RespAccess, WhoHasNotLoggedInMayNotSendMuch) {
  Client client(*this);
  std::vector<std::string_view> many(11, "x");
  EXPECT_NE(client.Ask(many).find("unauthenticated multibulk length"), std::string::npos);
  Client other(*this);
  const std::string large(20000, 'x');
  EXPECT_NE(other.Ask({"auth", large}).find("unauthenticated bulk length"), std::string::npos);
  Client third(*this);
  third.LogIn("ada");
  EXPECT_EQ(third.Ask({"set", "own1", large}), "+OK\r\n");
}

TEST_F(RespAccess, PasswordsAreInNoSlowLog) {
  node.settings.resp_slowlog_us = 0;
  Client client(*this);
  client.Ask({"auth", "planted-password-6"});
  client.Ask({"hello", "3", "auth", "ada", "planted-password-6"});
  client.Ask({"planted-password-6"});
  client.LogIn("admin");
  const std::string log = client.Ask({"slowlog", "get", "10"});
  EXPECT_EQ(log.find("planted"), std::string::npos) << log;
  EXPECT_EQ(log.find("ada"), std::string::npos) << log;
}

TEST_F(RespAccess, ClientListSaysWhoItIs) {
  Client client(*this);
  client.LogIn("admin");
  EXPECT_NE(client.Ask({"client", "list"}).find(" user=admin "), std::string::npos);
}

class RespPermissive : public RespAccess {
 protected:
  RespPermissive() : RespAccess(Mode::kPermissive) {}
};

TEST_F(RespPermissive, LetsEverythingThrough) {
  Client client(*this);
  EXPECT_EQ(client.Ask({"set", "k", "v"}), "+OK\r\n");
  EXPECT_EQ(client.Ask({"auth", "ada", "wrong"}).substr(0, 10), "-WRONGPASS");
  EXPECT_EQ(client.Ask({"get", "k"}), "$1\r\nv\r\n");
}

}  // namespace
}  // namespace lariat::frontend::resp
