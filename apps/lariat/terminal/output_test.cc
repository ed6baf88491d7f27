// SPDX-License-Identifier: Apache-2.0
// Every command whose output cannot be written says so and ends with 1.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>

#include "apps/lariat/fake_node_test_util.h"
#include "apps/lariat/session.h"

namespace lariat::cli {
namespace {

using testing::FakeNode;
using testing::FakeReply;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using Words = std::vector<std::string>;

int RunMain(const Words& words) {
  std::vector<const char*> arguments = {"lariat"};
  for (const std::string& word : words) arguments.push_back(word.c_str());
  return Main(static_cast<int>(arguments.size()), arguments.data());
}

// While it lives, a standard descriptor is another file.
class Redirected {
 public:
  Redirected(int standard, int to) : standard_(standard), before_(dup(standard)) {
    Flush();
    dup2(to, standard_);
    close(to);
  }
  ~Redirected() {
    Flush();
    dup2(before_, standard_);
    close(before_);
    std::clearerr(standard_ == STDOUT_FILENO ? stdout : stderr);
  }
  Redirected(const Redirected&) = delete;
  Redirected& operator=(const Redirected&) = delete;

 private:
  void Flush() { std::fflush(standard_ == STDOUT_FILENO ? stdout : stderr); }
  int standard_;
  int before_;
};

struct Told {
  int exit = 0;
  std::string out, err;
};

Told CallInto(int descriptor, const Words& words) {
  Told told;
  ::testing::internal::CaptureStderr();
  {
    Redirected output(STDOUT_FILENO, descriptor);
    told.exit = RunMain(words);
  }
  told.err = ::testing::internal::GetCapturedStderr();
  return told;
}

Told Call(const Words& words) {
  ::testing::internal::CaptureStdout();
  ::testing::internal::CaptureStderr();
  Told told;
  told.exit = RunMain(words);
  told.out = ::testing::internal::GetCapturedStdout();
  told.err = ::testing::internal::GetCapturedStderr();
  return told;
}

int ClosedPipe() {
  int ends[2];
  EXPECT_EQ(pipe(ends), 0);
  close(ends[0]);
  return ends[1];
}

class Output : public ::testing::Test {
 protected:
  Output() : node_([this](const auto& start, const auto&) { return Answer(start); }) {
    signal(SIGPIPE, SIG_IGN);  // as main() does
    std::string pattern = (std::filesystem::temp_directory_path() / "lariat-out-XXXXXX").string();
    dir_ = mkdtemp(pattern.data());
    std::ofstream(dir_ + "/a.ndjson") << "{\"key\":\"k\",\"value\":1}\n";
    std::ofstream(dir_ + "/keys") << "k\n";
    std::ofstream(dir_ + "/cluster.json") << R"({"base_port":7480,"server":"x","nodes":[]})";
  }
  ~Output() override { std::filesystem::remove_all(dir_); }

  FakeReply Answer(const std::string& start) {
    auto asks = [&](std::string_view text) { return start.find(text) != std::string::npos; };
    if (asks("/v1/buckets/new") && start.starts_with("GET")) return {404, "{}"};
    if (asks("/v1/cluster/status")) {
      return {200, R"({"cluster_id":"c","epoch":1,"operation":null,"nodes":[{"name":"node1",)"
                   R"("id":"i","state":"normal","alive":true,"http":")" +
                       node_.address() + R"("}]})"};
    }
    if (asks("/v1/admin/tasks/")) return {200, R"({"task":12,"state":"done","kind":"repair"})"};
    if (asks("/v1/buckets ") || start.ends_with("/v1/buckets")) return {200, R"({"buckets":[]})"};
    if (asks("/v1/buckets/default/kv/") || asks("/v1/buckets/b/kv/"))
      return {200, R"({"key":"k","value":"YQ==","siblings":[]})"};
    if (start.starts_with("POST")) return {200, R"({"task":12,"state":"running","message":"m"})"};
    if (start.starts_with("DELETE")) return {200, R"({"deleted":true})"};
    if (asks("/kv/")) return {start.starts_with("GET") ? 200 : 201, "1"};
    return {200, R"({"name":"b","n":3,"ranges":[],"changes":[],"tasks":[]})"};
  }

  // Each prints something and ends with 0 while it can.
  std::vector<Words> Commands() const {
    return {
        {"--help"},
        {"--version"},
        {"get", "--help"},
        {"get", "k"},
        {"get", "k", "--json"},
        {"put", "k", "v", "--json"},
        {"del", "k", "--json"},
        {"bucket", "create", "new"},
        {"bucket", "list"},
        {"bucket", "show", "b"},
        {"bucket", "set", "b", "n=3"},
        {"status"},
        {"status", "--json"},
        {"ring"},
        {"explain", "k"},
        {"decommission", "node1"},
        {"decommission", "node1", "--wait"},
        {"remove", "node1"},
        {"reweight", "node1", "2"},
        {"drain", "node1"},
        {"cluster", "plan"},
        {"cluster", "commit"},
        {"cluster", "cancel"},
        {"cluster", "why"},
        {"cluster", "tasks"},
        {"tasks"},
        {"tasks", "12", "--wait"},
        {"repair"},
        {"repair", "--wait"},
        {"repair", "status"},
        {"import", dir_ + "/a.ndjson", "--bucket", "b"},
        {"import", dir_ + "/a.ndjson", "--bucket", "b", "--verify"},
        {"export", "--keys", dir_ + "/keys", "--bucket", "b"},
        {"bench", "--duration", "0.05", "--warmup", "0", "--keys", "1", "--connections", "1"},
        {"plan", "--records", "1e6"},
        {"down", "--dir", dir_},
    };
  }
  Words At(Words words) const {
    const bool local = words[0].starts_with("--");
    if (!local) words.insert(words.end(), {"--node", node_.address()});
    return words;
  }

  FakeNode node_;
  std::string dir_;
};

