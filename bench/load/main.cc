// SPDX-License-Identifier: Apache-2.0
// The generator of `lariat bench` for bench/run: several protocols, phases one by one, and a ledger
// by which a later run asks whether a store has what it acknowledged. One line of JSON.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <string>

#include "apps/lariat/load/http_driver.h"
#include "apps/lariat/load/phase.h"
#include "apps/lariat/session.h"
#include "bench/load/etcd_driver.h"
#include "bench/load/resp_driver.h"

namespace lariat::bench {
namespace {

using cli::Complain;
using cli::Exit;

struct LoadOptions {
  cli::load::BenchOptions load;
  std::vector<std::string> nodes;
  std::string protocol = "http";
  std::string ledger;  // a file; empty: none
  uint64_t buckets = 1;
  uint32_t replicas = 0;
  bool contexts = false;
};

cli::load::MakeDriver DriversFor(const LoadOptions& o) {
  if (o.protocol == "etcd") return EtcdDrivers();
  if (o.protocol == "resp") return RespDrivers(o.replicas);
  return cli::load::HttpDrivers(
      {.bucket = o.load.bucket, .buckets = o.buckets, .json = o.protocol == "json"});
}

cli::load::Phase PhaseFor(const std::string& workload) {
  if (workload == "load") return {"loaded", 0, true};
  if (workload == "verify") return {"verified", 1, true, true};
  return {"done", workload == "get" ? 1.0 : 0.0, false};
}

base::Result<cli::load::Plan> PlanFor(const LoadOptions& o) {
  cli::load::Plan plan;
  plan.options = o.load;
  plan.driver = DriversFor(o);
  plan.siblings = o.contexts;
  plan.conflict = o.contexts ? "siblings" : "none";
  if (o.contexts) plan.contexts.resize(o.load.keys);
  auto addresses = cli::ResolveNodes(o.nodes, nullptr);
  if (!addresses) return tl::unexpected(addresses.error());
  for (const cli::net::Address& address : *addresses) {
    auto endpoint = cli::load::Resolve(address);
    if (!endpoint) return tl::unexpected(endpoint.error());
    plan.nodes.push_back(*endpoint);
  }
  return plan;
}

Exit Run(const LoadOptions& o) {
  const bool verify = o.load.workload == "verify";
  if (verify && o.ledger.empty()) return Complain(Exit::kUsage, "verify needs --ledger");
  if (!o.ledger.empty() && o.load.value_bytes < cli::load::Values::kMarkBytes) {
    return Complain(Exit::kUsage, fmt::format("with --ledger values have {} bytes or more",
                                              cli::load::Values::kMarkBytes));
  }
  auto plan = PlanFor(o);
  if (!plan) return Complain(Exit::kUsage, plan.error().message);
  cli::load::Ledger ledger(o.load.keys);
  if (!o.ledger.empty()) {
    plan->ledger = &ledger;
    if (auto loaded = ledger.Load(o.ledger); !loaded) {
      return Complain(Exit::kUsage, loaded.error().message);
    }
  }
  cli::load::Totals looked_up;
  if (o.contexts && o.load.workload == "put") {
    cli::load::RunPhase(*plan, {"looked up", 1, true}, &looked_up);
  }
  cli::load::Totals totals;
  totals.failed = looked_up.failed;
  totals.failures = looked_up.failures;
  cli::load::RunPhase(*plan, PhaseFor(o.load.workload), &totals);
  if (!o.ledger.empty() && !verify) {
    if (auto saved = ledger.Save(o.ledger); !saved) {
      return Complain(Exit::kFailed, saved.error().message);
    }
  }
  cli::load::ShowJson(*plan, totals);
  return Exit::kDone;
}

void AddOptions(CLI::App& app, LoadOptions& o) {
  app.add_option("--protocol", o.protocol, "http and json: both dialects of a Lariat node")
      ->check(CLI::IsMember({"http", "json", "resp", "etcd"}))
      ->take_last();
  app.add_option("--node", o.nodes, "host:port; connections take turns")
      ->delimiter(',')
      ->required();
  app.add_option("--workload", o.load.workload, "load and verify do each key once")
      ->check(CLI::IsMember({"load", "put", "get", "verify"}))
      ->required();
  app.add_option("--bucket", o.load.bucket, "Of http and json");
  app.add_option("--buckets", o.buckets, "Keys are spread over BUCKET-0, BUCKET-1, ...")
      ->check(CLI::Range(1, 100000));
  app.add_option("--replicas", o.replicas, "resp: a put waits for so many")
      ->check(CLI::Range(0, 100));
  app.add_flag("--contexts", o.contexts, "Puts carry what the last reply showed");
  app.add_option("--ledger", o.ledger, "File that knows what was put and acknowledged");
  app.add_option("--connections", o.load.connections)->check(CLI::Range(1, 10000))->take_last();
  app.add_option("--duration", o.load.duration_s, "Seconds")->check(CLI::PositiveNumber);
  app.add_option("--warmup", o.load.warmup_s, "Seconds before")->check(CLI::NonNegativeNumber);
  app.add_option("--keys", o.load.keys)->check(CLI::Range(uint64_t{1}, uint64_t{1000000000}));
  app.add_option("--value-bytes", o.load.value_bytes)
      ->check(CLI::Range(size_t{0}, cli::kValueBytesMax));
  app.add_option("--pids", o.load.pids, "Processes whose CPU time is counted")->delimiter(',');
}

}  // namespace
}  // namespace lariat::bench

int main(int argc, char** argv) {
  lariat::bench::LoadOptions options;
  options.load.warmup_s = 0;
  CLI::App app("Load for bench/run", "lariat-load");
  lariat::bench::AddOptions(app, options);
  CLI11_PARSE(app, argc, argv);
  return static_cast<int>(lariat::bench::Run(options));
}
