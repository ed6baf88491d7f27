// SPDX-License-Identifier: Apache-2.0
#include "apps/lariat/load/phase.h"

#include <fmt/format.h>
#include <netdb.h>
#include <sys/resource.h>

#include <cstring>
#include <thread>

#include "apps/lariat/terminal/progress.h"

namespace lariat::cli::load {

namespace {

// Where two writes of one key may not race, each connection writes keys of its own: those whose
// number leaves the connection's as remainder.
uint64_t OwnKey(uint64_t key, size_t connection, const BenchOptions& o) {
  uint64_t own = key - key % o.connections + connection;
  return own < o.keys ? own : connection;
}

NextOp MakeNext(const Plan& plan, const Phase& phase, uint64_t seed) {
  const BenchOptions& o = plan.options;
  struct State {
    KeyPicker picker;
    base::Prng coin;
    std::map<size_t, uint64_t> turn;  // next key of a connection, when each key comes once
  };
  // Shared by the copies of the function that holds it.
  auto state = std::make_shared<State>(
      State{KeyPicker(phase.each_key_once ? Distribution::kUniform : o.distribution, o.keys, seed),
            base::Prng(seed + 1),
            {}});
  return [&plan, phase, state](size_t connection, Op* op) {
    const BenchOptions& options = plan.options;
    op->get =
        phase.read_share >= 1 || (phase.read_share > 0 && state->coin.Chance(phase.read_share));
    if (phase.each_key_once) {
      uint64_t& turn = state->turn.try_emplace(connection, connection).first->second;
      op->key = turn;
      turn += options.connections;
      return op->key < options.keys;
    }
    op->key = state->picker.Next();
    const bool own = plan.siblings || plan.ledger != nullptr;
    if (own && !op->get) op->key = OwnKey(op->key, connection, options);
    return true;
  };
}

EngineOptions OptionsOf(Plan& plan, const Phase& phase, size_t thread,
                        Clock::time_point record_from, Clock::time_point deadline) {
  const BenchOptions& o = plan.options;
  EngineOptions out;
  out.nodes = plan.nodes;
  out.driver = plan.driver;
  out.value_bytes = o.value_bytes;
  out.first_connection = o.connections * thread / o.threads;
  out.connections = o.connections * (thread + 1) / o.threads - out.first_connection;
  out.pipeline = o.pipeline;
  out.rate = !phase.each_key_once ? o.rate / static_cast<double>(o.threads) : 0;
  out.record_from = record_from;
  out.deadline = deadline;
  if (plan.siblings) out.contexts = &plan.contexts;
  out.ledger = plan.ledger;
  out.verify = phase.verify;
  return out;
}

CpuTime SelfCpu() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  return {seconds(usage.ru_utime), seconds(usage.ru_stime)};
}

std::vector<std::pair<int, CpuTime>> SampleCpu(const std::vector<int>& pids) {
  std::vector<std::pair<int, CpuTime>> out;
  out.reserve(pids.size());
  for (int pid : pids) out.emplace_back(pid, CpuOf(pid).value_or(CpuTime{}));
  return out;
}

CpuTime Difference(const CpuTime& after, const CpuTime& before) {
  return {after.user_s - before.user_s, after.system_s - before.system_s};
}

void AddUp(std::vector<std::unique_ptr<EngineResult>>& results, Totals* totals) {
  for (auto& result : results) {
    totals->get.Merge(result->get);
    totals->put.Merge(result->put);
    totals->all.Merge(result->get);
    totals->all.Merge(result->put);
    for (const auto& [status, count] : result->failures) {
      totals->failures[status] += count;
      totals->failed += count;
    }
    if (totals->failure.empty()) totals->failure = result->failure;
    totals->lost += result->lost;
    totals->wrong += result->wrong;
    if (totals->example.empty()) totals->example = result->example;
  }
}

// Shows progress until `until`, or until all engines are done.
void Watch(Progress& progress, const std::vector<std::unique_ptr<EngineResult>>& results,
           const std::atomic<size_t>& running, const Phase& phase, Clock::time_point start,
           Clock::time_point until) {
  while (Clock::now() < until && running > 0) {
    auto step = std::min<Clock::duration>(until - Clock::now(), std::chrono::milliseconds(20));
    std::this_thread::sleep_for(step);
    uint64_t finished = 0;
    for (const auto& result : results) finished += result->finished;
    auto elapsed = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - start);
    progress.Update(finished,
                    phase.each_key_once ? finished : static_cast<uint64_t>(elapsed.count()));
  }
}

}  // namespace

base::Result<Endpoint> Resolve(const net::Address& address) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  int code = getaddrinfo(address.host.c_str(), address.port.c_str(), &hints, &found);
  if (code != 0) {
    return base::Fail(base::Code::kInvalidArgument,
                      fmt::format("{}: {}", address.ToString(), gai_strerror(code)));
  }
  Endpoint endpoint;
  std::memcpy(&endpoint.address, found->ai_addr, found->ai_addrlen);
  endpoint.size = found->ai_addrlen;
  endpoint.host = address.ToString();
  freeaddrinfo(found);
  return endpoint;
}

void RunPhase(Plan& plan, const Phase& phase, Totals* totals) {
  const BenchOptions& o = plan.options;
  auto seconds = [](double s) {
    return std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(s));
  };
  const auto start = Clock::now();
  const auto from = phase.each_key_once ? start : start + seconds(o.warmup_s);
  const auto deadline =
      phase.each_key_once ? start + std::chrono::hours(24) : from + seconds(o.duration_s);
  std::vector<std::unique_ptr<EngineResult>> results;
  std::vector<std::thread> threads;
  std::atomic<size_t> running{o.threads};
  for (size_t i = 0; i < o.threads; ++i) {
    results.push_back(std::make_unique<EngineResult>());
    threads.emplace_back([&, i, result = results.back().get()] {
      Engine(OptionsOf(plan, phase, i, from, deadline), MakeNext(plan, phase, 1000 + i), result)
          .Run();
      --running;
    });
  }
  uint64_t whole =
      phase.each_key_once ? o.keys : static_cast<uint64_t>((o.warmup_s + o.duration_s) * 1000);
  Progress progress(phase.verb, whole);
  Watch(progress, results, running, phase, start, from);
  auto before = SampleCpu(o.pids);
  CpuTime self = SelfCpu();
  Watch(progress, results, running, phase, start, deadline);
  auto after = SampleCpu(o.pids);
  totals->seconds = std::chrono::duration<double>(std::min(Clock::now(), deadline) - from).count();
  totals->self = Difference(SelfCpu(), self);
  for (size_t i = 0; i < after.size(); ++i) {
    totals->servers.emplace_back(after[i].first, Difference(after[i].second, before[i].second));
  }
  for (std::thread& thread : threads) thread.join();
  progress.Finish();
  AddUp(results, totals);
}

}  // namespace lariat::cli::load
