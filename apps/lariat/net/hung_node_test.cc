// SPDX-License-Identifier: Apache-2.0
// A node that hangs: what it costs a command that knows others, and what is said of the outcome.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>

#include "apps/lariat/fake_node_test_util.h"
#include "apps/lariat/session.h"

namespace lariat::cli {
namespace {

using std::chrono::milliseconds;
using ::testing::AllOf;
using testing::FakeNode;
using testing::FakeReply;
using ::testing::HasSubstr;
using testing::HungNode;
using ::testing::Not;
using ::testing::SizeIs;
using Clock = std::chrono::steady_clock;

struct Told {
  int exit = 0;
  std::string err;
  milliseconds took{0};
};

Told Call(std::vector<std::string> words) {
  std::vector<const char*> arguments = {"lariat"};
  for (const std::string& word : words) arguments.push_back(word.c_str());
  ::testing::internal::CaptureStdout();
  ::testing::internal::CaptureStderr();
  const auto start = Clock::now();
  Told told;
  told.exit = Main(static_cast<int>(arguments.size()), arguments.data());
  told.took = std::chrono::duration_cast<milliseconds>(Clock::now() - start);
  ::testing::internal::GetCapturedStdout();
  told.err = ::testing::internal::GetCapturedStderr();
  return told;
}

FakeReply Value(const std::string&, const std::string&) {
  return {200, R"({"value":"YQ==","siblings":[]})"};
}

net::Address AddressOf(const std::string& text) { return *net::ParseAddress(text); }

TEST(HungNodes, OneThatDropsCostsTheConnectTimeout) {
  HungNode hung(HungNode::Kind::kDrops);
  FakeNode good(Value);
  for (std::vector<std::string> words : {std::vector<std::string>{"get", "k"}, {"put", "k", "v"}}) {
    words.insert(words.end(),
                 {"--node", hung.address(), "--node", good.address(), "--connect-timeout", "0.2"});
    const Told told = Call(words);
    EXPECT_EQ(told.exit, 0) << told.err;
    EXPECT_GE(told.took, milliseconds(200));
    EXPECT_LT(told.took, milliseconds(5000));
  }
}

TEST(HungNodes, OneThatTakesConnectionsCostsAReadItsShare) {
  HungNode hung(HungNode::Kind::kTakes);
  FakeNode good(Value);
  const std::string both = hung.address() + "," + good.address();
  Told told = Call({"get", "k", "--node", both});
  EXPECT_EQ(told.exit, 0) << told.err;
  EXPECT_LT(told.took, milliseconds(9000));  // of 10 s
  // A write that may have been sent is repeated only where that cannot matter.
  told = Call({"put", "k", "v", "--node", both, "--timeout", "0.3"});
  EXPECT_EQ(told.exit, 1);
  EXPECT_THAT(told.err, AllOf(HasSubstr("no answer within 0.3 s"),
                              HasSubstr("a write may or may not have happened")));
  EXPECT_THAT(good.Asked(), SizeIs(1));
  told = Call({"put", "k", "v", "--node", both, "--idempotency-key",
               "00000000-0000-4000-8000-000000000000"});
  EXPECT_EQ(told.exit, 0) << told.err;
}

TEST(HungNodes, AReadIsNoWrite) {
  HungNode hung(HungNode::Kind::kTakes);
  for (const char* command : {"get", "explain"}) {
    const Told told = Call({command, "k", "--node", hung.address(), "--timeout", "0.2"});
    EXPECT_EQ(told.exit, 1);
    EXPECT_THAT(told.err, AllOf(HasSubstr("no answer in time"), HasSubstr("nothing was changed"),
                                Not(HasSubstr("write"))));
  }
  const Told told = Call({"del", "k", "--node", hung.address(), "--timeout", "0.2"});
  EXPECT_THAT(told.err, HasSubstr("a write may or may not have happened"));
}

TEST(HungNodes, NoneReachableIsThree) {
  HungNode hung(HungNode::Kind::kDrops);
  const Told told =
      Call({"--connect-timeout", "0.1", "get", "k", "--node", hung.address() + ",127.0.0.1:1"});
  EXPECT_EQ(told.exit, 3);
  EXPECT_THAT(told.err, HasSubstr(hung.address() + ": no connection within 0.1 s"));
  EXPECT_LT(told.took, milliseconds(5000));
  EXPECT_EQ(Call({"get", "k", "--timeout", "0"}).exit, 2);
  EXPECT_EQ(Call({"get", "k", "--connect-timeout", "-1"}).exit, 2);
}

TEST(HungNodes, AreRememberedByTheProcess) {
  HungNode hung(HungNode::Kind::kTakes);
  FakeNode good(Value);
  net::Client client({AddressOf(hung.address()), AddressOf(good.address())},
                     {milliseconds(10000), milliseconds(100)});
  ASSERT_TRUE(client.Send({}).has_value());
  const auto start = Clock::now();
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(client.Send({}).has_value());
  net::Request write;
  write.method = "PUT";
  EXPECT_TRUE(client.Send(write).has_value());          // never goes to the one that hangs
  EXPECT_LT(Clock::now() - start, milliseconds(5000));  // of five times 2 s
}

TEST(HungNodes, AnImportGoesRoundThem) {
  HungNode drops(HungNode::Kind::kDrops);
  HungNode takes(HungNode::Kind::kTakes);
  FakeNode good([](const std::string& start, const std::string&) {
    return FakeReply{start.starts_with("PUT") ? 201 : 200, R"({"name":"default"})"};
  });
  std::string pattern = (std::filesystem::temp_directory_path() / "lariat-hung-XXXXXX").string();
  const std::string dir = mkdtemp(pattern.data());
  std::ofstream out(dir + "/a.ndjson");
  for (int i = 0; i < 30; ++i) out << "{\"key\":" << i << ",\"value\":1}\n";
  out.close();
  const Told told = Call({"import", dir + "/a.ndjson", "--concurrency", "3", "--node",
                          good.address() + "," + drops.address() + "," + takes.address(),
                          "--connect-timeout", "0.2", "--timeout", "0.5"});
  EXPECT_EQ(told.exit, 0) << told.err;
  EXPECT_LT(told.took, milliseconds(15000));
  std::filesystem::remove_all(dir);
}

}  // namespace
}  // namespace lariat::cli
