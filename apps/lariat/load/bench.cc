// SPDX-License-Identifier: Apache-2.0
#include "apps/lariat/load/bench.h"

#include <fmt/format.h>
#include <netdb.h>
#include <sys/resource.h>

#include <cmath>
#include <cstdlib>
#include <thread>

#include "apps/lariat/load/report.h"
#include "apps/lariat/terminal/progress.h"
#include "apps/lariat/terminal/text.h"

namespace lariat::cli::load {

namespace {

// What the connections of one phase do: each key once in turn, or draws until the deadline.
struct Phase {
  const char* verb;
  double read_share;
  bool each_key_once;
};

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

// The bucket's conflict kind; makes an lww bucket if there is none, because blind writes, which a
// benchmark sends, pile up as siblings otherwise.
tl::expected<std::string, Exit> PrepareBucket(const Common& common,
                                              const std::vector<net::Address>& nodes,
                                              const std::string& bucket) {
  net::Client client(nodes, common.Limits(kUsualWait, nodes.size()));
  net::Request request;
  request.target = "/v1/buckets/" + net::PercentEncode(bucket);
  net::Outcome present = client.Send(request);
  if (!present) return tl::unexpected(Explain(present.error()));
  if (present->status == 404) {
    request.method = "PUT";
    request.headers.emplace_back("Content-Type", "application/json");
    request.body = R"({"conflict":"lww"})";
    auto made = Ask(client, request);
    if (!made) return tl::unexpected(made.error());
    request = {"GET", request.target, {}, {}};
  }
  auto properties = Ask(client, request);
  if (!properties) return tl::unexpected(properties.error());
  return TextOf(*properties, "conflict");
}

std::string QueryOf(const char* name, const std::optional<uint32_t>& value) {
  return value ? net::QueryString({{name, std::to_string(*value)}}) : "";
}

// In a siblings bucket each connection writes keys of its own, so that no two writes of one key
// race: keys whose number leaves the connection's as remainder.
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
    if (plan.siblings && !op->get) op->key = OwnKey(op->key, connection, options);
    return true;
  };
}

EngineOptions OptionsOf(Plan& plan, size_t thread, Clock::time_point record_from,
                        Clock::time_point deadline, bool paced) {
  const BenchOptions& o = plan.options;
  EngineOptions out;
  out.nodes = plan.nodes;
  out.bucket = net::PercentEncode(o.bucket);
  out.get_query = QueryOf("r", o.r);
  out.put_query = QueryOf("w", o.w);
  out.value_bytes = o.value_bytes;
  out.first_connection = o.connections * thread / o.threads;
  out.connections = o.connections * (thread + 1) / o.threads - out.first_connection;
  out.pipeline = o.pipeline;
  out.rate = paced ? o.rate / static_cast<double>(o.threads) : 0;
  out.record_from = record_from;
  out.deadline = deadline;
  if (plan.siblings) out.contexts = &plan.contexts;
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
      Engine(OptionsOf(plan, i, from, deadline, !phase.each_key_once),
             MakeNext(plan, phase, 1000 + i), result)
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
  totals->self = Difference(SelfCpu(), self);
  for (size_t i = 0; i < after.size(); ++i) {
    totals->servers.emplace_back(after[i].first, Difference(after[i].second, before[i].second));
  }
  for (std::thread& thread : threads) thread.join();
  progress.Finish();
  AddUp(results, totals);
}

}  // namespace

Exit Bench(const Common& common, const BenchOptions& options) {
  auto addresses = ResolveNodes(common.nodes, std::getenv("LARIAT_NODE"));
  if (!addresses) return Complain(Exit::kUsage, addresses.error().message);
  Plan plan;
  plan.options = options;
  for (const net::Address& address : *addresses) {
    auto endpoint = Resolve(address);
    if (!endpoint) return Complain(Exit::kUnreachable, endpoint.error().message);
    plan.nodes.push_back(*endpoint);
  }
  for (int pid : options.pids) {
    if (!CpuOf(pid)) return Complain(Exit::kUsage, fmt::format("there is no process {}", pid));
  }
  auto conflict = PrepareBucket(common, *addresses, options.bucket);
  if (!conflict) return conflict.error();
  plan.conflict = *conflict;
  plan.siblings = *conflict == "siblings";
  if (plan.siblings) plan.contexts.resize(options.keys);
  double read_share = options.workload == "get"   ? 1
                      : options.workload == "put" ? 0
                                                  : options.read_share;
  if (plan.siblings && read_share < 1) {
    Totals ignored;
    RunPhase(plan, {"looked up", 1, true}, &ignored);
  }
  if (read_share > 0 && !options.no_load) {
    Totals load;
    RunPhase(plan, {"loaded", 0, true}, &load);
    if (load.failed > 0) {
      Tell("lariat: {} writes failed while loading\n", CountText(load.failed));
    }
  }
  Totals totals;
  RunPhase(plan, {"done", read_share, false}, &totals);
  if (common.json) {
    ShowJson(plan, totals);
  } else {
    ShowText(plan, totals);
  }
  return totals.all.Count() > 0 ? Exit::kDone : Exit::kFailed;
}

}  // namespace lariat::cli::load
