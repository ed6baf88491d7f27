// SPDX-License-Identifier: Apache-2.0
// lariat-sim: runs scenarios over seeds, shows what failed and how to see it again.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>

#include "sim/runner.h"
#include "sim/steps.h"

namespace lariat::sim {
namespace {

struct Arguments {
  std::string seeds = "1..50";
  std::string scenario = "all";
  std::optional<uint64_t> seed;
  std::string bug = "none";
  std::string key;
  std::vector<std::string> choices;  // "option=choices"
  int jobs = 2;
  bool trace = false;
  bool list = false;
};

int Complain(const std::string& what) {
  fmt::print(stderr, "lariat-sim: {}\n", what);
  return 2;
}

int List() {
  for (const Scenario& scenario : Scenarios()) {
    fmt::print("{:15} {}\n", scenario.name, scenario.about);
  }
  fmt::print("{:15} {}\n", "steps", "Each participant killed in each step of each change:");
  fmt::print("\n{}", CellsTable());
  fmt::print("\nbugs to plant (--bug):");
  for (int i = 1; i < static_cast<int>(Bug::kCount); ++i) {
    fmt::print(" {}", BugName(static_cast<Bug>(i)));
  }
  fmt::print("\n");
  return 0;
}

int ReplayOne(const RunRequest& request, const Arguments& arguments, const std::string& commit) {
  const RunResult result = RunOne(request);
  if (arguments.trace) fmt::print("{}", FormatTrace(result, arguments.key, SIZE_MAX));
  fmt::print("options {}\n", result.options);
  if (!result.failures.empty()) {
    fmt::print("{}", Explain(result, commit, arguments.trace ? 0 : 150));
    return 1;
  }
  Summary summary;
  summary.Add(result);
  fmt::print("trace hash {:016x}\n{}", result.trace_hash, summary.Text());
  return 0;
}

std::optional<std::pair<uint64_t, uint64_t>> ParseSeeds(const std::string& text) {
  unsigned long long first = 0, last = 0;
  if (std::sscanf(text.c_str(), "%llu..%llu", &first, &last) != 2 || first > last) {
    return std::nullopt;
  }
  return std::pair<uint64_t, uint64_t>(first, last);
}

int Run(const Arguments& arguments) {
  if (arguments.list) return List();
  const char* commit = std::getenv("LARIAT_COMMIT");
  Batch batch;
  batch.commit = commit == nullptr ? "" : commit;
  batch.jobs = arguments.jobs;
  batch.show_progress = true;
  const auto bug = BugFromName(arguments.bug);
  if (!bug) return Complain("there is no bug '" + arguments.bug + "' (--list shows them)");
  batch.bug = *bug;
  for (const Scenario& scenario : Scenarios()) {
    const bool wanted = arguments.scenario == "all" || arguments.scenario == scenario.name;
    if (wanted) batch.scenarios.push_back(&scenario);
  }
  for (const Cell& cell : Cells()) {
    const bool wanted = arguments.scenario == "steps" || arguments.scenario == cell.scenario.name;
    if (wanted && cell.impossible.empty()) batch.scenarios.push_back(&cell.scenario);
  }
  if (batch.scenarios.empty()) {
    return Complain("there is no scenario '" + arguments.scenario + "' (--list shows them)");
  }
  Scenario changed;
  if (!arguments.choices.empty()) {
    if (batch.scenarios.size() > 1) return Complain("--set needs --scenario");
    auto set = ParseScenario("", fmt::format("{}\n", fmt::join(arguments.choices, "\n")));
    if (!set) return Complain(set.error().message);
    changed = *batch.scenarios[0];
    for (auto& [option, choices] : set->choices) changed.choices[option] = choices;
    batch.scenarios = {&changed};
  }
  if (arguments.seed) {
    if (batch.scenarios.size() > 1) return Complain("--seed needs --scenario");
    // The trace is recorded in any case: it is what a failure is explained with.
    const RunRequest request{batch.scenarios[0], *arguments.seed, batch.bug, true};
    return ReplayOne(request, arguments, batch.commit);
  }
  const auto seeds = ParseSeeds(arguments.seeds);
  if (!seeds) return Complain("--seeds is FIRST..LAST");
  std::tie(batch.first_seed, batch.last_seed) = *seeds;
  const Summary summary = RunBatch(batch);
  fmt::print("{}", summary.Text());
  return summary.failed == 0 ? 0 : 1;
}

}  // namespace
}  // namespace lariat::sim

int main(int argc, char** argv) {
  lariat::sim::Arguments arguments;
  CLI::App app("Simulates whole clusters in virtual time; a seed decides everything.");
  app.add_option("--seeds", arguments.seeds, "Range of seeds for each scenario, FIRST..LAST")
      ->capture_default_str();
  app.add_option("--scenario", arguments.scenario, "One scenario, or all");
  app.add_option("--seed", arguments.seed, "Runs this one seed and prints its trace hash");
  app.add_option("--jobs", arguments.jobs, "Processes that share the work")
      ->capture_default_str()
      ->check(CLI::Range(1, 64));
  app.add_option("--bug", arguments.bug, "Plants a bug that the checkers have to find");
  app.add_option("--set", arguments.choices,
                 "OPTION=CHOICES, instead of the scenario's; repeatable");
  app.add_option("--key", arguments.key, "With --trace: only what concerns this key");
  app.add_flag("--trace", arguments.trace, "With --seed: prints every event");
  app.add_flag("--list", arguments.list, "Lists scenarios and bugs");
  CLI11_PARSE(app, argc, argv);
  return lariat::sim::Run(arguments);
}
