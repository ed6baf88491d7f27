// SPDX-License-Identifier: Apache-2.0
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "apps/lariat/local/cluster_file.h"
#include "apps/lariat/local/layout.h"
#include "apps/lariat/local/process.h"
#include "apps/lariat/local/up.h"
#include "apps/lariat/local/up_parts.h"

namespace lariat::cli::local {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(LayoutTest, PortsNamesAndJoinList) {
  UpOptions options;
  options.settings = {"a.b=1"};
  auto layout = PlanLayout(options, {3, 7480, 2}, "/bin/lariatd", "/d");
  ASSERT_TRUE(layout.has_value());
  EXPECT_TRUE(layout->temporary);
  ASSERT_EQ(layout->nodes.size(), 3U);
  const NodePlan& second = layout->nodes[1];
  EXPECT_EQ(second.name, "node2");
  EXPECT_EQ(second.http, "127.0.0.1:7490");
  EXPECT_EQ(second.resp, "127.0.0.1:7491");
  EXPECT_EQ(second.peer, "127.0.0.1:7492");
  EXPECT_EQ(second.log, "/d/node2.log");
  EXPECT_THAT(second.command,
              ElementsAre("/bin/lariatd", "--name", "node2", "--data-dir", "/d/node2", "--http",
                          "127.0.0.1:7490", "--resp", "127.0.0.1:7491", "--peer", "127.0.0.1:7492",
                          "--join", "127.0.0.1:7482,127.0.0.1:7492,127.0.0.1:7502", "--shards", "2",
                          "--set", "shutdown.linger_ms=0", "--set", "a.b=1"));
  EXPECT_FALSE(second.joins);
  layout = PlanLayout(options, {5, 7480, 2, 3}, "/bin/lariatd", "/d");
  ASSERT_EQ(layout->nodes.size(), 5U);
  EXPECT_FALSE(layout->nodes[2].joins);
  EXPECT_TRUE(layout->nodes[3].joins);
  EXPECT_THAT(layout->nodes[4].command, Contains("127.0.0.1:7482,127.0.0.1:7492,127.0.0.1:7502"));
  EXPECT_FALSE(PlanLayout(options, {0, 7480, 1}, "s", "/d").has_value());
  EXPECT_FALSE(PlanLayout(options, {3, 65520, 1}, "s", "/d").has_value());
}

TEST(LayoutTest, CoresAreDivided) {
  EXPECT_EQ(DefaultShards(2, 3), 1U);
  EXPECT_EQ(DefaultShards(16, 3), 5U);
}

TEST(LayoutTest, ShellTextQuotesWhatNeedsIt) {
  EXPECT_EQ(ShellText({"a", "--x=1", "two words", "it's", ""}),
            R"(a --x=1 'two words' 'it'\''s' '')");
}

TEST(LayoutTest, PortsInUseAreNamed) {
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  ASSERT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(listen(fd, 1), 0);
  ASSERT_EQ(getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size), 0);
  Layout layout;
  NodePlan node;
  node.name = "node1";
  node.http = node.resp = node.peer = "127.0.0.1:" + std::to_string(ntohs(address.sin_port));
  layout.nodes = {node};
  EXPECT_THAT(PortsInUse(layout), Contains(HasSubstr("(HTTP of node1)")));
  close(fd);
  EXPECT_TRUE(PortsInUse(layout).empty());
}

TEST(ClusterFileTest, ReadsWhatItWrote) {
  ClusterFile file{7480,
                   1,
                   "/bin/lariatd",
                   {{"node1", {12, 345}, false, true}, {"node2", {13, 346}, true, false}}};
  auto read = ParseClusterFile(RenderClusterFile(file));
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(read->base_port, 7480U);
  EXPECT_EQ(read->server, "/bin/lariatd");
  ASSERT_EQ(read->nodes.size(), 2U);
  EXPECT_EQ(read->nodes[1].name, "node2");
  EXPECT_EQ(read->nodes[1].process, (ProcessId{13, 346}));
  EXPECT_EQ(read->first, 1U);
  EXPECT_FALSE(read->nodes[0].left);
  EXPECT_TRUE(read->nodes[1].left);
  EXPECT_TRUE(read->nodes[0].fresh);
  EXPECT_FALSE(read->nodes[1].fresh);
  for (const char* bad : {"", "[]", "{}", R"({"nodes":1})", R"({"nodes":[1]})"}) {
    EXPECT_FALSE(ParseClusterFile(bad).has_value()) << bad;
  }
}

TEST(ProcessTest, StatLineWithAnOddName) {
  auto stat = ParseStat("12 (a) b (c)) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 987 20");
  ASSERT_TRUE(stat.has_value());
  EXPECT_EQ(stat->state, 'S');
  EXPECT_EQ(stat->start_ticks, 987U);
  EXPECT_FALSE(ParseStat("").has_value());
  EXPECT_FALSE(ParseStat("12 (a) S 1 2").has_value());
}

class ProcessesTest : public ::testing::Test {
 protected:
  ProcessesTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "lariat-cli-XXXXXX").string();
    dir_ = mkdtemp(pattern.data());
  }
  ~ProcessesTest() override { std::filesystem::remove_all(dir_); }
  std::string dir_;
};

