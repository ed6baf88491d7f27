// SPDX-License-Identifier: Apache-2.0
#include "apps/lariat/local/process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <deque>
#include <fstream>
#include <iterator>
#include <sstream>

namespace lariat::cli::local {

namespace {

std::optional<std::string> Slurp(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return std::nullopt;
  return std::string(std::istreambuf_iterator<char>(in), {});
}

std::optional<StatLine> StatOf(pid_t pid) {
  auto text = Slurp(fmt::format("/proc/{}/stat", pid));
  return text ? ParseStat(*text) : std::nullopt;
}

// In the new process, between fork and exec: async-signal-safe calls only.
[[noreturn]] void Become(char* const* arguments, int log, Bond bond, pid_t parent) {
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  std::signal(SIGPIPE, SIG_DFL);
  if (bond == Bond::kOwnSession) {
    setsid();
  } else {
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent) _exit(1);
  }
  int null = open("/dev/null", O_RDONLY);
  if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(log, STDOUT_FILENO) < 0 ||
      dup2(log, STDERR_FILENO) < 0) {
    _exit(126);
  }
  execv(arguments[0], arguments);
  _exit(127);
}

}  // namespace

std::optional<StatLine> ParseStat(const std::string& line) {
  // The name, second field, is in parentheses and may hold anything, parentheses too.
  size_t end = line.rfind(')');
  if (end == std::string::npos) return std::nullopt;
  std::istringstream rest(line.substr(end + 1));
  StatLine out;
  if (!(rest >> out.state)) return std::nullopt;
  std::string skipped;
  for (int field = 4; field <= 21; ++field) rest >> skipped;
  if (!(rest >> out.start_ticks)) return std::nullopt;
  return out;
}

base::Result<ProcessId> Start(const std::vector<std::string>& command, const std::string& log,
                              Bond bond) {
  int fd = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (fd < 0) {
    return base::Fail(base::Code::kIo, fmt::format("cannot open {}: {}", log, strerror(errno)));
  }
  std::vector<char*> arguments;
  for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  pid_t self = getpid();
  pid_t pid = fork();
  if (pid == 0) Become(arguments.data(), fd, bond, self);
  int error = errno;
  close(fd);
  if (pid < 0) {
    return base::Fail(base::Code::kIo, fmt::format("cannot start a process: {}", strerror(error)));
  }
  auto stat = StatOf(pid);
  return ProcessId{pid, stat ? stat->start_ticks : 0};
}

bool IsRunning(const ProcessId& process, const std::string& program) {
  auto stat = StatOf(process.pid);
  if (!stat || stat->state == 'Z' || stat->start_ticks != process.start_ticks) return false;
  auto words = Slurp(fmt::format("/proc/{}/cmdline", process.pid));
  if (!words) return false;
  std::string first = words->substr(0, words->find('\0'));
  // An interpreted server (in tests) has its own name second.
  return first.ends_with(program) || words->find(program + '\0') != std::string::npos;
}

bool Signal(const ProcessId& process, const std::string& program, int signal) {
  return IsRunning(process, program) && kill(process.pid, signal) == 0;
}

std::string EndText(int wait_status) {
  if (WIFSIGNALED(wait_status)) {
    int number = WTERMSIG(wait_status);
    return fmt::format("signal {} ({})", number, strsignal(number));
  }
  return fmt::format("exit code {}", WEXITSTATUS(wait_status));
}

std::vector<std::string> LastLines(const std::string& path, size_t count) {
  std::ifstream in(path, std::ios::binary | std::ios::ate);
  if (!in) return {};
  constexpr std::streamoff kTail = 64 << 10;
  std::streamoff size = in.tellg();
  in.seekg(size > kTail ? size - kTail : 0);
  std::deque<std::string> lines;
  for (std::string line; std::getline(in, line);) {
    lines.push_back(line);
    if (lines.size() > count) lines.pop_front();
  }
  return {lines.begin(), lines.end()};
}

}  // namespace lariat::cli::local
