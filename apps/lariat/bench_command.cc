// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>

#include "apps/lariat/commands.h"
#include "apps/lariat/load/bench.h"

namespace lariat::cli {

void AddBenchCommand(CLI::App& app, Session& session) {
  auto o = std::make_shared<load::BenchOptions>();  // shared by the parser's callbacks
  CLI::App* command = AddCommand(app, session, "bench", "Measure throughput, latency and CPU",
                                 "  lariat bench --workload mixed --connections 50 --duration 10\n"
                                 "  lariat bench --workload put --rate 5000 --pids 4711,4712,4713");
  command->add_option("--workload", o->workload, "put, get or mixed (default)")
      ->check(CLI::IsMember({"put", "get", "mixed"}));
  command->add_option("--read-share", o->read_share, "Share of gets in mixed (default 0.5)")
      ->check(CLI::Range(0.0, 1.0));
  command->add_option("-b,--bucket", o->bucket,
                      "Bucket (default: bench, made as lww if there is none)");
  command->add_option("--connections", o->connections, "Default 50")->check(CLI::Range(1, 100000));
  command->add_option("--threads", o->threads, "Default 1")->check(CLI::Range(1, 256));
  command->add_option("--pipeline", o->pipeline, "Requests in flight per connection (default 1)")
      ->check(CLI::Range(1, 1024));
  command->add_option("--duration", o->duration_s, "Seconds measured (default 10)")
      ->check(CLI::PositiveNumber);
  command->add_option("--warmup", o->warmup_s, "Seconds before, not measured (default 1)")
      ->check(CLI::NonNegativeNumber);
  command->add_option("--keys", o->keys, "Default 10000")
      ->check(CLI::Range(uint64_t{1}, uint64_t{1000000000}));
  command->add_option("--value-bytes", o->value_bytes, "Default 500")
      ->check(CLI::Range(size_t{0}, kValueBytesMax));
  command->add_option("--rate", o->rate, "Operations per second (default: as fast as it goes)")
      ->check(CLI::NonNegativeNumber);
  command->add_option("--r", o->r, "Replicas that must answer a get");
  command->add_option("--w", o->w, "Replicas that must have stored a put");
  command->add_option("--pids", o->pids, "Processes whose CPU time is reported per operation")
      ->delimiter(',');
  command->add_flag("--no-load", o->no_load, "The keys are there already");
  CLI::Option* zipf = command->add_flag_callback(
      "--zipf", [o] { o->distribution = load::Distribution::kZipf; }, "A few keys are hot");
  command
      ->add_flag_callback(
          "--uniform", [o] { o->distribution = load::Distribution::kUniform; },
          "All keys are equally likely (default)")
      ->excludes(zipf);
  command->callback([&session, o] {
    session.run = [&session, o] {
      o->threads = std::min(o->threads, o->connections);
      return load::Bench(session.common, *o);
    };
  });
}

}  // namespace lariat::cli
