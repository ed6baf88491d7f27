// SPDX-License-Identifier: Apache-2.0
// Connections: their state, the order of a pipeline, limits, and what is said about the server.
#include <gtest/gtest.h>

#include "frontend/resp/test_fakes.h"

namespace lariat::frontend::resp {
namespace {

using testing::Asker;
using testing::CountReplies;
using testing::FakeNode;
using testing::MakeCommand;

class RespConnections : public ::testing::Test {
 protected:
  // The database has been used before.
  void SetUp() override { Ask({"EXISTS", "k"}); }
  std::string Ask(const std::vector<std::string_view>& args) { return client_.Ask(args); }

  FakeNode node_;
  Asker client_{node_};
};

TEST_F(RespConnections, SayWhoTheyAre) {
  EXPECT_EQ(Ask({"PING"}), "+PONG\r\n");
  EXPECT_EQ(Ask({"PING", "hi"}), "$2\r\nhi\r\n");
  EXPECT_EQ(Ask({"ECHO", ""}), "$0\r\n\r\n");
  EXPECT_EQ(Ask({"CLIENT", "GETNAME"}), "$-1\r\n");
  EXPECT_EQ(Ask({"CLIENT", "SETNAME", "me"}), "+OK\r\n");
  EXPECT_EQ(Ask({"CLIENT", "SETINFO", "LIB-NAME", "lib"}), "+OK\r\n");
  EXPECT_TRUE(Ask({"CLIENT", "SETNAME", "a b"}).starts_with("-ERR Client names cannot"));
  EXPECT_TRUE(Ask({"CLIENT", "SETINFO", "X", "y"}).starts_with("-ERR Unrecognized option"));
  const std::string line = Ask({"CLIENT", "INFO"});
  EXPECT_NE(line.find("name=me "), std::string::npos);
  EXPECT_NE(line.find("lib-name=lib "), std::string::npos);
  EXPECT_TRUE(Ask({"AUTH", "x"}).starts_with("-ERR AUTH <password> called without any password"));
  EXPECT_EQ(Ask({"AUTH", "default", "x"}), "+OK\r\n");
  EXPECT_TRUE(Ask({"AUTH", "other", "x"}).starts_with("-WRONGPASS "));
  EXPECT_EQ(Ask({"RESET"}), "+RESET\r\n");
  EXPECT_EQ(Ask({"CLIENT", "GETNAME"}), "$-1\r\n");
}

TEST_F(RespConnections, SpeakResp3WhenAsked) {
  EXPECT_EQ(Ask({"HELLO", "4"}), "-NOPROTO unsupported protocol version\r\n");
  EXPECT_TRUE(Ask({"HELLO", "3", "AUTH", "other", "p"}).starts_with("-WRONGPASS "));
  EXPECT_TRUE(Ask({"HELLO"}).starts_with("*14\r\n$6\r\nserver\r\n$5\r\nredis\r\n"));
  const std::string hello = Ask({"HELLO", "3", "AUTH", "default", "p", "SETNAME", "me"});
  EXPECT_TRUE(hello.starts_with("%7\r\n"));
  EXPECT_NE(hello.find("$5\r\nproto\r\n:3\r\n"), std::string::npos);
  EXPECT_EQ(Ask({"GET", "k"}), "_\r\n");
  EXPECT_EQ(Ask({"CONFIG", "GET", "SAVE"}), "%1\r\n$4\r\nsave\r\n$0\r\n\r\n");
  EXPECT_TRUE(Ask({"INFO", "server"}).starts_with("="));
  client_.client.Send("GET k\r\nHELLO 2\r\nGET k\r\n");
  const std::string both = client_.client.TakeOutput();
  EXPECT_TRUE(both.starts_with("_\r\n*14\r\n"));
  EXPECT_TRUE(both.ends_with("$-1\r\n"));
}

TEST_F(RespConnections, ErrorsHaveRedisWords) {
  EXPECT_EQ(Ask({"NOPE", "a", "b"}),
            "-ERR unknown command 'NOPE', with args beginning with: 'a' 'b' \r\n");
  EXPECT_EQ(Ask({"no\r\npe"}), "-ERR unknown command 'no  pe', with args beginning with: \r\n");
  EXPECT_EQ(Ask({"GET"}), "-ERR wrong number of arguments for 'get' command\r\n");
  EXPECT_EQ(Ask({"CLIENT"}), "-ERR wrong number of arguments for 'client' command\r\n");
  EXPECT_EQ(Ask({"CLIENT", "NOPE"}), "-ERR unknown subcommand 'NOPE'. Try CLIENT HELP.\r\n");
  EXPECT_EQ(Ask({"CLIENT", "ID", "x"}),
            "-ERR wrong number of arguments for 'client|id' command\r\n");
  EXPECT_TRUE(Ask({"client|id"}).starts_with("-ERR unknown command"));
  EXPECT_TRUE(Ask({"LCS", "a", "b"}).starts_with("-ERR not supported yet: LCS ("));
  EXPECT_TRUE(Ask({"BLPOP", "a", "0"}).starts_with("-ERR unsupported: BLPOP ("));
  EXPECT_EQ(
      node_.metrics.resp_commands.At(telemetry::RespGroup::kUnknown, telemetry::Outcome::kRefused)
          .value(),
      9u);
}

TEST_F(RespConnections, CommandsOfOneKeyKeepTheirOrderAndOthersRunTogether) {
  node_.kv.defer = true;
  client_.client.Send("SET a 1\r\nGET b\r\nGET a\r\nSET b 2\r\nINCR a\r\nGET a\r\n");
  EXPECT_EQ(node_.kv.deferred.size(), 2u);  // GET a has to wait for SET a
  while (!node_.kv.deferred.empty()) {
    node_.kv.Complete(node_.kv.deferred.size() - 1);
    node_.world.RunTasks();
    client_.client.Deliver();
  }
  EXPECT_EQ(client_.client.TakeOutput(), "+OK\r\n$-1\r\n$1\r\n1\r\n+OK\r\n:2\r\n$1\r\n2\r\n");
}

// Against a client that waits for every reply, with random pipelines over few keys.
TEST_F(RespConnections, APipelineAnswersAsOneCommandAfterTheOther) {
  base::Prng prng(11);
  FakeNode other;
  Asker slow(other);
  for (int round = 0; round < 300; ++round) {
    std::string pipeline, expected;
    for (uint64_t n = 1 + prng.Below(40); n > 0; --n) {
      const std::string key(1, static_cast<char>('a' + prng.Below(4)));
      const std::string value = std::to_string(prng.Below(100));
      const std::vector<std::string_view> kAll[] = {
          {"GET", key},      {"SET", key, value},          {"INCR", key},   {"APPEND", key, value},
          {"DEL", key, "a"}, {"MGET", "a", "b", "c", "d"}, {"STRLEN", key}, {"PING"},
          {"WAIT", "0", "0"}};
      const auto& args = kAll[prng.Below(std::size(kAll))];
      pipeline += MakeCommand(args);
      expected += slow.Ask(args);
    }
    node_.kv.defer = true;
    client_.client.Send(pipeline);
    while (!node_.kv.deferred.empty()) {
      node_.kv.Complete(prng.Below(node_.kv.deferred.size()));
      node_.world.RunTasks();
      client_.client.Deliver();
    }
    ASSERT_EQ(client_.client.TakeOutput(), expected) << pipeline;
  }
}

TEST_F(RespConnections, TenThousandPipelinedCommandsAreBounded) {
  node_.kv.defer = true;
  std::string pipeline;
  for (int i = 0; i < 10000; ++i) {
    const std::string key = "k" + std::to_string(i % 5000);
    pipeline += MakeCommand({"SET", key, "v"});
  }
  client_.client.Send(pipeline);
  size_t most = 0;
  while (!node_.kv.deferred.empty()) {
    const size_t batch = node_.kv.deferred.size();
    most = std::max(most, batch);
    for (size_t i = 0; i < batch; ++i) node_.kv.Complete(0);
    node_.world.RunTasks();
    client_.client.Deliver();
  }
  EXPECT_EQ(most, static_cast<size_t>(node_.settings.resp_pipeline_max));
  EXPECT_EQ(CountReplies(client_.client.TakeOutput()), 10000u);
}

// Guards M40.
TEST_F(RespConnections, AClientThatNeverReadsHoldsLittle) {
  FakeNode node;
  node.settings.resp_output_bytes_max = 4 << 20;
  node.kv.buckets["redis-0"] = {.name = "redis-0"};
  node.kv.stored["redis-0/k"] = {std::string(1 << 20, 'x'), 0, 1};
  Asker client(node);
  client.client.stream.unsent = 3500000;
  std::string pipeline;
  for (int i = 0; i < 10; ++i) pipeline += "GET k\r\n";
  client.client.Send(pipeline);
  EXPECT_EQ(client.client.stream.out, "");
  EXPECT_TRUE(client.client.stream.paused);
  client.client.Drained();
  EXPECT_GT(client.client.stream.out.size(), 2u << 20);
}

TEST_F(RespConnections, QuitAndProtocolErrorsEndTheConnection) {
  client_.client.Send("SET a 1\r\nQUIT\r\nSET a 2\r\n");
  EXPECT_EQ(client_.client.TakeOutput(), "+OK\r\n+OK\r\n");
  EXPECT_TRUE(client_.client.stream.Ended());
  EXPECT_EQ(node_.kv.stored.at("redis-0/a").value, "1");
  Asker bad(node_);
  bad.client.Send("PING\r\n*1\r\nPING\r\n");
  EXPECT_EQ(bad.client.TakeOutput(), "+PONG\r\n-ERR Protocol error: expected '$', got 'P'\r\n");
  EXPECT_TRUE(bad.client.stream.Ended());
  Asker http(node_);
  http.client.Send("POST / HTTP/1.1\r\nHost: x\r\n\r\nSET a 3\r\n");
  EXPECT_TRUE(http.client.stream.Ended());
  EXPECT_EQ(node_.kv.stored.at("redis-0/a").value, "1");
  EXPECT_EQ(node_.metrics.resp_refused[telemetry::RespRefusal::kProtocol].value(), 2u);
}

TEST_F(RespConnections, AHalfClosedConnectionStillGetsItsReplies) {
  node_.kv.defer = true;
  client_.client.Send("GET a\r\nGET b\r\n*1\r\n$4\r\nPI");
  client_.client.CloseSending();
  EXPECT_FALSE(client_.client.stream.Ended());
  node_.kv.CompleteAll();
  EXPECT_EQ(client_.client.TakeOutput(), "$-1\r\n$-1\r\n");
  EXPECT_TRUE(client_.client.stream.Ended());
}

// Guards M40.
TEST_F(RespConnections, HalfACommandIsLate) {
  client_.client.Send("*2\r\n$3\r\nGET\r\n");
  node_.world.Advance(base::Millis(node_.settings.resp_request_timeout_ms + 2000));
  EXPECT_TRUE(client_.client.TakeOutput().starts_with("-ERR request_timeout"));
  EXPECT_TRUE(client_.client.stream.Ended());
}

TEST_F(RespConnections, TheTableIsTold) {
  EXPECT_EQ(Ask({"COMMAND", "INFO", "get", "nope"}),
            "*2\r\n*10\r\n$3\r\nget\r\n:2\r\n*2\r\n+readonly\r\n+fast\r\n:1\r\n:1\r\n:1\r\n*3\r\n"
            "+@string\r\n+@read\r\n+@fast\r\n*0\r\n*0\r\n*0\r\n*-1\r\n");
  EXPECT_EQ(Ask({"COMMAND", "GETKEYS", "MSET", "a", "1", "b", "2"}),
            "*2\r\n$1\r\na\r\n$1\r\nb\r\n");
  EXPECT_EQ(Ask({"COMMAND", "GETKEYS", "LARIAT.GET", "bucket", "k"}), "*1\r\n$1\r\nk\r\n");
  EXPECT_TRUE(Ask({"COMMAND", "GETKEYS", "PING"}).starts_with("-ERR The command has no key"));
  EXPECT_EQ(CountReplies(Ask({"COMMAND"})), 1u);
  EXPECT_EQ(CountReplies(Ask({"COMMAND", "DOCS"})), 1u);
  EXPECT_EQ(CountReplies(Ask({"CLIENT", "HELP"})), 1u);
  EXPECT_EQ(CountReplies(Ask({"INFO"})), 1u);
  EXPECT_NE(Ask({"INFO"}).find("\r\nloading:0\r\n"), std::string::npos);
  EXPECT_EQ(Ask({"INFO", "replication"}).find("# Server"), std::string::npos);
  EXPECT_EQ(Ask({"CONFIG", "GET", "resp.pipeline_*"}),
            "*2\r\n$17\r\nresp.pipeline_max\r\n$3\r\n128\r\n");
}

TEST_F(RespConnections, ClientsOfAClusterGetAMap) {
  EXPECT_EQ(Ask({"CLUSTER", "SLOTS"}), "-ERR This instance has cluster support disabled\r\n");
  FakeNode node;
  node.settings.resp_cluster_mode = true;
  for (int i = 1; i <= 3; ++i) {
    coordinator::NodeStatus status;
    status.name = "node" + std::to_string(i);
    status.id = "00000000-0000-0000-0000-00000000000" + std::to_string(i);
    status.state = "normal";
    status.alive = i != 2;
    status.self = i == 1;
    status.owns = i == 1 ? 0.25 : 0.75;
    status.resp = "10.0.0." + std::to_string(i) + ":7481";
    node.admin.status.nodes.push_back(std::move(status));
  }
  Asker client(node);
  const std::string id = "0000000000000000000000000000000100000000";
  EXPECT_EQ(client.Ask({"CLUSTER", "SLOTS"}),
            "*2\r\n*3\r\n:0\r\n:4095\r\n*4\r\n$8\r\n10.0.0.1\r\n:7481\r\n$40\r\n" + id +
                "\r\n*0\r\n*3\r\n:4096\r\n:16383\r\n*4\r\n$8\r\n10.0.0.3\r\n:7481\r\n$40\r\n"
                "0000000000000000000000000000000300000000\r\n*0\r\n");
  EXPECT_EQ(client.Ask({"CLUSTER", "MYID"}), "$40\r\n" + id + "\r\n");
  EXPECT_EQ(client.Ask({"CLUSTER", "KEYSLOT", "foo"}), ":12182\r\n");
  EXPECT_NE(client.Ask({"CLUSTER", "NODES"}).find(id + " 10.0.0.1:7481@7481 myself,master"),
            std::string::npos);
  EXPECT_EQ(CountReplies(client.Ask({"CLUSTER", "SHARDS"})), 1u);
  EXPECT_NE(client.Ask({"CLUSTER", "INFO"}).find("cluster_state:ok"), std::string::npos);
  EXPECT_EQ(client.Ask({"READONLY"}), "+OK\r\n");
}

TEST_F(RespConnections, SlowCommandsAreKept) {
  node_.kv.defer = true;
  client_.client.Send(MakeCommand({"SET", "key", "a value"}));
  node_.world.Advance(base::Millis(20));
  node_.kv.CompleteAll();
  client_.client.TakeOutput();
  EXPECT_EQ(Ask({"SLOWLOG", "LEN"}), ":1\r\n");
  const std::string slow = Ask({"SLOWLOG", "GET"});
  EXPECT_NE(slow.find(":20000\r\n*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n"), std::string::npos) << slow;
  EXPECT_EQ(slow.find("a value"), std::string::npos);
  EXPECT_EQ(Ask({"SLOWLOG", "RESET"}), "+OK\r\n");
  EXPECT_EQ(Ask({"SLOWLOG", "GET"}), "*0\r\n");
}

TEST_F(RespConnections, OneCanEndAnother) {
  Asker other(node_);
  other.client.stream.peer = "127.0.0.1:2";
  EXPECT_NE(Ask({"CLIENT", "LIST"}).find("id=2 "), std::string::npos);
  EXPECT_EQ(Ask({"CLIENT", "KILL", "ID", "2"}), ":1\r\n");
  EXPECT_TRUE(other.client.stream.closed);
  EXPECT_EQ(Ask({"CLIENT", "KILL", "127.0.0.9:9"}), "-ERR No such client\r\n");
  EXPECT_EQ(Ask({"CLIENT", "KILL", "ID", "1"}), ":0\r\n");
  EXPECT_EQ(Ask({"CLIENT", "KILL", "ID", "1", "SKIPME", "no"}), ":1\r\n");
  EXPECT_TRUE(client_.client.stream.Ended());
}

TEST_F(RespConnections, WaitTellsWhoHasTheLastWrite) {
  EXPECT_EQ(Ask({"WAIT", "1", "0"}), ":0\r\n");
  client_.client.Send("SET a 1\r\nWAIT 2 100\r\n");
  EXPECT_EQ(client_.client.TakeOutput(), "+OK\r\n:1\r\n");
}

TEST_F(RespConnections, RequestsInWorkOutliveConnectionAndFrontend) {
  node_.kv.defer = true;
  {
    Asker gone(node_);
    gone.client.Send("INCR a\r\nMGET b c\r\nDEL d\r\nCOPY e f DB 5\r\n");
  }
  while (node_.kv.deferred.size() > 2) node_.kv.Complete(0);
  client_.client.Send("INCR x\r\nMGET b c\r\nSELECT 7\r\nSET y 1\r\n");
  client_.client.Disconnect();
  node_.frontend.reset();
  node_.kv.CompleteAll();
  node_.world.RunTasks();
}

}  // namespace
}  // namespace lariat::frontend::resp
