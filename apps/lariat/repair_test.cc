// SPDX-License-Identifier: Apache-2.0
// Repair from the command line, against nodes that answer as they are told.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <boost/json/parse.hpp>

#include "apps/lariat/fake_node_test_util.h"
#include "apps/lariat/repair_text.h"
#include "apps/lariat/session.h"

namespace lariat::cli {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using testing::FakeNode;
using testing::FakeReply;
using ::testing::HasSubstr;
using ::testing::Not;

struct Told {
  int exit = 0;
  std::string out, err;
};

Told Call(std::vector<std::string> words) {
  std::vector<const char*> arguments = {"lariat"};
  for (const std::string& word : words) arguments.push_back(word.c_str());
  ::testing::internal::CaptureStdout();
  ::testing::internal::CaptureStderr();
  Told told;
  told.exit = Main(static_cast<int>(arguments.size()), arguments.data());
  told.out = ::testing::internal::GetCapturedStdout();
  told.err = ::testing::internal::GetCapturedStderr();
  return told;
}

std::string Task(const std::string& state, const std::string& why) {
  return fmt::format(
      R"({{"task":7,"kind":"repair","node":"node2","state":"{}","asked_ms":1,"ended_ms":null,)"
      R"("progress":{{"phase":"compare","ranges_done":64,"ranges_total":128,"bytes_done":2048,)"
      R"("keys_done":3,"bytes_per_s":0,"left_s":2,"waiting_for":"{}"}}}})",
      state, why);
}

constexpr const char* kRepair =
    R"({"enabled":true,"ranges":[{"bucket":"default","from":"1","to":"2",)"
    R"("replicas":["node1","node2"],"last_pass_ms":940000,"state":"STATE","why":"WHY"},)"
    R"({"bucket":"default","from":"5","to":"6","replicas":["node1","node2"],)"
    R"("last_pass_ms":970000,"state":"ok","why":""},)"
    R"({"bucket":"solo","from":"1","to":"1","replicas":["node1"],"last_pass_ms":null,)"
    R"("state":"waits","why":"soon"}],)"
    R"("session":{"task":null,"partner":"node2","bucket":"default","fraction":0.5,)"
    R"("keys_received":1,"keys_sent":2,"bytes_sent":300,"started_ms":1,"left_s":1.5},)"
    R"("hints":[{"target":"node3","hints":1234,"bytes":2048,"oldest_ms":990000,)"
    R"("bytes_per_s":0,"state":"waits for it"}],)"
    R"("sweep":{"last_ms":null,"tombstones":5,"purged":4,"folded":3,"blocked":{"grace":2}},)"
    R"("scrub":{"fraction":0.25,"last_ms":940000,"damaged":2,"refilled":1,"trouble":"bad"}})";

std::string RepairAnswer(const std::string& state, const std::string& why) {
  std::string text = kRepair;
  text.replace(text.find("STATE"), 5, state);
  text.replace(text.find("WHY"), 3, why);
  return text;
}

// Two live nodes and one that is down; the first one tells of all.
class RepairCommand : public ::testing::Test {
 protected:
  FakeReply Answer(int node, const std::string& start) {
    if (start == "GET /v1/cluster/status") {
      return {200, fmt::format(R"({{"nodes":[{{"name":"node1","alive":true,"http":"{}"}},)"
                               R"({{"name":"node2","alive":true,"http":"{}"}},)"
                               R"({{"name":"node3","alive":false,"http":"127.0.0.1:1"}}]}})",
                               one_.address(), two_.address())};
    }
    if (start == "POST /v1/admin/repair") {
      if (node == 2) restarted_ = false;
      if (!refusal_.empty()) return {404, refusal_};
      return {202, R"({"task":7,"started":true,"message":""})"};
    }
    if (start == "GET /v1/admin/repair") {
      return {200, node == 1 ? RepairAnswer("ok", "") : RepairAnswer("dirty", "x is down")};
    }
    if (start == "GET /v1/buckets") return {200, R"({"buckets":[{"name":"lonely"}]})"};
    if (restarted_ && node == 2)
      return {404, R"({"error":{"code":"not_found","message":"no task"}})"};
    // Each task ends at its third question.
    if (++polls_[node] == 2 && node == 2 && restarts_.exchange(false)) restarted_ = true;
    if (polls_[node] < 3) return {200, Task("running", "")};
    return {200, node == 2 ? Task(end_, why_) : Task("done", "")};
  }

