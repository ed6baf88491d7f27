// SPDX-License-Identifier: Apache-2.0
// Arguments, addresses, exit codes, and the small texts.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "apps/lariat/load/cpu.h"
#include "apps/lariat/load/http_scan.h"
#include "apps/lariat/load/keys.h"
#include "apps/lariat/net/address.h"
#include "apps/lariat/session.h"
#include "apps/lariat/terminal/progress.h"
#include "apps/lariat/terminal/table.h"
#include "apps/lariat/terminal/text.h"

namespace lariat::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// A port that was free a moment ago would do; port 1 on loopback is refused at once.
constexpr const char* kNobody = "127.0.0.1:1";

int Call(std::vector<const char*> words) {
  words.insert(words.begin(), "lariat");
  return Main(static_cast<int>(words.size()), words.data());
}

TEST(Arguments, WrongUsageIsTwo) {
  EXPECT_EQ(Call({}), 2);
  EXPECT_EQ(Call({"nonsense"}), 2);
  EXPECT_EQ(Call({"get"}), 2);
  EXPECT_EQ(Call({"get", "k", "--no-such-option"}), 2);
  EXPECT_EQ(Call({"get", "k", "--r", "many"}), 2);
  EXPECT_EQ(Call({"get", ""}), 2);
  EXPECT_EQ(Call({"get", "k", "--node", "no-port"}), 2);
  EXPECT_EQ(Call({"put", "k"}), 2);
  EXPECT_EQ(Call({"put", "k", "v", "--file", "f"}), 2);
  EXPECT_EQ(Call({"up", "--detach"}), 2);
  EXPECT_EQ(Call({"bucket", "create", "b", "n:3", "--node", kNobody}), 2);
  EXPECT_EQ(Call({"bench", "--workload", "sleep"}), 2);
  EXPECT_EQ(Call({"bench", "--duration", "-1"}), 2);
  EXPECT_EQ(Call({"import", "f", "--concurrency", "0"}), 2);
  EXPECT_EQ(Call({"put", "k", "v", "--replace", "--context", "c"}), 2);
}

// Of a number that cannot be taken as it stands none is made that is near it.
TEST(Arguments, NumbersAreTakenAsTheyAreOrNotAtAll) {
  for (const char* bad : {"99999999999999999999", "-99999999999999999999", "010", "0x10", "1e3",
                          "1.5", " 1", "1 ", "+1", ""}) {
    EXPECT_EQ(Call({"put", "k", "v", "--node", kNobody, "--ttl", bad}), 2) << bad;
  }
  for (const char* bad : {"99999999999999999999", "-1", "01"}) {
    EXPECT_EQ(Call({"tasks", bad, "--node", kNobody}), 2) << bad;
  }
  for (const char* bad : {"nan", "inf", "1s", "1e999", ""}) {
    EXPECT_EQ(Call({"get", "k", "--node", kNobody, "--timeout", bad}), 2) << bad;
  }
  EXPECT_EQ(Call({"put", "k", "v", "--node", kNobody, "--ttl", "9223372036854775807"}), 3);
  EXPECT_EQ(Call({"tasks", "0", "--node", kNobody}), 3);
}

TEST(Arguments, HelpIsZero) {
  EXPECT_EQ(Call({"--help"}), 0);
  for (const char* command :
       {"up", "down", "put", "update", "get", "del", "status", "ring", "explain", "import",
        "export", "bench", "plan", "decommission", "remove", "reweight", "drain", "tasks"}) {
    ::testing::internal::CaptureStdout();
    EXPECT_EQ(Call({command, "--help"}), 0);
    std::string help = ::testing::internal::GetCapturedStdout();
    EXPECT_THAT(help, HasSubstr("Example:\n  lariat ")) << command;
    EXPECT_THAT(help, HasSubstr("--node")) << command;
    EXPECT_THAT(help, HasSubstr("--json")) << command;
  }
}

std::string Said(std::vector<const char*> words, bool on_stderr) {
  ::testing::internal::CaptureStdout();
  ::testing::internal::CaptureStderr();
  Call(std::move(words));
  const std::string out = ::testing::internal::GetCapturedStdout();
  const std::string told = ::testing::internal::GetCapturedStderr();
  return on_stderr ? told : out;
}

TEST(Arguments, WhatWasMeantIsSaid) {
  EXPECT_THAT(Said({"stauts"}, true), HasSubstr("did you mean 'status'?"));
  EXPECT_THAT(Said({"--node", "put", "bukcet", "list"}, true), HasSubstr("did you mean 'bucket'?"));
  EXPECT_THAT(Said({"bucket", "crate", "b"}, true), HasSubstr("did you mean 'create'?"));
  EXPECT_THAT(Said({"put", "k", "v", "--bukcet=b"}, true), HasSubstr("did you mean --bucket?"));
  EXPECT_THAT(Said({"xyzzy"}, true), Not(HasSubstr("did you mean")));
  // An argument is none of it.
  EXPECT_THAT(Said({"get", "staus", "--node", kNobody}, true), Not(HasSubstr("did you mean")));
}

