// SPDX-License-Identifier: Apache-2.0
#include "sim/runner.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <ctime>
#include <sstream>

#include "base/check.h"
#include "sim/report/coverage.h"

namespace lariat::sim {
namespace {

// What a worker says on its pipe, one line each: "run SCENARIO SEED" before a run, "ok" or "failed"
// after it, "sum ..." at the end.
struct Worker {
  pid_t pid = 0;
  int pipe = -1;
  std::string input;
  std::string last_run;
  bool summed = false;
};

double CpuSeconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

void Say(int pipe, const std::string& line) {
  const std::string text = line + "\n";
  const ssize_t written = write(pipe, text.data(), text.size());
  LARIAT_CHECK(written == static_cast<ssize_t>(text.size()), "the parent reads its pipe");
}

void Work(const Batch& batch, int number, int pipe) {
  Summary summary;
  uint64_t index = 0;
  for (uint64_t seed = batch.first_seed; seed <= batch.last_seed; ++seed) {
    for (const Scenario* scenario : batch.scenarios) {
      if (index++ % static_cast<uint64_t>(batch.jobs) != static_cast<uint64_t>(number)) continue;
      Say(pipe, fmt::format("run {} {}", scenario->name, seed));
      const RunResult result = RunAndExplain({scenario, seed, batch.bug, false}, batch);
      summary.Add(result);
      Say(pipe, result.failures.empty() ? "ok" : "failed");
    }
  }
  summary.cpu_s = CpuSeconds();
  Say(pipe, "sum " + summary.Encode());
}

Worker Launch(const Batch& batch, int number) {
  int ends[2];
  LARIAT_CHECK(pipe(ends) == 0, "a pipe can be made");
  std::fflush(stdout);
  Worker worker;
  worker.pid = fork();
  LARIAT_CHECK(worker.pid >= 0, "a process can be made");
  if (worker.pid == 0) {
    close(ends[0]);
    Work(batch, number, ends[1]);
    std::fflush(stdout);
    _exit(0);
  }
  close(ends[1]);
  worker.pipe = ends[0];
  return worker;
}

void ReadLine(const std::string& line, Worker* worker, Summary* total) {
  if (line.starts_with("run ")) worker->last_run = line.substr(4);
  if (line == "ok" || line == "failed") {
    ++total->runs;
    total->failed += line == "failed" ? 1 : 0;
    worker->last_run.clear();
  }
  if (!line.starts_with("sum ")) return;
  worker->summed = true;
  auto summary = Summary::Decode(std::string_view(line).substr(4));
  LARIAT_CHECK(summary.has_value(), "a worker's summary decodes");
  summary->runs = summary->failed = 0;  // counted above
  total->Join(*summary);
}

// False at the end of the pipe.
bool ReadSome(Worker* worker, Summary* total) {
  char buffer[4096];
  const ssize_t size = read(worker->pipe, buffer, sizeof(buffer));
  if (size <= 0) return false;
  worker->input.append(buffer, static_cast<size_t>(size));
  for (size_t end = worker->input.find('\n'); end != std::string::npos;
       end = worker->input.find('\n')) {
    ReadLine(worker->input.substr(0, end), worker, total);
    worker->input.erase(0, end + 1);
  }
  return true;
}

void Finish(Worker* worker, Summary* total) {
  int status = 0;
  waitpid(worker->pid, &status, 0);
  close(std::exchange(worker->pipe, -1));
  if (worker->summed && status == 0) return;
  ++total->failed;
  std::istringstream run(worker->last_run);
  std::string scenario, seed;
  run >> scenario >> seed;
  fmt::print("FAILED scenario {} seed {}: the process died ({})\n", scenario, seed,
             WIFSIGNALED(status) ? fmt::format("signal {}", WTERMSIG(status)) : "exit");
  fmt::print("replay: lariat-sim --scenario {} --seed {} --trace\n", scenario, seed);
  std::fflush(stdout);
}

}  // namespace

void Summary::Add(const RunResult& result) {
  ++runs;
  failed += result.failures.empty() ? 0 : 1;
  events += result.events;
  virtual_s += base::ToSeconds(result.virtual_time);
  for (const auto& [what, n] : result.tally) tally[what] += n;
}

void Summary::Join(const Summary& other) {
  runs += other.runs;
  failed += other.failed;
  events += other.events;
  virtual_s += other.virtual_s;
  cpu_s += other.cpu_s;
  for (const auto& [what, n] : other.tally) tally[what] += n;
}

std::string Summary::Encode() const {
  std::string text = fmt::format("{} {} {} {:.6f} {:.6f}", runs, failed, events, virtual_s, cpu_s);
  for (const auto& [what, n] : tally) text += fmt::format("|{}|{}", what, n);
  return text;
}

std::optional<Summary> Summary::Decode(std::string_view text) {
  Summary summary;
  std::istringstream in{std::string(text)};
  std::string head, what, number;
  std::getline(in, head, '|');
  std::istringstream numbers(head);
  numbers >> summary.runs >> summary.failed >> summary.events >> summary.virtual_s >> summary.cpu_s;
  if (!numbers) return std::nullopt;
  while (std::getline(in, what, '|') && std::getline(in, number, '|')) {
    summary.tally[what] = std::strtoull(number.c_str(), nullptr, 10);
  }
  return summary;
}

std::string Summary::Text() const {
  std::string text = fmt::format("{} runs, {} failed\n", runs, failed);
  text += fmt::format(
      "{:.0f} s of virtual time in {:.1f} s of CPU: {:.0f} times as fast, "
      "{:.0f} runs/s, {} events\n",
      virtual_s, cpu_s, virtual_s / std::max(cpu_s, 1e-3),
      static_cast<double>(runs) / std::max(cpu_s, 1e-3), events);
  std::string group;
  for (const auto& [what, n] : tally) {
    if (what.starts_with(kStrikes)) continue;
    const std::string of = what.substr(0, what.find(':'));
    text += of == group ? ", " : (group.empty() ? "" : "\n") + of + ": ";
    text += fmt::format("{} {}", n, what.substr(what.find(':') + 2));
    group = of;
  }
  return text + "\n" + CoverageTable(tally);
}

RunResult RunAndExplain(const RunRequest& request, const Batch& batch) {
  RunResult result = RunOne(request);
  if (result.failures.empty()) return result;
  RunRequest again = request;
  again.record_trace = true;
  const RunResult traced = RunOne(again);
  fmt::print("{}", Explain(traced, batch.commit, batch.trace_lines_max));
  if (traced.trace_hash != result.trace_hash) {
    fmt::print("and the second run differs from the first: the simulation is not deterministic\n");
  }
  std::fflush(stdout);
  return result;
}

Summary RunBatch(const Batch& batch) {
  Summary total;
  std::vector<Worker> workers;
  for (int i = 0; i < batch.jobs; ++i) workers.push_back(Launch(batch, i));
  const uint64_t all = (batch.last_seed - batch.first_seed + 1) * batch.scenarios.size();
  size_t open = workers.size();
  uint64_t shown = 0;
  while (open > 0) {
    std::vector<pollfd> polls;
    for (const Worker& worker : workers) polls.push_back({worker.pipe, POLLIN, 0});
    poll(polls.data(), polls.size(), -1);
    for (size_t i = 0; i < workers.size(); ++i) {
      if (polls[i].revents == 0 || workers[i].pipe < 0) continue;
      if (ReadSome(&workers[i], &total)) continue;
      Finish(&workers[i], &total);
      --open;
    }
    if (batch.show_progress && total.runs >= shown + 50) {
      shown = total.runs;
      fmt::print(stderr, "{} of {} runs, {} failed\n", total.runs, all, total.failed);
    }
  }
  return total;
}

}  // namespace lariat::sim
