// SPDX-License-Identifier: Apache-2.0
// Changes of the cluster from the command line, against a node that answers as it is told.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pthread.h>

#include <atomic>
#include <boost/json/parse.hpp>
#include <csignal>

#include "apps/lariat/cluster_text.h"
#include "apps/lariat/fake_node_test_util.h"
#include "apps/lariat/session.h"

namespace lariat::cli {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
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

constexpr const char* kOperation =
    R"({"task":12,"kind":"decommission","node":"node4","phase":"stream","ranges_done":7,)"
    R"("ranges_total":16,"bytes_done":420,"bytes_total":1000,"bytes_per_s":2048.0,"left_s":12,)"
    R"("waiting_for":""})";

std::string Status(const std::string& operation, const std::string& http) {
  return fmt::format(
      R"({{"cluster_id":"c","epoch":7,"operation":{},"queued":1,"nodes":[{{"name":"node4",)"
      R"("id":"id4","state":"normal","alive":true,"draining":true,"detector":"suspect",)"
      R"("phi":3.25,"weight":0.5,"data_bytes":2048,"hints_pending_bytes":4096,)"
      R"("owns":0.25,"tokens":16,"rack":"r1",)"
      R"("http":"{}","resp":"r:1","peer":"p:1"}}]}})",
      operation, http);
}

std::string Task(const std::string& state) {
  const bool ended = state == "done" || state == "cancelled";
  return fmt::format(R"({{"task":12,"kind":"decommission","node":"node4","state":"{}",)"
                     R"("asked_ms":1000,"ended_ms":{},"progress":null}})",
                     state, ended ? "4000" : "null");
}

FakeReply Refuse(int status, const std::string& code, const std::string& message) {
  return {status, fmt::format(R"({{"error":{{"code":"{}","message":"{}"}}}})", code, message)};
}

TEST(Texts, OfAnOperation) {
  boost::json::value operation = boost::json::parse(kOperation);
  EXPECT_EQ(OperationText(operation, false),
            "task 12, decommission of node4: moving data 42 % (7 of 16 ranges), 2.0 KiB/s, "
            "12 s left");
  EXPECT_THAT(OperationText(operation, true), HasSubstr("data [##########....."));
  operation.as_object()["phase"] = "prepare";
  operation.as_object()["waiting_for"] = "node2 is down";
  EXPECT_EQ(OperationText(operation, true),
            "task 12, decommission of node4: preparing; waits: node2 is down");
}

TEST(Texts, ShareDoneIsOnlyWholeWhenAllRangesAre) {
  const auto share = [](const char* text) { return ShareDone(boost::json::parse(text)); };
  EXPECT_EQ(share("{}"), 0);
  EXPECT_EQ(share(R"({"ranges_done":1,"ranges_total":4})"), 0.25);
  EXPECT_EQ(share(R"({"ranges_done":1,"ranges_total":4,"bytes_done":9,"bytes_total":3})"), 0.99);
  EXPECT_EQ(share(R"({"ranges_done":4,"ranges_total":4,"bytes_done":1,"bytes_total":3})"), 1);
}

TEST(StatusCommand, ShowsWhatIsUnderWay) {
  FakeNode node([](const std::string&, const std::string&) {
    return FakeReply{200, Status(kOperation, "h:1")};
  });
  // The options of every command may stand before it.
  const Told narrow = Call({"--node", node.address(), "status"});
  EXPECT_EQ(narrow.exit, 0) << narrow.err;
  EXPECT_THAT(narrow.out,
              AllOf(HasSubstr("under way: task 12, decommission of node4"),
                    HasSubstr("waiting: 1 change"), HasSubstr("normal, draining"),
                    HasSubstr("hints kept for nodes that missed writes: node4 4.0 KiB")));
  const Told wide = Call({"status", "--wide", "--node", node.address()});
  for (const char* text : {"suspect", "3.25", "2.0 KiB", "0.5", "r:1", "p:1", "id4"}) {
    EXPECT_THAT(wide.out, HasSubstr(text));
  }
  const Told json = Call({"--json", "status", "--node", node.address()});
  EXPECT_EQ(boost::json::parse(json.out).at("epoch").as_int64(), 7);
}

TEST(ChangeCommands, AskAndTellHowToGoBack) {
  FakeNode node([](const std::string&, const std::string&) {
    return FakeReply{202, R"({"task":12,"started":true,"message":"under way"})"};
  });
  const Told leaves = Call({"decommission", "node4", "--node", node.address()});
  EXPECT_EQ(leaves.exit, 0);
  EXPECT_THAT(leaves.out,
              AllOf(HasSubstr("task 12: under way"), HasSubstr("lariat cluster cancel 12")));
  const Told staged = Call({"remove", "node4", "--plan", "--node", node.address()});
  EXPECT_THAT(staged.out, AllOf(HasSubstr("lariat cluster plan"), HasSubstr("cluster commit")));
  const Told json = Call({"reweight", "node4", "1.5", "--json", "--node", node.address()});
  EXPECT_EQ(boost::json::parse(json.out).at("task").as_int64(), 12);
  EXPECT_THAT(node.Asked(),
              ElementsAre(R"(POST /v1/admin/decommission {"node":"node4","staged":false})",
                          R"(POST /v1/admin/remove {"node":"node4","staged":true})",
                          R"(POST /v1/admin/reweight {"node":"node4","staged":false,)"
                          R"("weight":1.5E0})"));
}

TEST(ChangeCommands, ExitCodesOfRefusals) {
  const struct {
    int status;
    const char* code;
    int exit;
  } kCases[] = {{409, "conflict", 1}, {503, "unavailable", 1}, {404, "not_found", 5}};
  for (const auto& one : kCases) {
    FakeNode node([&](const std::string&, const std::string&) {
      return Refuse(one.status, one.code, "the reason");
    });
    const Told told = Call({"decommission", "node4", "--node", node.address()});
    EXPECT_EQ(told.exit, one.exit) << one.code;
    EXPECT_THAT(told.err, HasSubstr("the reason"));
    EXPECT_EQ(Call({"cluster", "commit", "--node", node.address()}).exit, one.exit);
  }
}

TEST(ChangeCommands, WrongUsage) {
  EXPECT_EQ(Call({"decommission"}).exit, 2);
  EXPECT_EQ(Call({"decommission", "a", "--plan", "--wait"}).exit, 2);
  EXPECT_EQ(Call({"reweight", "a"}).exit, 2);
  EXPECT_EQ(Call({"reweight", "a", "0"}).exit, 2);
  EXPECT_EQ(Call({"cluster"}).exit, 2);
  EXPECT_EQ(Call({"cluster", "cancel", "0"}).exit, 2);
  EXPECT_EQ(Call({"tasks", "--wait"}).exit, 2);
  EXPECT_EQ(Call({"put", "k", "v", "--context", ""}).exit, 2);
  EXPECT_EQ(Call({"del", "k", "--if-match", ""}).exit, 2);
}

TEST(ChangeCommands, HelpSaysWhatCanGoWrongAndHowToGoBack) {
  for (const char* command : {"decommission", "remove", "reweight", "drain"}) {
    EXPECT_THAT(Call({command, "--help"}).out,
                AllOf(HasSubstr("What it does"), HasSubstr("What can go wrong"),
                      HasSubstr("How to go back")));
  }
  for (const char* command : {"commit", "cancel"}) {
    EXPECT_THAT(Call({"cluster", command, "--help"}).out,
                AllOf(HasSubstr("What can go wrong"), HasSubstr("How to go back")));
  }
}

// A node that hands out task 12 and then shows these states of it, the last one for good.
FakeNode::Answer Going(std::vector<std::string> states) {
  return [states, seen = size_t{0}](const std::string& start, const std::string&) mutable {
    if (start.starts_with("POST")) return FakeReply{202, R"({"task":12,"message":""})"};
    if (start.ends_with("/status")) return FakeReply{200, Status("null", "127.0.0.1:1")};
    const std::string state = states[std::min(seen++, states.size() - 1)];
    return state == "404" ? Refuse(404, "not_found", "no such task") : FakeReply{200, Task(state)};
  };
}

TEST(Waiting, EndsWithTheTask) {
  // The node asked first has not heard of the task yet.
  FakeNode done(Going({"404", "queued", "done"}));
  const Told told = Call({"decommission", "node4", "--wait", "--node", done.address()});
  EXPECT_EQ(told.exit, 0) << told.err;
  EXPECT_EQ(told.out, "task 12, decommission of node4: done after 3.00 s\n");
  const Told json = Call({"--json", "tasks", "12", "--wait", "--node", done.address()});
  EXPECT_EQ(boost::json::parse(json.out).at("state").as_string(), "done");
  FakeNode cancelled(Going({"cancelled"}));
  EXPECT_EQ(Call({"decommission", "node4", "--wait", "--node", cancelled.address()}).exit, 1);
}

TEST(Waiting, CtrlCLeavesItRunning) {
  const pthread_t waiter = pthread_self();
  std::atomic<bool> asked = false;
  FakeNode node([&](const std::string& start, const std::string& body) {
    if (start.ends_with("/tasks/12") && !asked.exchange(true)) pthread_kill(waiter, SIGINT);
    return Going({"queued"})(start, body);
  });
  const Told told = Call({"remove", "node4", "--wait", "--node", node.address()});
  EXPECT_EQ(told.exit, 1);
  EXPECT_THAT(told.err, AllOf(HasSubstr("task 12 goes on"), HasSubstr("lariat tasks 12 --wait")));
  EXPECT_THAT(node.Asked(), Not(Contains(HasSubstr("cancel"))));
}

TEST(DrainCommand, GoesToTheNodeItself) {
  FakeNode drained([](const std::string&, const std::string&) {
    return FakeReply{200, R"({"draining":true})"};
  });
  FakeNode asked([&](const std::string&, const std::string&) {
    return FakeReply{200, Status("null", drained.address())};
  });
  EXPECT_EQ(Call({"drain", "node4", "--node", asked.address()}).exit, 0);
  EXPECT_EQ(Call({"drain", "id4", "--undo", "--node", asked.address()}).exit, 0);
  EXPECT_THAT(drained.Asked(), ElementsAre(R"(POST /v1/admin/drain {"on":true})",
                                           R"(POST /v1/admin/drain {"on":false})"));
  const Told unknown = Call({"drain", "node9", "--node", asked.address()});
  EXPECT_EQ(unknown.exit, 5);
  EXPECT_THAT(unknown.err, HasSubstr("there are node4"));
}

TEST(BucketSet, ShowsWhatIsInForceAndTheTaskThatMovesTheData) {
  const std::string before = R"({"name":"b","n":3,"r":2,"w":2})";
  FakeNode node([&](const std::string& start, const std::string&) {
    if (start.starts_with("PUT")) return FakeReply{200, R"({"name":"b","n":5,"r":2,"w":2})"};
    if (!start.ends_with("/v1/admin/tasks")) return FakeReply{200, before};
    return FakeReply{200, R"({"tasks":[{"task":9,"kind":"replication","node":"b","state":"done"},)"
                          R"({"task":12,"kind":"replication","node":"b","state":"running"}]})"};
  });
  const Told told = Call({"bucket", "set", "b", "n=5", "--node", node.address()});
  EXPECT_EQ(told.exit, 0) << told.err;
  EXPECT_THAT(told.out, AllOf(HasSubstr("n         3"),
                              HasSubstr("n becomes 5 when the data has moved: task 12")));
  const Told machine = Call({"--json", "bucket", "set", "b", "n=5", "--node", node.address()});
  EXPECT_THAT(machine.out,
              AllOf(HasSubstr(R"("n":3)"), HasSubstr(R"("moving":{"task":12,"n":5})")));
}

TEST(ClusterCommands, PlanShowsMovesAndOwners) {
  std::string plan = R"({"changes":[{"task":9,"kind":"join","node":"node4","state":"done"}]})";
  FakeNode node([&](const std::string&, const std::string&) { return FakeReply{200, plan}; });
  EXPECT_THAT(Call({"cluster", "plan", "--node", node.address()}).out,
              HasSubstr("nothing is pending"));
  plan = R"({"changes":[{"task":12,"kind":"decommission","node":"node4","state":"staged",)"
         R"("phase":"","asked_ms":0}],"moves":[{"from":"node4","to":"node1","ranges":5,)"
         R"("share":0.125,"bytes":3145728}],"owners":[{"node":"node1","rack":"r1","before":0.25,)"
         R"("after":0.5},{"node":"node4","rack":"r2","before":0.75,"after":0.5}],)"
         R"("bytes":3145728,"seconds":90,"why":"it is staged"})";
  const Told told = Call({"cluster", "plan", "--node", node.address()});
  EXPECT_THAT(told.out, AllOf(HasSubstr("decommission  node4  staged"), HasSubstr("12.5 %"),
                              HasSubstr("about 3.0 MiB in all, 90 s"), HasSubstr("r2"),
                              HasSubstr("waits: it is staged"), HasSubstr("cluster commit")));
}

TEST(ClusterCommands, WhyIsOneSentence) {
  std::string operation = "null";
  std::string why;
  FakeNode node([&](const std::string& start, const std::string&) {
    if (start.ends_with("/status")) return FakeReply{200, Status(operation, "h:1")};
    return FakeReply{200, R"({"why":")" + why + R"("})"};
  });
  const auto ask = [&] { return Call({"cluster", "why", "--node", node.address()}).out; };
  EXPECT_EQ(ask(), "Nothing waits: no change is under way.\n");
  why = "it is staged";
  EXPECT_EQ(ask(), "it is staged\n");
  operation = R"({"task":12,"waiting_for":"node2 is down"})";
  EXPECT_EQ(ask(), "node2 is down\n");
  operation = kOperation;
  why = "";
  EXPECT_THAT(ask(), HasSubstr("Nothing is waited for: task 12, decommission of node4"));
}

TEST(ClusterCommands, CancelAndTasks) {
  FakeNode node([](const std::string& start, const std::string&) {
    if (start.starts_with("POST")) return FakeReply{200, R"({"cancelled":true})"};
    return FakeReply{200, R"({"tasks":[)" + Task("done") + "]}"};
  });
  EXPECT_EQ(Call({"cluster", "cancel", "--node", node.address()}).exit, 0);
  EXPECT_EQ(Call({"cluster", "cancel", "12", "--node", node.address()}).exit, 0);
  EXPECT_THAT(node.Asked(),
              ElementsAre("POST /v1/admin/cancel {}", R"(POST /v1/admin/cancel {"task":12})"));
  for (const char* form : {"tasks", "cluster tasks"}) {
    std::vector<std::string> words = {"tasks", "--node", node.address()};
    if (std::string(form) != "tasks") words.insert(words.begin(), "cluster");
    EXPECT_THAT(Call(words).out, HasSubstr("12    decommission  node4  done")) << form;
  }
}

}  // namespace
}  // namespace lariat::cli