TEST(Arguments, HelpAndVersionAreWordsToo) {
  EXPECT_EQ(Said({}, false), Said({"help"}, false));
  EXPECT_EQ(Said({"help", "bucket", "create"}, false), Said({"bucket", "create", "--help"}, false));
  EXPECT_EQ(Call({"help", "put"}), 0);
  EXPECT_EQ(Said({"version"}, false), Said({"--version"}, false));
}

TEST(Arguments, CompletionKnowsEveryCommandAndItsOptions) {
  const std::string script = Said({"completion"}, false);
  EXPECT_THAT(script, HasSubstr("'lariat bucket') words='create "));
  EXPECT_THAT(script, HasSubstr("--idempotency-key"));
  EXPECT_THAT(script, HasSubstr("complete -o default -F _lariat lariat"));
}

TEST(Arguments, NoNodeReachableIsThree) {
  EXPECT_EQ(Call({"get", "k", "--node", kNobody}), 3);
  EXPECT_EQ(Call({"put", "k", "v", "--node", kNobody, "--node", "127.0.0.1:2"}), 3);
  EXPECT_EQ(Call({"status", "--node", "127.0.0.1:1,127.0.0.1:2"}), 3);
}

TEST(Nodes, OptionBeforeEnvironmentBeforeDefault) {
  auto text = [](const std::vector<std::string>& given, const char* environment) {
    std::string out;
    auto nodes = ResolveNodes(given, environment);
    for (const auto& node : *nodes) out += node.ToString() + " ";
    return out;
  };
  EXPECT_EQ(text({"a:1", "b:2"}, "c:3"), "a:1 b:2 ");
  EXPECT_EQ(text({}, "c:3,d:4"), "c:3 d:4 ");
  EXPECT_EQ(text({}, nullptr), "127.0.0.1:7480 ");
  EXPECT_EQ(text({}, ""), "127.0.0.1:7480 ");
}

TEST(Addresses, Forms) {
  using net::ParseAddress;
  EXPECT_EQ(ParseAddress("localhost:80")->ToString(), "localhost:80");
  EXPECT_EQ(ParseAddress("http://h:80/")->ToString(), "h:80");
  EXPECT_EQ(ParseAddress("[::1]:7480")->host, "::1");
  EXPECT_EQ(ParseAddress("[::1]:7480")->ToString(), "[::1]:7480");
  for (const char* bad : {"", "h", ":80", "h:", "h:0", "h:65536", "h:8x", "a/b:80", "u@h:80"}) {
    EXPECT_FALSE(ParseAddress(bad).has_value()) << bad;
  }
}

TEST(Addresses, PercentEncoding) {
  EXPECT_EQ(net::PercentEncode("aZ0-._~"), "aZ0-._~");
  EXPECT_EQ(net::PercentEncode(std::string_view("a/b %\0\xff", 7)), "a%2Fb%20%25%00%FF");
  EXPECT_EQ(net::PercentEncode(".."), "%2E%2E");
  EXPECT_EQ(net::PercentEncode("batch"), "%62atch");
  EXPECT_EQ(net::PercentEncode("range"), "%72ange");
  EXPECT_EQ(net::PercentEncode("ranges"), "ranges");
  EXPECT_EQ(net::QueryString({{"r", "2"}, {"key", "a&b"}}), "?r=2&key=a%26b");
  EXPECT_EQ(net::QueryString({}), "");
}

TEST(ExitCodes, OfAnswers) {
  auto exit = [](unsigned status, std::string body = "") {
    return static_cast<int>(ExitOf({status, {}, std::move(body)}));
  };
  EXPECT_EQ(exit(200), 0);
  EXPECT_EQ(exit(204), 0);
  EXPECT_EQ(exit(400), 2);
  EXPECT_EQ(exit(413), 2);
  EXPECT_EQ(exit(401), 4);
  EXPECT_EQ(exit(403), 4);
  EXPECT_EQ(exit(404), 5);
  EXPECT_EQ(exit(409), 5);
  EXPECT_EQ(exit(300), 7);
  EXPECT_EQ(exit(503), 1);
  EXPECT_EQ(exit(504), 1);
  EXPECT_EQ(exit(409, R"({"error":{"code":"conflict","message":"m"}})"), 1);
  EXPECT_EQ(exit(409, R"({"error":{"code":"too_many_siblings","message":"m"}})"), 7);
  EXPECT_EQ(exit(413, R"({"error":{"code":"object_too_large","message":"m"}})"), 7);
}