  std::atomic<int> polls_[3] = {};
  std::string end_ = "done", why_, refusal_;
  std::atomic<bool> restarts_ = false, restarted_ = false;
  FakeNode one_{[this](const std::string& start, const std::string&) { return Answer(1, start); }};
  FakeNode two_{[this](const std::string& start, const std::string&) { return Answer(2, start); }};
};

TEST_F(RepairCommand, AsksEveryLiveNode) {
  const Told told = Call({"repair", "--bucket", "b", "--range", "0x1-5", "--node", one_.address()});
  EXPECT_EQ(told.exit, 0) << told.err;
  EXPECT_THAT(told.out, AllOf(HasSubstr("node1: task 7"), HasSubstr("node2: task 7")));
  EXPECT_THAT(told.err, HasSubstr("node3 is down"));
  for (const FakeNode* node : {&one_, &two_}) {
    EXPECT_THAT(node->Asked(), Contains(R"(POST /v1/admin/repair {"bucket":"b","range":"0x1-5"})"));
  }
}

TEST_F(RepairCommand, WaitsUntilAllAreDone) {
  const Told told = Call({"repair", "--wait", "--node", one_.address()});
  EXPECT_EQ(told.exit, 0) << told.err;
  EXPECT_THAT(told.out, AllOf(HasSubstr("node1: done, 3 records exchanged, 2.0 KiB sent"),
                              HasSubstr("node2: done")));
  EXPECT_GE(polls_[1], 3);
  EXPECT_GE(polls_[2], 3);
}

TEST_F(RepairCommand, ANodeThatWasRestartedIsAskedAgain) {
  restarts_ = true;
  const Told told = Call({"repair", "--wait", "--bucket", "b", "--node", one_.address()});
  EXPECT_EQ(told.exit, 0) << told.out;
  EXPECT_THAT(told.out, HasSubstr("node2: done"));
  const auto asked = two_.Asked();
  EXPECT_EQ(std::count(asked.begin(), asked.end(), R"(POST /v1/admin/repair {"bucket":"b"})"), 2);
}

TEST_F(RepairCommand, TellsWhyOneFailed) {
  end_ = "failed";
  why_ = "node3 is down";
  const Told told = Call({"repair", "--wait", "--node", one_.address()});
  EXPECT_EQ(told.exit, 1);
  EXPECT_THAT(told.out, HasSubstr("node2: failed, 3 records exchanged, 2.0 KiB sent: node3 is"));
  const Told json = Call({"repair", "--wait", "--json", "--node", one_.address()});
  EXPECT_EQ(json.exit, 1);
  const auto nodes = boost::json::parse(json.out).at("nodes");
  EXPECT_EQ(nodes.at(0).at("state").as_string(), "done");
  EXPECT_EQ(nodes.at(1).at("why").as_string(), "node3 is down");
}

TEST_F(RepairCommand, Refusals) {
  refusal_ = R"({"error":{"code":"not_found","message":"no such bucket"}})";
  const Told told = Call({"repair", "--bucket", "b", "--node", one_.address()});
  EXPECT_EQ(told.exit, 5);
  EXPECT_THAT(told.err, HasSubstr("no such bucket"));
  EXPECT_EQ(Call({"repair", "--node", "127.0.0.1:1"}).exit, 3);
  EXPECT_EQ(Call({"repair", "everything"}).exit, 2);
}

TEST_F(RepairCommand, StatusUnitesTheNodes) {
  const Told told = Call({"repair", "status", "--node", one_.address()});
  EXPECT_EQ(told.exit, 6) << told.err;
  EXPECT_THAT(told.out, AllOf(HasSubstr("default  2       node1, node2"),
                              HasSubstr("dirty: x is down"), HasSubstr("node3 is down"),
                              HasSubstr("unknown: 100.0 % of bucket lonely: no replica")));
  const Told json = Call({"repair", "status", "--json", "--node", one_.address()});
  const auto nodes = boost::json::parse(json.out).at("nodes");
  EXPECT_EQ(nodes.at(1).at("node").as_string(), "node2");
  EXPECT_EQ(nodes.at(1).at("repair").at("scrub").at("damaged").as_int64(), 2);
}

TEST(RepairText, Status) {
  boost::json::array answers;
  for (const char* state : {"ok", "running"}) {
    answers.push_back(boost::json::object{{"node", "node1"},
                                          {"repair", boost::json::parse(RepairAnswer(state, ""))}});
  }
  EXPECT_EQ(RepairStatusText({answers[1]}, 1000000),
            "BUCKET   RANGES  REPLICAS      LAST PASS  STATE\n"
            "default  2       node1, node2  60 s ago   running\n"
            "solo     1       node1         never      waits: soon\n"
            "\n"
            "comparing: node1 with node2, bucket default: 50.0 %, 1 received, 2 sent, 300 B, "
            "1.50 s left\n"
            "hints: node1 keeps 1,234 (2.0 KiB) for node3: waits for it, the oldest of 10 s ago\n"
            "sweep: node1: last never, 5 tombstones, 4 purged, 3 folded, 2 blocked: grace\n"
            "scrub: node1: 25.0 % of this pass, the last ended 60 s ago, 2 damaged, 1 refilled; "
            "bad\n");
  EXPECT_THAT(RepairStatusText({answers[0]}, 1000000), HasSubstr("60 s ago   ok"));
  EXPECT_THAT(RepairStatusText({}, 1), HasSubstr("hints: none"));
}

boost::json::array Ranges(const std::string& ranges, const std::string& trouble = "") {
  return {boost::json::parse(fmt::format(R"({{"node":"n","repair":{{"ranges":[{}],)"
                                         R"("scrub":{{"trouble":"{}"}}}}}})",
                                         ranges, trouble))};
}

std::string Range(const char* from, const char* to, const char* state = "ok") {
  return fmt::format(R"({{"bucket":"b","from":"{}","to":"{}","state":"{}"}})", from, to, state);
}

TEST(RepairText, WhatNobodyAnswersFor) {
  constexpr const char* kMax = "18446744073709551615";
  using Shares = std::map<std::string, double>;
  EXPECT_EQ(Unanswered({"b"}, {}), (Shares{{"b", 1.0}}));
  EXPECT_EQ(Unanswered({"b"}, Ranges(Range("7", "7"))), Shares{});
  EXPECT_EQ(Unanswered({}, Ranges(Range("9", kMax) + "," + Range(kMax, "9"))), Shares{});
  EXPECT_EQ(Unanswered({}, Ranges(Range("5", kMax) + "," + Range(kMax, "9"))), Shares{});
  EXPECT_GT(Unanswered({}, Ranges(Range("9", kMax) + "," + Range(kMax, "8"))).at("b"), 0);
  EXPECT_GT(
      Unanswered({}, Ranges(Range("9", "18446744073709551614") + "," + Range(kMax, "9"))).at("b"),
      0);
  EXPECT_EQ(Unanswered({}, Ranges(Range("9223372036854775807", kMax))), (Shares{{"b", 0.5}}));
  EXPECT_EQ(Unanswered({}, Ranges(Range("x", kMax))).size(), 0U);
  EXPECT_EQ(UnansweredText({{"b", 0.5}}),
            "unknown: 50.0 % of bucket b: no replica of it answers\n");
}

TEST(RepairText, IsHealthyUnlessSomethingIsBehind) {
  EXPECT_TRUE(IsHealthy(Ranges(Range("7", "7") + "," + Range("7", "7", "waits"))));
  for (const char* state : {"dirty", "doubt"}) {
    EXPECT_FALSE(IsHealthy(Ranges(Range("7", "7") + "," + Range("7", "7", state)))) << state;
  }
  EXPECT_FALSE(IsHealthy(Ranges(Range("7", "7"), "a record is damaged")));
}

TEST(RepairText, Progress) {
  boost::json::array tasks = {boost::json::parse(Task("running", "")),
                              boost::json::parse(Task("done", ""))};
  EXPECT_EQ(RepairProgressText(tasks, "", false),
            "repair 50 %, 4.0 KiB sent, 6 records, 2.00 s left");
  EXPECT_THAT(RepairProgressText(tasks, "", true), HasSubstr("repair [####"));
  tasks.push_back(boost::json::parse(Task("running", "node3 is down")));
  EXPECT_THAT(RepairProgressText(tasks, "", false), HasSubstr("; waits: node3 is down"));
  EXPECT_EQ(RepairProgressText(tasks, "node2, node3", false),
            "repair 50 %, 6.0 KiB sent, 9 records; no answer from node2, node3");
  EXPECT_EQ(RepairProgressText({}, "", false), "repair 0 %, 0 B sent, 0 records");
}

}  // namespace
}  // namespace lariat::cli