TEST_F(Output, OfEveryCommandIsChecked) {
  for (const Words& command : Commands()) {
    const Words words = At(command);
    const std::string name = ::testing::PrintToString(command);
    const Told good = Call(words);
    EXPECT_EQ(good.exit, 0) << name << good.err;
    EXPECT_THAT(good.out, Not(IsEmpty())) << name;

    const Told full = CallInto(open("/dev/full", O_WRONLY | O_CLOEXEC), words);
    EXPECT_EQ(full.exit, 1) << name;
    const std::string complaint = "cannot write to standard output: No space left on device";
    EXPECT_THAT(full.err, HasSubstr(complaint)) << name;
    EXPECT_EQ(full.err.find(complaint), full.err.rfind(complaint)) << name;

    const Told closed = CallInto(ClosedPipe(), words);
    EXPECT_EQ(closed.exit, 1) << name;
    EXPECT_THAT(closed.err, Not(HasSubstr("cannot write"))) << name;

    // Not writable at all, as main() leaves a descriptor that the caller had closed.
    const Told none = CallInto(open("/dev/null", O_RDONLY | O_CLOEXEC), words);
    EXPECT_EQ(none.exit, 1) << name;
    EXPECT_THAT(none.err, HasSubstr("Bad file descriptor")) << name;
  }
}

TEST_F(Output, AnEarlierFailureKeepsItsCode) {
  const Told told =
      CallInto(open("/dev/full", O_WRONLY | O_CLOEXEC), {"status", "--node", "127.0.0.1:1"});
  EXPECT_EQ(told.exit, 3);
  // Nothing to write is no failure.
  EXPECT_EQ(CallInto(open("/dev/full", O_WRONLY | O_CLOEXEC), At({"put", "k", "v"})).exit, 0);
}

TEST_F(Output, AFullStandardErrorIsNoCrash) {
  Redirected error(STDERR_FILENO, open("/dev/full", O_WRONLY | O_CLOEXEC));
  EXPECT_EQ(RunMain({"status", "--node", "127.0.0.1:1"}), 3);
  EXPECT_EQ(RunMain({"get"}), 2);
}

TEST_F(Output, FilesThatAreWrittenAreChecked) {
  const std::string full = "/dev/full";
  Told told = Call(At({"export", "--keys", dir_ + "/keys", "--bucket", "b", "--out", full}));
  EXPECT_EQ(told.exit, 1);
  EXPECT_THAT(told.err, HasSubstr("cannot write /dev/full: No space left on device"));
  const std::string bad = dir_ + "/bad.ndjson";
  std::ofstream(bad) << "nonsense\n";
  told = Call(At({"import", bad, "--bucket", "b", "--errors", full}));
  EXPECT_EQ(told.exit, 1);
  EXPECT_THAT(told.err, HasSubstr("cannot write /dev/full"));
  told = Call(At({"import", dir_ + "/a.ndjson", "--bucket", "b", "--resume", dir_ + "/no/state"}));
  EXPECT_EQ(told.exit, 1);
  EXPECT_THAT(told.err, HasSubstr("cannot write " + dir_ + "/no/state"));
}

TEST_F(Output, WrongUsageIsTwoForEveryCommand) {
  for (const Words& command : Commands()) {
    if (command[0].starts_with("--") || command.back() == "--help") continue;
    Words words = At(command);
    words.emplace_back("--no-such-option");
    EXPECT_EQ(Call(words).exit, 2) << ::testing::PrintToString(words);
    words.back() = "--node";
    EXPECT_EQ(Call(words).exit, 2) << ::testing::PrintToString(words);
    words.push_back("no-port");
    if (command[0] == "plan" || command[0] == "down") continue;
    EXPECT_EQ(Call(words).exit, 2) << ::testing::PrintToString(words);
  }
}

}  // namespace
}  // namespace lariat::cli