TEST(ExitCodes, ErrorBodies) {
  ErrorBody error = ParseErrorBody(R"({"error":{"code":"c","message":"m","needed":2}})");
  EXPECT_EQ(error.code, "c");
  EXPECT_EQ(error.message, "m");
  EXPECT_EQ(ParseErrorBody("<html>").code, "");
  EXPECT_EQ(ParseErrorBody(R"({"error":"text"})").code, "");
}

TEST(Texts, Tables) {
  Table table({"A", "LONG"});
  table.Add({"wide cell", "x"});
  table.Add({"\xC3\xA9", "y"});
  EXPECT_EQ(table.Render("  "), "  A          LONG\n  wide cell  x\n  \xC3\xA9          y\n");
}

TEST(Texts, Numbers) {
  EXPECT_EQ(CountText(0), "0");
  EXPECT_EQ(CountText(1234567), "1,234,567");
  EXPECT_EQ(BytesText(1023), "1023 B");
  EXPECT_EQ(BytesText(1536), "1.5 KiB");
  EXPECT_EQ(SecondsText(0.625), "0.62 s");
  EXPECT_EQ(SecondsText(185), "3 min 05 s");
}

TEST(Texts, OnlyPrintableBytesReachATerminal) {
  EXPECT_EQ(Printable("a\x1b[31m\xff\xC3\xA9"), "a\\x1b[31m\\xff\xC3\xA9");
  EXPECT_TRUE(IsUtf8("\xE2\x82\xAC \xF0\x9F\x98\x80"));
  for (const char* bad : {"\xC0\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xE2\x82", "\x80"}) {
    EXPECT_FALSE(IsUtf8(bad));
  }
}

TEST(Texts, ProgressLine) {
  EXPECT_EQ(Progress::Line("imported", 500, 25, 100, 5, true),
            "imported 500 (100/s) [######..................] 25 %, 15 s left");
  EXPECT_EQ(Progress::Line("imported", 500, 25, 0, 5, true), "imported 500 (100/s)");
}

TEST(Replies, AreScanned) {
  using load::Scan;
  std::string reply =
      "HTTP/1.1 201 Created\r\ncontent-length: 2\r\nX-Context: abc\r\n\r\n{}HTTP/1.1 2";
  Scan scan = load::ScanReply(reply);
  EXPECT_EQ(scan.state, Scan::State::kWhole);
  EXPECT_EQ(scan.status, 201);
  EXPECT_EQ(scan.context, "abc");
  EXPECT_EQ(reply.substr(scan.size), "HTTP/1.1 2");
  for (size_t i = 0; i < scan.size; ++i) {
    EXPECT_EQ(load::ScanReply(reply.substr(0, i)).state, Scan::State::kMore) << i;
  }
  EXPECT_EQ(load::ScanReply("HTTP/1.1 204 No Content\r\n\r\n").state, Scan::State::kWhole);
  EXPECT_TRUE(load::ScanReply("HTTP/1.1 204 N\r\nConnection: close\r\n\r\n").closes);
  EXPECT_EQ(load::ScanReply("HTTP/1.1 200 OK\r\n\r\n").state, Scan::State::kBad);
  EXPECT_EQ(load::ScanReply("nonsense\r\n\r\n").state, Scan::State::kBad);
}

TEST(Keys, ZipfIsSkewedAndInRange) {
  load::KeyPicker picker(load::Distribution::kZipf, 1000, 7);
  int hottest = 0;
  for (int i = 0; i < 20000; ++i) {
    uint64_t rank = picker.NextRank();
    ASSERT_LT(rank, 1000U);
    hottest += rank == 0 ? 1 : 0;
    ASSERT_LT(picker.Next(), 1000U);
  }
  // 1 / zeta(1000, 0.99) is 13 %.
  EXPECT_GT(hottest, 2000);
  EXPECT_LT(hottest, 3400);
  EXPECT_EQ(load::KeyText(42), "k000000000042");
}

TEST(Cpu, IsReadFromStat) {
  auto cpu = load::ParseCpu("1 (a) b) S 1 2 3 4 5 6 7 8 9 10 250 50 13 7 20 0", 100);
  ASSERT_TRUE(cpu.has_value());
  EXPECT_DOUBLE_EQ(cpu->user_s, 2.63) << "with children that have ended";
  EXPECT_DOUBLE_EQ(cpu->system_s, 0.57);
  EXPECT_FALSE(load::ParseCpu("1 (x) S 1 2 3 4 5 6 7 8 9 10 250 50", 100).has_value());
  EXPECT_FALSE(load::ParseCpu("1 (x) S", 100).has_value());
}

}  // namespace
}  // namespace lariat::cli