TEST_F(ProcessesTest, AProcessIsKnownByIdAndStart) {
  auto process = Start({"/bin/sleep", "60"}, dir_ + "/log", Bond::kDiesWithParent);
  ASSERT_TRUE(process.has_value());
  // Between fork and exec the process still bears our name.
  for (int i = 0; i < 1000 && !IsRunning(*process, "sleep"); ++i) usleep(1000);
  EXPECT_TRUE(IsRunning(*process, "sleep"));
  EXPECT_FALSE(IsRunning({process->pid, process->start_ticks + 1}, "sleep"));
  EXPECT_FALSE(IsRunning(*process, "lariatd"));
  EXPECT_FALSE(Signal(*process, "lariatd", SIGKILL));
  EXPECT_TRUE(Signal(*process, "sleep", SIGTERM));
  int status = 0;
  ASSERT_EQ(waitpid(process->pid, &status, 0), process->pid);
  EXPECT_EQ(EndText(status), "signal 15 (Terminated)");
  EXPECT_FALSE(IsRunning(*process, "sleep"));
}

TEST_F(ProcessesTest, OutputGoesToTheLog) {
  std::string log = dir_ + "/log";
  auto process = Start({"/bin/sh", "-c", "echo one; echo two >&2; exit 3"}, log, Bond::kOwnSession);
  ASSERT_TRUE(process.has_value());
  int status = 0;
  ASSERT_EQ(waitpid(process->pid, &status, 0), process->pid);
  EXPECT_EQ(EndText(status), "exit code 3");
  EXPECT_THAT(LastLines(log, 1), ElementsAre("two"));
  EXPECT_THAT(LastLines(log, 5), ElementsAre("one", "two"));
}

TEST_F(ProcessesTest, DownLeavesAForeignProcessAlone) {
  auto process = Start({"/bin/sleep", "60"}, dir_ + "/log", Bond::kDiesWithParent);
  ASSERT_TRUE(process.has_value());
  ClusterFile file{
      7480, 1, "/bin/sleep", {{"node1", {process->pid, process->start_ticks + 7}, false, false}}};
  ASSERT_TRUE(WriteClusterFile(dir_, file).has_value());
  EXPECT_EQ(Down({dir_, 1, true}), Exit::kDone);
  EXPECT_EQ(kill(process->pid, 0), 0);
  kill(process->pid, SIGKILL);
  waitpid(process->pid, nullptr, 0);
}

TEST_F(ProcessesTest, DownStopsWhatItKnowsAndKillsTheStubborn) {
  // The test is the parent: an ignored SIGCHLD reaps, as init does for a detached node.
  auto before = signal(SIGCHLD, SIG_IGN);
  std::string stubborn = "trap '' TERM; echo ready; while :; do sleep 0.05; done";
  auto process = Start({"/bin/sh", "-c", stubborn}, dir_ + "/log", Bond::kOwnSession);
  ASSERT_TRUE(process.has_value());
  for (int i = 0; i < 5000 && LastLines(dir_ + "/log", 1).empty(); ++i) usleep(1000);
  ClusterFile file{7480, 1, "/bin/sh", {{"node1", *process, false, false}}};
  ASSERT_TRUE(WriteClusterFile(dir_, file).has_value());
  EXPECT_EQ(Down({dir_, 0.2, true}), Exit::kDone);
  EXPECT_FALSE(IsRunning(*process, "sh"));
  signal(SIGCHLD, before);
  EXPECT_EQ(Down({dir_ + "/nothing", 1, true}), Exit::kFailed);
}

// A port from which on 50 are free, most likely: those that tests find in use are passed over.
uint32_t FreeBase() {
  for (uint32_t base = 21000 + static_cast<uint32_t>(getpid()) % 20000;; base += 50) {
    UpOptions options;
    auto layout = PlanLayout(options, {5, base, 1, 0}, "s", "/d");
    if (layout && PortsInUse(*layout).empty()) return base;
  }
}

TEST_F(ProcessesTest, UpStartsWhatDoesNotRunAndAddsWhatIsNew) {
  auto process = Start({"/bin/sleep", "60"}, dir_ + "/log", Bond::kDiesWithParent);
  ASSERT_TRUE(process.has_value());
  for (int i = 0; i < 1000 && !IsRunning(*process, "sleep"); ++i) usleep(1000);
  const uint32_t base = FreeBase();
  ClusterFile file{base, 2, "/bin/sleep", {}};
  file.nodes = {{"node1", *process, false, false},
                {"node2", {1, 1}, false, false},
                {"node3", {1, 1}, true, false}};
  ASSERT_TRUE(WriteClusterFile(dir_, file).has_value());
  UpOptions options;
  options.dir = dir_;
  options.server = "/bin/sleep";
  const auto marks = [](const Layout& layout) {
    std::string out;
    for (const NodePlan& node : layout.nodes) {
      out += node.running ? 'r' : node.left ? 'l' : node.fresh ? 'f' : 's';
      out += node.joins ? "+ " : " ";
    }
    return out;
  };
  auto again = PrepareLayout(options);
  ASSERT_TRUE(again.has_value());
  EXPECT_EQ(marks(*again), "r s l+ ");
  EXPECT_TRUE(again->known);

  std::filesystem::create_directory(dir_ + "/node3");
  options.nodes = 4;
  auto grown = PrepareLayout(options);
  ASSERT_TRUE(grown.has_value());
  EXPECT_EQ(marks(*grown), "r s f+ f+ ");
  EXPECT_TRUE(std::filesystem::exists(dir_ + "/node3.left"));
  EXPECT_FALSE(std::filesystem::exists(dir_ + "/node3"));

  options.nodes = 2;
  EXPECT_EQ(PrepareLayout(options).error(), Exit::kUsage);
  options.nodes = 3;
  options.base_port = base + 1000;
  EXPECT_EQ(PrepareLayout(options).error(), Exit::kUsage);
  kill(process->pid, SIGKILL);
  waitpid(process->pid, nullptr, 0);
}

TEST(UpTest, DetachNeedsADirectory) {
  UpOptions options;
  options.detach = true;
  EXPECT_EQ(Up(options), Exit::kUsage);
}

}  // namespace
}  // namespace lariat::cli::local
