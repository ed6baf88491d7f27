// SPDX-License-Identifier: Apache-2.0
// What commands answer, by a store that answers at once.
#include <gtest/gtest.h>

#include "frontend/resp/test_fakes.h"

namespace lariat::frontend::resp {
namespace {

using testing::Asker;
using testing::FakeNode;

constexpr const char* kOk = "+OK\r\n";
constexpr const char* kNil = "$-1\r\n";
constexpr const char* kNotANumber = "-ERR value is not an integer or out of range\r\n";

class Commands : public ::testing::Test {
 protected:
  std::string Ask(const std::vector<std::string_view>& args) { return client_.Ask(args); }
  int64_t Now() { return node_.world.Wall().ms; }

  FakeNode node_;
  Asker client_{node_};
};

TEST_F(Commands, AllKeysOfADatabase) {
  EXPECT_EQ(Ask({"SCAN", "0"}), "*2\r\n$1\r\n0\r\n*0\r\n");
  EXPECT_EQ(Ask({"RANDOMKEY"}), kNil);
  EXPECT_EQ(Ask({"DBSIZE"}), ":0\r\n");
  for (const char* key : {"a1", "a2", "b1"}) Ask({"SET", key, "v"});
  EXPECT_EQ(Ask({"DBSIZE"}), ":3\r\n");
  // The fake's tokens are the places of the keys, from 1.
  EXPECT_EQ(Ask({"SCAN", "0", "COUNT", "2"}), "*2\r\n$1\r\n3\r\n*2\r\n$2\r\na1\r\n$2\r\na2\r\n");
  EXPECT_EQ(Ask({"scan", "3", "count", "2"}), "*2\r\n$1\r\n0\r\n*1\r\n$2\r\nb1\r\n");
  EXPECT_EQ(Ask({"SCAN", "0", "MATCH", "?1"}), "*2\r\n$1\r\n0\r\n*2\r\n$2\r\na1\r\n$2\r\nb1\r\n");
  EXPECT_EQ(Ask({"SCAN", "0", "MATCH", "A*"}), "*2\r\n$1\r\n0\r\n*0\r\n");
  EXPECT_EQ(Ask({"SCAN", "0", "TYPE", "hash"}), "*2\r\n$1\r\n0\r\n*0\r\n");
  EXPECT_EQ(Ask({"SCAN", "18446744073709551615"}), "*2\r\n$1\r\n0\r\n*0\r\n");
  EXPECT_EQ(Ask({"SCAN", "18446744073709551616"}), "-ERR invalid cursor\r\n");
  EXPECT_EQ(Ask({"SCAN", "-1"}), "-ERR invalid cursor\r\n");
  EXPECT_EQ(Ask({"SCAN", "0", "COUNT", "0"}), "-ERR syntax error\r\n");
  EXPECT_EQ(Ask({"SCAN", "0", "COUNT", "x"}), kNotANumber);
  EXPECT_EQ(Ask({"SCAN", "0", "MATCH"}), "-ERR syntax error\r\n");
  EXPECT_EQ(Ask({"KEYS", "a*"}), "*2\r\n$2\r\na1\r\n$2\r\na2\r\n");
  EXPECT_EQ(Ask({"RANDOMKEY"}).size(), 8U);
}

TEST_F(Commands, ValuesOfBytes) {
  const std::string binary("\0\r\n\xff", 4);
  EXPECT_EQ(Ask({"GET", "k"}), kNil);
  EXPECT_EQ(Ask({"set", "k", binary}), kOk);
  EXPECT_EQ(Ask({"GeT", "k"}), "$4\r\n" + binary + "\r\n");
  EXPECT_EQ(Ask({"STRLEN", "k"}), ":4\r\n");
  EXPECT_EQ(Ask({"APPEND", "k", "xy"}), ":6\r\n");
  EXPECT_EQ(Ask({"GETRANGE", "k", "-2", "-1"}), "$2\r\nxy\r\n");
  EXPECT_EQ(Ask({"GETRANGE", "k", "5", "3"}), "$0\r\n\r\n");
  EXPECT_EQ(Ask({"GETRANGE", "k", "-1", "-5"}), "$0\r\n\r\n");
  EXPECT_EQ(Ask({"SETRANGE", "n", "2", "ab"}), ":4\r\n");
  EXPECT_EQ(Ask({"GET", "n"}), std::string("$4\r\n\0\0ab\r\n", 10));
  EXPECT_EQ(Ask({"SETRANGE", "n", "-1", "ab"}), "-ERR offset is out of range\r\n");
  EXPECT_TRUE(
      Ask({"SETRANGE", "n", "9223372036854775807", "a"}).starts_with("-ERR string exceeds"));
  EXPECT_EQ(Ask({"GETSET", "k", "new"}), "$6\r\n" + binary + "xy\r\n");
  EXPECT_EQ(Ask({"GETDEL", "k"}), "$3\r\nnew\r\n");
  EXPECT_EQ(Ask({"GETDEL", "k"}), kNil);
  const std::string large(100000, 'x');
  EXPECT_EQ(Ask({"SET", "l", large}), kOk);
  EXPECT_EQ(Ask({"GET", "l"}), "$100000\r\n" + large + "\r\n");
}

TEST_F(Commands, SetWithItsOptions) {
  EXPECT_EQ(Ask({"SET", "k", "1", "XX"}), kNil);
  EXPECT_EQ(Ask({"SET", "k", "1", "NX"}), kOk);
  EXPECT_EQ(Ask({"SET", "k", "2", "nx"}), kNil);
  EXPECT_EQ(Ask({"SETNX", "k", "2"}), ":0\r\n");
  EXPECT_EQ(Ask({"SET", "k", "2", "XX", "GET"}), "$1\r\n1\r\n");
  EXPECT_EQ(Ask({"SET", "k", "3", "NX", "GET"}), "$1\r\n2\r\n");
  EXPECT_EQ(Ask({"GET", "k"}), "$1\r\n2\r\n");
  EXPECT_EQ(Ask({"SET", "k", "3", "NX", "XX"}), "-ERR syntax error\r\n");
  EXPECT_EQ(Ask({"SET", "k", "3", "EX"}), "-ERR syntax error\r\n");
  EXPECT_EQ(Ask({"SET", "k", "3", "EX", "1", "KEEPTTL"}), "-ERR syntax error\r\n");
  EXPECT_EQ(Ask({"SET", "k", "3", "EX", "1", "PX", "1"}), "-ERR syntax error\r\n");
  EXPECT_EQ(Ask({"SET", "k", "3", "EX", "x"}), kNotANumber);
  const std::string invalid = "-ERR invalid expire time in 'set' command\r\n";
  EXPECT_EQ(Ask({"SET", "k", "3", "EX", "0"}), invalid);
  EXPECT_EQ(Ask({"SET", "k", "3", "EX", "9223372036854775807"}), invalid);
  EXPECT_EQ(Ask({"SET", "k", "3", "PX", "1500"}), kOk);
  EXPECT_EQ(Ask({"PTTL", "k"}), ":1500\r\n");
  EXPECT_EQ(Ask({"SET", "k", "4", "KEEPTTL"}), kOk);
  EXPECT_EQ(Ask({"PTTL", "k"}), ":1500\r\n");
  EXPECT_EQ(Ask({"APPEND", "k", "2"}), ":2\r\n");
  EXPECT_EQ(Ask({"INCR", "k"}), ":43\r\n");
  EXPECT_EQ(Ask({"PEXPIRETIME", "k"}), ":" + std::to_string(Now() + 1500) + "\r\n");
  EXPECT_EQ(Ask({"SET", "k", "5"}), kOk);
  EXPECT_EQ(Ask({"TTL", "k"}), ":-1\r\n");
  EXPECT_EQ(Ask({"SETEX", "k", "0", "v"}), "-ERR invalid expire time in 'setex' command\r\n");
  EXPECT_EQ(Ask({"PSETEX", "k", "700", "v"}), kOk);
  EXPECT_EQ(Ask({"TTL", "k"}), ":1\r\n");
  node_.world.Advance(base::Millis(700));
  EXPECT_EQ(Ask({"GET", "k"}), kNil);
}

TEST_F(Commands, ExpiryWithItsConditions) {
  EXPECT_EQ(Ask({"EXPIRE", "k", "10"}), ":0\r\n");
  EXPECT_EQ(Ask({"TTL", "k"}), ":-2\r\n");
  EXPECT_EQ(Ask({"SET", "k", "v"}), kOk);
  EXPECT_EQ(Ask({"EXPIRE", "k", "10", "XX"}), ":0\r\n");
  EXPECT_EQ(Ask({"EXPIRE", "k", "10", "GT"}), ":0\r\n");  // it never expires
  EXPECT_EQ(Ask({"EXPIRE", "k", "10", "LT"}), ":1\r\n");
  EXPECT_EQ(Ask({"EXPIRE", "k", "20", "NX"}), ":0\r\n");
  EXPECT_EQ(Ask({"EXPIRE", "k", "20", "LT"}), ":0\r\n");
  EXPECT_EQ(Ask({"PEXPIRE", "k", "20000", "GT"}), ":1\r\n");
  EXPECT_EQ(Ask({"TTL", "k"}), ":20\r\n");
  EXPECT_EQ(Ask({"EXPIREAT", "k", std::to_string(Now() / 1000 + 5)}), ":1\r\n");
  EXPECT_EQ(Ask({"EXPIRETIME", "k"}), ":" + std::to_string(Now() / 1000 + 5) + "\r\n");
  EXPECT_EQ(Ask({"PERSIST", "k"}), ":1\r\n");
  EXPECT_EQ(Ask({"PERSIST", "k"}), ":0\r\n");
  EXPECT_EQ(Ask({"GETEX", "k", "EX", "7"}), "$1\r\nv\r\n");
  EXPECT_EQ(Ask({"TTL", "k"}), ":7\r\n");
  EXPECT_EQ(Ask({"GETEX", "k", "PERSIST"}), "$1\r\nv\r\n");
  EXPECT_EQ(Ask({"TTL", "k"}), ":-1\r\n");
  EXPECT_TRUE(Ask({"EXPIRE", "k", "1", "NX", "GT"}).starts_with("-ERR NX and XX, GT or LT"));
  EXPECT_TRUE(Ask({"EXPIRE", "k", "1", "GT", "LT"}).starts_with("-ERR GT and LT"));
  EXPECT_TRUE(Ask({"EXPIRE", "k", "1", "ZZ"}).starts_with("-ERR Unsupported option"));
  EXPECT_EQ(Ask({"EXPIRE", "k", "9223372036854775807"}),
            "-ERR invalid expire time in 'expire' command\r\n");
  EXPECT_EQ(Ask({"EXPIRE", "k", "-1"}), ":1\r\n");
  EXPECT_EQ(Ask({"EXISTS", "k"}), ":0\r\n");
}

TEST_F(Commands, Numbers) {
  EXPECT_EQ(Ask({"INCR", "n"}), ":1\r\n");
  EXPECT_EQ(Ask({"INCRBY", "n", "9"}), ":10\r\n");
  EXPECT_EQ(Ask({"DECR", "n"}), ":9\r\n");
  EXPECT_EQ(Ask({"DECRBY", "n", "-1"}), ":10\r\n");
  EXPECT_EQ(Ask({"INCRBY", "n", "9223372036854775800"}),
            "-ERR increment or decrement would overflow\r\n");
  EXPECT_EQ(Ask({"DECRBY", "n", "-9223372036854775808"}), "-ERR decrement would overflow\r\n");
  EXPECT_EQ(Ask({"INCRBY", "n", "1.5"}), kNotANumber);
  EXPECT_EQ(Ask({"INCRBYFLOAT", "n", "0.1"}), "$4\r\n10.1\r\n");
  EXPECT_EQ(Ask({"INCRBYFLOAT", "n", "-1.01e1"}), "$1\r\n0\r\n");
  EXPECT_EQ(Ask({"INCRBYFLOAT", "n", "nan"}), "-ERR value is not a valid float\r\n");
  EXPECT_EQ(Ask({"INCRBYFLOAT", "n", "inf"}), "-ERR increment would produce NaN or Infinity\r\n");
  EXPECT_EQ(Ask({"SET", "n", "text"}), kOk);
  EXPECT_EQ(Ask({"INCR", "n"}), kNotANumber);
  EXPECT_EQ(Ask({"INCRBYFLOAT", "n", "1"}), "-ERR value is not a valid float\r\n");
}

TEST_F(Commands, SeveralKeys) {
  EXPECT_EQ(Ask({"MSET", "a", "1", "b", "2", "c", ""}), kOk);
  EXPECT_EQ(Ask({"MSET", "a", "1", "b"}), "-ERR wrong number of arguments for 'mset' command\r\n");
  EXPECT_EQ(Ask({"MGET", "c", "x", "a", "a"}), "*4\r\n$0\r\n\r\n$-1\r\n$1\r\n1\r\n$1\r\n1\r\n");
  EXPECT_EQ(Ask({"EXISTS", "a", "a", "x"}), ":2\r\n");
  EXPECT_EQ(Ask({"TOUCH", "a", "b"}), ":2\r\n");
  EXPECT_EQ(Ask({"DEL", "a", "x", "b"}), ":2\r\n");
  EXPECT_EQ(Ask({"UNLINK", "a", "c"}), ":1\r\n");
  std::vector<std::string> names;
  std::vector<std::string_view> args = {"EXISTS"};
  for (int i = 0; i < 10000; ++i) names.push_back("k" + std::to_string(i));
  args.insert(args.end(), names.begin(), names.end());
  EXPECT_EQ(Ask(args), ":0\r\n");
  EXPECT_EQ(Ask({"SET", "src", "v", "EX", "100"}), kOk);
  EXPECT_EQ(Ask({"COPY", "src", "dst"}), ":1\r\n");
  EXPECT_EQ(Ask({"TTL", "dst"}), ":100\r\n");
  EXPECT_EQ(Ask({"COPY", "src", "dst"}), ":0\r\n");
  EXPECT_EQ(Ask({"COPY", "src", "dst", "REPLACE"}), ":1\r\n");
  EXPECT_EQ(Ask({"COPY", "src", "src", "DB", "3"}), ":1\r\n");
  EXPECT_EQ(Ask({"COPY", "src", "src"}), "-ERR source and destination objects are the same\r\n");
  EXPECT_EQ(Ask({"SELECT", "3"}), kOk);
  EXPECT_EQ(Ask({"GET", "src"}), "$1\r\nv\r\n");
  EXPECT_EQ(Ask({"SELECT", "16"}), "-ERR DB index is out of range\r\n");
}

TEST_F(Commands, AnswersHaveALimit) {
  node_.settings.resp_output_bytes_max = 65536;
  FakeNode small;
  small.settings.resp_output_bytes_max = 65536;
  Asker client(small);
  client.Ask({"SET", "k", std::string(40000, 'x')});
  EXPECT_EQ(client.Ask({"MGET", "k"}).size(), 40000u + 14);
  EXPECT_TRUE(client.Ask({"MGET", "k", "k"}).starts_with("-ERR too_large"));
}

TEST_F(Commands, AnUpdateThatLosesBeginsAgainAndGivesUpInTheEnd) {
  EXPECT_EQ(Ask({"SET", "n", "1"}), kOk);
  int others = 3;
  node_.kv.before_write = [&](const coordinator::WriteRequest&) {
    if (others-- > 0) node_.kv.stored["redis-0/n"] = {"100", 0, ++node_.kv.events};
  };
  EXPECT_EQ(Ask({"INCR", "n"}), ":101\r\n");
  EXPECT_EQ(node_.metrics.resp_update_retries.value(), 3u);
  others = 1000000;
  EXPECT_TRUE(Ask({"INCR", "n"}).starts_with("-ERR precondition_failed the key was changed"));
}

TEST_F(Commands, UpdatesOfOneKeyFollowOneAnotherOnAShard) {
  EXPECT_EQ(Ask({"SET", "n", "0"}), kOk);
  node_.kv.defer = true;
  std::vector<std::unique_ptr<Asker>> clients;
  for (int i = 0; i < 20; ++i) clients.push_back(std::make_unique<Asker>(node_));
  for (auto& client : clients) client->Ask({"INCR", "n"});
  EXPECT_EQ(node_.kv.deferred.size(), 1u);
  for (int i = 0; i < 200; ++i) {
    node_.kv.CompleteAll();
    node_.world.RunTasks();
  }
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(clients[static_cast<size_t>(i)]->client.TakeOutput(),
              ":" + std::to_string(i + 1) + "\r\n");
  }
  EXPECT_EQ(node_.metrics.resp_update_retries.value(), 0u);
}

TEST_F(Commands, ErrorsOfTheStoreHaveTheirCode) {
  EXPECT_EQ(Ask({"SET", "k", "v"}), kOk);
  EXPECT_EQ(Ask({"SET", std::string(512, 'k'), "v"}), "-ERR invalid_argument key too long\r\n");
  node_.kv.error = base::Error{base::Code::kInsufficientReplicas, "1 of 2 alive"};
  const std::string error = "-ERR insufficient_replicas 1 of 2 alive\r\n";
  EXPECT_EQ(Ask({"GET", "k"}), error);
  EXPECT_EQ(Ask({"SET", "k", "v"}), error);
  EXPECT_EQ(Ask({"INCR", "k"}), error);
  EXPECT_EQ(Ask({"MGET", "k"}), error);
  EXPECT_EQ(Ask({"EXISTS", "k"}), error);
  EXPECT_TRUE(Ask({"MSET", "k", "v"}).ends_with("other keys of the command may have been set\r\n"));
  node_.kv.error = base::Error{base::Code::kUnknown, "late"};
  EXPECT_EQ(Ask({"SET", "k", "v"}),
            "-ERR outcome_unknown late; the write may or may not have been applied\r\n");
  using telemetry::Outcome;
  EXPECT_EQ(
      node_.metrics.resp_commands.At(telemetry::RespGroup::kString, Outcome::kUnknown).value(), 1u);
  EXPECT_EQ(node_.metrics.requests.At(telemetry::Op::kGet, Outcome::kNotDone).value(), 3u);
}

TEST_F(Commands, BucketsAreMadeOnFirstUse) {
  node_.kv.buckets["default"].n = 5;
  node_.kv.defer = true;
  client_.client.Send("SET a 1\r\nSELECT 1\r\nGET a\r\nSET b 2\r\n");
  node_.kv.CompleteAll();
  node_.kv.CompleteAll();
  EXPECT_EQ(client_.client.TakeOutput(), "+OK\r\n+OK\r\n$-1\r\n+OK\r\n");
  EXPECT_EQ(node_.kv.buckets.at("redis-0").n, 5u);
  EXPECT_EQ(node_.kv.buckets.at("redis-0").w, 3u);
  EXPECT_EQ(node_.kv.buckets.at("redis-0").conflict, causal::Kind::kLww);
  EXPECT_EQ(node_.kv.stored.count("redis-0/a"), 1u);
  EXPECT_EQ(node_.kv.stored.count("redis-1/b"), 1u);
  node_.kv.defer = false;
  node_.kv.error = base::Error{base::Code::kUnavailable, "no majority"};
  client_.client.Send("SELECT 2\r\nGET a\r\n");
  EXPECT_EQ(client_.client.TakeOutput(), "+OK\r\n-ERR unavailable no majority\r\n");
  node_.kv.error.reset();
  EXPECT_EQ(Ask({"GET", "a"}), kNil);
}

TEST_F(Commands, LariatsOwn) {
  EXPECT_EQ(Ask({"LARIAT.GET", "redis-0", "k"}), "-ERR not_found no bucket\r\n");
  EXPECT_EQ(Ask({"GET", "k"}), kNil);
  EXPECT_EQ(Ask({"LARIAT.PUT", "redis-0", "k", "v", "W", "3", "TTL", "9"}),
            "*4\r\n$7\r\nversion\r\n*2\r\n$5\r\nnode1\r\n:1\r\n$7\r\ncontext\r\n$2\r\nc1\r\n");
  EXPECT_EQ(node_.kv.last_write.consistency.w, 3);
  EXPECT_EQ(node_.kv.last_write.write.ttl_s, 9);
  EXPECT_EQ(Ask({"LARIAT.GET", "redis-0", "k", "R", "1"}),
            "*8\r\n$5\r\nvalue\r\n$1\r\nv\r\n$7\r\ncontext\r\n$2\r\nc1\r\n$7\r\nversion\r\n*2\r\n"
            "$5\r\nnode1\r\n:1\r\n$9\r\ntimestamp\r\n:784111777000\r\n");
  EXPECT_EQ(node_.kv.last_get.consistency.r, 1);
  EXPECT_TRUE(Ask({"LARIAT.GET", "redis-0", "k", "CONTEXT", "c1"}).starts_with("*8\r\n"));
  EXPECT_EQ(node_.kv.last_get.context, "c1");
  EXPECT_TRUE(Ask({"LARIAT.PUT", "redis-0", "k", "v", "IFMATCH", "c0"})
                  .starts_with("-ERR precondition_failed "));
  EXPECT_TRUE(Ask({"LARIAT.PUT", "redis-0", "k", "v", "R", "1"}).starts_with("-ERR invalid_arg"));
  EXPECT_TRUE(Ask({"LARIAT.PUT", "redis-0", "k", "v", "W"}).starts_with("-ERR invalid_argument"));
  EXPECT_EQ(Ask({"LARIAT.CONSISTENCY", "R", "2", "W", "1"}), kOk);
  EXPECT_EQ(Ask({"SET", "k", "v"}), kOk);
  EXPECT_EQ(node_.kv.last_write.consistency.w, 1);
  EXPECT_EQ(Ask({"LARIAT.CONSISTENCY"}), kOk);
  EXPECT_EQ(Ask({"LARIAT.ONCE", "id1", "SET", "n", "5"}), kOk);
  EXPECT_FALSE(node_.kv.last_write.consistency.w);
  EXPECT_EQ(Ask({"SET", "n", "7"}), kOk);
  EXPECT_EQ(Ask({"LARIAT.ONCE", "id1", "SET", "n", "5"}), kOk);
  EXPECT_EQ(Ask({"GET", "n"}), "$1\r\n7\r\n");
  EXPECT_EQ(Ask({"LARIAT.ONCE", "id2", "DEL", "n", "k"}), ":2\r\n");
  EXPECT_EQ(Ask({"LARIAT.ONCE", "id4", "INCR", "n"}), ":1\r\n");
  EXPECT_EQ(Ask({"LARIAT.ONCE", "id4", "INCR", "n"}), "+REPLAYED\r\n");
  EXPECT_EQ(Ask({"GETDEL", "n"}), "$1\r\n1\r\n");
  EXPECT_TRUE(Ask({"LARIAT.ONCE", "id3", "GET", "n"}).starts_with("-ERR invalid_argument"));
  EXPECT_TRUE(Ask({"LARIAT.DEL", "redis-0", "k", "CONTEXT", "c"}).starts_with("*4\r\n"));
  EXPECT_TRUE(Ask({"LARIAT.EXPLAIN", "redis-0", "k"}).starts_with("*16\r\n$13\r\npartition_key"));
  EXPECT_TRUE(Ask({"LARIAT.RING", "2"}).starts_with("*1\r\n*6\r\n$4\r\nfrom\r\n"));
}

}  // namespace
}  // namespace lariat::frontend::resp
